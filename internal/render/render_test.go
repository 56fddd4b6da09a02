package render

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
	"tocsin/templates"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got, -update to accept):\n%s", name, diff)
	}
}

func outage() notice.Body {
	return notice.Body{
		Key: "mail-2026-11-09.first", Incident: "mail-2026-11-09", Kind: notice.Outage, Phase: "investigating",
		Severity: "critical", Template: "outage", Parameters: given(map[string]string{"component": "mail server s639"}),
		DefaultLanguage: "en", Stacked: notice.StackNever, Zone: "Europe/Amsterdam",
		Windows: []notice.Window{
			{Start: "2026-11-09T21:00", End: "2026-11-09T23:30"},
			{Start: "2026-11-09T21:00", End: "2026-11-10T00:00"},
		},
	}
}

// own returns a notice with one English text of its own.
func own(subject, body string) notice.Body {
	b := outage()
	b.Template = ""
	b.Texts = map[string]notice.Text{"en": {Subject: subject, Body: body}}
	return b
}

func compile(t testing.TB, b notice.Body) *Program {
	t.Helper()
	return compileFrom(t, b, "Example Status <status@example.net>")
}

func compileFrom(t testing.TB, b notice.Body, from string) *Program {
	t.Helper()
	p, err := tryCompileFrom(b, from)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func tryCompile(b notice.Body) (*Program, error) {
	return tryCompileFrom(b, "Example Status <status@example.net>")
}

// builtin is the set of all languages, which takes long to read.
var builtin = sync.OnceValue(func() *Set { return New(templates.FS, nil) })

func tryCompileFrom(b notice.Body, from string) (*Program, error) {
	s := builtin()
	texts, err := s.Texts(b)
	if err != nil {
		return nil, err
	}
	return s.Compile(Source{Body: b, Texts: texts, From: from, ReplyTo: "support@example.net", IncidentKey: "mail-2026-11-09"})
}

func recipient(name string, attributes map[string]string) notice.Recipient {
	return notice.Recipient{Address: "anna@example.org", Language: "en-GB", TimeZone: "Europe/Amsterdam",
		Customers: []notice.Frozen{{ID: "10042", Name: name, Attributes: attributes}}}
}

func stamp() Stamp {
	return Stamp{MessageID: "<4f0c9a.17@example.net>", Thread: []string{"<77aa01.17@example.net>", "<77aa02.17@example.net>"},
		NoticeKey: "mail-2026-11-09.first",
		Date:      time.Date(2026, 11, 9, 3, 14, 7, 0, time.FixedZone("", 3600))}
}

func preview(t testing.TB, p *Program, r notice.Recipient) Message {
	t.Helper()
	text, _ := p.Match(r.Language)
	m, err := p.Preview(r, text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestReadyTextsReadWell is for people who read its goldens. They hold every ready text in five languages, as a
// customer with a known name and zone gets it.
func TestReadyTextsReadWell(t *testing.T) {
	t.Parallel()
	zones := map[string]string{"en": "Europe/London", "nl": "Europe/Amsterdam", "de": "Europe/Zurich", "sv": "Europe/Stockholm", "es": "America/Mexico_City"}
	all := map[string]string{}
	for _, kind := range []notice.Kind{notice.Outage, notice.Maintenance} {
		for _, phase := range notice.Phases[kind] {
			b := outage()
			b.Kind, b.Phase, b.Template, b.Severity, b.Windows = kind, phase, string(kind), "", b.Windows[:1]
			if b.Was = nil; phase == notice.PhaseRescheduled {
				b.Was = []notice.Window{{Start: "2026-11-08T21:00", End: "2026-11-09T00:00"}}
			}
			p := compile(t, b)
			for lang := range zones {
				r := recipient("Bakkerij De Vries", nil)
				r.Language, r.TimeZone = lang, zones[lang]
				m := preview(t, p, r)
				all[lang] += fmt.Sprintf("===== %s, %s =====\nSubject: %s\n\n%s\n", kind, phase, m.Subject, m.Text)
			}
		}
	}
	for lang := range zones {
		golden(t, "ready."+lang+".txt", all[lang])
	}
	golden(t, "outage.en.html", preview(t, compile(t, outage()), recipient("Bakkerij De Vries", nil)).HTML)
}

// arabic returns an outage with one Arabic text of its own.
func arabic() notice.Body {
	b := outage()
	b.Template, b.DefaultLanguage = "", "ar"
	b.Texts = map[string]notice.Text{"ar": {
		Subject: "انقطاع في {{.Parameters.component}}",
		Body: "مرحبًا {{.Customer.Name}}،\n\nهناك انقطاع في **{{.Parameters.component}}** وعدد حساباتكم " +
			"{{number .Customer.Attributes.accounts}}.\n\n{{range .Windows}}\n- {{.}}\n{{end}}\n\n" +
			"التفاصيل في [صفحة الحالة](https://status.example.net/{{.Notice.Key}}).\n",
	}}
	return b
}

func TestRightToLeftTextReadsWell(t *testing.T) {
	t.Parallel()
	r := recipient("Acme (Cairo) Ltd", map[string]string{"accounts": "12345"})
	r.Language, r.TimeZone = "ar-EG", "Africa/Cairo"
	m := preview(t, compile(t, arabic()), r)
	golden(t, "own.ar.txt", "Subject: "+m.Subject+"\n\n"+m.Text)
	golden(t, "own.ar.html", m.HTML)
}

func TestASharedMailboxGetsOneMailThatNamesEveryCustomerAndService(t *testing.T) {
	t.Parallel()
	r := recipient("Bakkerij De Vries", map[string]string{"server": "s639", "service": "Hosted mail"})
	r.Customers = append(r.Customers,
		notice.Frozen{ID: "10043", Name: "De Vries Vastgoed", Attributes: map[string]string{"server": "s640"}},
		notice.Frozen{ID: "10044", Attributes: map[string]string{"server": " "}},
		notice.Frozen{ID: "10045", Name: "שלום", Attributes: map[string]string{"server": "s641"}})
	for _, lang := range []string{"en", "nl"} {
		r.Language = lang
		m := preview(t, compile(t, outage()), r)
		golden(t, "shared."+lang+".txt", "Subject: "+m.Subject+"\n\n"+m.Text)
		for _, want := range []string{"<td>Bakkerij De Vries (10042)</td>\n<td>Hosted mail</td>", "<td>De Vries Vastgoed (10043)</td>\n<td>s640</td>",
			"<td>10044</td>\n<td></td>", "<td>\u2068שלום\u2069 (10045)</td>\n<td>s641</td>", `<th scope="col">Account</th>`} {
			if !strings.Contains(m.HTML, want) {
				t.Errorf("%s: the HTML part lacks %s", lang, want)
			}
		}
	}
}

func TestAnOverlayGoesBeforeWhatIsBuiltIn(t *testing.T) {
	t.Parallel()
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	overlay := fstest.MapFS{
		"outage/fr.md":  file("---\nsubject: Panne\n---\nBonjour\n"),
		"welcome/en.md": file("---\nsubject: Hello\n---\nHello\n"),
		"layout.txt":    file("{{range .Blocks}}{{.Text}}{{end}}\n== {{.Sender}} ==\n"),
	}
	s := New(templates.FS, overlay)
	b := outage()
	texts, err := s.Texts(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]notice.Text{"fr": {Subject: "Panne", Body: "Bonjour\n"}}, texts); diff != "" {
		t.Errorf("the folder is not taken as a whole (-want +got):\n%s", diff)
	}
	b.DefaultLanguage = "fr"
	p, err := s.Compile(Source{Body: b, Texts: texts, From: "s@example.net"})
	if err != nil {
		t.Fatal(err)
	}
	if m := preview(t, p, recipient("A", nil)); m.Text != "Bonjour\n\n== s@example.net ==\n" {
		t.Errorf("layout.txt of the overlay is not used: %q", m.Text)
	}
	b.Template = "outtage"
	_, err = s.Texts(b)
	if got := err.Error(); got != `template: "outtage" is none of the templates: maintenance, outage, postmortem, welcome` {
		t.Errorf("unknown template: %s", got)
	}
}

func TestABrokenLayoutIsNamed(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"layout.html:2": "<p>\n{{.Nothing}}</p>",
		"layout.txt:1":  "{{range .Blocks}",
	} {
		file, _, _ := strings.Cut(name, ":")
		s := New(templates.FS, fstest.MapFS{file: &fstest.MapFile{Data: []byte(content)}})
		_, err := s.Compile(Source{Body: outage(), From: "s@example.net"})
		e, ok := errors.AsType[*notice.Error](err)
		if !ok || e.Field != name {
			t.Errorf("%s: got %v", name, err)
		}
	}
}
