package main

import (
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"tocsin/internal/testkit"
)

// TestSupportFindsAMailInABrowser has support find a customer by each kind of key, with script and without. Support
// reads the answer in the first line, and sees the mail byte for byte as the relay got it.
func TestSupportFindsAMailInABrowser(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestTheConsoleInABrowser")
	s := start(t)
	s.importing("id,name,email,server,language\nc1,Ann Smith,c1@example.com,s639,en\nc2,Bram Smit,permfail@example.com,s639,nl\n" +
		"c3,Lea,drop-after-dot@example.com,s639,ar\nc4,Zoe,zoe@example.com,mx1,\nc5,No Box,,s639,\nc6,Ann Smithers,c6@example.com,s639,de\n")
	s.work()
	s.must(nil, "notice", "send", s.notice("n1", `audience: 'server = "s639"'`, "incident: outage-7"), "--yes")
	s.await("n1", "sent", finished)
	found := s.search("c1")
	d, mail := found.Deliveries[0].Delivery, s.delivered()["c1@example.com"]
	// The sink names no queue; a Postfix does.
	if _, err := s.connect().Exec(t.Context(), `UPDATE answer SET replies[array_position(seqs, $1)] = 'Ok: queued as 4ZAB12Qz' WHERE $1 = ANY (seqs)`, d.Seq); err != nil {
		t.Fatal(err)
	}
	if len(mail) != 1 {
		t.Fatalf("the sink has %d mails for c1", len(mail))
	}
	b := s.browse("en")
	b.letIn(s, "sue", "viewer")
	for _, scripted := range []bool{true, false} {
		b.script(scripted)
		for text, answer := range map[string]string{
			"C1@Example.com": "Yes, at ", "c1": "Yes, at ", "smithers": "Yes, at ", d.MessageID: "Yes, at ", "permfail@example.com": "No: at ",
			"c3": "Unknown: the mail may have left by ", "c5": "No: the customer has no mailbox", "nobody@example.com": "No such customer: ",
			"SMI": "3 customers have this text", "4ZAB12Qz": "Yes, at ",
		} {
			b.open("/search")
			b.fill("#text", text+"\r")
			b.wait("document.getElementById('answer')?.textContent.startsWith(" + jsText(answer) + ")")
		}
		b.wait("!location.search") // an address would stand in the logs of proxies
		b.open("/notices/n1")
		b.fill("#who", "zoe@example.com\r")
		b.wantText(`Not in the audience: server = mx1; it is for server = "s639"`)

		b.open("/search")
		b.fill("#text", "c1\r")
		b.wait("document.getElementById('mail') !== null")
		b.press("#mail", "iframe.mail")
		b.wantText("The same, byte for byte")
		if scripted {
			b.picture("mail")
		}
		var source string
		b.evaluate("fetch(location.pathname + '/source').then(r => r.text())", &source)
		if source != string(mail[0].Raw) {
			t.Errorf("the page has another mail than the sink, script %t:\n%q\n%q", scripted, source, mail[0].Raw)
		}
		for form, text := range map[string]string{"text": "on it.", "headers": "Message-ID", "source": "Content-Transfer-Encoding: "} {
			b.press(".tabs a[href='?as="+form+"']", ".tabs a[href='?as="+form+"'][aria-current=page]")
			b.wantText(text)
		}
	}
}

// TestTheConsoleReportsInABrowser reads the report of a notice and of its incident, exports it, and takes those not
// reached for a next one.
func TestTheConsoleReportsInABrowser(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestTheConsoleInABrowser")
	s := start(t)
	s.importing("id,name,email,language\nc1,Ann,c1@example.com,en\nc2,Bram,permfail@example.com,nl\nc3,Cleo,c3@example.com,nl\nc5,No Box,,\n")
	s.work()
	s.must(nil, "notice", "send", s.notice("n1", "incident: outage-7"), "--yes")
	s.await("n1", "sent", finished)
	b := s.browse("de")
	b.letIn(s, "sue", "sender")
	b.open("/notices/n1")
	for _, text := range []string{"Erreicht 50 % 2", "Nicht erreicht 2", "Ursache gefunden", "Niederländisch", "der Kunde hat kein Postfach", "Stand 20"} {
		b.wantText(text)
	}
	var csv, next string
	b.evaluate("fetch('/v1/notices/n1/deliveries?format=csv&state=failed').then(r => r.text())", &csv)
	if lines := strings.Split(strings.TrimSpace(csv), "\n"); len(lines) != 2 || !strings.HasPrefix(lines[1], `"permfail@example.com","c2","nl",`) {
		t.Errorf("the export of failed mails: %q", csv)
	}
	b.evaluate("fetch(document.getElementById('again-file').href).then(r => r.text())", &next)
	dir := s.write(map[string]string{"notice.yaml": next, "en.md": "---\nsubject: Again\n---\nWe are back.\n", "nl.md": "---\nsubject: Weer\n---\nWe zijn er weer.\n"})
	var plan struct {
		Key       string
		Customers int
	}
	s.must(&plan, "notice", "preview", dir, "--json")
	if plan.Customers != 2 {
		t.Errorf("a notice to those not reached has %d customers, want 2: %s", plan.Customers, next)
	}
	b.press(".crumb a[href='/incidents/outage-7']", "#n1")
	b.wantText("Erreicht 50 % 2")
	b.open("/notices/n1/mails?state=suppressed")
	b.wantText("Unterdrückt")
	b.fill("#text", "c3\r")
	b.wait("!document.body.innerText.includes('c1@example.com')")
	b.do(chromedp.EmulateViewport(500, 800))
	for _, page := range []string{"/", "/notices/n1", "/incidents/outage-7", "/notices/n1/mails"} {
		b.open(page)
		b.wait(`[...document.querySelectorAll('.tight')].every((t) => t.parentElement.scrollWidth <= t.parentElement.clientWidth) && document.documentElement.scrollWidth <= innerWidth`)
	}
}

// TestTheConsolesPages opens each page in English and in German, has axe-core look at it, light and dark, and keeps
// pictures of it where TOCSIN_TEST_PICTURES says.
func TestTheConsolesPages(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestTheConsoleInABrowser")
	s := start(t)
	s.customers(40)
	s.importing("id,name,email,language,server\nann,Ann Smith,ann.smith@example.com,en,s639\nbad,Bram,permfail@example.com,nl,s1\nlost,Lea,drop-after-dot@example.com,ar,s2\nnone,No Box,,,s3\n")
	s.work()
	s.must(nil, "notice", "send", s.notice("mail-outage.identified", "incident: mail-outage"), "--yes")
	s.await("mail-outage.identified", "sent", finished)
	s.must(nil, "notice", "send", s.notice("power.scheduled", "zone: UTC", "send_at: "+time.Now().AddDate(0, 0, 2).Format("2006-01-02T15:04"), "audience: 'server = \"s7\"'"), "--yes")
	s.imported(s.notice("written"))
	s.run("notice", "send", s.notice("mail-outage.monitoring", "incident: mail-outage")) // nobody says yes: a draft is left
	s.must(nil, "suppressions", "add", "full@example.org", "--reason", "bounced")
	s.must(nil, "limit", "set", "example.org", "--rate", "20/s")
	for _, lang := range []string{"en", "de"} {
		t.Run(lang, func(t *testing.T) { s.eachPage(t, lang) })
	}
}

func (s *system) eachPage(t *testing.T, lang string) {
	alone := *s
	alone.t = t
	b := alone.browse(lang)
	look := func(name string) {
		b.accessible(name)
		b.picture(lang + "-" + name)
	}
	b.open("/sign-in")
	look("sign-in")
	b.letIn(s, "ada-"+lang, "admin")
	look("account")
	for path, name := range map[string]string{"/now": "now", "/": "notices", "/notices/mail-outage.identified": "notice", "/incidents/mail-outage": "incident",
		"/notices/mail-outage.identified/mails": "mails", "/queues": "queues", "/access": "access", "/acts": "log", "/nowhere": "nowhere", "/search": "search", "/settings": "settings", "/templates": "templates", "/templates/example?template=outage&phase=identified&language=nl": "example", "/suppressions": "suppressions", "/notices/mail-outage.monitoring/check": "to-check",
		"/compose": "composing", "/compose/1": "compose"} {
		b.open(path)
		look(name)
	}
	b.open("/compose/1")
	b.press("#check", "#plan iframe")
	look("checked")
	b.open("/search")
	b.fill("#text", "ann\r")
	b.wait("document.getElementById('mail') !== null")
	look("customer")
	b.press("#mail", "iframe.mail")
	look("mail")
	for _, form := range []string{"text", "headers", "source"} {
		b.press(".tabs a[href='?as="+form+"']", ".tabs a[href='?as="+form+"'][aria-current=page]")
		b.accessible("mail as " + form)
	}
}
