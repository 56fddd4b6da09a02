package render

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"tocsin/internal/notice"
	"tocsin/templates"
)

// edited is a directory of templates that somebody edits.
type edited struct {
	t   *testing.T
	dir string
}

// put replaces a file at once, as an editor does.
func (e edited) put(name, content string) {
	e.t.Helper()
	path := filepath.Join(e.dir, name)
	for _, err := range []error{os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path+".new", []byte(content), 0o600), os.Rename(path+".new", path)} {
		if err != nil {
			e.t.Fatal(err)
		}
	}
}

func edit(t *testing.T) (edited, *Set) {
	e := edited{t, t.TempDir()}
	return e, New(templates.FS, os.DirFS(e.dir)).Branded(Branding{Name: "Example"})
}

// layoutOf is a layout that says its version.
func layoutOf(version string) string {
	return version + "{{range .Blocks}}{{.Text}}{{end}}"
}

// plainOf is the text part of a mail of a set.
func plainOf(t *testing.T, s *Set) string {
	t.Helper()
	b := notice.Body{Key: "k", Kind: notice.Outage, Phase: "identified", DefaultLanguage: "en", Texts: map[string]notice.Text{"en": {Subject: "s", Body: "hello"}}}
	p, err := s.Compile(SourceOf(b, b.Texts, nil, Settings{From: "status@example.net"}))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := p.Render(nil, notice.Recipient{Address: "a@example.org", Language: "en", Customers: []notice.Frozen{{ID: "c1"}}}, "en", stamp())
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(raw)
	if err != nil {
		t.Fatal(err)
	}
	return m.Text
}

func TestFilesThatChangeAreReadAgain(t *testing.T) {
	t.Parallel()
	e, s := edit(t)
	now := func(want, wrong string) *Set {
		t.Helper()
		current, err := s.Current()
		if (wrong == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), wrong) {
			t.Fatalf("the files are said to be %v, want %q", err, wrong)
		}
		if got := plainOf(t, current); !strings.Contains(got, want) {
			t.Errorf("a mail says %q, want %q", got, want)
		}
		return current
	}
	for range 2 {
		if now("hello", "") != s {
			t.Error("a set was made anew of files that did not change")
		}
	}
	e.put("layout.txt", layoutOf("second "))
	second := now("second ", "")
	if second.branding.Name != "Example" {
		t.Error("the branding is lost")
	}
	e.put("layout.txt", layoutOf("third ")+"{{end}}")
	now("second ", "layout.txt:1: unexpected {{end}}")
	e.put("layout.txt", layoutOf("third "))
	e.put("languages/en.yaml", "texts: {outage: {subject: [a]}}\n")
	now("second ", "languages/en.yaml:1")
	e.put("languages/en.yaml", "texts: {outage: {subject: \"Trouble with {component}\"}}\n")
	third := now("third ", "")
	if again, err := second.Current(); err != nil || again != third {
		t.Error("an older set does not know the newest")
	}
	texts, err := third.Texts(notice.Body{Key: "k", Kind: notice.Outage, Phase: "investigating", Template: "outage", Parameters: map[string]notice.Parameter{"component": {Text: "mail"}}})
	if err != nil || !strings.HasPrefix(texts["en"].Subject, "Trouble with") {
		t.Errorf("a ready text has the subject %q, %v", texts["en"].Subject, err)
	}
	if err := os.RemoveAll(e.dir); err != nil {
		t.Fatal(err)
	}
	now("third ", "template_dir: can't be read")
}

// TestASetIsReadAgainWhileOthersUseIt flips a layout between two that work and one that does not.
func TestASetIsReadAgainWhileOthersUseIt(t *testing.T) {
	t.Parallel()
	e, s := edit(t)
	e.put("layout.txt", layoutOf("even "))
	if _, err := s.Current(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var using sync.WaitGroup
	for range 4 {
		using.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				current, err := s.Current()
				if e := (*notice.Error)(nil); err != nil && !(errors.As(err, &e) && strings.HasPrefix(e.Field, "layout.txt")) {
					t.Errorf("reading again: %v", err)
					return
				}
				if got := plainOf(t, current); !strings.HasPrefix(got, "even ") && !strings.HasPrefix(got, "odd ") {
					t.Errorf("a mail says %q", got)
					return
				}
			}
		})
	}
	for i := range 60 {
		e.put("layout.txt", []string{layoutOf("even "), layoutOf("odd "), "{{nonsense"}[i%3])
		if _, err := s.Current(); (err != nil) != (i%3 == 2) {
			t.Errorf("version %d is said to be %v", i, err)
		}
	}
	close(done)
	using.Wait()
}
