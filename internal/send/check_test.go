package send

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/testkit"
)

func TestARelayIsTriedAndNothingIsSent(t *testing.T) {
	t.Parallel()
	good, roots := certificate(t, time.Now().Add(90*24*time.Hour))
	ending, endingRoots := certificate(t, time.Now().Add(3*24*time.Hour+time.Minute))
	nameless, namelessRoots := certificateFor(t, time.Now().Add(90*24*time.Hour))
	foreign := good.Clone()
	foreign.MaxVersion, foreign.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}
	old := good.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	expired, expiredRoots := certificate(t, time.Now().Add(-time.Hour))
	offer := []string{"STARTTLS", "AUTH PLAIN", "PIPELINING", "SIZE 52428800", "SMTPUTF8"}
	fine := []string{"ok reached", "ok TLS 1.3", "ok user and password", "ok up to 50 MiB", "ok PIPELINING"}
	for _, c := range []struct {
		name     string
		mode     TLSMode
		implicit bool
		script   map[string]act
		ehlo     []string
		config   *tls.Config
		roots    *x509.CertPool
		user     string
		password string
		host     string // "" is that of the server
		away     bool
		timeout  time.Duration
		want     []string
	}{
		{name: "all is well", ehlo: offer, config: good, roots: roots, user: "ada", password: "secret", want: fine},
		{name: "smtps", mode: TLSImplicit, implicit: true, ehlo: offer[1:], config: good, roots: roots, user: "ada", password: "secret", want: fine},
		{name: "a wrong password", ehlo: offer, config: good, roots: roots, user: "ada", password: "hunter2", want: []string{"error refuses the password of the user (535)"}},
		{name: "AUTH is not offered", ehlo: offer[:1], config: good, roots: roots, user: "ada", password: "secret", want: []string{"error no mechanism"}},
		{name: "an expired certificate", ehlo: offer, config: expired, roots: expiredRoots, want: []string{"error its certificate expired on"}},
		{name: "an expired certificate, smtps", mode: TLSImplicit, implicit: true, ehlo: offer, config: expired, roots: expiredRoots, want: []string{"error its certificate expired on"}},
		{name: "an expired certificate that is overlooked", mode: TLSOpportunistic, ehlo: offer, config: expired, roots: expiredRoots,
			want: []string{"ok reached", "warning overlooks: its certificate expired on", "ok SIZE", "ok PIPELINING"}},
		{name: "a certificate that ends soon", ehlo: offer, config: ending, roots: endingRoots, want: []string{"ok reached", "warning in 3 days", "ok SIZE", "ok PIPELINING"}},
		{name: "an unknown authority", ehlo: offer, config: good, want: []string{"error authority that is not known here (test CA)"}},
		{name: "another host's certificate", ehlo: offer, config: good, roots: roots, host: "localhost", want: []string{"error its certificate is for 127.0.0.1"}},
		{name: "no STARTTLS", ehlo: offer[1:], want: []string{"error does not offer STARTTLS"}},
		{name: "no TLS on a TLS port", mode: TLSImplicit, ehlo: offer, want: []string{"error does not speak TLS from the first byte"}},
		{name: "TLS on a plain port", mode: TLSRequired, implicit: true, ehlo: offer, config: good, roots: roots, timeout: 300 * time.Millisecond,
			want: []string{"error speaks TLS from the first byte, which smtp:// does not"}},
		{name: "no greeting", mode: TLSRequired, script: map[string]act{atGreeting: {silent: true}}, timeout: 300 * time.Millisecond,
			want: []string{"error takes the connection, and then: greeting: the relay did not answer in time"}},
		{name: "a certificate without a host", ehlo: offer, config: nameless, roots: namelessRoots, want: []string{"error names no host where clients look for it (subjectAltName), only CN=relay"}},
		{name: "no common cipher", ehlo: offer, config: foreign, roots: roots, want: []string{"error no TLS version or cipher in common"}},
		{name: "no common version", mode: TLSImplicit, implicit: true, ehlo: offer, config: old, roots: roots, want: []string{"error no TLS version or cipher in common"}},
		{name: "STARTTLS is refused", ehlo: offer, script: map[string]act{atSTARTTLS: {say: "454 4.7.0 TLS not available"}},
			want: []string{"error it offers STARTTLS and refuses it: 454 4.7.0 TLS not available"}},
		{name: "the name in EHLO is refused", script: map[string]act{atEHLO: {say: "504 5.5.2 <x>: Helo command rejected"}},
			want: []string{"error it refuses the name in EHLO: 504 5.5.2"}},
		{name: "a mechanism that nobody knows", ehlo: []string{"STARTTLS", "AUTH GSSAPI NTLM"}, config: good, roots: roots, user: "ada", password: "secret",
			want: []string{"error no mechanism that can be used here, but GSSAPI NTLM"}},
		{name: "a mechanism that does not work", ehlo: []string{"STARTTLS", "AUTH PLAIN"}, config: good, roots: roots, user: "ada", password: "secret",
			script: map[string]act{"AUTH PLAIN": {say: "504 5.5.4 not known"}}, want: []string{"error it can't use what it offers to log in with (PLAIN): AUTH PLAIN: 504"}},
		{name: "passwords can't be checked", ehlo: []string{"STARTTLS", "AUTH PLAIN"}, config: good, roots: roots, user: "ada", password: "secret",
			script: map[string]act{"AUTH PLAIN": {say: "454 4.7.0 no"}}, want: []string{"error it can't check passwords just now"}},
		{name: "little is offered", mode: TLSOpportunistic, ehlo: []string{"SIZE 100000"},
			want: []string{"ok reached", "ok no TLS", "warning at most 100000 bytes", "warning PIPELINING", "warning SMTPUTF8"}},
		{name: "a refusing greeting", mode: TLSOpportunistic, script: map[string]act{atGreeting: {say: "554 5.7.1 go away ada@example.net"}},
			want: []string{"error it refuses this machine: 554 5.7.1 go away …"}},
		{name: "hung up", mode: TLSOpportunistic, script: map[string]act{atGreeting: {hangUp: true}}, want: []string{"error no connection"}},
		{name: "nobody listens", away: true, want: []string{"error nothing listens"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, c.script)
			s.tls, s.implicit, s.ehlo = c.config, c.implicit, slices.Clone(c.ehlo)
			s.start()
			r := s.relay()
			r.TLS, r.RootCAs, r.User, r.Password = c.mode, c.roots, c.user, c.password
			if c.host != "" {
				r.Host = c.host
			}
			if c.away {
				s.stop()
			}
			got := check(t.Context(), r, Options{ConnectTimeout: c.timeout})
			testkit.Findings(t, got, c.want...)
			if c.password != "" && strings.Contains(fmt.Sprintf("%+v", got), c.password) {
				t.Errorf("it tells the password: %+v", got)
			}
			s.stop()
			if len(s.said) > 0 {
				t.Errorf("it began a mail: %q", s.said)
			}
		})
	}
}
