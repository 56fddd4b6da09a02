package render

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func texts(langs ...string) map[string]notice.Text {
	m := map[string]notice.Text{}
	for _, l := range langs {
		m[l] = notice.Text{Subject: "in " + l, Body: "in " + l}
	}
	return m
}

func TestAReaderGetsATextOfTheirLanguageOrTheDefault(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		texts      []string // the first is the default
		want, text string
		exact      bool
	}{
		{[]string{"en", "de"}, "de", "de", true},
		{[]string{"en", "de"}, "de-CH", "de", true},
		{[]string{"en", "de-CH"}, "de-DE", "de-CH", true},
		{[]string{"en", "de"}, "", "en", false},
		{[]string{"en", "de"}, "nonsense!", "en", false},
		{[]string{"en", "de"}, "und", "en", false},
		{[]string{"en", "de"}, "fi", "en", false},
		{[]string{"en", "nl"}, "fy", "en", false}, // CLDR's distance would take Dutch
		{[]string{"nl", "en"}, "fy", "nl", false},
		{[]string{"en", "nl"}, "af", "en", false},
		{[]string{"en", "nl"}, "nl-BE", "nl", true},
		{[]string{"en", "pt-BR"}, "pt-PT", "pt-BR", true},
		{[]string{"en", "pt-BR", "pt-PT"}, "pt-AO", "pt-PT", true},
		{[]string{"en", "pt-BR", "pt-PT"}, "pt", "pt-BR", true},
		{[]string{"en", "zh-Hans"}, "zh-TW", "en", false},
		{[]string{"en", "zh-Hant"}, "zh", "en", false},
		{[]string{"en", "zh-Hant"}, "zh-CN", "en", false},
		{[]string{"en", "zh-Hant"}, "zh-HK", "zh-Hant", true},
		{[]string{"en", "zh"}, "zh-SG", "zh", true},
		{[]string{"en", "zh", "zh-Hant"}, "zh-TW", "zh-Hant", true},
		{[]string{"en", "sr"}, "sr-Latn", "en", false},
		{[]string{"en", "no"}, "nb", "no", true},
		{[]string{"en", "nb"}, "no", "nb", true},
		{[]string{"en", "da"}, "nb", "en", false},
		{[]string{"en", "he"}, "iw", "he", true},
		{[]string{"en", "en-GB"}, "en-AU", "en-GB", true},
		{[]string{"en", "en-GB"}, "en-US", "en", true},
		{[]string{"nl", "en", "en-GB"}, "en-NZ", "en-GB", true},
		{[]string{"en", "es", "es-MX"}, "es-AR", "es-MX", true},
		{[]string{"en", "de"}, "de-x-private", "de", true},
	} {
		b := outage()
		b.Template, b.Texts, b.DefaultLanguage = "", texts(tt.texts...), tt.texts[0]
		text, exact := compile(t, b).Match(tt.want)
		if text != tt.text || exact != tt.exact {
			t.Errorf("%v for %q: got %s %v, want %s %v", tt.texts, tt.want, text, exact, tt.text, tt.exact)
		}
	}
}

func TestStackingPutsTwoLanguagesIntoOneMail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		stacked notice.Stacking
		texts   []string // the first is the default
		reader  string
		want    string
	}{
		{notice.StackNever, []string{"nl", "en", "de"}, "de", "in de"},
		{notice.StackNever, []string{"nl", "en"}, "fi", "in nl"},
		{notice.StackUnmatched, []string{"nl", "en", "de"}, "de-AT", "in de"},
		{notice.StackUnmatched, []string{"nl", "en"}, "fi", "in nl / in en"},
		{notice.StackUnmatched, []string{"nl", "en-GB"}, "", "in nl / in en-GB"},
		{notice.StackUnmatched, []string{"en", "nl"}, "fi", "in en"},
		{notice.StackUnmatched, []string{"nl", "de"}, "fi", "in nl"},
		{notice.StackAlways, []string{"nl", "en", "de"}, "de", "in de / in nl"},
		{notice.StackAlways, []string{"nl", "en"}, "nl-BE", "in nl"},
		{notice.StackAlways, []string{"nl", "en"}, "fi", "in nl"},
	} {
		b := outage()
		b.Template, b.Texts, b.DefaultLanguage, b.Stacked = "", texts(tt.texts...), tt.texts[0], tt.stacked
		r := recipient("A", nil)
		r.Language = tt.reader
		if diff := cmp.Diff(tt.want, preview(t, compile(t, b), r).Subject); diff != "" {
			t.Errorf("%s %v for %q (-want +got):\n%s", tt.stacked, tt.texts, tt.reader, diff)
		}
	}
}

func TestAHoleInTheSecondLanguageCountsToo(t *testing.T) {
	t.Parallel()
	b := outage()
	b.Template, b.Texts, b.Stacked = "", texts("en", "de"), notice.StackAlways
	b.Texts["en"] = notice.Text{Subject: "s", Body: "{{.Customer.Attributes.region}}"}
	r := recipient("A", nil)
	r.Language = "de"
	if err := compile(t, b).Check(r, "de"); err == nil {
		t.Error("no error for the hole in en")
	}
}

func TestTheFirstLanguageOfAListThatHasATextDecides(t *testing.T) {
	t.Parallel()
	b := own("{{number 1234.5}}", "x")
	b.Texts["fr"], b.Texts["de"] = b.Texts["en"], b.Texts["en"]
	p := compile(t, b)
	for want, text := range map[string]string{"nl-BE, fr": "fr", "nl, de-CH, fr": "de", "fr, de": "fr", "nl, sv": "en", "en-GB": "en"} {
		if got, exact := p.Match(want); got != text || exact != (want != "nl, sv") {
			t.Errorf("%s: got %s, %v", want, got, exact)
		}
	}
	r := recipient("A", nil)
	if r.Language = "nl, de-CH, fr"; preview(t, p, r).Subject != "1'234.5" && preview(t, p, r).Subject != "1’234.5" {
		t.Errorf("numbers are not those of de-CH: %s", preview(t, p, r).Subject)
	}
}
