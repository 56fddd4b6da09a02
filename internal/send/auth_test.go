package send

import (
	"bufio"
	"crypto/hmac"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// auth answers AUTH with a mechanism, as the script of "AUTH " and its name says. Without a script it answers as a
// relay that knows the user ada with the password secret, or the token t0ken.
func (s *server) auth(c net.Conn, r *bufio.Reader, args []string) (ok bool) {
	name := args[0]
	s.mu.Lock()
	s.tried = append(s.tried, name)
	_, scripted := s.script["AUTH "+name]
	s.mu.Unlock()
	if scripted {
		ok, _ = s.at(c, "AUTH "+name, "")
		return ok
	}
	answer := "535 5.7.8 ada@example.net is not known"
	if s.knows(c, r, name, args[1:]) {
		s.logins.Add(1)
		answer = "235 2.7.0 welcome"
	}
	ok, _ = s.at(c, atAUTH, answer)
	return ok
}

func (s *server) knows(c net.Conn, r *bufio.Reader, name string, initial []string) bool {
	ask := func(challenge string) string {
		c.Write([]byte("334 " + base64.StdEncoding.EncodeToString([]byte(challenge)) + "\r\n"))
		line, _ := r.ReadString('\n')
		answer, _ := base64.StdEncoding.DecodeString(strings.TrimRight(line, "\r\n"))
		return string(answer)
	}
	first := ""
	if len(initial) > 0 {
		b, _ := base64.StdEncoding.DecodeString(initial[0])
		first = string(b)
	}
	switch name {
	case "PLAIN":
		return first == "\x00ada\x00secret"
	case "LOGIN":
		return ask("Username:") == "ada" && ask("Password:") == "secret"
	case "CRAM-MD5":
		const challenge = "<1896.697170952@test>"
		h := hmac.New(md5.New, []byte("secret"))
		h.Write([]byte(challenge))
		return ask(challenge) == fmt.Sprintf("ada %x", h.Sum(nil))
	case "XOAUTH2":
		return first == "user=ada\x01auth=Bearer t0ken\x01\x01" || ask(`{"status": "400"}`) == "t0ken"
	}
	return false
}

func TestTheNextMechanismIsTriedWhereOneCannotBeUsed(t *testing.T) {
	t.Parallel()
	all := []string{"AUTH SCRAM-SHA-256 SCRAM-SHA-1 CRAM-MD5 PLAIN LOGIN DIGEST-MD5 NTLM"}
	for _, c := range []struct {
		name   string
		ehlo   []string
		script map[string]act
		auth   []string
		tried  []string
		cause  string // why there is no connection; "" = there is one
	}{
		{name: "as old servers write it", ehlo: []string{"AUTH=LOGIN"}, tried: []string{"LOGIN"}},
		{name: "both ways", ehlo: []string{"AUTH CRAM-MD5", "AUTH=LOGIN PLAIN"}, tried: []string{"CRAM-MD5"}},
		{name: "in small letters", ehlo: []string{"auth plain login"}, tried: []string{"PLAIN"}},
		{name: "the strongest first", ehlo: all[:1], script: map[string]act{
			"AUTH SCRAM-SHA-256": {say: "454 4.7.0 Temporary authentication failure"},
			"AUTH SCRAM-SHA-1":   {say: "535 5.7.8 Error: authentication failed: no secret in database"},
			"AUTH CRAM-MD5":      {say: "504 5.5.4 Unrecognized authentication type"},
			"AUTH PLAIN":         {say: "501 5.5.4 Malformed"},
		}, tried: []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5", "PLAIN", "LOGIN"}},
		{name: "a challenge that is none", ehlo: all, script: map[string]act{
			"AUTH SCRAM-SHA-256": {say: "334 ***"}, "AUTH SCRAM-SHA-1": {say: "334 " + base64.StdEncoding.EncodeToString([]byte("e=no")) + ""},
		}, tried: []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "CRAM-MD5"}},
		{name: "the one that is set", ehlo: all, auth: []string{"login"}, tried: []string{"LOGIN"}},
		{name: "those that are set, in their order", ehlo: all, auth: []string{"LOGIN", "PLAIN"},
			script: map[string]act{"AUTH LOGIN": {say: "535 5.7.8 no"}}, tried: []string{"LOGIN", "PLAIN"}},
		{name: "one that is not offered", ehlo: []string{"AUTH PLAIN"}, auth: []string{"LOGIN"}, cause: "no mechanism"},
		{name: "the relay goes away", ehlo: all, script: map[string]act{"AUTH SCRAM-SHA-256": {say: "421 4.3.2 not now", hangUp: true}},
			tried: []string{"SCRAM-SHA-256"}, cause: "421"},
		{name: "the account is blocked", ehlo: all, script: map[string]act{"AUTH SCRAM-SHA-256": {say: "550 5.7.1 account blocked"}},
			tried: []string{"SCRAM-SHA-256"}, cause: "550"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, c.script)
			s.ehlo = c.ehlo
			s.start()
			r := s.relay()
			r.User, r.Password, r.Auth = "ada", "secret", c.auth
			p := pool(t, usual, r)
			if c.cause == "" {
				mustSend(t, p)
			} else if _, err := p.dial(t.Context(), p.relays[0]); err == nil || !strings.Contains(err.Error(), c.cause) || strings.Contains(err.Error(), "secret") {
				t.Errorf("error is %v, want %q in it", err, c.cause)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			if !slices.Equal(s.tried, c.tried) {
				t.Errorf("tried %q, want %q", s.tried, c.tried)
			}
		})
	}
}

func TestAnAccessTokenComesFromAFileOrACommand(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("old\n")
	for name, set := range map[string]func(*Relay){
		"file":    func(r *Relay) { r.TokenFile = file },
		"command": func(r *Relay) { r.TokenCommand = []string{"/bin/cat", file} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, nil)
			s.ehlo = []string{"AUTH PLAIN LOGIN XOAUTH2"}
			s.start()
			r := s.relay()
			r.User = "ada"
			set(&r)
			p := pool(t, usual, r)
			write("old\n")
			if _, err := p.dial(t.Context(), p.relays[0]); err == nil || !strings.Contains(err.Error(), "535") || strings.Contains(err.Error(), "old") {
				t.Errorf("a token that has ended: %v", err)
			}
			write("\uFEFFt0ken\r\n")
			mustSend(t, p)
			write("")
			p.relays[0].tokens = tokens{}
			if _, err := p.dial(t.Context(), p.relays[0]); err == nil || !strings.Contains(err.Error(), "token_"+name) {
				t.Errorf("an empty token: %v", err)
			}
			if s.logins.Load() != 1 || slices.Contains(s.tried, "PLAIN") {
				t.Errorf("%d logins, by %q", s.logins.Load(), s.tried)
			}
		})
	}
}

func TestNoPasswordGoesWhereOthersCouldReadIt(t *testing.T) {
	t.Parallel()
	remote, here := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 25)}, &net.TCPAddr{IP: net.IPv6loopback}
	bad := errors.New("unknown authority")
	for _, c := range []struct {
		relay      net.Addr
		secure     bool
		unverified error
		want       error
	}{
		{remote, true, nil, nil},
		{remote, true, bad, errUnverified},
		{remote, false, nil, errOpenLine},
		{here, false, nil, nil},
		{here, true, bad, nil},
	} {
		if got := exposed(c.relay, c.secure, c.unverified); !errors.Is(got, c.want) {
			t.Errorf("%v, TLS %v, %v: %v", c.relay, c.secure, c.unverified, got)
		}
	}
}

// TestNoPasswordGoesUnderUnverifiedTLS: with tls=opportunistic the mails go to a host with a certificate of its own
// making, and the password does not.
func TestNoPasswordGoesUnderUnverifiedTLS(t *testing.T) {
	t.Parallel()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(addresses, func(a net.Addr) bool {
		ip, ok := a.(*net.IPNet)
		return ok && ip.IP.IsGlobalUnicast() && ip.IP.To4() != nil
	})
	if i < 0 {
		t.Skip("this machine has no address but the loopback ones")
	}
	config, _ := certificate(t, time.Now().Add(time.Hour))
	s := newServerAt(t, net.JoinHostPort(addresses[i].(*net.IPNet).IP.String(), "0"), nil)
	s.tls, s.ehlo = config, []string{"STARTTLS", "AUTH PLAIN LOGIN"}
	s.start()
	r := s.relay()
	if a := mustSend(t, pool(t, usual, r)); a.Outcome != notice.OutcomeSent || s.underTLS.Load() != 1 {
		t.Errorf("without a user: %+v", a)
	}
	r.User, r.Password = "ada", "secret"
	p := pool(t, usual, r)
	if _, err := p.dial(t.Context(), p.relays[0]); !errors.Is(err, errUnverified) || len(s.tried) > 0 {
		t.Errorf("error is %v, tried %q", err, s.tried)
	}
}
