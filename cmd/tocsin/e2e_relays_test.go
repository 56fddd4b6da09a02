package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
	"tocsin/internal/testkit"
)

// keeps has a Postfix keep the mails that it took: one that is killed while it hands a mail on may do so twice.
const keeps = "defer_transports = smtp"

// TestTheNextRelayTakesOverFromPostfix kills a real Postfix, the first relay, in the middle of a notice; the sink is
// the second. The mails that Postfix had taken are in its queue, and it hands them on when it runs again.
func TestTheNextRelayTakesOverFromPostfix(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := startPostfix(t, s.sink.Addr(), keeps, "queue_run_delay = 1s", "minimal_backoff_time = 1s", "maximal_backoff_time = 1s")
	s.env = slices.DeleteFunc(s.env, func(e string) bool { return strings.HasPrefix(e, "TOCSIN_SMTP_URL=") })
	dir := s.write(map[string]string{"tocsin.yaml": "relays:\n  - {name: first, url: \"smtp://" + first.address + "\", rate: 400/s}\n" +
		"  - {name: second, url: \"smtp://" + s.sink.Addr().String() + "\"}\n"})
	s.env = append(s.env, "TOCSIN_CONFIG="+filepath.Join(dir, "tocsin.yaml"))
	recipients := testkit.Size(1200, 3000)
	s.customers(recipients)
	for range 2 {
		s.work()
	}
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	s.await("outage-1", "under way", sent(300))
	first.kill(t)
	s.await("outage-1", "resting relay shown", func(st notice.Status) bool {
		return st.State.Finished() || st.Pace != nil && slices.ContainsFunc(st.Pace.Relays, func(h notice.RelayHealth) bool {
			return h.Relay == "first" && h.State == "resting" && h.Error != ""
		})
	})
	s.await("outage-1", "finished", finished)
	by := map[string]int{}
	uncertain := map[string]bool{}
	for _, row := range s.report("outage-1") {
		if by[row.State.String()+" "+row.Relay]++; row.State == notice.DeliveryUncertain {
			uncertain[row.Address] = true
		}
	}
	t.Logf("by state and relay: %v", by)
	// Only a dot that Postfix never answered is uncertain, on one connection each: nothing else was lost.
	if n := by["sent first"] + by["sent second"] + by["uncertain first"]; n != recipients || by["sent first"] == 0 || by["sent second"] == 0 || len(uncertain) > 2*16 {
		t.Errorf("%d of %d are sent or uncertain: %v", n, recipients, by)
	}
	// Postfix runs again, and hands on the mails that it had taken: these may be more than it answered.
	settings := filepath.Join(first.config, "main.cf")
	text, err := os.ReadFile(settings)
	if err != nil {
		t.Fatal(err)
	}
	write(t, settings, strings.Replace(string(text), keeps+"\n", "", 1))
	first.run(t)
	missing := map[string]notice.Delivery{}
	for _, row := range s.report("outage-1") {
		if row.State == notice.DeliverySent {
			missing[row.Address] = row
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for n := 0; len(missing) > 0; {
		if err := s.sink.WaitFor(ctx, n+1); err != nil {
			for _, row := range missing {
				t.Errorf("the relay %s answered %q, and the mail never came; its queue has\n%s", row.Relay, row.SMTPText, first.follow(row.SMTPText))
			}
			t.Fatal(err)
		}
		mails := s.sink.Mails()
		for _, m := range mails[n:] {
			delete(missing, m.RcptTo[0])
		}
		n = len(mails)
	}
	s.settled("outage-1", len(uncertain))
}

// TestARelayThatRestsIsShown has a first relay that nobody listens at.
func TestARelayThatRestsIsShown(t *testing.T) {
	t.Parallel()
	s := start(t)
	nobody := freeAddress(t)
	for i, e := range s.env {
		if rest, ok := strings.CutPrefix(e, "TOCSIN_SMTP_URL="); ok {
			s.env[i] = "TOCSIN_SMTP_URL=smtp://" + nobody + "?name=nobody," + rest + "?name=sink"
		}
	}
	s.customers(400)
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-2"), "--yes")
	s.await("outage-2", "finished", finished)
	for _, row := range s.report("outage-2") {
		if row.Relay != "sink" || row.State != notice.DeliverySent {
			t.Fatalf("%+v", row)
		}
	}
	// The relay comes up, is found by a probe, and takes the next mails.
	startSink(t, nobody, sink.Options{})
	for n := 3; ; n++ {
		key := "outage-" + string(rune('0'+n%10)) + strings.Repeat("x", n/10)
		s.must(nil, "notice", "send", s.notice(key), "--yes")
		s.await(key, "finished", finished)
		if slices.ContainsFunc(s.report(key), func(d notice.Delivery) bool { return d.Relay == "nobody" }) {
			return
		}
		if t.Context().Err() != nil || n > 60 {
			t.Fatal("the relay never came back")
		}
	}
}
