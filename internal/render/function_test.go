package render

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestFunctionsWriteAsTheReaderDoes(t *testing.T) {
	t.Parallel()
	r := recipient("Anna", map[string]string{"seats": "1", "share": "99.95", "due": "1234.5", "currency": "SEK", "servers": "s1, s2,s3", "outage": "1d2h30m", "none": ""})
	r.Customers = append(r.Customers, notice.Frozen{ID: "10043", Name: "Bo", Attributes: r.Customers[0].Attributes})
	polish := `{{plural .Customer.Attributes.seats "one" "# konto" "few" "# konta" "many" "# kont" "other" "# konta"}}|{{plural 22 "one" "a" "few" "# konta" "many" "c" "other" "d"}}|{{plural 1234.5 "one" "a" "few" "b" "many" "c" "other" "# konta"}}`
	for _, tt := range []struct{ language, text, want string }{
		{"pl", polish, "1 konto|22 konta|1234,5 konta"},
		{"en-GB", `{{plural (len .Customers) "one" "# account" "other" "# accounts"}}`, "2 accounts"},
		{"en-GB", `{{percent .Customer.Attributes.share}}|{{percent 0}}|{{percent "-12.5"}}`, "99.95%|0%|-12.5%"},
		{"de", `{{percent .Customer.Attributes.share}}`, "99,95 %"},
		{"de", `{{money .Customer.Attributes.due "EUR"}}|{{money 12 .Customer.Attributes.currency}}|{{money "0.0025" "USD"}}`, "1.234,50 €|12,00 SEK|0,0025 $"},
		{"sv", `{{money .Customer.Attributes.due .Customer.Attributes.currency}}`, "1 234,50 kr"},
		{"de", `{{list .Customers}}|{{list .Customer.Attributes.servers}}|{{list "a, b" .Customer.Name}}`, "Anna und Bo|s1, s2 und s3|a, b und Anna"},
		{"en-US", `{{list .Customer.Attributes.servers}}`, "s1, s2, and s3"},
		{"fr", `{{range .Windows}}{{duration .}};{{end}}|{{duration .Customer.Attributes.outage}}|{{duration "90s"}}`, "2 heures et 30 minutes;3 heures;|1 jour, 2 heures et 30 minutes|1 minute et 30 secondes"},
		{"ar", `{{duration "2h"}}`, "ساعتان"},
		{"de", `{{default "nothing" (percent .Customer.Attributes.none)}}|{{default "nothing" (duration .Customer.Attributes.none)}}|{{default "nothing" (list .Customer.Attributes.none)}}`, "nothing|nothing|nothing"},
		{"yi", `{{duration "90m"}}|{{money 5 "EUR"}}|{{list "a,b"}}`, "1 h 30 min|EUR 5.00|a, b"},
	} {
		b := own(tt.text, "x")
		b.Texts = map[string]notice.Text{tt.language: b.Texts["en"]}
		b.DefaultLanguage = tt.language
		r.Language = tt.language
		p := compile(t, b)
		m, err := p.Compiled(r, tt.language)
		if err != nil {
			t.Errorf("%s: %s: %v", tt.language, tt.text, err)
			continue
		}
		decoded, err := Decode(m.Encode())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []*Mail{m, decoded} {
			raw, err := m.Append(nil, r, stamp())
			if err != nil {
				t.Fatal(err)
			}
			message, err := Open(raw)
			if err != nil {
				t.Fatal(err)
			}
			got := strings.NewReplacer("\u00a0", " ", "\u202f", " ").Replace(message.Subject)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", tt.language, tt.text, diff)
			}
		}
	}
}

func TestFunctionsRefuseWhatTheyCantWrite(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{{percent "most"}}`:                                    `texts.en.subject: percent "most": "most" is not a number`,
		`{{money 5 "EURO"}}`:                                    `texts.en.subject: money 5 "EURO": "EURO" is not the code of a currency such as EUR`,
		`{{money 5}}`:                                           `texts.en.subject: money takes 2 arguments, not 1`,
		`{{money 5 6}}`:                                         `texts.en.subject: a number cannot be given to money`,
		`{{duration "90 minutes"}}`:                             `texts.en.subject: duration "90 minutes": "90 minutes" is not a length of time like 90m, 1h30m or 2d`,
		`{{duration .Customer}}`:                                `texts.en.subject: a customer cannot be given to duration`,
		`{{list .Windows}}`:                                     `texts.en.subject: the list of windows cannot be given to list`,
		`{{plural 5 "one" "a"}}`:                                `texts.en.subject: plural 5 "one" "a" lacks the form "other", which this language has: it wants "one" "# …" "other" "# …"`,
		`{{plural 5 "single" "a" "other" "b"}}`:                 `texts.en.subject: plural 5 "single" "a" "other" "b": "single" is not the name of a form: these are zero, one, two, few, many, other`,
		`{{plural 5 "one" "a" "other"}}`:                        `texts.en.subject: plural 5 "one" "a" "other": the form other has no words`,
		`{{plural 5 "one" "a" "one" "b" "other" "c"}}`:          `texts.en.subject: plural 5 "one" "a" "one" "b" "other" "c": the form one is given twice`,
		`{{plural 5 .Customer.Name "a" "one" "c" "other" "b"}}`: `texts.en.subject: plural 5 .Customer.Name "a" "one" "c" "other" "b": write each form, and its name before it, in quotes`,
	} {
		if _, err := tryCompile(own(text, "x")); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
	for text, want := range map[string]string{
		"{{money 5 .Customer.Attributes.x}}":    "texts.en.subject: money 5 .Customer.Attributes.x has no code of a currency such as EUR for this recipient",
		"{{duration .Customer.Attributes.x}}":   "texts.en.subject: duration .Customer.Attributes.x is not a length of time like 90m, 1h30m or 2d for this recipient",
		"{{percent .Customer.Attributes.x}}":    "texts.en.subject: percent .Customer.Attributes.x is not a number for this recipient",
		"{{list .Customer.Attributes.missing}}": "texts.en.subject: list .Customer.Attributes.missing is empty for this recipient",
	} {
		if err := compile(t, own(text, "x")).Check(recipient("Anna", map[string]string{"x": "soon"}), "en"); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", text, err, want)
		}
	}
}

// TestAMailOfTheVersionBeforeIsTheSame: a mail that an earlier version compiled may still be owed. It is made as it was
// checked.
func TestAMailOfTheVersionBeforeIsTheSame(t *testing.T) {
	t.Parallel()
	encoded, err := os.ReadFile("testdata/mail.v3.json")
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/mail.v3.eml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	r := recipient("Anna", map[string]string{"accounts": "12345", "day": "2026-11-09", "at": "2026-11-09T21:00", "n": "-1234567.5"})
	st := stamp()
	st.Thread = st.Thread[:1]
	got, err := m.Append(nil, r, st)
	if diff := cmp.Diff(string(want), string(got)); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}
