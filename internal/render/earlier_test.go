package render

import (
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
	"tocsin/templates"
)

// following returns the program of a notice that has an earlier one. It changes the earlier body first.
func following(t *testing.T, change func(*notice.Body)) *Program {
	t.Helper()
	s := New(templates.FS, nil)
	first := usualNotice()
	first.Phase = "investigating"
	change(&first)
	texts, err := s.Texts(first)
	if err != nil {
		t.Fatal(err)
	}
	earlier := []notice.Earlier{{At: time.Date(2026, 11, 9, 17, 40, 0, 0, time.UTC), Body: first.Shown(), Texts: s.Summaries(first, texts)}}
	b := usualNotice()
	if texts, err = s.Texts(b); err != nil {
		t.Fatal(err)
	}
	p, err := s.Compile(SourceOf(b, texts, earlier, Settings{From: "status@example.net"}))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestAMailShowsTheEarlierNoticesOfItsIncident in its reader's language and zone: with their words in the HTML part, as
// headings in the text.
func TestAMailShowsTheEarlierNoticesOfItsIncident(t *testing.T) {
	t.Parallel()
	p := following(t, func(b *notice.Body) {
		b.Parameters["component"] = notice.Parameter{Text: "web*mail_1"}
		b.Phrases = []notice.Phrase{{Name: "effect.since", Values: map[string]notice.Parameter{"time": {Text: "2026-11-09T17:30"}}}}
	})
	for key, want := range map[string][2]string{
		"en": {"\nEarlier updates\n---------------\n\n- Tuesday, November\u00a010,\u00a02026 at 2:40\u202fAM (Asia/Tokyo,\u00a0UTC+9) ·\n  Investigating\n",
			"<strong>Problem with web*mail_1</strong></p>\n<p>Start of the problem: Tuesday, November\u00a010,\u00a02026 at 1:30"},
		"nl": {"\nEerdere berichten\n-----------------\n\n- dinsdag 10\u00a0november\u00a02026 om 02:40", "<strong>Storing: web*mail_1</strong>"},
		"ar": {"\nتحديثات سابقة\n", `class="block earlier" lang="ar" dir="rtl"`},
		"ja": {"\nこれまでのご連絡\n", "2026年11月10日火曜日 2:40"},
	} {
		r := recipient("Ann", nil)
		r.Language, r.TimeZone = key, "Asia/Tokyo"
		m := preview(t, p, r)
		text := m.Text
		if key == "en" {
			text = strings.ReplaceAll(text, "2:40 AM", "2:40\u202fAM")
		}
		if !strings.Contains(text, want[0]) {
			t.Errorf("%s: the text lacks %q:\n%s", key, want[0], m.Text)
		}
		if !strings.Contains(m.HTML, want[1]) {
			t.Errorf("%s: the HTML lacks %q:\n%s", key, want[1], m.HTML[strings.Index(m.HTML, "earlier"):])
		}
		if strings.Contains(m.Text, "web*mail_1") {
			t.Errorf("%s: more than a heading:\n%s", key, m.Text)
		}
	}
}

// TestAnEarlierNoticeSaysNothingOfACustomer: its subject and its paragraph are left out where they print data of
// customers.
func TestAnEarlierNoticeSaysNothingOfACustomer(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*notice.Body){
		"a value": func(b *notice.Body) { b.Details = notice.Parameter{Text: "Your plan: {{.Customer.ID}}."} },
		"a condition": func(b *notice.Body) {
			b.Details = notice.Parameter{Text: "{{if eq .Customer.ID \"c\"}}Your plan: x.{{end}}"}
		},
		"a long text": func(b *notice.Body) {
			b.Details = notice.Parameter{Text: "Your plan: " + strings.Repeat("long ", 1000)}
		},
	} {
		m := preview(t, following(t, change), recipient("Ann", nil))
		if strings.Contains(m.HTML, "Your plan") || !strings.Contains(m.HTML, "<strong>Problem with webmail</strong>") {
			t.Errorf("%s: %s", name, m.HTML)
		}
	}
}
