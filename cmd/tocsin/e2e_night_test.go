package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/text/encoding/charmap"
)

// crmAccount is a kind of customer on the broken server, of which the CRM has 20. Customer N of a kind reads mail at
// KIND-N@mail.example, which is down, and perhaps at KIND-N@post.example.
type crmAccount struct {
	kind, language string
	alternate      bool
	gets           string // language of the mail
}

var accounts = []crmAccount{
	{kind: "bäckerei", language: "de", alternate: true, gets: "de"},
	{kind: "garage", language: "de-CH", alternate: true, gets: "de-CH"},
	{kind: "smith & sons", language: "en-GB", alternate: true, gets: "en-GB"},
	{kind: "smit", language: "nl", alternate: true, gets: "nl"},
	{kind: "étoile", language: "fr", alternate: true, gets: "fr"},
	{kind: "müller", language: "de", gets: "de"},
}

const ofEachKind = 20

func (a crmAccount) box(i int, domain string) string {
	name := strings.NewReplacer("ä", "ae", "ü", "ue", "é", "e", " & ", "-", " ", "-").Replace(a.kind)
	return fmt.Sprintf("%s-%d@%s", name, i, domain)
}

// crm returns the export, in Latin-1 with CRLF, as a German CRM writes it.
func crm(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("Kundennummer;Name;E-Mail;Ausweich-E-Mail;Sprache;Zeitzone;Server\r\n")
	for k, a := range accounts {
		for i := range ofEachKind {
			alternate := ""
			if a.alternate {
				alternate = a.box(i, "post.example")
			}
			fmt.Fprintf(&b, "0%d%02d;\"%s; Straße %d\";%s;%s;%s;Europe/Berlin;mx3\r\n", k+1, i, a.kind, i, a.box(i, "mail.example"), alternate, a.language)
		}
	}
	// Two accounts of one mailbox, of which one gets a rebate, and customers on another server.
	b.WriteString("0900;Zwei Läden;laeden@mail.example;laeden@post.example;de;Europe/Berlin;mx3\r\n")
	b.WriteString("0901;Dritter Laden;Laeden@Mail.example;laeden@POST.example;de;Europe/Berlin;mx3\r\n")
	for i := range ofEachKind {
		fmt.Fprintf(&b, "08%02d;Nachbar %d;nachbar-%d@mail.example;nachbar-%d@post.example;de;Europe/Berlin;mx1\r\n", i, i, i, i)
	}
	latin1, err := charmap.ISO8859_1.NewEncoder().String(b.String())
	if err != nil {
		t.Fatal(err)
	}
	return latin1
}

// TestTheNightOfABrokenMailServer follows the recipes of docs/notice.md with the customers of a CRM, from the import to
// the post-mortem, by commands alone.
func TestTheNightOfABrokenMailServer(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.work()
	all, dir := recipes(t), t.TempDir()
	night := slices.Concat(all["The mail server is down"], all["Post-mortem with a rebate for some"])
	for i, step := range night {
		switch step.file {
		case "kunden.csv":
			night[i].text = crm(t)
		case "rebates.csv":
			night[i].text = "id,rebate\r\n0900,12.5\r\n0100,7\r\n0400,1234.5\r\n"
		}
	}
	printed := s.cook(dir, night)
	if !strings.Contains(printed, "windows-1252") {
		t.Errorf("the import does not name the encoding:\n%.2000s", printed)
	}

	atAlternates, atPrimaries := map[string]string{"laeden@post.example": "de"}, map[string]string{"laeden@mail.example": "de"}
	for _, a := range accounts {
		for i := range ofEachKind {
			atPrimaries[a.box(i, "mail.example")] = a.gets
			if a.alternate {
				atAlternates[a.box(i, "post.example")] = a.gets
			}
		}
	}
	incident := "mx3-" + strconv.Itoa(time.Now().Year()+1) + "-12-05"
	for _, n := range []struct {
		phase string
		gets  map[string]string
	}{{"identified", atAlternates}, {"monitoring", atAlternates}, {"resolved", atPrimaries}, {"postmortem", atPrimaries}} {
		key := incident + "." + n.phase
		got := map[string]string{}
		for box, m := range s.mailsOf(key) { // which refuses a mailbox that has it twice
			got[box] = m.Language
		}
		if diff := cmp.Diff(n.gets, got); diff != "" {
			t.Errorf("%s: mailboxes and their languages (-want +got):\n%s", key, diff)
		}
		unreachable := map[string]int{}
		if len(n.gets) < len(atPrimaries) {
			unreachable["unreachable"] = ofEachKind
		}
		st := s.status(key)
		if diff := cmp.Diff(unreachable, st.Suppressed); diff != "" || st.Counts["sent"] != len(n.gets) || st.Customers != len(accounts)*ofEachKind+2 {
			t.Errorf("%s ended as %v, of %d customers; suppressed (-want +got):\n%s", key, st.Counts, st.Customers, diff)
		}
	}
	if n := len(s.sink.Mails()); n != 2*len(atAlternates)+2*len(atPrimaries) {
		t.Errorf("%d mails have left", n)
	}
	s.nightReads(incident)
	s.nightHistory(incident)
	s.nightAgain(dir)
}

// nightReads looks into the mails for names as the CRM has them, and for the rebate, which three customers get.
func (s *system) nightReads(incident string) {
	s.t.Helper()
	postmortem, resolved := s.mailsOf(incident+".postmortem"), s.mailsOf(incident+".resolved")
	for box, want := range map[string][]string{
		"baeckerei-0@mail.example": {"bäckerei; Straße 0", "7 Euro"},
		"smit-0@mail.example":      {"1.234,5 euro"},
		"laeden@mail.example":      {"Zwei Läden", "12,5 Euro", "Dritter Laden"},
	} {
		text := asRead(s.t, postmortem[box])
		for _, want := range want {
			if !strings.Contains(text, want) {
				s.t.Errorf("the mail to %s lacks %q:\n%s", box, want, text)
			}
		}
	}
	with := 0
	for _, m := range postmortem {
		text := asRead(s.t, m)
		with += strings.Count(text, "Euro von Ihrer") + strings.Count(text, "euro af van") + strings.Count(text, "euros off")
	}
	if with != 3 {
		s.t.Errorf("the rebate is named %d times, three customers get one", with)
	}
	const box = "baeckerei-1@mail.example"
	if !strings.Contains(postmortem[box].Raw, "In-Reply-To: "+resolved[box].MessageID) {
		s.t.Errorf("the post-mortem does not answer the first mail of the incident to that mailbox")
	}
}

// nightHistory looks for every notice in the history of a customer, as support does.
func (s *system) nightHistory(incident string) {
	s.t.Helper()
	out, _, _ := s.run("customers", "history", "0600")
	for _, phase := range []string{"identified", "monitoring", "resolved", "postmortem"} {
		if !strings.Contains(out, incident+"."+phase) {
			s.t.Errorf("the history of a customer without an alternate lacks %s:\n%s", phase, out)
		}
	}
}

// nightAgain presses send once more for each notice.
func (s *system) nightAgain(dir string) {
	s.t.Helper()
	before := len(s.sink.Mails())
	for _, phase := range []string{"identified", "monitoring", "resolved", "postmortem"} {
		var r receipt
		if s.must(&r, "notice", "send", filepath.Join(dir, "mx3-"+phase), "--yes", "--json"); r.Created {
			s.t.Errorf("the second press of %s answered %+v", phase, r)
		}
	}
	if after := len(s.sink.Mails()); after != before {
		s.t.Errorf("the second press sent %d mails", after-before)
	}
}
