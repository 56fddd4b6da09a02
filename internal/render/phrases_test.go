package render

import (
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// spoken is a notice without a word of free text.
func spoken(phrases ...notice.Phrase) notice.Body {
	b := outage()
	b.Phrases = phrases
	return b
}

func valued(v string) notice.Parameter { return notice.Parameter{Text: v} }

// TestANoticeOfPhrasesIsCompleteInEveryLanguage has one of each sort.
func TestANoticeOfPhrasesIsCompleteInEveryLanguage(t *testing.T) {
	t.Parallel()
	b := spoken(notice.Phrase{Name: "cause.supplier", Values: map[string]notice.Parameter{"name": {ByLanguage: map[string]string{"en": "*The* Grid", "de": "Das Netz"}}}},
		notice.Phrase{Name: "certainty.likely"}, notice.Phrase{Name: "apology.late"},
		notice.Phrase{Name: "effect.percent", Values: map[string]notice.Parameter{"percent": valued("12.5")}},
		notice.Phrase{Name: "work.repairing"}, notice.Phrase{Name: "urgency.immediate"},
		notice.Phrase{Name: "action.password"}, notice.Phrase{Name: "action.read-more", Values: map[string]notice.Parameter{"address": valued("https://status.example.net/x")}},
		notice.Phrase{Name: "estimate.end", Values: map[string]notice.Parameter{"time": valued("2026-11-09T21:00")}},
		notice.Phrase{Name: "rebate.amount", Values: map[string]notice.Parameter{"amount": valued("5 €")}})
	p, s := compile(t, b), builtin()
	for key := range p.texts {
		r := recipient("Ann", nil)
		r.Language = key
		m := preview(t, p, r)
		for _, name := range []string{"certainty.likely", "apology.late", "work.repairing", "urgency.immediate"} {
			if said, _ := s.languages.sentence(key, "phrases."+name); strings.Count(joinedLines(m.Text), joinedLines(said.text)) != 1 {
				t.Errorf("%s lacks %s:\n%s", key, said.text, m.Text)
			}
		}
		if said, _ := s.languages.sentence(key, "texts.outage.sorry"); strings.Contains(joinedLines(m.Text), joinedLines(said.text)) {
			t.Errorf("%s has the ready apology too:\n%s", key, m.Text)
		}
	}
	en := preview(t, p, recipient("Ann", nil))
	for _, want := range []string{"The cause is a fault at a supplier: *The* Grid.", "Share of requests that fail: 12.5%.", "- Please change your password.\n- You can read more here: https://status.example.net/x",
		"Expected end: Monday, 9 November 2026 at 21:00", "Your credit: 5 €."} {
		if !strings.Contains(joinedLines(en.Text), joinedLines(want)) {
			t.Errorf("English lacks %q:\n%s", want, en.Text)
		}
	}
}

// joinedLines is text without the ends of its lines, and without other space: some scripts have none.
func joinedLines(s string) string { return strings.Join(strings.Fields(s), "") }

func TestAPhraseIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		phrase notice.Phrase
		want   string
	}{
		"that there is not":      {notice.Phrase{Name: "cause.pwer"}, `phrases[0]: "cause.pwer" is not a phrase; did you mean cause.power?`},
		"without its value":      {notice.Phrase{Name: "effect.accounts"}, `phrases[0].count: effect.accounts wants a number here, not ""`},
		"with a wrong value":     {notice.Phrase{Name: "estimate.end", Values: map[string]notice.Parameter{"time": valued("soon")}}, "phrases[0].time: estimate.end wants a time like 2026-11-09T21:00 here"},
		"with another value":     {notice.Phrase{Name: "cause.power", Values: map[string]notice.Parameter{"name": valued("x")}}, "phrases[0].name: cause.power does not take it"},
		"with the component":     {notice.Phrase{Name: "effect.down", Values: map[string]notice.Parameter{"component": valued("x")}}, "phrases[0].component: effect.down does not take it"},
		"with a language twice":  {notice.Phrase{Name: "effect.region", Values: map[string]notice.Parameter{"name": {ByLanguage: map[string]string{"x-": "a"}}}}, "phrases[0].name.x-: "},
		"with an address of one": {notice.Phrase{Name: "action.read-more", Values: map[string]notice.Parameter{"address": valued("https://a.example/{{.Customer.ID}}")}}, "phrases[0].address: "},
	} {
		if _, err := tryCompile(spoken(tt.phrase)); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %s", name, err, tt.want)
		}
	}
	b := own("s", "x")
	b.Phrases = []notice.Phrase{{Name: "cause.power"}}
	if _, err := tryCompile(b); err == nil || !strings.HasPrefix(err.Error(), "phrases: go with a template") {
		t.Errorf("without a template: %v", err)
	}
}

// TestValuesOfPhrasesAreNoTemplates whatever stands in them.
func TestValuesOfPhrasesAreNoTemplates(t *testing.T) {
	t.Parallel()
	awkward := "{{.Customer.ID}} \"a\" `b` **c** {component} \\ \U0001F600"
	m := preview(t, compile(t, spoken(notice.Phrase{Name: "effect.region", Values: map[string]notice.Parameter{"name": valued(awkward)}})), recipient("Ann", nil))
	if !strings.Contains(joinedLines(m.Text), joinedLines("Region affected: "+awkward+".")) {
		t.Errorf("got %s", m.Text)
	}
}

// TestAParagraphInAnotherLanguageIsMarkedAsSuch in a frame of the reader's language.
func TestAParagraphInAnotherLanguageIsMarkedAsSuch(t *testing.T) {
	t.Parallel()
	b := outage()
	b.Details = notice.Parameter{ByLanguage: map[string]string{"en": "A disk is broken.\n\n- a\n", "de": "Eine Platte ist defekt."}}
	p := compile(t, b)
	for key, want := range map[string]bool{"en": false, "en-GB": false, "de": false, "de-CH": false, "fr": true} {
		r := recipient("Ann", nil)
		r.Language = key
		if text, _ := p.Match(key); p.Foreign()[text] != map[bool]string{true: "en"}[want] {
			t.Errorf("%s: it is in %q", key, p.Foreign()[text])
		}
		m := preview(t, p, r)
		if got := strings.Contains(m.HTML, "<div lang=\"en\" dir=\"ltr\">\n<p>A disk is broken.</p>\n<ul>"); got != want {
			t.Errorf("%s: marked %v, want %v:\n%s", key, got, want, m.HTML[strings.Index(m.HTML, "<body>"):])
		}
		if strings.Contains(m.Text, ":::") {
			t.Errorf("%s has the marks in its text part:\n%s", key, m.Text)
		}
	}
}
