package main

import (
	"sync"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/emersion/go-smtp"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
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

// TestAStoppedCanaryGoesOnInABrowser: a relay refuses everybody, so the canary stops by itself, and the page says why. The relay is mended, one
// press has the notice go on, and the page follows it to the end without being loaded again.
func TestAStoppedCanaryGoesOnInABrowser(t *testing.T) {
	t.Parallel()
	r := refusing("RCPT", 554, smtp.EnhancedCode{5, 7, 1}, "Relay access denied")
	seen := make(chan struct{}) // the page is open: until then the mended relay answers nothing
	see := sync.OnceFunc(func() { close(seen) })
	defer see()
	s := startOn(t, sharedServices(t), sink.Options{Keep: 1000, Refuse: func(command, to string) error {
		err := r.refuse(command, to)
		if err == nil && command == "." {
			<-seen
		}
		return err
	}})
	const n, few = 60, 10
	s.strangers(n, 7, "c")
	s.work()
	b := s.browse("en")
	b.letIn(s, "bob", "sender")
	s.run("notice", "send", s.notice("outage-1"), "--yes", "--canary", "10")
	b.open("/notices/outage-1")
	b.do(chromedp.Evaluate("window.opened = true", nil))
	b.wantText("It was stopped, since too many mails were not taken. Mend the cause first; what failed is sent again.")
	b.wantText("Relay access denied")
	if st := s.status("outage-1"); !notice.StoppedCanary(st.Reason) || st.Counts["failed"] > few || st.Counts["sent"] > 0 {
		t.Errorf("%s, %q, %v", st.State, st.Reason, st.Counts)
	}
	b.wait("window.opened")
	b.accessible("stopped canary")
	b.picture("canary-stopped")
	r.on.Store(false)
	b.press("#resume", "#stop")
	b.do(chromedp.Evaluate("window.opened = document.getElementById('c-sent') === null", nil))
	see()
	b.wait("document.querySelector('#c-sent b')?.innerText === '60' && document.getElementById('c-failed') === null && document.getElementById('stop') === null")
	b.wait("window.opened && document.querySelector('#c-all b').innerText === '60'")
	if st := s.settled("outage-1", 0); st.Counts["sent"] != n || len(s.sink.Mails()) != n {
		t.Errorf("ended as %v, and the sink has %d mails", st.Counts, len(s.sink.Mails()))
	}
}
