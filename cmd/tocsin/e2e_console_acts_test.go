package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"

	"tocsin/internal/testkit"
)

// TestSupportSendsToAnotherAddressInABrowser, with script and without: the page says first what will be done, three
// presses at once make one mail, and a mailbox that has one gets no other.
func TestSupportSendsToAnotherAddressInABrowser(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestTheConsoleInABrowser")
	s := start(t)
	s.importing("id,name,email,language\nc1,Ann Smith,permfail@example.com,nl\nc2,Bram,shared@example.com,en\nc3,Cas,shared@example.com,en\nc4,Dirk,d@example.com,en\nc5,Eva,,nl\n")
	s.work()
	s.must(nil, "notice", "send", s.notice("n1"), "--yes", "--wait", "--json", "--tolerate", "100")
	b := s.browse("en")
	b.letIn(s, "sue", "sender")
	for i, scripted := range []bool{true, false} {
		b.script(scripted)
		address := fmt.Sprintf("ann%d@elsewhere.example", i)
		b.find("c1")
		b.fill("#another-address", " Ann"+address[3:]+"\r")
		b.wantText("Notice n1 goes to this address as well: one more mail, for customer c1 alone, in the same language.")
		b.wantText("First address permfail@example.com Failed")
		if scripted {
			b.accessible("another")
			b.picture("another")
		}
		var codes []int
		b.evaluate(`Promise.all([1, 2].map(() => fetch(document.getElementById('send').form.action, {method: 'POST', redirect: 'follow',
			body: new URLSearchParams(new FormData(document.getElementById('send').form))}).then(r => r.status)))`, &codes)
		if fmt.Sprint(codes) != "[200 200]" {
			t.Errorf("two presses at once: status %v", codes)
		}
		b.press("#send", ".timeline")
		b.wantText("an operator added this address (sue)")
		b.wantText("Address added sue")
		s.await("n1", "sent", finished)
		if !scripted {
			b.open(fmt.Sprintf("/notices/n1/mails/%d", s.search(address).Deliveries[0].Delivery.Seq))
		}
		b.wantText("Yes, at ") // with script the page comes to it by itself
		if n := len(s.delivered()[address]); n != 1 {
			t.Errorf("the sink has %d mails for %s", n, address)
		}

		b.find("c1")
		b.fill("#another-address", address+"\r")
		b.wantText("A mail of this notice went to this mailbox already")
		b.wait("document.getElementById('send') === null")
	}

	b.find("shared@example.com") // a mail of two customers: the reader says for which of them
	b.wait("document.querySelectorAll('#another-customer option').length === 2")
	b.fill("#another-address", "d@example.com\r")
	b.wantText("This is the address of other customers: c4.")
	b.wait("document.getElementById('send') === null")
	b.find("shared@example.com")
	b.fill("#another-address", "no address\r")
	b.wantText("This is no mail address")

	// A customer without a mailbox got no mail, and says on the phone where the notice is to go.
	b.open(fmt.Sprintf("/notices/n1/mails/%d", s.search("c5").Deliveries[0].Delivery.Seq))
	b.wantText("No: the customer has no mailbox")
	b.wantText("c5")
	b.fill("#another-address", "eva@elsewhere.example\r")
	b.wantText("one more mail, for customer c5 alone")
	b.press("#send", ".timeline")
	s.await("n1", "sent", finished)
	if n := len(s.delivered()["eva@elsewhere.example"]); n != 1 {
		t.Errorf("the sink has %d mails for the customer who had no mailbox", n)
	}

	b.open("/acts?what=add+address")
	b.wantText("Sent to another address recipient 4, another address of a customer of recipient ")
	b.open("/acts")
	b.wantText("Person added")
	b.wholeWords("td.when time, td.act")
	b.press(".top form[action='/sign-out'] button", "#user")
	b.letIn(s, "vic", "viewer")
	b.find("c1")
	b.wait("document.getElementById('another') === null")
}

// find searches for somebody, and waits for the answer.
func (b *browser) find(text string) {
	b.t.Helper()
	b.open("/search")
	b.fill("#text", text+"\r")
	b.wait("document.getElementById('mail') !== null")
}

// TestTokensAreMadeAndRevokedInABrowser: a token is shown once, works at once in its role, is listed without its
// secret, and works no more once it is revoked.
func TestTokensAreMadeAndRevokedInABrowser(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestTheConsoleInABrowser")
	s := start(t)
	b := s.browse("en")
	b.letIn(s, "ada", "admin")
	status := func(token, method, path string) int {
		req, err := http.NewRequestWithContext(t.Context(), method, b.base+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	for i, scripted := range []bool{true, false} {
		b.script(scripted)
		name := fmt.Sprintf("phone%d", i)
		b.open("/access")
		b.fill("#token-name", name)
		b.press("#add-token button", "#token")
		var token string
		b.evaluate("document.getElementById('token').textContent", &token)
		if got := status(token, http.MethodGet, "/v1/notices"); got != http.StatusOK {
			t.Errorf("the new token: status %d", got)
		}
		if got := status(token, http.MethodPost, "/v1/notices/n/pause"); got != http.StatusForbidden {
			t.Errorf("a viewer's token pauses a notice: status %d", got)
		}
		b.open("/access")
		b.wantText(name + " viewer ")
		if strings.Contains(b.text(), token) {
			t.Error("the list shows the secret of a token")
		}
		b.press("form[action='/access/tokens/"+name+"/revoke'] button", "h1")
		b.wait("document.querySelector(" + jsText("form[action='/access/tokens/"+name+"/revoke']") + ") === null")
		b.wantText("revoked ")
		if got := status(token, http.MethodGet, "/v1/notices"); got != http.StatusUnauthorized {
			t.Errorf("the revoked token: status %d", got)
		}
	}
	b.open("/access")
	b.fill("#token-name", "phone0") // a name that was used
	b.press("#add-token button", "#main .card")
	b.wantText("This did not work")
	b.open("/acts?what=revoke+token")
	b.wantText("ada 127.0.0.1 Token revoked phone1")
}

// wholeWords wants no word of the first texts of these elements to be broken over two lines, on a narrow screen.
func (b *browser) wholeWords(selector string) {
	b.t.Helper()
	b.do(emulation.SetDeviceMetricsOverride(360, 800, 1, true))
	var broken []string
	b.evaluate(`[...document.querySelectorAll(`+jsText(selector)+`)].flatMap(e => [...e.firstChild.data.matchAll(/\S+/g)].filter(word => {
		const range = document.createRange()
		range.setStart(e.firstChild, word.index)
		range.setEnd(e.firstChild, word.index + word[0].length)
		return range.getClientRects().length > 1
	}).map(word => word[0]))`, &broken)
	if len(broken) > 0 {
		b.t.Errorf("broken over two lines: %q", broken)
	}
	b.do(emulation.ClearDeviceMetricsOverride())
}
