package main

import (
	"testing"
	"time"

	"tocsin/internal/testkit"
)

// TestTheNowPageInABrowser follows a notice from no worker to the mails that nobody can tell about, without loading the
// page again.
func TestTheNowPageInABrowser(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestTheConsoleInABrowser")
	s := start(t)
	s.importing("id,name,email,language\nc1,Ann,c1@example.com,en\nc2,Lea,drop-after-dot@example.com,nl\nc3,Cas,c3@example.com,de\n")
	b := s.browse("en")
	b.letIn(s, "ops", "sender")
	b.open("/now")
	for _, text := range []string{"Nothing needs a decision.", "No notice is under way.", "No worker is heard.", "No hold is planned."} {
		b.wantText(text)
	}
	b.evaluate("window.stays = true", nil)
	s.must(nil, "notice", "send", s.notice("down"), "--yes")
	b.wantText("down Outage · Cause identified No worker is alive Sending")
	b.wantText("Needs a decision no worker is alive")
	s.must(nil, "notice", "pause", "down")
	b.wantText("down is paused")
	s.must(nil, "hold", "add", "--from", time.Now().AddDate(0, 0, 2).UTC().Format(time.RFC3339), "--until", time.Now().AddDate(0, 0, 3).UTC().Format(time.RFC3339), "--reason", "power feeds")
	b.wantText("power feeds")
	worker := s.work()
	b.wantText(version() + " 20") // its version, and when it was last heard
	b.wantText(" up ")
	s.must(nil, "notice", "resume", "down")
	b.wantText("Mails of down that may have arrived or not: 1")
	b.wantText("No notice is under way.")
	b.wait("window.stays === true")
	b.press("#d0", ".d-uncertain")
	worker.stop()
	b.script(false)
	b.open("/now")
	b.wantText("Mails of down that may have arrived or not: 1")
}
