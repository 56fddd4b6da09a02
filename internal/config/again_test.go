package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSettingsAreReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, password := filepath.Join(dir, "tocsin.yaml"), filepath.Join(dir, "password")
	put := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	put(password, "one\n")
	put(file, "from: a@example.net\ndrain: 5s\nrelays: [{name: main, url: smtp://ada@x, password_file: password}]\n")
	s, err := Read(nil, []string{"TOCSIN_CONFIG=" + file, "DATABASE_URL=postgres://x", "REDIS_URL=redis://x", "TOCSIN_LEASE=9s"})
	if err != nil {
		t.Fatal(err)
	}
	before, err := s.Work()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, text string
		changed    []string
		wrong      string
	}{
		{path: file, text: "from: a@example.net\ndrain: 5s\nrelays: [{name: main, url: smtp://ada@x, password_file: password}]\n"},
		{path: password, text: "two\n", changed: []string{"TOCSIN_SMTP_URL"}},
		{path: file, text: "from: b@example.net\nlease: 30s\nlimits: [{domain: a.example, rate: 1/d}]\nrelays: [{name: main, url: smtp://ada@x, password_file: password}]\n",
			changed: []string{"TOCSIN_DRAIN", "TOCSIN_FROM", "TOCSIN_SMTP_URL", "limits"}},
		{path: file, text: "from: b@example.net\nrelays: [{name: main, url: smtp://ada@x, pasword_file: password}]\n", wrong: "pasword_file"},
		{path: file, text: "from: [", wrong: "tocsin.yaml"},
		{path: file, text: "from: b@example.net\n", wrong: "TOCSIN_SMTP_URL"},
	} {
		put(c.path, c.text)
		var after Work
		again, err := s.Again()
		if err == nil {
			after, err = again.Work()
		}
		if (err != nil) != (c.wrong != "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%q: %v", c.text, err)
		}
		if err == nil {
			if diff := cmp.Diff(c.changed, Changed(before, after)); diff != "" {
				t.Errorf("%q (-want +got):\n%s", c.text, diff)
			}
		}
	}
}
