package main

import (
	"testing"

	"tocsin/internal/notice"
)

// TestACanaryGoesOnInABrowser: the page says how the canary stands, one press has the notice go on, and a viewer can't.
func TestACanaryGoesOnInABrowser(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(30)
	s.work()
	b := s.browse("en")
	b.letIn(s, "vic", "viewer")
	s.run("notice", "send", s.notice("outage-1", "canary: 4"), "--yes")
	s.await("outage-1", "held", func(st notice.Status) bool { return st.AtCanary() })
	b.open("/notices/outage-1")
	b.wantText("Canary: 4 of 4 mailboxes have it. The rest of the 30 recipients wait until somebody has it go on.")
	b.wait("document.getElementById('resume') === null")
	b.press(".top form[action='/sign-out'] button", "#user")
	b.letIn(s, "bob", "sender")
	b.open("/now")
	b.wantText("outage-1 is held: its canary is over")
	b.open("/notices/outage-1")
	b.accessible("canary")
	b.picture("canary")
	b.press("#resume", "#c-all")
	s.await("outage-1", "sent", finished)
	b.open("/notices/outage-1")
	b.wait("document.getElementById('canary') === null")
	if st := s.settled("outage-1", 0); st.Counts["sent"] != 30 {
		t.Errorf("ended as %v", st.Counts)
	}
}
