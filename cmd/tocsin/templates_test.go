package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tocsin/internal/notice"
	"tocsin/internal/render"
	"tocsin/internal/testkit"
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
	remove := func(name string) {
		t.Helper()
		if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
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
	if said := check(exitUsage, "", filepath.Join(dir, "gone")); !strings.Contains(said, "gone: is no directory") {
		t.Errorf("of a directory that is not there it said %q", said)
	}
	// A language is added by files alone: none of the mistakes below is in it.
	for _, phase := range []string{"investigating", "identified", "monitoring", "resolved"} {
		remove("outage/" + phase + "/frame.md")
		for _, language := range []string{"en", "nl"} {
			write(t, filepath.Join(dir, "outage", phase, language+".md"), "---\nsubject: s\n---\n{{template \"closing\"}}\n")
		}
	}
	remove("outage/resolved/nl.md")
	for _, phase := range []string{"scheduled", "rescheduled", "reminder", "in-progress", "completed", "cancelled"} {
		remove("maintenance/" + phase)
	}
	write(t, filepath.Join(dir, "maintenance", "template.yaml"), "phases: [reminder]\n")
	remove("postmortem/frame.md")
	write(t, filepath.Join(dir, "postmortem", "nl.md"), "---\nsubject: s\n---\nx\n\n{{.Parameters.kompponent}}\n")
	want := []string{
		dir + "/maintenance/reminder: has no text: add maintenance/reminder/en.md and the like",
		dir + "/outage/resolved/nl.md: is missing: outage/investigating/nl.md has that language",
		dir + "/postmortem/nl.md:6: .Parameters.kompponent does not exist: the notice gives the parameters component",
		"3 mistakes in 8 texts\n",
	}
	if got := check(exitFailed, "TOCSIN_TEMPLATE_DIR="+dir); got != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

// TestTemplatesCheckPassesTheShippedOnes and says which languages nobody has signed.
func TestTemplatesCheckPassesTheShippedOnes(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestReadyTextsAndExamplesAreSound and TestReadyTextsReadWell")
	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{"templates", "check"}, nil, &out, &errs, nil); code != exitDone ||
		!strings.Contains(out.String(), " texts, and nothing is missing\ndrafts, which no native reader has signed: ") {
		t.Errorf("exit %d: %s%s", code, &out, &errs)
	}
}

// TestTemplatesPhrasesListsThem with their slots.
func TestTemplatesPhrasesListsThem(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{"templates", "phrases"}, nil, &out, &errs, nil); code != exitDone ||
		!strings.Contains(out.String(), "Expected end: {time}.") || strings.Count(out.String(), "\n") < 120 {
		t.Errorf("exit %d: %s%s", code, &out, &errs)
	}
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

// TestThePlanNamesDraftsAndForeignParagraphs in words.
func TestThePlanNamesDraftsAndForeignParagraphs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	printLanguages(&out, notice.Plan{Drafts: []string{"fr", "pl"}, Foreign: map[string][]string{"en": {"fr", "pl"}}})
	if want := "Details\t2 languages will read this paragraph in English: fr, pl\nDrafts\tno native reader has signed these ready texts: fr, pl\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
