package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/creack/pty"

	"tocsin/internal/notice"
)

func TestThePreviewShowsTheMailOfACustomer(t *testing.T) {
	t.Parallel()
	c := setup(t)
	code, stdout, stderr := c.run(t, "notice", "preview", "DIR", "--customer", "c-7")
	if code != exitDone || !strings.Contains(stdout, "--- nl, one mail for c-7, c-8, as customer c-7 gets it ---\nSubject: Stroom\n") || strings.Contains(stdout, "--- en") {
		t.Errorf("exit code %d:\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = c.run(t, "notice", "preview", "DIR", "--customer", "c-9\x1b[2J")
	if code != exitFailed || strings.Contains(stdout, "---") || !strings.Contains(stderr, "customer c-9 [2J would get no mail: the filter of the audience does not hold for them") {
		t.Errorf("outside the audience: exit code %d:\n%s%s", code, stdout, stderr)
	}
	code, stdout, _ = c.run(t, "notice", "preview", "DIR", "--customer", "c-9", "--json")
	if asked, _ := theDocument(t, stdout)["customer"].(map[string]any); code != exitFailed || asked["reason"] != "filter" {
		t.Errorf("as JSON: exit code %d: %v", code, asked)
	}
}

func TestThePreviewWritesTheMails(t *testing.T) {
	t.Parallel()
	c := setup(t)
	evil := `</h2><script>alert("1")</script>`
	c.plan.Samples = []notice.Sample{{Language: "en", Subject: evil, HTML: "<p>x</p>", Text: "x", Source: "Subject: x\r\n\r\nx\r\n"}, {Language: "he", Subject: "תקלה"}}
	out := filepath.Join(t.TempDir(), "new", "out")
	for range 2 { // a preview takes the place of a preview
		if code, stdout, stderr := c.run(t, "notice", "preview", "DIR", "--out", out); code != exitDone || !strings.Contains(stdout, "index.html") {
			t.Fatalf("exit code %d:\n%s%s", code, stdout, stderr)
		}
	}
	index, err := os.ReadFile(filepath.Join(out, "index.html"))
	if err != nil || strings.Contains(string(index), "<script") || !strings.Contains(string(index), `dir="rtl">תקלה`) {
		t.Errorf("%v: %s", err, index)
	}
	if source, err := os.ReadFile(filepath.Join(out, "en.eml")); err != nil || string(source) != c.plan.Samples[0].Source {
		t.Errorf("%v: %q", err, source)
	}
	// A language that has gone leaves no file.
	c.plan.Samples = c.plan.Samples[:1]
	c.run(t, "notice", "preview", "DIR", "--out", out)
	if _, err := os.Stat(filepath.Join(out, "he.html")); !os.IsNotExist(err) {
		t.Errorf("he.html: %v", err)
	}
	write(t, filepath.Join(out, "mine.txt"), "mine")
	for dir, want := range map[string]string{out: "holds mine.txt", filepath.Join(out, "mine.txt"): "is a file", c.dir: "holds en.md"} {
		if code, stdout, stderr := c.run(t, "notice", "preview", "DIR", "--out", dir); code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%s: exit code %d:\n%s%s", want, code, stdout, stderr)
		}
	}
}

// TestThePreviewShowsALanguageOrAll: contact sheets of all languages have each mail narrow, wide and in the dark.
func TestThePreviewShowsALanguageOrAll(t *testing.T) {
	t.Parallel()
	c := setup(t)
	dark := `<meta name="color-scheme" content="light dark"><style>:root{color-scheme:light dark}@media(prefers-color-scheme:dark){p{color:#fff}}</style>`
	c.plan.Samples = []notice.Sample{{Language: "en", Subject: "Power", HTML: dark, Text: "x", Source: "x"}, {Language: "pt-BR", Subject: "Energia", HTML: dark}}
	out := filepath.Join(t.TempDir(), "out")
	if code, stdout, stderr := c.run(t, "notice", "preview", "DIR", "--language", "all", "--out", out); code != exitDone {
		t.Fatalf("exit code %d:\n%s%s", code, stdout, stderr)
	}
	index, err := os.ReadFile(filepath.Join(out, "index.html"))
	for _, want := range []string{`src="en.html"`, `class="wide" src="pt-BR.html"`, `class="dark" src="pt-BR.dark.html"`, `href="#pt-BR"`} {
		if err != nil || !strings.Contains(string(index), want) {
			t.Errorf("%v: the index lacks %s:\n%s", err, want, index)
		}
	}
	if page, err := os.ReadFile(filepath.Join(out, "en.dark.html")); err != nil || strings.Contains(string(page), "light") || !strings.Contains(string(page), "@media(min-width:0)") {
		t.Errorf("%v: %s", err, page)
	}
	if code, _, stderr := c.run(t, "notice", "preview", "DIR", "--language", "pt-br", "--out", out); code != exitDone {
		t.Errorf("one language: exit code %d:\n%s", code, stderr)
	}
	if _, err := os.Stat(filepath.Join(out, "en.html")); !os.IsNotExist(err) {
		t.Errorf("the other language: %v", err)
	}
	code, stdout, stderr := c.run(t, "notice", "preview", "DIR", "--language", "xx")
	if code != exitUsage || stdout != "" || !strings.Contains(stderr, "--language xx: the notice has no mail in it: write all, or one of en, pt-BR") {
		t.Errorf("another: exit code %d:\n%s%s", code, stdout, stderr)
	}
}

func TestThePagerShowsTheMailsOnATerminal(t *testing.T) {
	t.Parallel()
	c := setup(t)
	screen, terminal, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer screen.Close()
	defer terminal.Close()
	paged := filepath.Join(t.TempDir(), "paged")
	go func() { // the terminal takes all output
		b := make([]byte, 4096)
		for {
			if _, err := screen.Read(b); err != nil {
				return
			}
		}
	}()
	code := Run(t.Context(), []string{"notice", "preview", c.dir}, terminal, terminal, terminal, []string{c.env, "PATH=" + os.Getenv("PATH"), "PAGER=cat >'" + paged + "'"})
	text, err := os.ReadFile(paged)
	if code != exitDone || err != nil || !strings.HasPrefix(string(text), "\n--- en, as customer c-7 gets it ---") || strings.Contains(string(text), "Recipients") {
		t.Errorf("exit code %d, %v: the pager got %q", code, err, text)
	}
}
