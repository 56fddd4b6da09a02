package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// strangers imports n customers over so many domains.
func (s *system) strangers(n, domains int, local string) {
	s.t.Helper()
	var b strings.Builder
	b.WriteString("id,name,email\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,Customer %d,%s%d@d%d.example\n", i, i, local, i, i%domains)
	}
	s.must(nil, "customers", "import", filepath.Join(s.write(map[string]string{"c.csv": b.String()}), "c.csv"))
}

// TestARelayThatRefusesEverybodyHoldsTheNotice has a relay alone refuse everybody, until somebody mends it.
func TestARelayThatRefusesEverybodyHoldsTheNotice(t *testing.T) {
	t.Parallel()
	r := refusing("RCPT", 554, smtp.EnhancedCode{5, 7, 1}, "Relay access denied")
	s := startOn(t, sharedServices(t), sink.Options{Keep: 10_000, Refuse: r.refuse})
	const n = 600
	s.strangers(n, 7, "c")
	s.work()
	out, errs, code := s.run("notice", "send", s.notice("outage-1"), "--yes", "--wait")
	if code != 1 || !strings.Contains(errs, "Relay access denied") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	st := s.status("outage-1")
	if st.State != notice.Held || st.Reason != "refused: 554 5.7.1 Relay access denied" || st.Counts["failed"] > brakeBound {
		t.Errorf("%s, %q, %v", st.State, st.Reason, st.Counts)
	}
	if shown, _, _ := s.run("notice", "status", "outage-1"); !strings.Contains(shown, "tocsin notice resume outage-1") {
		t.Errorf("the status names no way out:\n%s", shown)
	}
	if _, errs, code := s.run("notice", "unhold", "outage-1"); code != 1 || !strings.Contains(errs, "resume") {
		t.Errorf("unhold: exit %d, %s", code, errs)
	}
	if held := s.scrape(s.address())["tocsin_braked_notices"]; held != 1 {
		t.Errorf("tocsin_braked_notices is %v", held)
	}
	s.must(nil, "notice", "resume", "outage-1") // and nothing was mended
	s.await("outage-1", "held again", func(st notice.Status) bool { return st.State == notice.Held })
	r.on.Store(false)
	s.must(nil, "notice", "resume", "outage-1")
	s.await("outage-1", "finished", finished)
	if st := s.settled("outage-1", 0); st.Counts["sent"] < n-brakeBound {
		t.Errorf("ended as %v", st.Counts)
	}
}

// brakeBound is how many mails a brake may cost: its row, and the mails that were under way with the last of it.
const brakeBound = 20 + 2*openMarks

func TestAMailingToDeadMailboxesIsHeld(t *testing.T) {
	t.Parallel()
	s := start(t)
	const n = 400
	s.strangers(n, 1, "permfail")
	s.work()
	if _, errs, code := s.run("notice", "send", s.notice("outage-1"), "--yes", "--wait"); code != 1 || !strings.Contains(errs, "No such mailbox") {
		t.Errorf("exit %d\n%s", code, errs)
	}
	st := s.status("outage-1")
	if st.State != notice.Held || st.Counts["failed"] < 100 || st.Counts["failed"] > 100+2*openMarks {
		t.Errorf("%s, %v", st.State, st.Counts)
	}
	failed := st.Counts["failed"]
	s.must(nil, "notice", "resume", "outage-1", "--leave-failed")
	// Refusals of mails that were under way at the first hold may count for the second.
	st = s.await("outage-1", "held again", func(st notice.Status) bool { return st.State == notice.Held && st.Counts["failed"] > failed })
	if st.Counts["failed"] > failed+100+2*openMarks {
		t.Errorf("%v", st.Counts)
	}
	s.must(nil, "notice", "cancel", "outage-1", "--yes")
}
