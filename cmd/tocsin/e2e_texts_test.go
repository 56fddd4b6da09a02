package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestTheDryRunCountsWhatOnlySomeGet(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := filepath.Join(s.write(map[string]string{"c.csv": "id,name,email,language,seats,rebate\n" +
		"1,Ann,ann@example.com,en,9,\n2,Bob,bob@example.com,en,10,5\n3,Cy,cy@example.com,en,100,\n4,Di,di@example.com,nl,,\n"}), "c.csv")
	s.must(nil, "customers", "import", file)
	dir := s.write(map[string]string{
		"notice.yaml": "key: rebates\nkind: outage\nphase: resolved\naudience: all\ndefault_language: en\n",
		"nl.md":       "---\nsubject: Prijs\n---\nHallo\n",
		"en.md": "---\nsubject: Price\n---\nHello\n\n{{if .Customer.Attributes.rebate}}\nYou get {{.Customer.Attributes.rebate}} %.\n{{end}}\n" +
			"{{if ge .Customer.Attributes.seats 10}}\n| Was | Is |\n|----:|---:|\n| ~~3~~ | 4 |\n{{end}}\n",
	})
	var plan notice.Plan
	s.must(&plan, "notice", "preview", dir, "--json")
	var got []notice.Branch
	var samples []string
	for _, b := range plan.Branches {
		samples = append(samples, b.Sample.Customer)
		b.Sample = nil
		got = append(got, b)
	}
	want := []notice.Branch{
		{Language: "en", Place: "texts.en.body:3", Condition: "if .Customer.Attributes.rebate", Recipients: 1, Of: 3},
		{Language: "en", Place: "texts.en.body:6", Condition: "if ge .Customer.Attributes.seats 10", Recipients: 2, Of: 3},
	}
	if diff := cmp.Diff(want, got); diff != "" || strings.Join(samples, "") != "22" {
		t.Errorf("samples %q, branches (-want +got):\n%s", samples, diff)
	}
	out, _, _ := s.run("notice", "preview", dir)
	for _, want := range []string{"en.md:6", "if .Customer.Attributes.rebate", "1 of 3", "with if .Customer.Attributes.rebate, as customer 2 gets it", "Was  Is\n-----  --\n~~3~~   4"} {
		if !strings.Contains(strings.Join(strings.Split(out, "  Was"), "Was"), want) {
			t.Errorf("the dry run lacks %q:\n%s", want, out)
		}
	}
	s.work()
	s.must(nil, "notice", "send", dir, "--yes", "--wait", "--json")
	for _, m := range s.delivered()["cy@example.com"] {
		if !strings.Contains(string(m.Raw), "<del>3</del>") {
			t.Errorf("the table has not arrived: %s", m.Raw)
		}
	}
}

func TestAPlaceholderThatIsLeftOverBlocksTheRelease(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := filepath.Join(s.write(map[string]string{"c.csv": "id,name,email\n1,Ann,ann@example.com\n"}), "c.csv")
	s.must(nil, "customers", "import", file)
	s.work()
	dir := s.write(map[string]string{
		"notice.yaml": "key: left-over\nkind: outage\nphase: identified\naudience: all\n",
		"en.md":       "---\nsubject: Mail\n---\nHi {.Customer.Name}}, all is well\n",
	})
	for _, args := range [][]string{{"notice", "preview", dir}, {"notice", "send", dir, "--yes"}, {"notice", "send", dir, "--yes", "--allow-past"}} {
		out, errs, code := s.run(args...)
		if code != 1 || !strings.Contains(out+errs, "{.Customer.Name}") || !strings.Contains(out+errs, "--allow-placeholders") {
			t.Errorf("%v: exit %d\n%s%s", args, code, out, errs)
		}
	}
	s.must(nil, "notice", "send", dir, "--yes", "--wait", "--json", "--allow-placeholders")
	// The second press asks nothing.
	var again struct{ Created bool }
	s.must(&again, "notice", "send", dir, "--yes", "--json")
	if mails := s.delivered()["ann@example.com"]; again.Created || len(mails) != 1 {
		t.Errorf("created %v, %d mails", again.Created, len(mails))
	}
}
