package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// quotas has the system's relays be main, which has a quota, and spare at that address, unless it is "".
func (s *system) quotas(quota int, spare string) {
	s.env = slices.DeleteFunc(s.env, func(e string) bool { return strings.HasPrefix(e, "TOCSIN_SMTP_URL=") })
	file := fmt.Sprintf("relays:\n  - {name: main, url: \"smtp://%s\", quota: %d/d}\n", s.sink.Addr(), quota)
	if spare != "" {
		file += fmt.Sprintf("  - {name: spare, url: \"smtp://%s\"}\n", spare)
	}
	s.env = append(s.env, "TOCSIN_CONFIG="+filepath.Join(s.write(map[string]string{"tocsin.yaml": file}), "tocsin.yaml"))
}

// awaitUsedUp waits until all of a quota is used, a worker knows, and nothing is under way.
func (s *system) awaitUsedUp(key string) notice.Status {
	return s.await(key, "quota used up", func(st notice.Status) bool {
		return st.Counts["sending"] == 0 && len(st.Pace.Quotas) == 1 && st.Pace.Quotas[0].Until != nil &&
			slices.ContainsFunc(st.Pace.Relays, func(h notice.RelayHealth) bool { return h.State == notice.RelayUsedUp })
	})
}

// TestTheNextRelayTakesOverAtTheEndOfAQuota has two workers send the first relay's quota, and the rest to the second.
// Neither new workers nor a lost Redis change that.
func TestTheNextRelayTakesOverAtTheEndOfAQuota(t *testing.T) {
	t.Parallel()
	s := start(t)
	spare := startSink(t, "127.0.0.1:0", sink.Options{Keep: 10_000})
	s.quotas(20, spare.Addr().String())
	s.customers(60)
	workers := []*program{s.work(), s.work()}
	s.must(nil, "notice", "send", s.notice("down"), "--yes", "--wait")
	if s.sink.Count() != 20 || spare.Count() != 40 {
		t.Errorf("main got %d mails with a quota of 20, spare %d of 60", s.sink.Count(), spare.Count())
	}
	for _, w := range workers {
		w.stop()
	}
	s.flush()
	s.work()
	s.must(nil, "notice", "send", s.notice("down-2"), "--yes", "--wait")
	if s.sink.Count() != 20 || spare.Count() != 100 {
		t.Errorf("later main got %d mails with a quota of 20, spare %d of 120", s.sink.Count(), spare.Count())
	}
	for _, key := range []string{"down", "down-2"} {
		for _, row := range s.report(key) {
			if row.State != notice.DeliverySent || row.Attempts != 1 {
				t.Errorf("%s: %+v", key, row)
			}
		}
	}
	if out, _, _ := s.run("relay", "list"); !strings.Contains(out, "20 of 20 mails in 24 hours, used up until") {
		t.Errorf("listed: %s", out)
	}
}

// TestMailsWaitAtTheEndOfTheOnlyQuota has one relay: the mails wait, untried, and status says until when. They go on
// when the ledger has room.
func TestMailsWaitAtTheEndOfTheOnlyQuota(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.quotas(20, "")
	s.customers(30)
	s.work()
	s.work()
	s.must(nil, "notice", "send", s.notice("down"), "--yes")
	if st := s.awaitUsedUp("down"); st.Counts["sent"] != 20 || st.Counts["queued"] != 10 || s.sink.Count() != 20 {
		t.Errorf("a quota of 20: %v, and the sink has %d", st.Counts, s.sink.Count())
	}
	until(t, "status says until when", func() bool { // and both workers have said that they are alive
		out, _, _ := s.run("notice", "status", "down")
		return strings.Contains(strings.Join(strings.Fields(out), " "), "relay main has taken 20 of 20 mails in 24 hours, used up until ")
	})
	s.sql("UPDATE relay_quota SET bucket = bucket - interval '25 hours' RETURNING 1::text")
	s.await("down", "finished", finished)
	for _, row := range s.report("down") {
		if row.State != notice.DeliverySent || row.Attempts != 1 {
			t.Errorf("%+v", row)
		}
	}
}

// TestAWorkerThatIsKilledLetsNoMoreThanTheQuotaLeave: a killed worker's part of the quota counts as used, since its
// mails may have left.
func TestAWorkerThatIsKilledLetsNoMoreThanTheQuotaLeave(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.quotas(400, "")
	s.customers(600)
	s.gate.shut(50)
	first, _ := s.work(), s.work()
	s.must(nil, "notice", "send", s.notice("down"), "--yes")
	s.gate.await()
	first.kill()
	s.gate.open()
	s.work()
	s.awaitUsedUp("down")
	if n := s.sink.Count(); n > 400 || n < 300 {
		t.Errorf("%d mails left with a quota of 400", n)
	}
}
