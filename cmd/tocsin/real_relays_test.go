package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/internal/config"
	"tocsin/internal/notice"
	"tocsin/internal/send"
	"tocsin/internal/sink"
	"tocsin/internal/testkit"
)

// The tests of this file send through a relay that is not ours, as it comes from Debian.

// granted is a permit to send at any time.
type granted struct{}

func (granted) Ask() {}
func (granted) Wait(context.Context) (time.Time, error) {
	return time.Now().Add(time.Minute), nil
}

// parcel is the message that each of so many recipients gets.
type parcel struct {
	to    string // with a %d
	count int
	bytes int
}

// through sends mails through relays, and returns the answers by recipient.
func through(t *testing.T, p parcel, set ...config.Relay) map[string]notice.Answer {
	t.Helper()
	var relays []send.Relay
	for _, s := range set {
		s.Connections = 4
		r, err := relay(s)
		if err != nil {
			t.Fatal(err)
		}
		relays = append(relays, r)
	}
	pool := send.New(relays, send.Options{Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Hello: "client.example.net", AcquireTimeout: 10 * time.Second})
	defer pool.Close()
	raw := append([]byte("Subject: x\r\n\r\n"), bytes.Repeat([]byte("hello\r\n"), p.bytes/7+1)...)
	answers := map[string]notice.Answer{}
	var mu sync.Mutex
	var sending sync.WaitGroup
	for i := range p.count {
		sending.Go(func() {
			to := fmt.Sprintf(p.to, i)
			a, err := pool.Send(t.Context(), notice.Mail{From: "status@example.net", To: to, Raw: raw}, granted{})
			mu.Lock()
			defer mu.Unlock()
			if answers[to] = a; err != nil {
				answers[to] = notice.Answer{Text: err.Error()}
			}
		})
	}
	sending.Wait()
	return answers
}

// all checks that all answers are of one outcome, relay and text.
func all(t *testing.T, answers map[string]notice.Answer, o notice.Outcome, relay, text string) {
	t.Helper()
	for to, a := range answers {
		if a.Outcome != o || relay != "" && a.Relay != relay || !strings.Contains(a.Text, text) {
			t.Errorf("%s: %+v; want %s by %q with %q", to, a, o, relay, text)
			return
		}
	}
}

// found waits until `tocsin check` says this of a relay, which may count connections that have just ended.
func found(t *testing.T, s config.Relay, level notice.Level, message string) {
	t.Helper()
	r, err := relay(s)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for tick := time.NewTicker(100 * time.Millisecond); ; {
		f := send.Check(ctx, r)
		if slices.ContainsFunc(f, func(f notice.Finding) bool { return f.Level == level && strings.Contains(f.Message, message) }) {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Errorf("nothing says %s %q: %+v", level, message, f)
			return
		}
	}
}

// passwords answers as saslauthd does: it knows ada's, and no hash or secret that SCRAM or CRAM-MD5 would need.
func passwords(t *testing.T, socket string) {
	t.Helper()
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			var asked []string // user, password, service, realm: each behind its length
			for range 4 {
				var n uint16
				if binary.Read(c, binary.BigEndian, &n) != nil {
					break
				}
				text := make([]byte, n)
				io.ReadFull(c, text)
				asked = append(asked, string(text))
			}
			answer := "\x00\x02NO"
			if len(asked) == 4 && asked[0] == "ada" && asked[1] == "secret" {
				answer = "\x00\x02OK"
			}
			c.Write([]byte(answer))
			c.Close()
		}
	}()
}

// TestAPostfixThatIsParticular wants a full name in EHLO, takes small mails, and does not know SMTPUTF8. It offers every
// mechanism of its library, and can check passwords alone.
func TestAPostfixThatIsParticular(t *testing.T) {
	t.Parallel()
	behind, second := startSink(t, "127.0.0.1:0", sink.Options{}), startSink(t, "127.0.0.1:0", sink.Options{})
	p := startPostfix(t, behind.Addr(),
		"smtpd_sasl_auth_enable = yes", "smtpd_relay_restrictions = permit_sasl_authenticated, reject",
		"smtpd_helo_required = yes", "smtpd_helo_restrictions = reject_non_fqdn_helo_hostname", "smtpd_delay_reject = no",
		"message_size_limit = 20000", "smtputf8_enable = no")
	passwords(t, p.saslauthd())
	first := config.Relay{Name: "postfix", URL: "smtp://ada:secret@" + p.address}
	next := config.Relay{Name: "second", URL: "smtp://" + second.Addr().String()}

	all(t, through(t, parcel{"m%d@example.org", 40, 1000}, first, next), notice.OutcomeSent, "postfix", "queued as")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := behind.WaitFor(ctx, 40); err != nil {
		t.Error(err)
	}
	found(t, first, notice.LevelOK, "it takes the user and password")

	wrong := first
	wrong.URL = strings.Replace(first.URL, "secret", "hunter2", 1)
	all(t, through(t, parcel{"n%d@example.org", 3, 1000}, wrong, next), notice.OutcomeSent, "second", "")
	found(t, wrong, notice.LevelError, "refuses the password of the user (535)")

	bare := first
	bare.Hello = "web1"
	all(t, through(t, parcel{"o%d@example.org", 3, 1000}, bare, next), notice.OutcomeSent, "second", "")
	found(t, bare, notice.LevelError, "it refuses the name in EHLO: 504 5.5.2")

	all(t, through(t, parcel{"jürgen%d@example.org", 5, 1000}, first, next), notice.OutcomeSent, "second", "")
	all(t, through(t, parcel{"jürgen%d@example.org", 2, 1000}, first), notice.OutcomeNever, "postfix", "does not offer SMTPUTF8")
	all(t, through(t, parcel{"p%d@example.org", 5, 30_000}, first, next), notice.OutcomeSent, "second", "")
	all(t, through(t, parcel{"p%d@example.org", 2, 30_000}, first), notice.OutcomeNever, "postfix", "takes 20000 at most (SIZE)")

	open := config.Relay{Name: "postfix", URL: "smtp://" + p.address} // without a user: relay access denied
	all(t, through(t, parcel{"q%d@example.org", 5, 1000}, open, next), notice.OutcomeSent, "second", "")
	if behind.Count() != 40 {
		t.Errorf("%d mails came through Postfix, want 40", behind.Count())
	}
}

// TestAPostfixThatLimitsItsClients is the only relay, and takes three connections. In two seconds it takes so many new
// connections, mails and recipients of a client.
func TestAPostfixThatLimitsItsClients(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestAPostfixThatIsParticular")
	s := start(t)
	p := startPostfix(t, s.sink.Addr(), "smtpd_client_event_limit_exceptions =", "anvil_rate_time_unit = 2s", "smtpd_client_connection_count_limit = 3",
		"smtpd_client_connection_rate_limit = 6", "smtpd_client_message_rate_limit = 40", "smtpd_client_recipient_rate_limit = 30")
	s.env = append(s.env, "TOCSIN_SMTP_URL=smtp://"+p.address)
	const customers = 120
	s.customers(customers)
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	s.await("outage-1", "finished", finished)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := s.sink.WaitFor(ctx, customers); err != nil {
		t.Error(err)
	}
	if st := s.settled("outage-1", 0); st.Counts["sent"] != customers {
		t.Errorf("%v of %d", st.Counts, customers)
	}
	log := string(read(t, p.log))
	for _, limit := range []string{"Connection concurrency limit exceeded", "Recipient address rate limit exceeded"} {
		if !strings.Contains(log, limit) {
			t.Errorf("Postfix has not said: %s", limit)
		}
	}
}
