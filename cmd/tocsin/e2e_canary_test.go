package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// TestACanaryStopsByItselfOnABadRelay: the relay refuses everybody, which few mails find out. It is mended, the notice
// goes on, and everybody has one mail.
func TestACanaryStopsByItselfOnABadRelay(t *testing.T) {
	t.Parallel()
	r := refusing("RCPT", 554, smtp.EnhancedCode{5, 7, 1}, "Relay access denied")
	s := startOn(t, sharedServices(t), sink.Options{Keep: 10_000, Refuse: r.refuse})
	const n, few = 600, 15 // fewer than the brake counts
	s.strangers(n, 7, "c")
	s.work()
	out, errs, code := s.run("notice", "send", s.notice("outage-1"), "--yes", "--wait", "--canary", "15", "--json")
	var st notice.Status
	if err := json.Unmarshal([]byte(out), &st); err != nil || code != 1 || !strings.Contains(errs, "held after its canary of 15 mailboxes") || !strings.Contains(errs, "tocsin notice resume outage-1") {
		t.Errorf("exit %d, %v\n%s%s", code, err, out, errs)
	}
	st = s.status("outage-1")
	if st.State != notice.Held || !strings.HasPrefix(st.Reason, "canary: ") || st.Canary == nil || !st.Canary.Waits || st.Counts["failed"] < 5 || st.Counts["failed"] > few {
		t.Errorf("%s, %q, %+v, %v", st.State, st.Reason, st.Canary, st.Counts)
	}
	if shown, _, _ := s.run("notice", "status", "outage-1"); !strings.Contains(shown, "tocsin notice resume outage-1") || !strings.Contains(shown, "15 mailboxes first") {
		t.Errorf("the status names no way out:\n%s", shown)
	}
	if held := s.scrape(s.address())["tocsin_canary_notices"]; held != 1 {
		t.Errorf("tocsin_canary_notices is %v", held)
	}
	r.on.Store(false)
	s.must(nil, "notice", "resume", "outage-1")
	s.await("outage-1", "finished", finished)
	if st := s.settled("outage-1", 0); st.Counts["sent"] != n {
		t.Errorf("ended as %v", st.Counts)
	}
}

// TestACleanCanaryIsHeldAndGoesOn when somebody says so; a second press of the same notice changes nothing.
func TestACleanCanaryIsHeldAndGoesOn(t *testing.T) {
	t.Parallel()
	s := start(t)
	const n = 400
	s.customers(n)
	s.work()
	dir := s.notice("outage-1", "canary: 20")
	if out, errs, code := s.run("notice", "send", dir, "--yes", "--wait"); code != 1 || !strings.Contains(errs, "held after its canary of 20 mailboxes") || !strings.Contains(errs, "It goes to 20 mailboxes first") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	st := s.status("outage-1")
	if st.State != notice.Held || st.Reason != "canary" || st.Counts["sent"] != 20 || st.Counts["queued"] != n-20 {
		t.Errorf("%s, %q, %v", st.State, st.Reason, st.Counts)
	}
	languages := map[string]int{}
	for _, row := range s.report("outage-1") {
		if row.State == notice.DeliverySent {
			languages[row.Language]++
		}
	}
	if len(languages) != 3 || languages["en"] < 5 {
		t.Errorf("the canary is %v", languages)
	}
	if _, errs, code := s.run("notice", "send", dir, "--yes"); code != 1 || !strings.Contains(errs, "canary") {
		t.Errorf("the second press: exit %d\n%s", code, errs)
	}
	s.must(nil, "notice", "resume", "outage-1")
	s.await("outage-1", "finished", finished)
	if st := s.settled("outage-1", 0); st.Counts["sent"] != n || st.Canary == nil || st.Canary.Waits {
		t.Errorf("ended as %v, %+v", st.Counts, st.Canary)
	}
}

// TestAnApprovedReleaseKeepsItsCanary, which the person who asked for it has named.
func TestAnApprovedReleaseKeepsItsCanary(t *testing.T) {
	t.Parallel()
	s := start(t, "TOCSIN_APPROVALS=3")
	s.customers(6)
	ann, bob := s.person("ann", "sender"), s.person("bob", "approver")
	s.work()
	ann.wantRun(exitFailed, []string{"awaiting_approval"}, "notice", "send", s.notice("outage-1"), "--yes", "--canary", "2")
	if out, _, _ := s.run("notice", "list"); !strings.Contains(out, ", first to 2 mailboxes, and from ") {
		t.Errorf("the approver is not told of the canary: %s", out)
	}
	if waits := s.scrape(s.address())["tocsin_awaiting_approval"]; waits != 1 {
		t.Errorf("tocsin_awaiting_approval is %v", waits)
	}
	bob.run("notice", "approve", "outage-1", "--yes")
	st := s.await("outage-1", "held", func(st notice.Status) bool { return st.AtCanary() })
	if st.Canary.Mailboxes != 2 || st.Counts["sent"] != 2 {
		t.Errorf("%+v, %v", st.Canary, st.Counts)
	}
	if out, _, _ := s.run("notice", "list"); !strings.Contains(out, "CANARY") || !strings.Contains(out, "2/2") {
		t.Errorf("the list does not have the canary: %s", out)
	}
	s.must(nil, "notice", "resume", "outage-1")
	s.await("outage-1", "finished", finished)
	if st := s.settled("outage-1", 0); st.Counts["sent"] != 6 {
		t.Errorf("ended as %v", st.Counts)
	}
}
