package main

import (
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// awaitRelay waits until each of n workers finds a relay so.
func (s *system) awaitRelay(name, state string, n int) {
	s.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		var list struct{ Relays []notice.Relay }
		s.must(&list, "relay", "list", "--json")
		found := 0
		for _, r := range list.Relays {
			for _, h := range r.Workers {
				if r.Name == name && h.State == state {
					found++
				}
			}
		}
		if found == n {
			return
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("%d of %d workers find relay %s %s: %+v", found, n, name, state, list.Relays)
		}
	}
}

// TestARelayRestsOnAllWorkersAtOnce lets the first of two relays rest in the middle of a notice, which two workers send.
func TestARelayRestsOnAllWorkersAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	spare := startSink(t, "127.0.0.1:0", sink.Options{Keep: 10_000})
	s.relays("smtp://"+s.sink.Addr().String()+"?name=main", "smtp://"+spare.Addr().String()+"?name=spare")
	s.customers(300)
	if _, errs, code := s.run("relay", "rest", "main"); code != exitFailed || !strings.Contains(errs, "no worker has told") {
		t.Errorf("without a worker: exit %d, %s", code, errs)
	}
	s.gate.shut(50)
	for range 2 {
		s.work()
	}
	s.awaitRelay("main", "up", 2)
	s.must(nil, "notice", "send", s.notice("down"), "--yes")
	s.gate.await()
	if _, errs, code := s.run("relay", "rest", "mian"); code != exitFailed || !strings.Contains(errs, "main, spare") {
		t.Errorf("an unknown relay: exit %d, %s", code, errs)
	}
	out, _, code := s.run("relay", "rest", "main", "--for", "1h", "--reason", "blocks us")
	if code != 0 || !strings.Contains(out, "at rest until") || !strings.Contains(out, "blocks us") {
		t.Errorf("rest: exit %d, %s", code, out)
	}
	s.awaitRelay("main", "at rest", 2)
	under := s.sink.Count() // at the dot, and answered once the gate opens
	s.gate.open()
	s.await("down", "finished", finished)
	if n := s.sink.Count(); n != under || n+spare.Count() != 300 {
		t.Errorf("the relay at rest got %d mails, %d of them before its rest; the next one %d of 300", n, under, spare.Count())
	}
	for _, row := range s.report("down") {
		if row.State != notice.DeliverySent || row.Attempts != 1 {
			t.Errorf("%+v", row)
		}
	}
	// A worker that starts later learns it before its first mail, and one that no file has any more can be resumed.
	s.work().awaitSaid(t, "relay at rest")
	s.must(nil, "notice", "send", s.notice("down-2"), "--yes", "--wait")
	if n := s.sink.Count(); n != under {
		t.Errorf("the relay at rest got %d mails of the next notice", n-under)
	}
	if out, _, _ := s.run("relay", "list"); !strings.Contains(out, "blocks us") || !strings.Contains(out, "spare") {
		t.Errorf("listed: %s", out)
	}
	s.must(nil, "relay", "resume", "main")
	s.awaitRelay("main", "up", 3)
	s.must(nil, "notice", "send", s.notice("down-3"), "--yes", "--wait")
	if n := s.sink.Count(); n != under+300 {
		t.Errorf("the resumed relay got %d of 300 mails", n-under)
	}
	if out, _, _ := s.run("acts"); !strings.Contains(out, "rest relay: main, until") || !strings.Contains(out, "resume relay: main") {
		t.Errorf("the log: %s", out)
	}
}

// TestTheOnlyRelayAtRestHoldsMailsUpAndSaysSo has the mails wait, untried, and go on by themselves.
func TestTheOnlyRelayAtRestHoldsMailsUpAndSaysSo(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(20)
	first, name := s.work(), "127.0.0.1"
	s.awaitRelay(name, "up", 1)
	s.must(nil, "relay", "rest", name, "--reason", "blocks us")
	s.awaitRelay(name, "at rest", 1)
	s.must(nil, "notice", "send", s.notice("down"), "--yes")
	first.stop()
	s.work().awaitSaid(t, "relay at rest")
	s.awaitRelay(name, "at rest", 1)
	out, _, _ := s.run("notice", "status", "down")
	for _, want := range []string{"at rest until it is resumed, by ", "blocks us", "tocsin relay resume " + name} {
		if !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("status lacks %q:\n%s", want, out)
		}
	}
	if st := s.status("down"); st.Counts["queued"] != 20 || s.sink.Count() != 0 {
		t.Errorf("%v, and the sink has %d", st.Counts, s.sink.Count())
	}
	s.must(nil, "relay", "rest", name, "--for", "1s") // the last word counts
	s.await("down", "finished", finished)
	for _, row := range s.report("down") {
		if row.State != notice.DeliverySent || row.Attempts != 1 {
			t.Errorf("%+v", row)
		}
	}
}
