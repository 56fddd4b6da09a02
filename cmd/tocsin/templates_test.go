package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/render"
	"tocsin/templates"
)

// TestTemplatesCheckNamesWhatIsMissing looks at a copy of the shipped templates as an operator makes one, before and
// after texts are taken out of it.
func TestTemplatesCheckNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "texts")
	if err := os.CopyFS(dir, templates.FS); err != nil {
		t.Fatal(err)
	}
	for _, language := range []string{"de", "es", "sv"} { // two languages show as much as five, and sooner
		for _, file := range textsIn(t, dir, language) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func(code int, env string, args ...string) string {
		t.Helper()
		var out, errs bytes.Buffer
		if got := Run(t.Context(), append([]string{"templates", "check"}, args...), nil, &out, &errs, []string{env}); got != code {
			t.Errorf("templates check %q with %q: exit %d, want %d: %s%s", args, env, got, code, &out, &errs)
		}
		return out.String() + errs.String()
	}
	if said := check(exitDone, ""); said != "50 texts, and nothing is missing\n" {
		t.Errorf("of the shipped ones it said %q", said)
	}
	if said := check(exitUsage, "", filepath.Join(dir, "gone")); !strings.Contains(said, "gone: is no directory") {
		t.Errorf("of a directory that is not there it said %q", said)
	}
	// A language is added by files alone: none of the mistakes below is in it.
	for _, file := range textsIn(t, dir, "en") {
		write(t, filepath.Join(filepath.Dir(file), "fr.md"), string(read(t, file)))
	}
	if err := os.Remove(filepath.Join(dir, "outage", "resolved", "nl.md")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, "maintenance", "reminder")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "postmortem", "nl.md"), "---\nsubject: s\n---\nx\n\n{{.Parameters.kompponent}}\n")
	want := []string{
		dir + "/maintenance/reminder: has no text: add maintenance/reminder/en.md and the like",
		dir + "/outage/resolved/nl.md: is missing: outage/investigating/nl.md has that language",
		dir + "/postmortem/nl.md:6: .Parameters.kompponent does not exist: the notice gives the parameters component",
		"3 mistakes in 26 texts\n",
	}
	if got := check(exitFailed, "TOCSIN_TEMPLATE_DIR="+dir); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// textsIn are the files of a language, parts included.
func textsIn(t *testing.T, dir, language string) (files []string) {
	t.Helper()
	for _, pattern := range []string{"*", "*/*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern, language+".md"))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	return files
}

func TestTemplatesShowPrintsWhatANoticeMayHave(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{"templates", "show", "outage", "identified", "nl"}, nil, &out, &errs, nil); code != 0 {
		t.Fatalf("exit %d: %s", code, &errs)
	}
	text, err := render.ReadText("nl.md", out.Bytes())
	if err != nil || !strings.Contains(text.Body, "Geachte") && !strings.Contains(text.Body, "Beste") || strings.Contains(text.Body, "{{template") {
		t.Errorf("%v: %s", err, &out)
	}
	if code := Run(t.Context(), []string{"templates", "show", "outage", "solved"}, nil, &out, &errs, nil); code == 0 || !strings.Contains(errs.String(), "identified") {
		t.Errorf("exit %d: %s", code, &errs)
	}
}
