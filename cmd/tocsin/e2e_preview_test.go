package main

import (
	"mime"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// previewed is a system with four customers, each with a mail of its own, and a notice to all but one.
func previewed(t *testing.T) (s *system, dir string) {
	t.Helper()
	s = start(t)
	file := filepath.Join(s.write(map[string]string{"c.csv": "id,name,email,language,plan,seats\n" +
		"1,Ann,ann@example.com,en,gold,3\n2,Bob,bob@example.com,en,trial,\n3,Cy,ann@example.com,nl,gold,3\n4,Di,,en,gold,\n5,رانيا,di@example.com,ar,gold,3\n6,Eve,eve@example.com,en,gold,3\n"}), "c.csv")
	s.must(nil, "customers", "import", file)
	s.must(nil, "suppressions", "add", "eve@example.com", "--reason", "complaint")
	return s, s.notice("look", `audience: 'plan != "trial"'`)
}

func TestThePreviewForACustomer(t *testing.T) {
	t.Parallel()
	s, dir := previewed(t)
	for id, want := range map[string]string{"1": "one mail for 1, 3, as customer 1", "3": "as customer 3 gets it", "5": "مرحبا رانيا"} {
		if out, errs, code := s.run("notice", "preview", dir, "--customer", id); code != exitDone || !strings.Contains(out, want) || strings.Contains(out, "as customer 2") {
			t.Errorf("customer %s: exit %d\n%s%s", id, code, out, errs)
		}
	}
	for id, want := range map[string]string{"2": "the filter of the audience does not hold", "4": "no address", "6": "list of suppressions", "7": "no customer has this id", "a b": "no customer has this id"} {
		if out, errs, code := s.run("notice", "preview", dir, "--customer", id); code != exitFailed || strings.Contains(out, "gets it") || !strings.Contains(errs, want) {
			t.Errorf("customer %s: exit %d\n%s%s", id, code, out, errs)
		}
	}
	list := s.listed("look-2", "{customers: list.csv}", "id\n1\n5\n")
	if _, errs, code := s.run("notice", "preview", list, "--customer", "2"); code != exitFailed || !strings.Contains(errs, "not on the list") {
		t.Errorf("a list: exit %d: %s", code, errs)
	}
	hole := s.write(map[string]string{"notice.yaml": "key: look-3\nkind: outage\nphase: identified\naudience: all\n",
		"en.md": "---\nsubject: Mail\n---\n{{.Customer.Name}} has {{.Customer.Attributes.seats}} seats\n"})
	if _, errs, code := s.run("notice", "preview", hole, "--customer", "2"); code != exitFailed || !strings.Contains(errs, "empty field") {
		t.Errorf("a hole: exit %d: %s", code, errs)
	}
	var plan notice.Plan
	out, _, _ := s.run("notice", "preview", hole, "--customer", "2", "--json")
	s.decode(out, &plan)
	if a := plan.Asked; a == nil || a.Reason != notice.ReasonHole || a.Hole == nil || a.Hole.Place != "texts.en.body:1" {
		t.Errorf("a hole: %+v", a)
	}
}

func TestThePreviewInFiles(t *testing.T) {
	t.Parallel()
	s, dir := previewed(t)
	out := filepath.Join(t.TempDir(), "out")
	s.must(nil, "notice", "preview", dir, "--out", out, "--customer", "5")
	for _, name := range []string{"en", "nl", "ar", "customer"} { // nobody gets nl
		file, err := os.Open(filepath.Join(out, name+".eml"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if m, err := mail.ReadMessage(file); err != nil || m.Header.Get("X-Notice") != "look" || m.Header.Get("Message-ID") == "" || m.Header.Get("Subject") == "" {
			t.Errorf("%s: %v, %v", name, err, m)
		}
	}
}

func TestATestMailIsMarked(t *testing.T) {
	t.Parallel()
	s, dir := previewed(t)
	s.must(nil, "notice", "test", dir, "--to", "me@example.com")
	subjects := map[string]bool{}
	for _, m := range s.delivered()["me@example.com"] {
		read, err := mail.ReadMessage(strings.NewReader(string(m.Raw)))
		if err != nil {
			t.Fatal(err)
		}
		subject, err := new(mime.WordDecoder).DecodeHeader(read.Header.Get("Subject"))
		if err != nil {
			t.Error(err)
		}
		subjects[subject] = true
	}
	if !subjects["[Test] البريد متوقف"] || !subjects["[Test] Mail ligt eruit"] || len(subjects) != 3 {
		t.Errorf("subjects %v", subjects)
	}
	// There is no draft of it yet.
	var who, note, detail string
	err := s.connect().QueryRow(t.Context(), `SELECT who, note, detail FROM act WHERE what = 'test' AND notice_id IS NULL AND notice_key = 'look'`).Scan(&who, &note, &detail)
	if err != nil || who != notice.FixedToken || note != operator() || detail != "3 mails to example.com: ar sent, en sent, nl sent" {
		t.Errorf("the log has %q, %q, %v", who, detail, err)
	}
}
