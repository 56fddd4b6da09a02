package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// listed writes a notice directory with a list of customers in it.
func (s *system) listed(key, audience, list string) string {
	return s.write(map[string]string{
		"notice.yaml": "key: " + key + "\nincident: thread\nkind: outage\nphase: identified\naudience: " + audience + "\n",
		"en.md":       "---\nsubject: Mail is down\n---\nDear {{.Customer.Name}},\n\nwe are on it.\n",
		"list.csv":    list,
	})
}

// TestAudiencesByListAndByEarlierNotice sends to a list, then to those who got that and those who have come since. The
// list of suppressions keeps some back.
func TestAudiencesByListAndByEarlierNotice(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(20)
	s.work()
	const byList = "{customers: list.csv}"

	// A mistake is named by line and id, and nothing is sent.
	for _, c := range []struct {
		audience, list string
		want           []string
	}{
		{byList, "name,id\nAnn,c1\n\"Bob\nB.\",nobody-7\n,C2\n", []string{"list.csv:3: ", `"nobody-7" is the id of no customer`, "1 more"}},
		{byList, "c1\nc2\n\nc99\n", []string{"list.csv:4: ", `"c99"`}},
		{byList, "id;name\n;Ann\n", []string{"list.csv:2: ", "has no id"}},
		{"{notice: never}", "", []string{"notice.yaml:5 audience.notice: ", `no notice "never"`}},
		{"\n  filter: 'plam = \"x\"'\n  customers: list.csv", "c1\n", []string{"notice.yaml:5 audience: ", "plam"}},
	} {
		dir := s.listed("bad", c.audience, c.list)
		out, errs, code := s.run("notice", "send", dir, "--yes")
		for _, want := range c.want {
			if code != 1 || !strings.Contains(errs, want) {
				t.Errorf("%s with %q: exit %d, %s%s, want %q", c.audience, c.list, code, out, errs, want)
			}
		}
	}

	file := filepath.Join(s.write(map[string]string{"s.csv": "address,reason\nC3@Example.com,bounced\nnowhere,\n"}), "s.csv")
	var imported notice.ImportReport
	out, _, code := s.run("suppressions", "import", file, "--json")
	if s.decode(out, &imported); code != 1 || imported.Inserted != 1 || len(imported.Rejected) != 1 || imported.Rejected[0].Line != 3 {
		t.Errorf("the import: exit %d, %+v", code, imported)
	}
	s.must(nil, "suppressions", "add", "c4@example.com", "--reason", "complaint")
	s.must(nil, "suppressions", "add", "c5@example.com")
	s.must(nil, "suppressions", "remove", "C5@example.com")
	var list struct{ Suppressions []notice.Suppression }
	s.must(&list, "suppressions", "list", "--json")
	if len(list.Suppressions) != 2 || list.Suppressions[0].Address != "c3@example.com" || list.Suppressions[1].Reason != "complaint" {
		t.Errorf("the list is %+v", list)
	}

	first := s.listed("first", byList, "id,name\nc1,x\nc2,x\nc3,x\nc4,x\nc5,x\n")
	var plan notice.Plan
	s.must(&plan, "notice", "preview", first, "--json")
	if diff := cmp.Diff(map[string]int{"not_listed": 15}, plan.Excluded); diff != "" || plan.Suppressed["suppression_list"] != 2 || plan.Previous != nil {
		t.Errorf("the dry run: %s %+v", diff, plan)
	}
	s.must(nil, "notice", "send", first, "--yes", "--wait")
	if st := s.status("first"); st.Counts["sent"] != 3 || st.Counts["suppressed"] != 2 || st.Customers != 5 {
		t.Errorf("the first notice: %+v", st)
	}
	// The same list in another order is the same notice; another one is not.
	s.must(nil, "notice", "send", s.listed("first", byList, "c5\nc4\nc3\nc2\nc1\nc1\n"), "--yes", "--wait")
	if _, errs, code := s.run("notice", "send", s.listed("first", byList, "c5\nc4\n"), "--yes"); code != 1 || !strings.Contains(errs, "another body") {
		t.Errorf("another list: exit %d, %s", code, errs)
	}

	if _, errs, code := s.run("notice", "send", s.listed("second", "{notice: first, include_new: true}", ""), "--yes"); code != 1 || !strings.Contains(errs, "nobody can be new") {
		t.Errorf("new to a list: exit %d, %s", code, errs)
	}
	second := s.listed("second", `{notice: first, filter: 'id != "c1"'}`, "")
	s.must(&plan, "notice", "preview", second, "--json")
	if diff := cmp.Diff(&notice.Difference{Key: "first", Same: 2, Left: 1}, plan.Previous); diff != "" {
		t.Errorf("against the first (-want +got):\n%s", diff)
	}
	text, _, _ := s.run("notice", "preview", second)
	for _, want := range []string{"who stood on first, of them id != \"c1\"", "not_on_notice", "Against first", "it reached, this does not", "suppression_list"} {
		if !strings.Contains(text, want) {
			t.Errorf("the dry run does not say %q:\n%s", want, text)
		}
	}
	s.must(nil, "notice", "send", second, "--yes", "--wait")
	s.must(nil, "notice", "send", s.listed("filtered", `'server = "s6"'`, ""), "--yes", "--wait")
	file = filepath.Join(s.write(map[string]string{"c.csv": "id,name,email,server\nc21,New,c21@example.com,s6\n"}), "c.csv")
	s.must(nil, "customers", "import", file)
	s.must(nil, "notice", "send", s.listed("new", "{notice: filtered, include_new: true}", ""), "--yes", "--wait")

	// An operator has the suppressed one sent all the same.
	s.must(nil, "notice", "settle", "first", "--requeue", "--address", "c3@example.com", "--yes")
	s.await("first", "finished", func(st notice.Status) bool { return finished(st) && st.Counts["sent"] == 4 })
	got := map[string]int{}
	for _, m := range s.sink.Mails() {
		got[strings.TrimSuffix(m.RcptTo[0], "@example.com")]++
	}
	want := map[string]int{"c1": 1, "c2": 2, "c3": 1, "c5": 2, "c6": 2, "c21": 1}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}

// TestErasureAndRetention erases a customer and looks for them in a dump of the whole database; then a notice grows old.
func TestErasureAndRetention(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := filepath.Join(s.write(map[string]string{"c.csv": "id,name,email,alternate_email,language,time_zone,pet\n" +
		"id-4711,Anna Zwart,Anna.Zwart@solo.example,az@alt.example,nl,Europe/Amsterdam,axolotl\n" +
		"id-4712,Beatrix Blau,permfail.beatrix@solo.example,,,,ocelot\n" +
		"c1,Bob,bob@example.com,,,,\n"}), "c.csv")
	s.must(nil, "customers", "import", file)
	s.must(nil, "suppressions", "add", "az@alt.example")
	worker := s.work()
	s.must(nil, "notice", "send", s.listed("first", "{customers: list.csv}", "id-4711\nid-4712\nc1\n"), "--yes")
	s.await("first", "finished", finished)
	worker.stop()
	s.must(nil, "notice", "send", s.listed("owed", "{notice: first}", ""), "--yes")
	s.must(nil, "notice", "pause", "owed")
	// A draft's list is not frozen yet.
	draft := s.listed("draft", "{customers: list.csv}", "id-4711\nc1\n")
	if _, errs, code := s.run("notice", "send", draft); code != 2 {
		t.Fatalf("exit %d, want only the draft: %s", code, errs)
	}
	before := s.status("first")
	s.must(nil, "customers", "delete", "id-4711")
	s.must(nil, "customers", "delete", "id-4712")
	if _, errs, code := s.run("customers", "delete", "id-4711"); code != 1 {
		t.Errorf("deleted twice: exit %d, %s", code, errs)
	}

	dump := filepath.Join(t.TempDir(), "dump.sql")
	s.shell(testkit.Program(t, "pg_dump"), "-f", dump, s.services.DatabaseURL)
	text, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"id-4711", "id-4712", "anna", "zwart", "beatrix", "blau", "solo.example", "alt.example", "axolotl", "ocelot"} {
		for line := range strings.Lines(string(text)) {
			if strings.Contains(strings.ToLower(line), gone) {
				t.Errorf("the dump holds %q: %s", gone, line)
			}
		}
	}
	if !strings.Contains(string(text), "bob@example.com") {
		t.Error("the dump does not hold Bob: it shows nothing")
	}
	if diff := cmp.Diff(before, s.status("first")); diff != "" {
		t.Errorf("the status (-before +after):\n%s", diff)
	}
	csv, _, _ := s.run("report", "first", "--format", "csv")
	if strings.Count(csv, "(erased)") != 2 || strings.Count(csv, "\n") != 4 {
		t.Errorf("the report is\n%s", csv)
	}
	count := s.sink.Count()
	s.must(nil, "notice", "resume", "owed")
	s.work()
	if st := s.await("owed", "finished", finished); st.Counts["cancelled"] != 2 || st.Counts["sent"] != 1 || s.sink.Count() != count+1 {
		t.Errorf("what was owed became %v", st.Counts)
	}
	if _, errs, code := s.run("notice", "send", draft, "--yes"); code != 1 || !strings.Contains(errs, "list.csv:1") {
		t.Errorf("a list with an id that is gone: exit %d, %s", code, errs)
	}
	s.must(nil, "notice", "send", s.listed("draft", "{customers: list.csv}", "c1\n"), "--yes", "--wait")

	// The first notice grows old, and its rows are dropped by the next server with a retention.
	s.sql(`UPDATE notice SET released_at = released_at - interval '8 days' WHERE key = 'first' RETURNING key`)
	s.sql(`UPDATE chunk SET first_sent_at = first_sent_at - interval '8 days', last_sent_at = last_sent_at - interval '8 days'
		WHERE notice_id = (SELECT id FROM notice WHERE key = 'first') RETURNING id::text`)
	s.sql(`UPDATE answer SET at = at - interval '8 days' WHERE notice_id = (SELECT id FROM notice WHERE key = 'first') RETURNING chunk_id::text`)
	before = s.status("first")
	config := filepath.Join(s.write(map[string]string{"tocsin.yaml": "retention: 7d\n"}), "tocsin.yaml")
	s.launchAPI("TOCSIN_CONFIG=" + config)
	st := s.await("first", "without its rows", func(st notice.Status) bool { return st.RowsDroppedAt != nil })
	st.RowsDroppedAt = nil
	if diff := cmp.Diff(before, st); diff != "" {
		t.Errorf("the status (-before +after):\n%s", diff)
	}
	if st := s.status("draft"); st.RowsDroppedAt != nil {
		t.Error("a young notice lost its rows")
	}
	report, _, code := s.run("report", "first")
	if code != 0 || !strings.Contains(report, "Rows dropped") || !strings.Contains(report, "sent") {
		t.Errorf("exit %d, the report is\n%s", code, report)
	}
	var rows struct {
		Deliveries    []notice.Delivery
		RowsDroppedAt string `json:"rows_dropped_at"`
	}
	if s.must(&rows, "report", "first", "--format", "json"); len(rows.Deliveries) != 0 || rows.RowsDroppedAt == "" {
		t.Errorf("the report is %+v", rows)
	}
	if _, errs, code := s.run("report", "first", "--format", "csv"); code != 1 || !strings.Contains(errs, "were dropped on") {
		t.Errorf("exit %d, %s", code, errs)
	}
	// The key stays taken: the same list changes nothing, though two of its customers are gone; another is refused.
	count = s.sink.Count()
	s.must(nil, "notice", "send", s.listed("first", "{customers: list.csv}", "id-4711\nid-4712\nc1\n"), "--yes", "--wait")
	if _, errs, code := s.run("notice", "send", s.listed("first", "{customers: list.csv}", "c1\n"), "--yes"); code != 1 {
		t.Errorf("another list: exit %d, %s", code, errs)
	}
	if _, errs, code := s.run("notice", "send", s.listed("later", "{notice: first}", ""), "--yes"); code != 1 || !strings.Contains(errs, "not known any more") {
		t.Errorf("who stood on it: exit %d, %s", code, errs)
	}
	if more := s.sink.Count() - count; more != 0 {
		t.Errorf("%d mails left", more)
	}
	if _, errs, code := s.run("serve", "--retention", "3 weeks"); code != 2 || !strings.Contains(errs, "such as 400d") {
		t.Errorf("a retention that is none: exit %d, %s", code, errs)
	}
}
