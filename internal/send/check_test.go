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
			got := Check(t.Context(), r)
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
