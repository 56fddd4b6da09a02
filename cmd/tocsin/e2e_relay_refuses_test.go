package main

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-smtp"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// refusals has a relay refuse a command to everybody while on, and counts how often it did.
type refusals struct {
	command string
	answer  smtp.SMTPError
	on      atomic.Bool
	n       atomic.Int32
}

func (r *refusals) refuse(command, _ string) error {
	if command != r.command || !r.on.Load() {
		return nil
	}
	r.n.Add(1)
	return &r.answer
}

func refusing(command string, code int, enhanced smtp.EnhancedCode, text string) *refusals {
	r := &refusals{command: command, answer: smtp.SMTPError{Code: code, EnhancedCode: enhanced, Message: text}}
	r.on.Store(true)
	return r
}

// relays has the system's relays be these, in the place of its own.
func (s *system) relays(urls ...string) {
	s.env = slices.DeleteFunc(s.env, func(e string) bool { return strings.HasPrefix(e, "TOCSIN_SMTP_URL=") })
	s.env = append(s.env, "TOCSIN_SMTP_URL="+strings.Join(urls, ","))
}

func TestTheNextRelayHasWhatTheFirstRefusesToEverybody(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*refusals{
		"MAIL": refusing("MAIL", 553, smtp.EnhancedCode{5, 7, 1}, "Sender address rejected: not owned by user"),
		"RCPT": refusing("RCPT", 554, smtp.EnhancedCode{5, 7, 1}, "Relay access denied"),
		"helo": refusing("RCPT", 504, smtp.EnhancedCode{5, 5, 2}, "Helo command rejected: need fully-qualified hostname"),
		"dot":  refusing(".", 554, smtp.NoEnhancedCode, "You have exceeded your daily quota"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			first := startSink(t, "127.0.0.1:0", sink.Options{Refuse: r.refuse})
			s.relays(fmt.Sprintf("smtp://%s?name=first", first.Addr()), fmt.Sprintf("smtp://%s?name=second", s.sink.Addr()))
			const n = 300
			s.customers(n)
			s.work()
			s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
			s.await("outage-1", "finished", finished)
			for _, row := range s.report("outage-1") {
				if row.State != notice.DeliverySent || row.Relay != "second" {
					t.Fatalf("%+v", row)
				}
			}
			s.settled("outage-1", 0)
			// It is asked by the mails that were under way when it began to refuse, and then now and then.
			if asked := r.n.Load(); asked == 0 || asked > n/2 {
				t.Errorf("the first relay was asked with %d of %d mails", asked, n)
			}
		})
	}
}
