package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// TestCustomersWhoseMailCameBackAreReachedAtTheirAlternates has mails of a notice return, and a second notice go to the
// other contacts of those customers.
func TestCustomersWhoseMailCameBackAreReachedAtTheirAlternates(t *testing.T) {
	t.Parallel()
	s := start(t, "TOCSIN_RETURN_PATH=bounces@returns.example.net")
	load := func(rows string) {
		t.Helper()
		s.must(nil, "customers", "import", filepath.Join(s.write(map[string]string{"c.csv": rows}), "c.csv"))
	}
	load(`id,name,email,alternate_email
ann,Ann,dead1@dead.example,both@alt.example
ben,Ben,dead1@dead.example,Both@alt.example
cat,Cat,dead2@dead.example,both@alt.example
none,Nora,dead3@dead.example,
crossed,Carl,dead4@dead.example,dead1@dead.example
listed,Lea,dead5@dead.example,listed@alt.example
corrected,Cora,dead6@dead.example,
both-right,Bert,dead7@dead.example,bert@alt.example
emptied,Emil,dead8@dead.example,emil@alt.example
guest,Gus,dead9@dead.example,bob@ok.example
turned,Tom,tom@down.example,dead10@dead.example
bob,Bob,bob@ok.example,bob@alt.example
`)
	s.work()
	first := s.notice("first", "broken_domains: [down.example]")
	s.must(nil, "notice", "send", first, "--yes", "--wait")
	back := 0
	for mailbox, mails := range s.delivered() {
		if !strings.HasSuffix(mailbox, "@dead.example") {
			continue
		}
		back++
		r, err := s.client().TakeBounce(t.Context(), dsn(mails[0].MailFrom, "5.1.1", "550 5.1.1 no such user", "Subject: x"))
		if err != nil || r.Effect == nil || !r.Effect.Changed {
			t.Fatalf("%s: %+v, %v", mailbox, r, err)
		}
	}
	if st := s.status("first"); back != 10 || st.Counts["bounced"] != back {
		t.Fatalf("%d came back: %v", back, st.Counts)
	}
	load("id,email\ncorrected,cora@new.example\nboth-right,bert@new.example\nemptied,\n")
	s.must(nil, "suppressions", "add", "listed@alt.example")

	for audience, want := range map[string]string{
		"{notice: first, state: [bounced], contact: alternative}":              "notice.yaml:4: contact is alternate, or absent",
		"{notice: first, contact: primary}":                                    "contact is alternate, or absent",
		"{notice: first, contact: }":                                           "contact",
		"{filter: 'id:*', contact: alternate}":                                 "contact goes with notice: it tells an earlier notice's customers at their alternate addresses; for others, broken says",
		"{customers: list.csv, contact: alternate}":                            "contact goes with notice",
		"{notice: first, include_new: true, contact: alternate}":               "contact does not go with include_new",
		"{notice: first, state: [bounced], contract: alternate}":               "did you mean contact?",
		"{notice: first, state: [bounced], contact: alternate, filter: 'x:*'}": "no customer has",
	} {
		if _, _, errs := s.chosen(audience, "list.csv", "ann\n"); !strings.Contains(errs, want) {
			t.Errorf("%s: %s, want %s", audience, errs, want)
		}
	}

	again := s.listed("again", "{notice: first, state: [bounced], contact: alternate}", "")
	text, errs, code := s.run("notice", "preview", again)
	for _, want := range []string{"who stood on first and is bounced, at their alternate addresses", "at an alternate address", "unreachable"} {
		if code != 0 || !strings.Contains(text, want) {
			t.Errorf("exit %d, the dry run does not say %q:\n%s%s", code, want, text, errs)
		}
	}
	var plan notice.Plan
	s.must(&plan, "notice", "preview", again, "--json")
	if diff := cmp.Diff(map[string]int{"unreachable": 2, "suppression_list": 1}, plan.Suppressed); diff != "" || plan.Customers != 11 || plan.Alternates != 4 {
		t.Errorf("suppressed (-want +got):\n%s%d customers, %d alternates", diff, plan.Customers, plan.Alternates)
	}
	before := s.sink.Count()
	for range 2 { // a second press does nothing
		s.must(nil, "notice", "send", again, "--yes", "--wait")
	}
	var reached []string
	for _, m := range s.sink.Mails()[before:] {
		reached = append(reached, strings.ToLower(m.RcptTo[0]))
	}
	slices.Sort(reached)
	want := []string{"bert@alt.example", "bob@ok.example", "both@alt.example", "cora@new.example", "emil@alt.example", "tom@down.example"}
	if diff := cmp.Diff(want, reached); diff != "" {
		t.Errorf("reached (-want +got):\n%s", diff)
	}
	for _, d := range s.report("again") {
		at := strings.ToLower(d.Address)
		alternate := d.Reason == "alternate"
		if d.State == notice.DeliverySent && alternate != (strings.HasSuffix(at, "@alt.example") || at == "bob@ok.example") {
			t.Errorf("%s: the report says %q", at, d.Reason)
		}
		if at == "both@alt.example" && fmt.Sprint(d.Customers) != "[ann ben cat]" {
			t.Errorf("the mail to one alternate names %v", d.Customers)
		}
	}
}
