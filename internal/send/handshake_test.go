package send

import (
	"strings"
	"testing"
	"time"
)

// TestKeywordsOfEHLOIgnoreCase: keywords ignore case (RFC 5321 §4.1.1.1), and so TLS is not left out because a relay
// writes StartTLS.
func TestKeywordsOfEHLOIgnoreCase(t *testing.T) {
	t.Parallel()
	config, roots := certificate(t, time.Now().Add(time.Hour))
	s := newServer(t, nil)
	s.tls, s.ehlo = config, []string{"starttls", "Pipelining", "8bitMIME", "SmtpUtf8", "size 1000000", "auth=plain"}
	s.start()
	r := s.relay()
	r.TLS, r.RootCAs, r.User, r.Password, r.Connections = TLSRequired, roots, "ada", "secret", 1
	p := pool(t, usual, r)
	c, err := p.dial(t.Context(), p.relays[0])
	if err != nil {
		t.Fatal(err)
	}
	defer c.quit()
	if !c.secure || !c.pipelining || !c.eightBit || !c.utf8 || c.offered["SIZE"] != "1000000" || s.logins.Load() != 1 {
		t.Errorf("%+v; %d logins", c.offered, s.logins.Load())
	}
}

func TestHandshakesThatFail(t *testing.T) {
	t.Parallel()
	config, roots := certificate(t, time.Now().Add(time.Hour))
	for name, c := range map[string]struct {
		mode   TLSMode
		ehlo   []string
		script map[string]act
		cause  string // "" = the mail is taken
	}{
		"a relay that knows no EHLO":        {mode: TLSOpportunistic, script: map[string]act{atEHLO: {say: "502 5.5.1 what?", once: true}}},
		"a name that is refused":            {mode: TLSOpportunistic, script: map[string]act{atEHLO: {say: "504 5.5.2 <x>: Helo command rejected: need fully-qualified hostname"}}, cause: "EHLO: 504 5.5.2"},
		"not now":                           {mode: TLSOpportunistic, script: map[string]act{atEHLO: {say: "421 4.3.2 busy"}}, cause: "EHLO: 421 4.3.2 busy"},
		"no SMTP":                           {script: map[string]act{atGreeting: {say: "SSH-2.0-OpenSSH_9.2"}}, cause: "greeting: "},
		"STARTTLS is refused":               {ehlo: []string{"STARTTLS"}, script: map[string]act{atSTARTTLS: {say: "454 4.7.0 TLS not available"}}, cause: "STARTTLS: 454 4.7.0"},
		"STARTTLS is refused, and need not": {mode: TLSOpportunistic, ehlo: []string{"STARTTLS"}, script: map[string]act{atSTARTTLS: {say: "454 4.7.0 TLS not available"}}},
		"more is said before TLS":           {ehlo: []string{"STARTTLS"}, script: map[string]act{atSTARTTLS: {say: "220 go on\r\n250 AUTH PLAIN\r\n"}}, cause: "said more before TLS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, c.script)
			s.tls, s.ehlo = config, append(c.ehlo, "8BITMIME")
			s.start()
			r := s.relay()
			r.TLS, r.RootCAs = c.mode, roots
			p := pool(t, usual, r)
			if c.cause == "" {
				mustSend(t, p)
			} else if _, err := p.dial(t.Context(), p.relays[0]); err == nil || !strings.Contains(err.Error(), c.cause) {
				t.Errorf("error is %v, want %q in it", err, c.cause)
			}
		})
	}
}
