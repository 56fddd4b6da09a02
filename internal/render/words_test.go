package render

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"tocsin/internal/notice"
	"tocsin/templates"
)

// TestAMailBeginsWithItsSeverityAndStateInWords in both parts, in the language of its text or in English, marked as such.
func TestAMailBeginsWithItsSeverityAndStateInWords(t *testing.T) {
	t.Parallel()
	overlay := files(map[string]string{"words/pl.yaml": "outage: {none: Awaria, minor: Drobna awaria, major: Poważna awaria, critical: Krytyczna awaria}\n" +
		"maintenance: {none: a, minor: b, major: c, critical: d}\nadvisory: {none: a, minor: b, major: c, critical: d}\n" +
		"phases: {investigating: Badamy, identified: a, monitoring: b, resolved: c, scheduled: d, reminder: e, in-progress: f, completed: g, cancelled: h, postmortem: i}\n"})
	set := New(templates.FS, overlay)
	for _, c := range []struct{ language, severity, phase, text, html string }{
		{"en", "major", "identified", "Major outage · Cause identified", `lang="en" dir="ltr">Major outage`},
		{"de-CH", "critical", "resolved", "Kritische Störung · Behoben", `lang="de" dir="ltr">Kritische`},
		{"ar", "", "investigating", "انقطاع · قيد التحقيق", `lang="ar" dir="rtl">انقطاع`},
		{"he", "minor", "postmortem", "תקלה קלה · דוח מסכם", `lang="he" dir="rtl">תקלה`},
		{"fa", "minor", "monitoring", "Minor outage · Monitoring", `lang="en" dir="ltr">Minor`},
		{"pl", "major", "investigating", "Poważna awaria · Badamy", `lang="pl" dir="ltr">Poważna`},
	} {
		b := notice.Body{Key: "k", Kind: notice.Outage, Phase: c.phase, Severity: c.severity, DefaultLanguage: c.language}
		p, err := set.Compile(Source{Body: b, Texts: map[string]notice.Text{c.language: {Subject: "s", Body: "x"}}, From: "s@example.net"})
		if err != nil {
			t.Fatal(err)
		}
		m := preview(t, p, recipient("Ann", nil))
		if !strings.HasPrefix(m.Text, c.text+"\n\nx") || !strings.Contains(m.HTML, c.html) {
			t.Errorf("%s: %q\n%s", c.language, m.Text, m.HTML[strings.Index(m.HTML, "<body>"):])
		}
	}
}

// below is a text part without the line at its top.
func below(text string) string {
	_, text, _ = strings.Cut(text, "\n\n")
	return text
}

// TestEachOfTwoStackedTextsBeginsWithItsOwnWords, and a text with parts for several accounts does once.
func TestEachOfTwoStackedTextsBeginsWithItsOwnWords(t *testing.T) {
	t.Parallel()
	b := notice.Body{Key: "k", Kind: notice.Maintenance, Phase: "in-progress", DefaultLanguage: "en", Stacked: notice.StackAlways}
	p, err := New(templates.FS, nil).Compile(Source{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "x"}, "ar": {Subject: "س", Body: "ع"}}, From: "s@example.net"})
	if err != nil {
		t.Fatal(err)
	}
	r := recipient("Ann", nil)
	r.Language = "ar"
	m := preview(t, p, r)
	if strings.Count(m.Text, "صيانة · جارٍ") != 1 || strings.Count(m.Text, "Maintenance · In progress") != 1 || strings.Count(m.HTML, `class="standing"`) != 2 {
		t.Errorf("%s", m.Text)
	}
}

// TestWordsThatLackSomethingAreRefused, by file and line; and a language of the templates without words is named by the check.
func TestWordsThatLackSomethingAreRefused(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"outage: {none: a, minor: b, major: c}\n":  "words/fr.yaml:1: outage: there is no word for critical",
		"phases: {investigating: a, unknown: b}\n": "unknown",
		"": "words/fr.yaml",
		"outage: {none: a, minor: b, major: c, critical: d}\n": "words/fr.yaml",
	} {
		_, err := New(templates.FS, files(map[string]string{"words/fr.yaml": content})).Compile(Source{})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", content, err, want)
		}
	}
	few := files(layoutsOnly) // and not all the ready texts, which take long to check
	english, err := fs.ReadFile(templates.FS, "words/en.yaml")
	if err != nil {
		t.Fatal(err)
	}
	few["words/en.yaml"] = &fstest.MapFile{Data: english}
	_, problems := New(few, files(map[string]string{"own/xx.md": "", "own/pl.md": "---\nsubject: s\n---\nx\n"})).Check()
	if !slices.ContainsFunc(problems, func(err error) bool { return strings.Contains(err.Error(), "words/pl.yaml: is missing") }) {
		t.Errorf("%v", problems)
	}
}
