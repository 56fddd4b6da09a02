package main

import (
	"strings"
	"testing"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// checked is a system with an earlier notice, and one with a dry run that finds something of each kind.
func checked(t *testing.T) (s *system, dir string) {
	t.Helper()
	s = start(t)
	s.importing("id,name,email,language,time_zone,plan\nc1,Ann,c1@example.com,en,Europe/Amsterdam,gold\nc2,Bram,c2@b.example,nl,Europe/Amsterdam,\n" +
		"c3,Cleo,c3@b.example,pl,Asia/Tokyo,\nc4,No Box,,en,,\nc5,Eve,eve@example.com,en,,\nc6,Off,off@example.com,en,,off\n")
	s.must(nil, "suppressions", "add", "eve@example.com", "--reason", "complaint")
	s.must(nil, "notice", "send", s.notice("power.identified", "incident: power", `audience: 'plan = "gold"'`), "--yes")
	dir = s.write(map[string]string{"notice.yaml": "key: power.monitoring\nincident: power\nkind: outage\nphase: monitoring\naudience: 'NOT plan = \"off\"'\n",
		"en.md": "---\nsubject: Power\n---\nIt is back.\n\n{{if .Customer.Attributes.plan}}You have priority.{{end}}\n", "nl.md": "---\nsubject: Stroom\n---\nHij is terug.\n"})
	return s, dir
}

// TestADryRunSaysWhereTheMailsGo, to which domains and zones, and when the last one leaves; the limits are those of the
// moment.
func TestADryRunSaysWhereTheMailsGo(t *testing.T) {
	t.Parallel()
	s, dir := checked(t)
	var plan notice.Plan
	s.must(&plan, "notice", "preview", dir, "--json")
	if plan.ByZone["Europe/Amsterdam"] != 2 || plan.ByZone["Asia/Tokyo"] != 1 || len(plan.ByZone) != 2 {
		t.Errorf("by zone: %v", plan.ByZone)
	}
	if len(plan.ByDomain) != 2 || plan.ByDomain[0] != (notice.DomainCount{Domain: "b.example", Recipients: 2}) || plan.ByDomain[1].Recipients != 1 {
		t.Errorf("by domain: %+v", plan.ByDomain)
	}
	if f := plan.Forecast; f == nil || f.Why != notice.ForecastNoWorker || f.Last != nil {
		t.Errorf("without a worker: %+v", f)
	}
	s.work()
	s.await("power.identified", "sent", finished)
	s.must(nil, "limit", "set", "b.example", "--rate", "2/h")
	s.must(&plan, "notice", "preview", dir, "--json")
	if f := plan.Forecast; f == nil || f.Why != notice.ForecastDomain || f.Domain != "b.example" || f.Last == nil || f.Last.Sub(f.Begins).Minutes() != 60 {
		t.Errorf("with a limit: %+v", f)
	}
	for _, want := range []string{"at the limit of b.example", "By domain", "b.example", "Asia/Tokyo"} {
		if out, errs, _ := s.run("notice", "preview", dir); !strings.Contains(out+errs, want) {
			t.Errorf("%q is not in: %s%s", want, out, errs)
		}
	}
}

// TestACheckIsAPageInABrowser, of a draft notice and of one that is written in the console, with script and without. The
// page says the same as the command line's dry run, shows the mail of one customer, and releases the plan that it shows.
func TestACheckIsAPageInABrowser(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestADryRunSaysWhereTheMailsGo, and TestEveryExampleIsImportedAndExported")
	s, dir := checked(t)
	s.work()
	s.await("power.identified", "sent", finished)
	s.must(nil, "limit", "set", "b.example", "--rate", "2/h")
	s.run("notice", "send", dir) // nobody says yes: a draft is left
	page := s.imported(s.notice("written", "audience: 'plan = \"gold\"'"))
	b := s.browse("en")
	b.letIn(s, "ann", "sender")
	for _, scripted := range []bool{true, false} {
		b.script(scripted)
		b.open("/notices/power.monitoring")
		b.press("#to-check", "#plan iframe")
		for _, text := range []string{"Customers 5", "To be mailed 3", "Get no mail 2", "the limit of b.example holds it up", "Dutch 1", "Asia/Tokyo 1", "b.example 2",
			"the address is on the list of suppressions 1", "the customer has no mailbox 1", "the filter does not hold for them 1", "Polish → default language 1", "Against power.identified",
			"it reached them too 1", "new 2", ".Customer.Attributes.plan", "1 / 2 50%"} {
			b.wantText(text)
		}
		b.fill("#customer", "c2\r")
		// Their mail is shown before the check too, but not opened.
		b.wait("[...document.querySelectorAll('details[open] > summary')].some(s => s.textContent.includes('c2'))")
		b.fill("#customer", "c6\r")
		b.wantText("Customer c6 gets no mail: the filter does not hold for them")
		b.wait("document.querySelector('#release').textContent.includes('Release to 3 recipients')")
		if scripted {
			b.accessible("check")
			b.picture("check")
		}
		b.open(page)
		b.press("#check", "#plan iframe")
		b.wantText("To be mailed 1")
		b.fill("#customer", "c1\r")
		b.wait("document.querySelectorAll('#plan iframe').length === 2")
		b.press("#write", "#save")
	}
	b.open("/notices/power.monitoring")
	b.press("#to-check", "#release")
	b.press("#release", "#standing")
	s.await("power.monitoring", "under way", func(st notice.Status) bool { return st.Counts["sent"] > 0 })
	b.open("/notices/power.monitoring/check")
	b.wantText("is no draft any more")
}
