package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"tocsin/internal/testkit"
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

// TestTheConsoleInABrowser has a person let in by a link. The person sets a password, signs in again with it, and sees
// how a notice is sent without loading its page again; then without script.
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
	b.wantText("Password set")
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

// TestAnIssuerLetsPeopleIntoTheConsole in a browser, with the role that it says, with script and without.
func TestAnIssuerLetsPeopleIntoTheConsole(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestASignInThatIsNotToBe, in internal/oidc,")
	issuer := testkit.NewIssuer(t)
	address := freeAddress(t)
	s := start(t, "TOCSIN_LISTEN="+address, "TOCSIN_URL=http://"+address, "TOCSIN_CONSOLE_URL=http://"+address, "TOCSIN_OIDC_ISSUER="+issuer.URL,
		"TOCSIN_OIDC_ROLES=support=viewer,on-call=approver")
	b := s.browse("en")
	b.issuer = issuer.URL
	for _, scripted := range []bool{true, false} {
		b.script(scripted)
		issuer.Change = func(c map[string]any) { c["roles"] = []string{"on-call", "support"} }
		b.open("/acts?who=ada")
		b.press("#issuer", "#who")
		b.wantText("ada approver")
		b.press(".top form[action='/sign-out'] button", "#user")
		issuer.Change = func(c map[string]any) { c["roles"] = "somebody" }
		b.press("#issuer", ".wrong")
		b.wantText("Your account has no role in Tocsin")
		issuer.Change = func(c map[string]any) { c["nonce"] = "another" }
		b.press("#issuer", ".wrong")
		b.wantText("The answer of the issuer is not for this sign-in")
	}
	resp, err := http.Get(b.base + "/sign-in/oidc/back?state=x&code=y")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("an answer to no sign-in: status %d", resp.StatusCode)
	}
}
