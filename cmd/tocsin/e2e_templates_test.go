package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTemplatesAreReadAgainWhenADraftIsMade changes the directory of templates while the API runs. A broken file
// refuses a new notice, and nothing else: one that is drafted goes out as its draft was, and one that is released as it
// was at its release.
func TestTemplatesAreReadAgainWhenADraftIsMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	layout := func(version string) { put("layout.txt", version+"\n{{range .Blocks}}{{.Text}}{{end}}") }
	if err := os.MkdirAll(filepath.Join(dir, "ours"), 0o700); err != nil {
		t.Fatal(err)
	}
	text := func(version string) { put("ours/en.md", "---\nsubject: "+version+"\n---\nThe text is "+version+".\n") }
	layout("layout one")
	text("text one")
	s := start(t, "TOCSIN_TEMPLATE_DIR="+dir)
	s.customers(2)
	ready := func(key string) string {
		return s.write(map[string]string{"notice.yaml": "key: " + key + "\nincident: " + key + "\nkind: outage\nphase: investigating\naudience: all\ntemplate: ours\n"})
	}
	s.must(nil, "notice", "send", ready("n1"), "--yes", "--json") // no worker runs yet

	layout("layout two")
	text("text two")
	s.must(nil, "notice", "send", ready("n2"), "--yes", "--json")

	kept := ready("n3")
	s.must(nil, "notice", "preview", kept, "--json")
	draft := `{"key": "n3", "incident": "n3", "kind": "outage", "phase": "investigating", "audience": "all", "template": "ours"}`
	if status, answer := s.post("/v1/notices", draft); status/100 != 2 {
		t.Fatalf("a draft is answered with %d %s", status, answer)
	}
	for file, place := range map[string]string{"layout.txt": "layout.txt", "ours/en.md": "ours/en.md"} {
		before, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		put(file, strings.Replace(string(before), "two", "{{nonsense}}", 1))
		if _, errs, code := s.run("notice", "send", ready("n4"), "--yes"); code != exitFailed && code != exitUsage || !strings.Contains(errs, place) {
			t.Errorf("with a broken %s a notice is answered with %d: %s", file, code, errs)
		}
		put(file, string(before))
	}
	put("layout.txt", "{{nonsense")
	text("text three")
	if status, answer := s.post("/v1/notices/n3/release", `{}`); status/100 != 2 {
		t.Errorf("a draft can't be released while a file is broken: %d %s", status, answer)
	}
	s.work()
	for key, want := range map[string][]string{"n1": {"layout one", "text one"}, "n2": {"layout two", "text two"}, "n3": {"layout two", "text two"}} {
		s.await(key, "sent", finished)
		mails := s.mailsOf(key)
		if len(mails) != 2 {
			t.Errorf("%d mailboxes got %s", len(mails), key)
		}
		for _, m := range mails {
			for _, part := range want {
				if !strings.Contains(m.Raw, part) {
					t.Errorf("%s lacks %q:\n%s", key, part, m.Raw)
				}
			}
		}
	}
}
