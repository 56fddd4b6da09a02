package main

import (
	"fmt"
	"net/smtp"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
	"tocsin/internal/testkit"
)

// returns is a mail system that takes every mail, and sends back those to some mailboxes: to their envelope senders, by
// SMTP, each fourth one twice.
type returns struct {
	*testing.T
	dead    func(mailbox string) bool
	back    chan sink.Mail
	sending sync.WaitGroup
}

func newReturns(t *testing.T, dead func(mailbox string) bool) *returns {
	return &returns{T: t, dead: dead, back: make(chan sink.Mail, 100_000)}
}

// take is called for each mail, before it is answered: the report may be faster than the answer.
func (r *returns) take(m sink.Mail) {
	if local, _, _ := strings.Cut(m.RcptTo[0], "@"); r.dead(local) {
		r.back <- m
	}
}

// send has reports go to an address until the test ends.
func (r *returns) send(address string) {
	for worker := range 8 {
		r.sending.Go(func() {
			for n := 0; ; n++ {
				select {
				case m := <-r.back:
					for range 1 + (n+worker)%4/3 {
						r.report(address, m)
					}
				case <-r.Context().Done():
					return
				}
			}
		})
	}
	r.Cleanup(r.sending.Wait)
}

// report sends one, and tries again after an answer 4xx, as mail servers do.
func (r *returns) report(address string, m sink.Mail) {
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		err := smtp.SendMail(address, nil, "", []string{m.MailFrom}, dsn(m.MailFrom, "5.2.2", "552 5.2.2 mailbox full", "Message-ID: "+m.MessageID))
		if err == nil {
			return
		}
		if strings.HasPrefix(err.Error(), "5") {
			r.Errorf("a report was refused: %v", err)
			return
		}
		select {
		case <-again.C:
		case <-r.Context().Done():
			return
		}
	}
}

// TestCountsAddUpWhileMailsComeBack has many mails come back while their notice is being sent, and looks at it all the
// time.
func TestCountsAddUpWhileMailsComeBack(t *testing.T) {
	t.Parallel()
	n := testkit.Size(1_200, 12_000)
	dead := n / 12
	var s *system
	back := newReturns(t, func(local string) bool {
		var i int
		_, err := fmt.Sscanf(local, "c%d", &i)
		return err == nil && i%12 == 0
	})
	o := usualSink
	o.OnMail = func(m sink.Mail) { back.take(m); s.gate.pass(m) }
	listen := freeAddress(t)
	s = startOn(t, sharedServices(t), o, "TOCSIN_RETURN_PATH=bounces@returns.example.net")
	s.customers(n)
	s.with("TOCSIN_TOKEN="+s.bouncesToken(), "TOCSIN_BOUNCES_LISTEN="+listen).launch("bounces")
	back.send(listen)
	s.gate.shut(n * 3 / 4)
	s.work()
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")

	looks, last, gated := 0, 0, true
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for ; ; <-look.C {
		st := s.addsUp("outage-1", n)
		looks++
		if st.Counts["bounced"] < last {
			t.Errorf("%d had bounced, and now %d have", last, st.Counts["bounced"])
		}
		last = st.Counts["bounced"]
		if gated && last >= dead/2 {
			if finished(st) || st.Counts["sending"]+st.Counts["queued"] == 0 {
				t.Errorf("nothing is being sent any more: %v", st.Counts)
			}
			gated = false
			s.gate.open()
		}
		if st.State != notice.Sending && st.State != notice.Sent {
			t.Fatalf("it is %s (%s) after %d looks: %v", st.State, st.Reason, looks, st.Counts)
		}
		if finished(st) && len(back.back) == 0 {
			break
		}
	}
	st := s.await("outage-1", "known to have bounced", func(st notice.Status) bool { return st.Counts["bounced"] == dead })
	if st = s.addsUp("outage-1", n); st.Counts["sent"] != n-dead || s.sink.Count() != n {
		t.Errorf("%v, and %d mails for %d mailboxes", st.Counts, s.sink.Count(), n)
	}
	if by := st.Bounces.ByClass; st.Bounces.Bounced != dead || by["full"] != dead || len(st.Bounces.PolicyDomains) > 0 {
		t.Errorf("of %d that bounced, as full, the status says %+v", dead, st.Bounces)
	}
	for _, d := range s.report("outage-1") {
		local, _, _ := strings.Cut(d.Address, "@")
		if (d.State == notice.DeliveryBounced) != back.dead(local) || d.State == notice.DeliveryBounced && (d.Reason != string(notice.BounceFull) || d.SMTPCode != 552) {
			t.Fatalf("delivery %d: %+v", d.Seq, d)
		}
	}
	t.Logf("%d looks, %d mails came back", looks, dead)
}

// addsUp returns a status after it has compared it, and the report, with the number of recipients.
func (s *system) addsUp(key string, recipients int) notice.Status {
	s.t.Helper()
	st, err := s.client().Status(s.t.Context(), key, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := s.client().Report(s.t.Context(), key)
	if err != nil {
		s.t.Fatal(err)
	}
	sum := 0
	for _, n := range st.Counts {
		sum += n
	}
	if sum != recipients || st.Recipients != recipients {
		s.t.Errorf("the status of %d recipients is %v", recipients, st.Counts)
	}
	sum, bounced := 0, 0
	for _, states := range r.ByLanguage {
		for _, n := range states {
			sum += n
		}
		bounced += states["bounced"]
	}
	if sum != recipients || bounced < st.Counts["bounced"] {
		s.t.Errorf("the report says %v after a status of %v", r.ByLanguage, st.Counts)
	}
	return st
}
