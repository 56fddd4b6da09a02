package directory

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"tocsin/internal/notice"
)

func TestAPlaceIsNamedByFileAndLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "---\nsubject: s\n---\nfirst line\nsecond line\n"
	for name, file := range map[string]string{"en.md": text, "pt-BR.md": "\ufeff---\r\nsubject: s\r\n---\r\nfirst\r\n",
		manifest: "kind: outage\nbroken:\n  domains: [a.example]\nparameters:\n  x: y\nphase: rescheduled\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(file), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for field, want := range map[string]string{
		"texts.en.body:2":    filepath.Join(dir, "en.md:5"),
		"texts.pt-BR.body:1": filepath.Join(dir, "pt-BR.md:4"),
		"texts.en.subject":   filepath.Join(dir, "en.md subject"),
		"kind":               filepath.Join(dir, "notice.yaml:1 kind"),
		"broken_domains":     filepath.Join(dir, "notice.yaml:3 broken_domains"),
		"parameters.x":       filepath.Join(dir, "notice.yaml:5 parameters.x"),
		"audience":           filepath.Join(dir, "notice.yaml audience"),
		"was":                filepath.Join(dir, "notice.yaml:6 was"),
		"windows":            filepath.Join(dir, "notice.yaml:6 windows"),
		"search":             "search",
	} {
		err := Locate(dir, notice.Invalid(field, "is wrong"))
		if e, ok := errors.AsType[*notice.Error](err); !ok || e.Field != want || e.Code != notice.CodeInvalid {
			t.Errorf("Locate(%s) = %v, want it at %s", field, err, want)
		}
	}
	other := errors.New("other")
	if err := Locate(dir, other); err != other {
		t.Errorf("another error became %v", err)
	}
}
