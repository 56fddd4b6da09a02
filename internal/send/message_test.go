package send

import (
	"bytes"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

func TestTheSizeOfAMailIsDeclared(t *testing.T) {
	t.Parallel()
	for offer, want := range map[string]string{"SIZE": " SIZE=16", "SIZE 0": " SIZE=16", "size 16": " SIZE=16", "8BITMIME": ""} {
		s := newServer(t, nil)
		s.ehlo = []string{offer}
		s.start()
		m := notice.Mail{From: "a@b.example", To: "c@d.example", Raw: []byte("X: y\r\n\r\n.hi\r\n.\r\n")} // before dots are doubled (RFC 1870 §5)
		if a, err := pool(t, usual, s.relay()).Send(t.Context(), m, &permit{}); err != nil || a.Outcome != notice.OutcomeSent {
			t.Errorf("%s: %+v, %v", offer, a, err)
		}
		if got := s.said[0]; got != "MAIL FROM:<a@b.example>"+want {
			t.Errorf("%s: command %q", offer, got)
		}
	}
}

func TestTheEnvelopeNamesTheAttempt(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ offer, path, token, want string }{
		{"DSN", "", "", "MAIL FROM:<a@b.example>|RCPT TO:<c@d.example>"},
		{"SIZE", "", "tok3n", "MAIL FROM:<a@b.example> SIZE=16|RCPT TO:<c@d.example>"},
		{"dsn", "", "tok3n", "MAIL FROM:<a@b.example> RET=HDRS ENVID=tok3n|RCPT TO:<c@d.example> NOTIFY=FAILURE"},
		{"DSN", "bounces@e.example", "tok3n", "MAIL FROM:<bounces+tok3n@e.example> RET=HDRS ENVID=tok3n|RCPT TO:<c@d.example> NOTIFY=FAILURE"},
		{"X", "bounces@e.example", "tok3n", "MAIL FROM:<bounces+tok3n@e.example>|RCPT TO:<c@d.example>"},
		{"DSN", "bounces@e.example", "", "MAIL FROM:<bounces@e.example>|RCPT TO:<c@d.example>"},
	} {
		s := newServer(t, nil)
		s.ehlo = []string{tt.offer}
		s.start()
		r := s.relay()
		r.ReturnPath = tt.path
		m := notice.Mail{From: "a@b.example", To: "c@d.example", Raw: []byte("X: y\r\n\r\n.hi\r\n.\r\n"), Token: tt.token}
		if a, err := pool(t, usual, r).Send(t.Context(), m, &permit{}); err != nil || a.Outcome != notice.OutcomeSent {
			t.Errorf("%+v: %+v, %v", tt, a, err)
		}
		if got := s.said[0] + "|" + s.asked[0]; got != tt.want {
			t.Errorf("%+v: said %q", tt, got)
		}
	}
}

// TestEachRelayHasItsOwnReversePath: a mail that goes on to another relay goes under that one's reverse-path.
func TestEachRelayHasItsOwnReversePath(t *testing.T) {
	t.Parallel()
	first, second := newServer(t, map[string]act{atMAIL: {say: "550 not from you"}}), newServer(t, nil)
	first.start()
	second.start()
	a, b := first.relay(), second.relay()
	a.Name, b.Name, a.ReturnPath = "first", "second", "bounces@first.example"
	m := notice.Mail{From: "a@b.example", To: "c@d.example", Raw: mail.Raw, Token: "tok3n"}
	got, err := pool(t, usual, a, b).Send(t.Context(), m, &permit{})
	if err != nil || got.Outcome != notice.OutcomeSent || got.Relay != "second" {
		t.Fatalf("%+v, %v", got, err)
	}
	if first.said[0] != "MAIL FROM:<bounces+tok3n@first.example>" || second.said[0] != "MAIL FROM:<a@b.example>" {
		t.Errorf("said %q and %q", first.said, second.said)
	}
}

func TestAMailGoesToARelayThatOffersItsNeeds(t *testing.T) {
	t.Parallel()
	small, whole := newServer(t, nil), newServer(t, nil)
	small.ehlo, whole.ehlo = []string{"SIZE 100"}, []string{"SMTPUTF8", "SIZE 1000"}
	small.start()
	whole.start()
	a, b := small.relay(), whole.relay()
	a.Name, b.Name = "small", "whole"
	p := pool(t, usual, a, b)
	large, larger := bytes.Repeat([]byte("x\r\n"), 100), bytes.Repeat([]byte("x\r\n"), 400)
	send := func(to string, raw []byte, want notice.Outcome, relay, text string) {
		t.Helper()
		got, err := p.Send(t.Context(), notice.Mail{From: "a@b.example", To: to, Raw: raw}, &permit{})
		if err != nil || got.Outcome != want || got.Relay != relay || !strings.Contains(got.Text, text) {
			t.Errorf("%s, %d bytes: %+v, %v", to, len(raw), got, err)
		}
	}
	const sent, later, never = notice.OutcomeSent, notice.OutcomeLater, notice.OutcomeNever
	for range 3 {
		send("c@d.example", mail.Raw, sent, "small", "")
		send("jürgen@d.example", mail.Raw, sent, "whole", "")
		send("c@d.example", large, sent, "whole", "")
		send("c@d.example", larger, never, "whole", "the mail has 1200 bytes, and the relay takes 1000 at most")
	}
	if h := p.Health(); h[0].State != "up" || h[1].State != "up" {
		t.Errorf("%+v", h)
	}
	whole.stop()
	for p.Health()[1].State == "up" {
		send("jürgen@d.example", mail.Raw, later, "small", "SMTPUTF8, which the address needs; another relay may, and rests")
	}
}
