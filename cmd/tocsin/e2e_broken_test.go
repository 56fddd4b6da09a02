package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// reached lists the mailboxes in the sink, sorted.
func (s *system) reached() (keys []string) {
	for key := range s.delivered() {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func TestTheCustomersOfABrokenServerAreReachedAtTheirAlternates(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := filepath.Join(s.write(map[string]string{"c.csv": `id,email,alternate_email,server
down,a@mail.example,a@alt.example,mx3
shares,A@mail.example,shares@alt.example,mx1
none,b@mail.example,,mx3
alternate-down,c@mail.example,b@mail.example,mx3
alternate-broken,d@mail.example,d@dead.example,mx3
at-dead,e@dead.example,e@alt.example,mx1
up,f@mail.example,f@alt.example,mx1
no-address,,g@alt.example,mx3
`}), "c.csv")
	s.must(nil, "customers", "import", file)
	s.work()
	for lines, want := range map[string]string{
		"broken_domains: [mail.exmaple]":               "notice.yaml:5 broken_domains: no customer has an address at mail.exmaple; did you mean mail.example?",
		"broken: {domains: [x.test, mail.example]}":    "no customer has an address at x.test",
		"broken: {filter: 'server = \"mx33\"'}":        "notice.yaml:5 broken.filter: holds for no customer",
		"broken: {filter: 'sever = \"mx3\"'}":          "did you mean server?",
		"broken: {filter: 'server > \"3\"'}":           "leave the quotes out",
		"broken: {}":                                   "broken names no mailbox",
		"broken: {filter: server IN @none.txt}":        "there is no file none.txt",
		"broken: {domain: [mail.example]}":             "did you mean domains?",
		"broken: {domains: ['no domain']}":             "is not a domain",
		"broken: {filter: 'server = \"mx3\" and x:*'}": "write AND in capitals",
	} {
		out, errs, code := s.run("notice", "send", s.notice("bad", lines), "--yes")
		if code != 1 || !strings.Contains(errs, want) {
			t.Errorf("%s: exit %d, %s%s, want %s", lines, code, out, errs, want)
		}
	}
	dir := s.write(map[string]string{
		"notice.yaml": "key: mx3\nkind: outage\nphase: identified\naudience: all\nbroken_domains: [Dead.example]\nbroken: {filter: server IN @down.txt}\n",
		"en.md":       "---\nsubject: Mail is down\n---\nWe are on it.\n",
		"down.txt":    "mx3\n",
	})
	out, errs, code := s.run("notice", "preview", dir)
	if code != 0 || !strings.Contains(out, `of server IN ("mx3")`) || !strings.Contains(out, "at Dead.example") {
		t.Errorf("exit %d, the dry run says\n%s%s", code, out, errs)
	}
	s.must(nil, "notice", "send", dir, "--yes", "--wait")
	st := s.status("mx3")
	if diff := cmp.Diff(map[string]int{"unreachable": 3, "no_address": 1}, st.Suppressed); diff != "" {
		t.Errorf("suppressed (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a@alt.example", "e@alt.example", "f@mail.example", "shares@alt.example"}, s.reached()); diff != "" {
		t.Errorf("reached (-want +got):\n%s", diff)
	}

	// The domain goes, and the second press still does nothing.
	s.must(nil, "customers", "delete", "at-dead")
	s.must(nil, "customers", "delete", "alternate-broken")
	var r receipt
	if s.must(&r, "notice", "send", dir, "--json"); r.Created {
		t.Errorf("the second press answered %+v", r)
	}
}

func TestAnAudienceIsWhoeverAnEarlierNoticeFailed(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := filepath.Join(s.write(map[string]string{"c.csv": `id,email,name
ok,ok@example.com,x
fails,permfail.1@example.com,x
A 7,permfail.2@example.com,x
B;8,permfail.2@example.com,x
listed,listed@example.com,x
none,,x
`}), "c.csv")
	s.must(nil, "customers", "import", file)
	s.must(nil, "suppressions", "add", "listed@example.com")
	s.work()
	s.must(nil, "notice", "send", s.listed("first", "all", ""), "--yes")
	s.await("first", "finished", finished)

	for audience, want := range map[string]int{
		"{notice: first, state: [failed, suppressed, uncertain]}": 5,
		"{notice: first, state: [failed]}":                        3,
		"{notice: first, state: suppressed}":                      2,
		"{notice: first, state: sent}":                            1,
		"{notice: first, state: [failed], filter: 'id = \"A*\"'}": 1,
		"{notice: first}":                                         6,
	} {
		if n, _, errs := s.chosen(audience); n != want {
			t.Errorf("%s: %d customers, want %d: %s", audience, n, want, errs)
		}
	}
	for audience, want := range map[string]string{
		"{notice: first, state: [fialed]}":              `"fialed" is none of`,
		"{state: [failed], filter: 'id:*'}":             "state goes with notice",
		"{customers: list.csv, state: failed}":          "state goes with notice",
		"{notice: first, state: [deferred, cancelled]}": "",
	} {
		n, _, errs := s.chosen(audience, "list.csv", "ok\n")
		if n != 0 || !strings.Contains(errs, want) {
			t.Errorf("%s: %d customers, says %s, want %q", audience, n, errs, want)
		}
	}

	// Its report is a list, too.
	csv, _, _ := s.run("report", "first", "--format", "csv", "--state", "failed")
	if !strings.Contains(csv, `"""A 7"" ""B;8"""`) {
		t.Errorf("the report does not keep the ids of one mailbox apart:\n%s", csv)
	}
	if n, _, errs := s.chosen("{customers: failed.csv}", "failed.csv", csv); n != 3 {
		t.Errorf("the report chooses %d, want 3: %s\n%s", n, errs, csv)
	}
	s.must(nil, "notice", "send", s.listed("again", "{notice: first, state: [failed]}", ""), "--yes")
	var r receipt
	if s.must(&r, "notice", "send", s.listed("again", "{notice: first, state: [failed, failed]}", ""), "--json"); r.Created || r.Customers != 3 {
		t.Errorf("the second press answered %+v", r)
	}
	if st := s.await("again", "finished", finished); st.State != notice.Sent {
		t.Errorf("it is %s", st.State)
	}
}
