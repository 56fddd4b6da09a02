package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// TestLanguagesThatACustomerWantsAreCounted: a country's code that is a language too is imported with a warning. The dry
// run, the status and the report count the readers of a later language of their list, and those of the default one.
func TestLanguagesThatACustomerWantsAreCounted(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.work()
	file := filepath.Join(s.write(map[string]string{"c.csv": "id,email,language\n1,a@a.example,\"ja, fr\"\n2,b@b.example,\"ja, fr\"\n3,c@c.example,SE\n4,d@d.example,SE\n5,e@e.example,fr\n"}), "c.csv")
	var imported notice.ImportReport
	s.must(&imported, "customers", "import", file, "--json")
	if w := imported.Warnings; len(w) != 1 || w[0].Column != "language" || w[0].Count != 2 || w[0].Line != 4 {
		t.Errorf("the warnings are %+v", w)
	}
	refused := filepath.Join(s.write(map[string]string{"c.csv": "id,email,language\n6,f@f.example,DK\n"}), "c.csv")
	if out, errs, code := s.run("customers", "import", refused); code != 1 || imported.Inserted != 5 || !strings.Contains(out+errs, "did you mean da?") {
		t.Errorf("a country for a language: exit %d, %s%s", code, out, errs)
	}
	dir := s.write(map[string]string{"notice.yaml": "key: l\nkind: outage\nphase: identified\naudience: all\ndefault_language: en\n",
		"en.md": "---\nsubject: s\n---\ntext\n", "fr.md": "---\nsubject: s\n---\ntexte\n"})
	type counted struct {
		Fallback    map[string]int
		LaterChoice map[string]int `json:"later_choice"`
	}
	want := counted{map[string]int{"se": 2}, map[string]int{"ja, fr": 2}}
	var planned counted
	s.must(&planned, "notice", "preview", dir, "--json")
	s.tells(dir, "l")
	st := s.status("l")
	var reported counted
	s.must(&reported, "report", "l", "--format", "json")
	if diff := cmp.Diff([]counted{want, want, want}, []counted{planned, {st.Fallback, st.LaterChoice}, reported}); diff != "" {
		t.Errorf("dry run, status and report (-want +got):\n%s", diff)
	}
}
