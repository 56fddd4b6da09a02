package main

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

const consolePassword = "correct horse battery"

// letIn adds a person, and signs them in by their link.
func (b *browser) letIn(s *system, name, role string) {
	b.t.Helper()
	link, errs, code := s.run("users", "add", name, "--role", role)
	if code != exitDone {
		b.t.Fatalf("users add: exit %d: %s", code, errs)
	}
	b.do(chromedp.Navigate(strings.TrimSpace(link)))
	b.press("main button.main", "#password")
}

// TestTheConsoleInABrowser has a person let in by a link, who sets a password, signs in again with it, and sees how a notice is sent
// without loading its page again; then without script.
func TestTheConsoleInABrowser(t *testing.T) {
	t.Parallel()
	s := start(t)
	b := s.browse("en")
	s.customers(3)
	b.letIn(s, "ada", "admin")
	b.fill("#password", consolePassword)
	b.press("main button.main", ".good")
	b.press(".top form[action='/sign-out'] button", "#user")

	b.open("/acts?who=ada")
	b.fill("#user", "ada")
	b.fill("#password", "wrong password")
	b.press("main button.main", ".wrong")
	b.fill("#password", consolePassword)
	b.press("main button.main", "#who")
	b.wantText("set password")
	b.wantText("Times in Europe/Amsterdam")

	b.open("/")
	b.wantText("There are no notices yet")
	s.must(nil, "notice", "send", s.notice("down"), "--yes")
	b.wantText("down Outage")
	b.open("/notices/down")
	b.wantText("Queued 3")
	b.evaluate(`window.stays = true; document.getElementById('c-queued').focus()`, nil)
	s.work()
	b.wantText("Sent 3")
	b.wait(`window.stays && document.getElementById('said').textContent.includes('down: Sent')`)

	b.script(false)
	b.open("/notices/down")
	b.press("#c-sent", ".d-sent")
	b.press(".top form[action='/sign-out'] button", "#user")
}
