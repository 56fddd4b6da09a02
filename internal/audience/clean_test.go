package audience

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestWhatCannotBeSeenIsDropped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"plain text":                        {" s639 ", "s639"},
		"a zero-width space":                {"s639\u200b", "s639"},
		"a byte order mark":                 {"\ufeffs639", "s639"},
		"a word joiner":                     {"s\u2060639", "s639"},
		"a soft hyphen":                     {"s6\u00ad39", "s639"},
		"marks of direction":                {"\u202as639\u202c\u200f", "s639"},
		"a joiner between European letters": {"we\u200db", "web"},
		"a joiner between digits":           {"6\u200c39", "639"},
		"a joiner at an end":                {"\u200d\u0645\u200c", "\u0645"},
		"a joiner within a Persian word":    {"\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"},
		"a joiner within an Indic word":     {"\u0915\u094d\u200d\u0937", "\u0915\u094d\u200d\u0937"},
		"an emoji of several":               {"👩\u200d🚀", "👩\u200d🚀"},
		"a variation of an emoji":           {"❤\ufe0f", "❤\ufe0f"},
		"a variation of a digit":            {"1\ufe0f", "1"},
		"decomposed letters":                {"Zu\u0308rich", "Zürich"},
		"an accent behind what is dropped":  {"Zu\u200b\u0308rich", "Zürich"},
		"blanks behind what is dropped":     {"s639 \u200b ", "s639"},
		"invisible ones alone":              {"\u200b\u2060\ufeff", ""},
		"the blank of Braille":              {"\u2800", ""},
		"the filler of Hangul":              {"\u3164", ""},
		"a soft hyphen alone":               {"\u00ad", ""},
		"an accent alone":                   {"\u0301", ""},
		"a sign in front of Arabic numbers": {"\u0600\u0661", "\u0600\u0661"},
		"a language tag":                    {"a\U000e0041b", "ab"},
	} {
		if got, reason := cleanText(c.in, 100); got != c.want || reason != "" {
			t.Errorf("%s: %q %s, want %q", name, got, reason, c.want)
		}
	}
	for name, c := range map[string]struct{ in, want string }{
		"an invisible id":          {"\u200b", "missing"},
		"a mark in front of an id": {"\ufeffB5", "invisible"},
		"one in the middle":        {"B\u200b5", "invisible"},
		"a joiner of no word":      {"B\u200d5", "invisible"},
		"a broken character":       {"N14\ufffd", "broken"},
		"a character that is none": {"N14\U0001ffff", "broken"},
		"a shortened id":           {"1.23E+11", "spreadsheet"},
	} {
		if got, reason := cleanID(c.in); !strings.Contains(reason, c.want) || got != "" {
			t.Errorf("%s: %q, %s", name, got, reason)
		}
	}
	if id, reason := cleanID("Cafe\u0301"); id != "Café" || reason != "" {
		t.Errorf("a decomposed id: %q, %s", id, reason)
	}
}

func TestCleanTextStaysClean(t *testing.T) {
	t.Parallel()
	odd := rapid.StringOf(rapid.SampledFrom([]rune("ab1 é\u0301\u0308\u200b\u200c\u200d\ufeff\ufe0f\u2800\u3164❤👩م漢क्\u00ad\u034f")))
	rapid.Check(t, func(t *rapid.T) {
		once, reason := cleanText(rapid.OneOf(odd, rapid.String()).Draw(t, "text"), 1000)
		if reason != "" {
			return
		}
		if twice, reason := cleanText(once, 1000); twice != once || reason != "" || !utf8.ValidString(once) {
			t.Fatalf("%q became %q, %s", once, twice, reason)
		}
		if once != "" && !strings.ContainsFunc(once, isVisible) {
			t.Fatalf("nothing of %q can be seen", once)
		}
	})
}
