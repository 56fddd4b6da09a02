package main

import (
	"testing"
	"time"

	"tocsin/internal/testkit"
)

// TestAReleaseIsApprovedAndStoppedInABrowser, with script and without: another person releases the plan that was asked
// for, one press stops the notice, and one sends it on. A person who may only look, or wrote on it, has no part in that.
func TestAReleaseIsApprovedAndStoppedInABrowser(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestTheConsoleInABrowser, and TestAnotherPersonApprovesAReleaseToMany")
	s := start(t, "TOCSIN_APPROVALS=3")
	s.customers(3)
	ann := s.person("ann", "sender")
	b := s.browse("en")
	b.letIn(s, "bob", "approver")
	for key, scripted := range map[string]bool{"scripted": true, "plain": false} {
		b.script(scripted)
		ann.run("notice", "send", s.notice(key, "incident: "+key), "--yes")
		b.open("/now")
		b.wantText(key + " waits for approval: ann (")
		b.press("a[href='/notices/"+key+"']", "#approval")
		b.wantText("to release it to 3 recipients. From 3 on, a person who did not write on it has to approve.")
		if scripted {
			b.accessible("approval")
			b.picture("approval")
		}
		b.press("#approve", "#stop")
		b.wait("document.getElementById('approval') === null")
		if scripted {
			b.picture("sending")
		}
		b.press("#stop", "#resume")
		b.wantText("Paused")
		b.press("#resume", "#stop")
		b.wantText("bob")
		b.press("#to-cancel", "#cancel") // which asks first
		b.wantText("3 of its 3 mails have not left, and never will.")
		if scripted {
			b.accessible("cancel")
			b.picture("cancel")
		}
		ann.run("notice", "send", s.notice(key+"-wrong", "incident: "+key, "zone: UTC", "send_at: "+time.Now().AddDate(0, 0, 2).Format("2006-01-02T15:04")), "--yes")
		b.open("/notices/" + key + "-wrong")
		b.press("#approve", "#to-cancel")
		b.press("#to-cancel", "#cancel")
		b.press("#cancel", "#standing")
		b.wait("document.getElementById('stop') === null && document.getElementById('to-cancel') === null")
		b.wantText("Cancelled")
		b.open("/notices/" + key + "-wrong/cancel")
		b.wantText("there is nothing to cancel")
		b.open("/incidents/" + key)
		b.wait("document.querySelector('input[name=after]').value === " + jsText(key))
	}
	s.work()
	for _, key := range []string{"scripted", "plain"} {
		s.await(key, "sent", finished)
	}
	if n := len(s.sink.Mails()); n != 6 {
		t.Errorf("the sink has %d mails, want 6", n)
	}
	b.script(true)
	wrote := s.person("bob.token", "sender")
	wrote.run("notice", "send", s.notice("third"), "--yes")
	b.press(".top form[action='/sign-out'] button", "#user")
	b.letIn(s, "vic", "viewer")
	b.open("/notices/third")
	b.wait("document.getElementById('approval') !== null && document.getElementById('approve') === null && document.getElementById('stop') === null")
}
