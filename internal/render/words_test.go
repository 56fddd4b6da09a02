package render

import (
	"strings"
	"testing"

	"tocsin/internal/notice"
	"tocsin/templates"
)

// TestAMailBeginsWithItsSeverityAndStateInWords in both parts, in the language of its text or in English, marked as such.
func TestAMailBeginsWithItsSeverityAndStateInWords(t *testing.T) {
	t.Parallel()
	overlay := files(map[string]string{"languages/eo.yaml": "words:\n  outage: {none: Paneo, minor: Eta paneo, major: Granda paneo, critical: Grava paneo}\n" +
		"  maintenance: {none: a, minor: b, major: c, critical: d}\n  advisory: {none: a, minor: b, major: c, critical: d}\n" +
		"  phases: {investigating: Ni esploras, identified: a, monitoring: b, resolved: c, scheduled: d, reminder: e, in-progress: f, completed: g, cancelled: h, postmortem: i}\n"})
	set := New(templates.FS, overlay)
	for _, c := range []struct{ language, severity, phase, text, html string }{
		{"en", "major", "identified", "Major outage · Cause identified", `lang="en" dir="ltr">Major outage`},
		{"de-AT", "critical", "resolved", "Kritische Störung · Behoben", `lang="de" dir="ltr">Kritische`},
		{"ar", "", "investigating", "انقطاع · قيد التحقيق", `lang="ar" dir="rtl">انقطاع`},
		{"he", "minor", "postmortem", "תקלה קלה · דוח מסכם", `lang="he" dir="rtl">תקלה`},
		{"ur", "minor", "monitoring", "Minor outage · Monitoring", `lang="en" dir="ltr">Minor`},
		{"eo", "major", "investigating", "Granda paneo · Ni esploras", `lang="eo" dir="ltr">Granda`},
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
	p, err := builtin().Compile(Source{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "x"}, "ar": {Subject: "س", Body: "ع"}}, From: "s@example.net"})
	if err != nil {
		t.Fatal(err)
	}
	r := recipient("Ann", nil)
	r.Language = "ar"
	m := preview(t, p, r)
	if strings.Count(m.Text, "صيانة · جارية") != 1 || strings.Count(m.Text, "Maintenance · In progress") != 1 || strings.Count(m.HTML, `class="standing"`) != 2 {
		t.Errorf("%s", m.Text)
	}
}
