package main

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

const openMarks = 64 // of a worker, by default

// awaitLog waits until a process says more than the first n bytes of its log.
func (p *program) awaitLog(t *testing.T, n int) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); len(p.log.String()) == n; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%v says nothing more:\n%s", p.Args[1:], lastLines(p.log.String(), 20))
		}
	}
}

// awaitSaid waits until the program has logged a text, for a minute at most.
func (p *program) awaitSaid(t *testing.T, text string) {
	t.Helper()
	for said := p.log.String(); !strings.Contains(said, text); said = p.log.String() {
		p.awaitLog(t, len(said))
	}
}

func sent(n int) func(notice.Status) bool {
	return func(st notice.Status) bool { return st.Counts["sent"] >= n }
}

func TestAKilledWorkerCostsNoMailAndDoublesNone(t *testing.T) {
	t.Parallel()
	s := start(t)
	n := testkit.Size(600, 3000)
	s.customers(n)
	victim := s.work()
	s.underWay("outage-1", 200)
	s.work()
	victim.kill()
	s.gate.open()
	s.await("outage-1", "finished", finished)
	st := s.settled("outage-1", openMarks)
	endedUncertain(t, st, n)
}

// endedUncertain fails the test unless all n mails are sent, but for those of a worker that was killed.
func endedUncertain(t *testing.T, st notice.Status, n int) {
	t.Helper()
	t.Logf("ended as %v", st.Counts)
	if st.Counts["uncertain"] == 0 || st.Counts["sent"]+st.Counts["uncertain"] != n {
		t.Errorf("ended as %v, want all of %d sent or uncertain, and some uncertain", st.Counts, n)
	}
}

func TestAllWorkersKilledAndRedisFlushed(t *testing.T) {
	t.Parallel()
	s := startAlone(t)
	n := testkit.Size(600, 3000)
	s.customers(n)
	workers := []*program{s.work(), s.work()}
	s.underWay("outage-1", 200)
	for _, w := range workers {
		w.kill()
	}
	s.gate.open()
	s.flush()
	s.work()
	s.await("outage-1", "finished", finished)
	st := s.settled("outage-1", 2*openMarks)
	endedUncertain(t, st, n)
}

func (s *system) flush() {
	s.t.Helper()
	opts, err := redis.ParseURL(s.services.RedisURL)
	if err != nil {
		s.t.Fatal(err)
	}
	c := redis.NewClient(opts)
	defer c.Close()
	if err := c.FlushAll(s.t.Context()).Err(); err != nil {
		s.t.Fatal(err)
	}
}

func TestRedisAndPostgresStoppedAndStarted(t *testing.T) {
	t.Parallel()
	s := startAlone(t)
	n := testkit.Size(1000, 4000)
	s.customers(n)
	workers := []*program{s.work(), s.work()}
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	faults := []struct {
		after       int
		stop, start func() error
	}{
		{n / 12, s.services.StopRedis, func() error { return s.services.StartRedis(t.Context()) }},
		{n * 3 / 10, func() error { return s.services.StopPostgres(true) }, func() error { return s.services.StartPostgres(t.Context()) }},
		{n * 6 / 10, func() error { return s.services.StopPostgres(false) }, func() error { return s.services.StartPostgres(t.Context()) }},
	}
	for _, f := range faults {
		s.await("outage-1", "under way", sent(f.after))
		heard := map[*program]int{}
		for _, w := range workers {
			heard[w] = len(w.log.String())
		}
		if err := f.stop(); err != nil {
			t.Fatal(err)
		}
		for _, w := range workers {
			w.awaitLog(t, heard[w])
		}
		if err := f.start(); err != nil {
			t.Fatal(err)
		}
	}
	s.await("outage-1", "finished", finished)
	st := s.settled("outage-1", 0)
	if st.Counts["sent"] != n {
		t.Errorf("ended as %v, want all of %d sent: no worker died", st.Counts, n)
	}
	for _, w := range workers {
		select {
		case <-w.done:
			t.Errorf("a worker did not outlive the outages:\n%s", w.log)
		default:
		}
	}
}

func TestTheAPIKilledDuringAReleaseLosesNothing(t *testing.T) {
	t.Parallel()
	s := start(t)
	n := testkit.Size(2000, 6000)
	s.customers(n)
	s.work()
	dir := s.notice("outage-1")
	// A second API, killed as soon as the press has begun.
	address := freeAddress(t)
	own := s.with("TOCSIN_LISTEN="+address, "TOCSIN_URL=http://"+address)
	api := own.launch("serve")
	own.must(nil, "notice", "list", "--json")
	press := own.launch("notice", "send", dir, "--yes", "--json")
	s.await("outage-1", "known", func(notice.Status) bool { return true })
	api.kill()
	press.kill()
	var doc struct{ Created bool }
	s.must(&doc, "notice", "send", dir, "--yes", "--wait", "--json")
	if st := s.settled("outage-1", 0); st.Counts["sent"] != n {
		t.Errorf("ended as %v, want all of %d sent", st.Counts, n)
	}
}

func TestATermedWorkerLeavesNothingUncertain(t *testing.T) {
	t.Parallel()
	s := start(t)
	n := testkit.Size(900, 3000)
	s.customers(n)
	first := s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	for _, n := range []int{n / 10, n / 3, n * 2 / 3} { // a rolling restart
		s.await("outage-1", "under way", sent(n))
		next := s.work()
		first.awaitSaid(t, "msg=working") // before that a signal ends it, as any program
		if code := first.stop(); code != 0 {
			t.Errorf("a drained worker exits with %d:\n%s", code, lastLines(first.log.String(), 20))
		}
		first = next
	}
	s.await("outage-1", "finished", finished)
	if st := s.settled("outage-1", 0); st.Counts["sent"] != n {
		t.Errorf("ended as %v, want all of %d sent", st.Counts, n)
	}
}

func TestAfterPauseAndCancelAtMostTheMarkedLeave(t *testing.T) {
	t.Parallel()
	s := start(t)
	n := testkit.Size(800, 4000)
	s.customers(n)
	s.work()
	s.underWay("outage-1", 200)
	s.must(nil, "notice", "pause", "outage-1")
	after := s.sink.Count()
	s.gate.open()
	st := s.await("outage-1", "quiet", func(st notice.Status) bool { return st.Counts["sending"] == 0 })
	if st.State != notice.Paused {
		t.Errorf("the notice is %s, want paused", st.State)
	}
	if more := s.sink.Count() - after; more > openMarks {
		t.Errorf("%d mails left after the pause had returned, at most %d were marked", more, openMarks)
	}
	s.gate.shut(200)
	s.must(nil, "notice", "resume", "outage-1")
	s.gate.await()
	s.must(nil, "notice", "cancel", "outage-1")
	after = s.sink.Count()
	s.gate.open()
	s.await("outage-1", "finished", finished)
	if more := s.sink.Count() - after; more > openMarks {
		t.Errorf("%d mails left after the cancel had returned, at most %d were marked", more, openMarks)
	}
	st = s.settled("outage-1", 0)
	if st.Counts["cancelled"] == 0 || st.Counts["sent"]+st.Counts["cancelled"] != n {
		t.Errorf("ended as %v, want all of %d sent or cancelled, and some cancelled", st.Counts, n)
	}
	out, _, code := s.run("notice", "send", s.notice("outage-1"), "--yes", "--wait", "--json")
	if code != 1 || !strings.Contains(out, `"cancelled"`) {
		t.Errorf("sending a cancelled notice again exits with %d: %s", code, out)
	}
}
