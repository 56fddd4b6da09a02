package render

import (
	"strings"
	"testing"

	"tocsin/internal/notice"
	"tocsin/templates"
)

// readerMail is a mail to a reader of a language, made of a text in each of some languages.
func readerMail(t *testing.T, set *Set, b notice.Body, publicURL, language string, languages ...string) (parsed, []byte) {
	t.Helper()
	texts := map[string]notice.Text{}
	for _, l := range languages {
		texts[l] = notice.Text{Subject: "Subject in " + l, Body: "Body in " + l}
	}
	b.Key, b.DefaultLanguage = "k", languages[0]
	p, err := set.Compile(Source{Body: b, Texts: texts, From: "Example Status <status@example.net>", PublicURL: publicURL})
	if err != nil {
		t.Fatal(err)
	}
	r := recipient("Ann", nil)
	r.Language = language
	text, _ := p.Match(language)
	st := stamp()
	st.Reader = "t0ken" + strings.Repeat("abcdefgh", 5)
	raw, err := p.Render(nil, r, text, st)
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Compiled(r, text)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(m.Encode())
	if err != nil {
		t.Fatal(err)
	}
	if kept, err := again.Append(nil, r, st); err != nil || string(kept) != string(raw) {
		t.Errorf("a mail that was kept is another one: %v\n%s", err, kept)
	}
	return read(t, raw), raw
}

const readerPage = "https://status.example.net/tocsin/u/t0kenabcdefghabcdefghabcdefghabcdefghabcdefgh"

// TestMailsThatReadersCanStopSayWhere in their header and in both parts, and no others do.
func TestMailsThatReadersCanStopSayWhere(t *testing.T) {
	t.Parallel()
	set := builtin()
	for _, kind := range notice.Kinds {
		for _, phase := range notice.Phases[kind] {
			for _, severity := range append([]string{""}, notice.Severities...) {
				for _, base := range []string{"", "https://status.example.net/tocsin"} {
					m, raw := readerMail(t, set, notice.Body{Kind: kind, Phase: phase, Severity: severity}, base, "en", "en")
					want, post := "", ""
					if base != "" && (kind == notice.Advisory || phase == "postmortem") {
						want, post = "<"+readerPage+">", "List-Unsubscribe=One-Click"
					}
					if got := m.header.Get("List-Unsubscribe"); got != want {
						t.Errorf("%s %s: List-Unsubscribe: %s, want %s", kind, phase, got, want)
					}
					if got := m.header.Get("List-Unsubscribe-Post"); got != post {
						t.Errorf("%s %s: List-Unsubscribe-Post: %s, want %s", kind, phase, got, post)
					}
					inText := strings.HasSuffix(m.text, "\n-- \nExample Status\n\nUnsubscribe, or choose your e-mails\n"+readerPage+"\n")
					inHTML := strings.Contains(m.html, `<p lang="en" dir="ltr"><a href="`+readerPage+`">Unsubscribe, or choose your e-mails</a></p>`)
					if inText != (want != "") || inHTML != (want != "") || want == "" && strings.Contains(string(raw), "/u/") {
						t.Errorf("%s %s: a link in the text part %t, in the HTML %t, want %t:\n%s", kind, phase, inText, inHTML, want != "", m.text)
					}
				}
			}
		}
	}
}

// TestTheLinkIsInTheLanguageOfTheMail, the first one of two, else in English and marked as such.
func TestTheLinkIsInTheLanguageOfTheMail(t *testing.T) {
	t.Parallel()
	esperanto := "words:\n  outage: {none: Paneo, minor: Eta paneo, major: Granda paneo, critical: Grava paneo}\n" +
		"  maintenance: {none: a, minor: b, major: c, critical: d}\n  advisory: {none: a, minor: b, major: c, critical: d}\n" +
		"  phases: {investigating: Ni esploras, identified: a, monitoring: b, resolved: c, scheduled: d, reminder: e, in-progress: f, completed: g, cancelled: h, postmortem: i}\n"
	german := strings.Replace(esperanto, "Paneo", "Ausfall", 1)
	set := New(templates.FS, files(map[string]string{"languages/eo.yaml": esperanto, "languages/de.yaml": german}))
	for _, tt := range []struct{ language, html string }{
		{"de-AT", `<p lang="de" dir="ltr"><a href="` + readerPage + `">Abbestellen oder`},
		{"ar", `<p lang="ar" dir="rtl"><a href="` + readerPage + `">إلغاء`},
		{"eo", `<p lang="en" dir="ltr"><a href="` + readerPage + `">Unsubscribe`},
		{"ur", `<p lang="en" dir="ltr"><a href="` + readerPage + `">Unsubscribe`},
	} {
		m, _ := readerMail(t, set, notice.Body{Kind: notice.Advisory, Phase: "identified", Stacked: notice.StackAlways}, "https://status.example.net/tocsin",
			tt.language, "en", tt.language)
		if !strings.Contains(m.html, tt.html) || strings.Count(m.html, readerPage) != 1 || strings.Count(m.text, readerPage) != 1 {
			t.Errorf("%s: %s\n%s", tt.language, m.html[strings.Index(m.html, `class="foot"`):], m.text)
		}
	}
}

// TestOneClickWantsHTTPS: a mail over plain http says where readers stop it, and nobody presses for them, but on this
// machine.
func TestOneClickWantsHTTPS(t *testing.T) {
	t.Parallel()
	for base, want := range map[string]string{"http://status.example.net": "", "http://127.0.0.1:8081": "List-Unsubscribe=One-Click",
		"http://[::1]:8081": "List-Unsubscribe=One-Click", "http://localhost:8081": "List-Unsubscribe=One-Click", "http://127.0.0.1.example.net": ""} {
		m, _ := readerMail(t, builtin(), notice.Body{Kind: notice.Advisory, Phase: "identified"}, base, "en", "en")
		if got := m.header.Get("List-Unsubscribe-Post"); got != want || !strings.HasPrefix(m.header.Get("List-Unsubscribe"), "<"+base+"/u/") {
			t.Errorf("%s: %s, %s", base, m.header.Get("List-Unsubscribe"), got)
		}
	}
}

// TestAnAddressThatDoesNotFitAHeaderIsRefused, which would let it write others.
func TestAnAddressThatDoesNotFitAHeaderIsRefused(t *testing.T) {
	t.Parallel()
	for _, base := range []string{"https://example.net\r\nBcc: a@example.com", "https://example.net/a b", "https://example.net/<a>", "https://bücher.example",
		"mailto:a@example.net", "https://example.net/\"", "https://"} {
		_, err := builtin().Compile(Source{Body: notice.Body{Key: "k", Kind: notice.Advisory, Phase: "identified", DefaultLanguage: "en"},
			Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, From: "status@example.net", PublicURL: base})
		if err == nil || !strings.Contains(err.Error(), "public_url") {
			t.Errorf("%q: %v", base, err)
		}
	}
}

// TestALayoutOfOnesOwnHasTheLinkWhereItLikes, or has none.
func TestALayoutOfOnesOwnHasTheLinkWhereItLikes(t *testing.T) {
	t.Parallel()
	for layout, want := range map[string]string{
		"<p>{{range .Blocks}}{{.HTML}}{{end}}</p>":                                                     "<p><p>Body in en</p>\n</p>",
		"{{range .Blocks}}{{.HTML}}{{end}}{{.Unsubscribe.URL}}":                                        "<p>Body in en</p>\n" + readerPage,
		`{{range .Blocks}}{{.HTML}}{{end}}<a title="{{.Unsubscribe.URL}}" href={{.Unsubscribe.URL}}>x`: `<p>Body in en</p>` + "\n" + `<a title="` + readerPage + `" href=` + readerPage + `>x`,
	} {
		set := New(templates.FS, files(map[string]string{"layout.html": layout}))
		m, _ := readerMail(t, set, notice.Body{Kind: notice.Outage, Phase: "postmortem"}, "https://status.example.net/tocsin", "en", "en")
		if m.html != want {
			t.Errorf("%s: %s", layout, m.html)
		}
	}
}
