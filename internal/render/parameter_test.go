package render

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
	"tocsin/templates"
)

func TestAParameterMayDifferByLanguage(t *testing.T) {
	t.Parallel()
	b := outage()
	if err := json.Unmarshal([]byte(`{"component": {"en": "web server", "de": "Webserver", "pt-BR": "servidor"}}`), &b.Parameters); err != nil {
		t.Fatal(err)
	}
	b.Texts = map[string]notice.Text{"de-CH": {Subject: "x {{.Parameters.component}}", Body: "x"}, "pt": {Subject: "x {{.Parameters.component}}", Body: "x"}}
	p := compile(t, b)
	for text, want := range map[string]string{"en": "web server", "de": "Webserver", "de-CH": "x Webserver", "nl": "web server", "pt": "x web server"} {
		r := recipient("A", nil)
		r.Language = text
		if m, err := p.Preview(r, text); err != nil || !strings.Contains(m.Subject, want) {
			t.Errorf("%s: %q, %v, want %q in it", text, m.Subject, err, want)
		}
	}
	encoded, err := json.Marshal(b.Parameters)
	if err != nil || string(encoded) != `{"component":{"de":"Webserver","en":"web server","pt-BR":"servidor"}}` {
		t.Errorf("%s, %v", encoded, err)
	}
	b.Parameters["component"] = notice.Parameter{ByLanguage: map[string]string{"en": "mail", "de": " "}}
	if _, err := tryCompile(b); err == nil || !strings.HasPrefix(err.Error(), "parameters.component.de: the template outage needs it") {
		t.Errorf("got %v", err)
	}
}

func TestAReadyTextHasAPlaceForDetails(t *testing.T) {
	t.Parallel()
	plain, b := compile(t, outage()), outage()
	b.Details = notice.Parameter{ByLanguage: map[string]string{"nl": "Een **schijf** is stuk voor {{.Customer.ID}}.\n\n- a\n", "en": "A **disk** is broken.\r\n"}}
	p := compile(t, b)
	for text, want := range map[string]string{"en": "A disk is broken.", "nl": "Een schijf is stuk voor 10042.\n\n- a", "sv": "Följande stycke finns inte på svenska. Här är det på originalspråket:\n\nA disk is broken."} {
		r := recipient("A", nil)
		r.Language = text
		m, err := p.Preview(r, text)
		if err != nil || strings.Count(m.Text, want) != 1 {
			t.Errorf("%s: %v\n%s", text, err, m.Text)
		}
		without, err := plain.Preview(r, text)
		if diff := cmp.Diff(without.Text, strings.Replace(m.Text, want+"\n\n", "", 1)); diff != "" || err != nil {
			t.Errorf("%v, the rest (-without +with details):\n%s", err, diff)
		}
	}
	for details, want := range map[string]string{
		"a\n\n{{.Customer.Nmae}}": "details:3: .Customer.Nmae does not exist",
		"[x](status.example.net)": `details:1: the address "status.example.net"`,
	} {
		b.Details = notice.Parameter{Text: details}
		p, err := tryCompile(b)
		if err == nil {
			err = p.Sound()
		}
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", details, err)
		}
	}
	b.Details, b.Template, b.Phase, b.Parameters = notice.Parameter{Text: "x"}, "welcome", "resolved", given(map[string]string{"thing": "a book"})
	if _, err := New(templates.FS, files(welcome())).Texts(b); err == nil || !strings.HasPrefix(err.Error(), "details: welcome/resolved/") {
		t.Errorf("a template without a place for it: %v", err)
	}
}

func TestANoticesOwnTextAddsALanguageToATemplate(t *testing.T) {
	t.Parallel()
	b := outage()
	b.Texts = map[string]notice.Text{"pl": {Subject: "Awaria: {{.Parameters.component}}", Body: "Przepraszamy.{{if .Parameters.status_page}} {{.Parameters.status_page}}{{end}}"}}
	p := compile(t, b)
	if text, exact := p.Match("pl-PL"); text != "pl" || !exact {
		t.Errorf("pl-PL gets %s, %v", text, exact)
	}
	if m, err := p.Preview(recipient("A", nil), "pl"); err != nil || m.Subject != "Awaria: mail server s639" {
		t.Errorf("%q, %v", m.Subject, err)
	}
	if _, exact := p.Match("sv"); !exact {
		t.Error("the template's languages are gone")
	}
	b.Texts["pl"] = notice.Text{Subject: "x", Body: "{{.Parameters.nothing}}"}
	if _, err := tryCompile(b); err == nil || !strings.HasPrefix(err.Error(), "texts.pl.body:1: .Parameters.nothing does not exist") {
		t.Errorf("got %v", err)
	}
}

func TestShowGivesAReadyText(t *testing.T) {
	t.Parallel()
	s := builtin()
	text, err := s.Show("outage", "identified", "nl-BE")
	if err != nil || strings.Contains(text.Body, "{{template") {
		t.Fatalf("%v\n%s", err, text.Body)
	}
	b := outage()
	b.Template, b.DefaultLanguage, b.Texts = "", "nl", map[string]notice.Text{"nl": text}
	b.Parameters = given(map[string]string{"component": "webmail", "next_update": "", "status_page": ""})
	if err := compile(t, b).Check(recipient("A", nil), "nl"); err != nil {
		t.Errorf("it is no text of a notice: %v", err)
	}
	for _, tt := range []struct{ template, phase, language, want string }{
		{"outtage", "identified", "en", `template: "outtage" is none of the templates`},
		{"outage", "solved", "en", "phase: the template outage has texts for"},
		{"outage", "identified", "eo", "language: outage has no text in eo for identified: it has "},
	} {
		if _, err := s.Show(tt.template, tt.phase, tt.language); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("got %v", err)
		}
	}
}
