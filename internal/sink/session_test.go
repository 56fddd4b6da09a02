package sink

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

func TestScripts(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]Options{"kept": {}, "discarded": {Discard: true}} {
		o.SlowBy = time.Millisecond
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, o)
			c := dial(t, s)

			c.say("MAIL FROM:<>", "250")
			c.say("RCPT TO:<TempFail-1@example.org>", "451 4.2.1")
			c.say("RCPT TO:<tempfail-2@example.org>", "451 4.2.1")
			c.say("RCPT TO:<tempfail-1@example.org>", "250")
			for range 2 {
				c.say("RCPT TO:<permfail@example.org>", "550 5.1.1")
			}
			c.say("RSET", "250")
			if got := c.data("slow@example.org", "x"); !strings.HasPrefix(got, "250") {
				t.Errorf("slow: reply %q", got)
			}
			if n := s.Count(); n != 1 {
				t.Errorf("%d mails, want 1", n)
			}

			c.say("MAIL FROM:<>", "250")
			c.say("RCPT TO:<drop-before-dot@example.org>", "250")
			c.say("DATA", "354")
			c.want("")
			if n := s.Count(); n != 1 {
				t.Errorf("%d mails after drop-before-dot, want 1", n)
			}
			if got := dial(t, s).data("Drop-Before-Dot@example.org", "x"); !strings.HasPrefix(got, "250") {
				t.Errorf("drop-before-dot, again: reply %q", got)
			}

			for i := range 2 {
				if got := dial(t, s).data("drop-after-dot@example.org", "x"); got != "" {
					t.Errorf("drop-after-dot: reply %q", got)
				}
				if n := s.Count(); n != 3+i {
					t.Errorf("%d mails after drop-after-dot, want %d", n, 3+i)
				}
			}
		})
	}
}

// TestNothingIsDoneBehindACut sends the next envelope together with the dot at which the connection is cut.
func TestNothingIsDoneBehindACut(t *testing.T) {
	t.Parallel()
	for _, script := range []string{dropBeforeDot, dropAfterDot} {
		for name, o := range map[string]Options{"kept": {}, "discarded": {Discard: true}} {
			t.Run(script+" "+name, func(t *testing.T) {
				t.Parallel()
				s := start(t, o)
				c := dial(t, s)
				c.say("MAIL FROM:<>", "250")
				c.say("RCPT TO:<"+script+"@example.org>", "250")
				c.say("DATA\r\n"+strings.ReplaceAll(message, "\n", "\r\n")+"\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<tempfail@example.org>", "354")
				c.want("")
				c = dial(t, s)
				c.say("MAIL FROM:<>", "250")
				c.say("RCPT TO:<tempfail@example.org>", "451")
			})
		}
	}
}

func TestSlowIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{})
		c := &session{sink: s, to: []string{"slow@example.org"}, conn: nil}
		began := time.Now()
		if err := c.Data(strings.NewReader(message)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(began); d != 2*time.Second {
			t.Errorf("answered after %v", d)
		}
	})
}

func TestAUTH(t *testing.T) {
	t.Parallel()
	s := start(t, Options{User: "ada", Password: "secret"})
	plain := func(password string) string {
		return "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00ada\x00"+password))
	}
	c := dial(t, s)
	c.say("MAIL FROM:<>", "530 5.7.0")
	c.say(plain("wrong"), "535 5.7.8")
	c.say("MAIL FROM:<>", "530 5.7.0")
	c.say(plain("secret"), "235")
	if got := c.data("ada@example.org", message); !strings.HasPrefix(got, "250") {
		t.Errorf("reply %q", got)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	web := httptest.NewTLSServer(http.NotFoundHandler()) // has a certificate for 127.0.0.1, and a client that knows it
	web.Close()
	config := &tls.Config{Certificates: web.TLS.Certificates}
	trust := web.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trust.ServerName = "127.0.0.1"
	for _, o := range []Options{{TLS: config}, {TLS: config, Discard: true}, {TLS: config, ImplicitTLS: true},
		{TLS: config, ImplicitTLS: true, Discard: true}} {
		s := start(t, o)
		var c *client
		if o.ImplicitTLS {
			conn, err := tls.Dial("tcp", s.Addr().String(), trust)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			c = &client{t: t, conn: conn, r: bufio.NewReader(conn)}
			c.want("220")
		} else {
			c = dial(t, s)
			c.say("STARTTLS", "220")
			c.conn = tls.Client(c.conn, trust)
			c.r = bufio.NewReader(c.conn)
		}
		c.say("EHLO client.example", "250")
		if got := c.data("ada@example.org", message); !strings.HasPrefix(got, "250") || s.Count() != 1 {
			t.Errorf("implicit %v, discard %v: reply %q", o.ImplicitTLS, o.Discard, got)
		}
		if got := c.data("drop-after-dot@example.org", message); got != "" || s.Count() != 2 {
			t.Errorf("implicit %v, discard %v: reply %q", o.ImplicitTLS, o.Discard, got)
		}
	}
}

func TestAddressesKeepTheirQuotes(t *testing.T) {
	t.Parallel()
	s := start(t, Options{})
	for _, to := range []string{`"a b"@example.org`, `"a\"b"@example.org`, "o'neil+x@example.org", "jürgen@example.org", "a.b@xn--bcher-kva.example"} {
		dial(t, s).data(to, message)
		mails := s.Mails()
		if got := mails[len(mails)-1].RcptTo[0]; got != to {
			t.Errorf("got %s, want %s", got, to)
		}
	}
}

func FuzzDescribe(f *testing.F) {
	f.Add(message)
	f.Add("Subject: =?x?q?=FF?=\r\n folded\r\nbroken\r\n\r\n")
	f.Add("Subject: \xff\xfe\nContent-Type: multipart/mixed; boundary=a\n\n--a\nContent-Type: text/html\n\n<p>\n--a--")
	f.Fuzz(func(t *testing.T, raw string) {
		id, subject, language := describe(raw)
		html, text := bodies(raw)
		for _, s := range []string{id, subject, language, html, text} {
			if !utf8.ValidString(s) {
				t.Errorf("%q is no UTF-8", s)
			}
		}
	})
}
