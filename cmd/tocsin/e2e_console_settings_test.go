package main

import (
	"testing"

	"tocsin/internal/testkit"
)

// TestSettingsAreLookedAtInABrowser, with script and without: relays and limits, a ready text as a mail in a language,
// and the list of suppressions. A sender adds to the list, and an approver takes from it.
func TestSettingsAreLookedAtInABrowser(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestTheConsoleInABrowser, and TestARouteIsForItsRolesAlone")
	s := start(t)
	s.customers(3)
	s.work()
	s.must(nil, "notice", "send", s.notice("n1"), "--yes")
	s.await("n1", "sent", finished)
	s.must(nil, "limit", "set", "b.example", "--rate", "20/s", "--for", "1h")
	s.must(nil, "suppressions", "add", "*@gone.example", "--reason", "request")
	b := s.browse("en")
	b.letIn(s, "ann", "sender")
	for address, scripted := range map[string]bool{"one@example.org": true, "two@example.org": false} {
		b.script(scripted)
		b.open("/now")
		b.press("a[href='/settings']", "#relays")
		b.wantText("b.example 20/s set, ")
		b.wantText("up")
		b.press("a[href='/templates']", "#languages")
		b.evaluate("(document.getElementById('p-outage').value = 'resolved', document.getElementById('l-outage').value = 'nl', 0)", new(int))
		b.press("#show-outage", "#example iframe")
		b.wait("document.querySelector('#example iframe').srcdoc.includes('Beste')")
		b.open("/suppressions")
		b.write("#address", address)
		b.press("#suppress", "tbody")
		b.wantText(address + " request all")
		b.fill("#text", "x@gone.example\r")
		b.wait("document.querySelectorAll('tbody tr').length === 1 && !location.search")
		b.wantText("*@gone.example")
		b.fill("#text", "nobody@example.net\r")
		b.wantText("It is not on the list.")
		b.wait("document.querySelector('form[action$=remove]') === null")
	}
	b.script(true)
	b.press(".top form[action='/sign-out'] button", "#user")
	b.letIn(s, "bob", "approver")
	b.open("/suppressions")
	b.press("form[action$=remove] button", "tbody")
	b.wait("!" + pageText + ".includes('gone.example')")
	b.press(".top form[action='/sign-out'] button", "#user")
	b.letIn(s, "vic", "viewer")
	b.open("/suppressions")
	b.wait("document.getElementById('suppress') === null && document.querySelector('tbody') !== null")
}
