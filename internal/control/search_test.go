package control

import "testing"

func TestASearchTakesATextAsAMailProgramCopiesIt(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		" ann@example.com\n":             "ann@example.com",
		"mailto:ann@example.com":         "ann@example.com",
		"Ann Smith <ann@example.com>":    "ann@example.com",
		`"Smith, Ann" <ann@example.com>`: "ann@example.com",
		"Message-ID: <5f.1@example.net>": "<5f.1@example.net>",
		"message-id:<5f.1@example.net>":  "<5f.1@example.net>",
		"Message-Id: 5f.1@example.net":   "5f.1@example.net",
		"<5f.1@example.net>":             "<5f.1@example.net>",
		"C10 <7>":                        "C10 <7>", "Ann <3": "Ann <3", "mailto:": "mailto:", "": "", "4F2a9": "4F2a9",
	} {
		if got := pasted(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
