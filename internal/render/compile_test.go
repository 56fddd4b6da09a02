package render

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"tocsin/internal/notice"
	"tocsin/templates"
)

func TestWhatCannotBeIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ body, field, message string }{
		"a brace too few":                  {"a\n\n{{.Customer.Name}", "texts.en.body:3", "bad character U+007D '}'"},
		"an if without end":                {"{{if .Windows}}\na", "texts.en.body:2", "unexpected EOF"},
		"a field of nothing":               {"\n{{.Foo}}", "texts.en.body:2", ".Foo does not exist: a text has .Customer, .Customers, .Incident, .Language, .Notice, .Parameters, .Was, .Windows"},
		"a field of a customer":            {"{{.Customer.Foo}}", "texts.en.body:1", ".Customer.Foo does not exist: a customer has .Attributes, .ID, .Name"},
		"a parameter that is not given":    {"{{.Parameters.region}}", "texts.en.body:1", ".Parameters.region does not exist: the notice gives the parameters component"},
		"the same in an if":                {"{{if .Parameters.region}}{{end}}x", "texts.en.body:1", ".Parameters.region does not exist: the notice gives the parameters component"},
		"in a branch never taken":          {"{{if false}}{{.Foo}}{{end}}x", "texts.en.body:1", ".Foo does not exist"},
		"the dot within a range":           {"{{range .Customers}}{{.Customer.Name}}{{end}}", "texts.en.body:1", ".Customer does not exist: a customer has .Attributes, .ID, .Name"},
		"the dot of a window":              {"{{range .Windows}}{{.Begin}}{{end}}", "texts.en.body:1", ".Begin does not exist: a window has .End, .Start"},
		"the dot after with":               {"{{with .Customer}}{{.Nam}}{{end}}", "texts.en.body:1", ".Nam does not exist"},
		"the root within a range":          {"{{range .Windows}}{{$.Customer.Nam}}{{end}}", "texts.en.body:1", ".Customer.Nam does not exist"},
		"a variable of a range":            {"{{range $i, $c := .Customers}}{{$c.Nam}}{{end}}", "texts.en.body:1", "$c.Nam does not exist"},
		"a field of an attribute":          {"{{.Customer.Attributes.plan.x}}", "texts.en.body:1", ".Customer.Attributes.plan.x does not exist: text has no fields"},
		"a field of an expression":         {"{{(or .Customer .Customer).Nam}}", "texts.en.body:1", "does not exist"},
		"a range over text":                {"{{range .Customer.Name}}{{end}}x", "texts.en.body:1", "only .Customers, .Windows and .Was can be ranged over"},
		"a list printed":                   {"{{.Windows}}", "texts.en.body:1", ".Windows is a list: write {{range .Windows}}{{.}}{{end}}"},
		"a map printed":                    {"{{.Customer.Attributes}}", "texts.en.body:1", ".Customer.Attributes is the attributes, which cannot be printed"},
		"a condition printed":              {"{{eq 1 1}}", "texts.en.body:1", "eq 1 1 is a condition, which cannot be printed"},
		"print":                            {"{{print .Customer.Name}}", "texts.en.body:1", `function "print" not defined`},
		"call":                             {"{{call .Customer.Name}}", "texts.en.body:1", `function "call" not defined`},
		"html":                             {"{{.Customer.Name | html}}", "texts.en.body:1", `function "html" not defined`},
		"js":                               {"{{js .Customer.Name}}", "texts.en.body:1", `function "js" not defined`},
		"index":                            {"{{index .Customers 0}}", "texts.en.body:1", `function "index" not defined`},
		"what the compiler calls itself":   {"{{out $ 0 .Customer.Name}}", "texts.en.body:1", `function "out" not defined`},
		"define":                           {"{{define \"x\"}}{{.Foo}}{{end}}x", "texts.en.body:1", "{{define}} and {{block}} are not available in a text"},
		"template":                         {"x\n{{template \"x\"}}", "texts.en.body:2", `{{template "x"}} is not available in a text`},
		"break":                            {"{{range .Customers}}{{break}}{{end}}", "texts.en.body:1", "{{break}} is not available in a text"},
		"nil":                              {"{{if eq .Customer.Name nil}}{{end}}", "texts.en.body:1", "nil is not available in a text"},
		"too few arguments":                {"{{default .Customer.Name}}", "texts.en.body:1", "default takes 2 arguments, not 1"},
		"too many arguments":               {"{{number 1 2}}", "texts.en.body:1", "number takes 1 argument, not 2"},
		"arguments to a field":             {"{{.Customer.Name 3}}", "texts.en.body:1", ".Customer.Name is not a function and takes no arguments"},
		"text compared with a condition":   {"{{if eq .Customer.Attributes.seats true}}{{end}}x", "texts.en.body:1", "compares text with a condition"},
		"a number of a list":               {"{{number .Customers}}", "texts.en.body:1", "the list of customers cannot be given to number"},
		"a number that is none":            {`{{number "many"}}`, "texts.en.body:1", `"many" is not a number`},
		"a parameter that is no number":    {"{{number .Parameters.component}}", "texts.en.body:1", `"mail server s639" is not a number`},
		"a date that is none":              {`{{date "2026-13-01"}}`, "texts.en.body:1", `"2026-13-01" is not a date like`},
		"a variable that changes its kind": {`{{$x := "a"}}{{$x = 3}}{{$x}}`, "texts.en.body:1", "$x is text and cannot become a number"},
		"a control character in quotes":    {`{{"a\u0007b"}}`, "texts.en.body:1", "holds a control character"},
		"an if across paragraphs":          {"a {{if .Windows}}b\n\nc{{end}}", "texts.en.body:1", "ends in another paragraph"},
		"an if across emphasis":            {"x\n\n**a {{if .Windows}}b** c{{end}}", "texts.en.body:3", "ends in another paragraph"},
		"an if out of a list":              {"- a\n- {{if .Windows}}b\n\nc{{end}}", "texts.en.body:2", "ends in another paragraph"},
		"an if around the end of a list":   {"- a\n{{if .Windows}}\n- b\n\nc\n{{end}}", "", ""},
		"an if across a link":              {"[a](https://x.example/{{if .Windows}}) b{{end}}", "texts.en.body:1", "ends in another paragraph"},
		"no body":                          {" \n", "texts.en.body", "is empty"},
		"too long a body":                  {strings.Repeat("x", maxBody+1), "texts.en.body", "is longer than 262144 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tryCompile(own("s", tt.body))
			if tt.message == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			e, ok := errors.AsType[*notice.Error](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if !strings.HasPrefix(e.Field, tt.field) || !strings.Contains(e.Message, tt.message) || e.Code != notice.CodeInvalid {
				t.Errorf("got %s: %s", e.Field, e.Message)
			}
		})
	}
}

func TestASourceThatCannotBeMailedIsRefused(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(*notice.Body)
		want   string
	}{
		"no texts": {func(b *notice.Body) { b.Texts = nil }, "texts: the notice has neither texts nor a template"},
		"no language": {func(b *notice.Body) {
			b.Parameters["x"] = notice.Parameter{ByLanguage: map[string]string{"english": "x"}}
		}, `parameters.x.english: "english" is not a language tag such as en or pt-BR`},
		"a language's twin": {func(b *notice.Body) {
			b.Parameters["x"] = notice.Parameter{ByLanguage: map[string]string{"de": "x", "DE": "y"}}
		}, "parameters.x.de: de is given twice, under two spellings"},
		"no value":            {func(b *notice.Body) { b.Parameters["x"] = notice.Parameter{ByLanguage: map[string]string{}} }, "parameters.x: has no value in any language"},
		"details":             {func(b *notice.Body) { b.Details.Text = "x" }, "details: goes with a template: write it into the texts"},
		"default not there":   {func(b *notice.Body) { b.DefaultLanguage = "nl" }, "default_language: there is no text in nl, only in en"},
		"no such language":    {func(b *notice.Body) { b.Texts["x y"] = notice.Text{} }, `texts.x y: "x y" is not a language tag such as en or pt-BR`},
		"a language twice":    {func(b *notice.Body) { b.Texts["EN"] = notice.Text{} }, "texts.en: en is given twice, under two spellings"},
		"a subject of none":   {func(b *notice.Body) { b.Texts["en"] = notice.Text{Subject: " ", Body: "x"} }, "texts.en.subject: is empty"},
		"a subject of two":    {func(b *notice.Body) { b.Texts["en"] = notice.Text{Subject: "a\nb", Body: "x"} }, "texts.en.subject: must be one line"},
		"a subject's field":   {func(b *notice.Body) { b.Texts["en"] = notice.Text{Subject: "{{.Foo}}", Body: "x"} }, "texts.en.subject: .Foo does not exist: a text has .Customer, .Customers, .Incident, .Language, .Notice, .Parameters, .Was, .Windows"},
		"a window's end":      {func(b *notice.Body) { b.Windows[1].End = "soon" }, `windows[1].end: "soon" is not a time like 2026-11-09T21:00`},
		"a window's zone":     {func(b *notice.Body) { b.Windows[0].Zone = "Mars" }, `windows[0].zone: "Mars" is not an IANA time zone such as Europe/Amsterdam`},
		"a zone":              {func(b *notice.Body) { b.Zone = "Mars" }, `zone: "Mars" is not an IANA time zone such as Europe/Amsterdam`},
		"an address to reply": {func(b *notice.Body) { b.ReplyTo = "nobody" }, `reply_to: "nobody" is not an address`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := own("s", "x")
			tt.change(&b)
			if _, err := tryCompile(b); err == nil || err.Error() != tt.want {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestErrorsOfATemplateNameItsFileAndLine(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ file, want string }{
		"in the body":    {"---\n# a remark\nsubject: x\n---\nfine\n\n{{.Foo}}\n", "t/nl.md:7: .Foo does not exist"},
		"a parameter":    {"---\nsubject: x\n---\n{{.Parameters.component}}\n{{.Parameters.region}}\n", "t/nl.md:5: .Parameters.region does not exist: the notice gives the parameters component"},
		"in the subject": {"---\nsubject: {{.Foo}}\n---\nfine\n", "t/nl.md:2: .Foo does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := New(templates.FS, fstest.MapFS{"t/nl.md": {Data: []byte(tt.file)}})
			b := outage()
			b.Template, b.DefaultLanguage = "t", "nl"
			texts, err := s.Texts(b)
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Compile(Source{Body: b, Texts: texts, From: "s@example.net"})
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestAHoleIsAnErrorAndNeverAMessage(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		subject, body string
		name          string
		attributes    map[string]string
		want          string // "" = no hole
	}{
		"an attribute that is absent": {"s", "a\n\n{{.Customer.Attributes.region}}", "A", nil, "texts.en.body:3: .Customer.Attributes.region is empty for this recipient"},
		"one that is empty":           {"s", "{{.Customer.Attributes.region}}", "A", map[string]string{"region": " \t"}, "texts.en.body:1: .Customer.Attributes.region is empty for this recipient"},
		"a name":                      {"s", "{{.Customer.Name}}", "", nil, "texts.en.body:1: .Customer.Name is empty for this recipient"},
		"a name in the subject":       {"{{.Customer.Name}}", "x", "", nil, "texts.en.subject: .Customer.Name is empty for this recipient"},
		"a name of a control":         {"s", "{{.Customer.Name}}", "\r\n", nil, "texts.en.body:1: .Customer.Name is empty for this recipient"},
		"in a link":                   {"s", "[x](https://x.example/{{.Customer.Attributes.p}})", "A", nil, "texts.en.body:1: .Customer.Attributes.p is empty for this recipient"},
		"in code":                     {"s", "`{{.Customer.Attributes.p}}`", "A", nil, "texts.en.body:1: .Customer.Attributes.p is empty for this recipient"},
		"one customer of several":     {"s", "{{range .Customers}}\n- {{.Name}}\n{{end}}", "", nil, "texts.en.body:2: .Name is empty for this recipient"},
		"a default covers it":         {"s", "{{default \"dear\" .Customer.Name}}", "", nil, ""},
		"a default in a pipe":         {"s", "{{.Customer.Name | default \"dear\"}}", "", nil, ""},
		"an empty default does not":   {"s", "{{default \"\" .Customer.Name}}", "", nil, `texts.en.body:1: default "" .Customer.Name is empty for this recipient`},
		"an if guards it":             {"s", "x{{if .Customer.Name}}{{.Customer.Name}}{{end}}", "", nil, ""},
		"or covers it":                {"s", "{{or .Customer.Name .Customer.ID}}", "", nil, ""},
		"not a number":                {"s", "\n{{number .Customer.Attributes.n}}", "A", map[string]string{"n": "many"}, "texts.en.body:2: number .Customer.Attributes.n is not a number for this recipient"},
		"no number":                   {"s", "{{number .Customer.Attributes.n}}", "A", nil, "texts.en.body:1: number .Customer.Attributes.n is empty for this recipient"},
		"a default for no number":     {"s", "{{default \"some\" (number .Customer.Attributes.n)}}", "A", nil, ""},
		"not a date":                  {"s", "{{.Customer.Attributes.d | date}}", "A", map[string]string{"d": "soon"}, "texts.en.body:1: date is not a date like 2026-11-09 or 2026-11-09T21:00 for this recipient"},
		"a body of nothing":           {"s", "{{if .Customer.Name}}x{{end}}", "", nil, "texts.en.body: is empty for this recipient"},
		"a subject of nothing":        {"{{if .Customer.Name}}x{{end}}", "x", "", nil, "texts.en.subject: is empty for this recipient"},
		"an address that is a script": {"s", "[x]({{.Customer.Attributes.u}})", "A", map[string]string{"u": "javascript:alert(1)"}, "texts.en.body:1: a link would lead to an address that is not http, https, mailto or tel for this recipient"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := compile(t, own(tt.subject, tt.body))
			r := recipient(tt.name, tt.attributes)
			check := p.Check(r, "en")
			_, previewErr := p.Preview(r, "en")
			m, err := render(p, r, "en", stamp())
			for _, got := range []error{check, previewErr, err} {
				if tt.want == "" && got != nil || tt.want != "" && (got == nil || got.Error() != tt.want) {
					t.Errorf("got %v", got)
				}
			}
			if e, ok := errors.AsType[*notice.Error](check); tt.want != "" && (!ok || e.Code != notice.CodeInvalid || m.Raw != nil) {
				t.Errorf("a hole gave %#v and %d bytes", check, len(m.Raw))
			}
		})
	}
}

func TestValuesCompareAsText(t *testing.T) {
	t.Parallel()
	body := `{{if eq .Customer.Attributes.plan "gold" "silver"}}a{{end}}{{if and .Customer.Name (not .Customer.Attributes.x)}}b{{end}}` +
		`{{if lt (len .Customers) 2}}c{{end}}{{if ne .Notice.Phase "resolved"}}d{{end}}{{if .Customer.Attributes.x}}e{{end}}`
	m := preview(t, compile(t, own("s", body)), recipient("A", map[string]string{"plan": "silver", "x": ""}))
	if !slices.Contains(strings.Split(m.Text, "\n"), "abcd") {
		t.Errorf("got %q", m.Text)
	}
}

func FuzzCompile(f *testing.F) {
	f.Add("s {{.Customer.Name}}", "a\n\n{{if .Windows}}\n- {{.Customer.ID}}\n{{else}}\n1. x\n{{end}}\n")
	f.Add("{{", "{{range $i, $c := .Customers}}{{$c.Name}}{{end}}[a](b{{$.Language}})")
	f.Add("x", "qzxpaaaa `{{.Customer.ID}}` <https://{{.Customer.ID}}> ![{{.Notice.Key}}](x \"{{.Notice.Key}}\")\n\n[r]: {{.Notice.Key}}")
	f.Add("x", "{{\"{{\"}}{{with $x := (or .Customer)}}{{$x.Name}}{{end}}\n    code {{.Customer.ID}}\n```{{.Customer.ID}}\n{{if .Windows}}\n```\n")
	f.Add("x", "{{range .Windows}}- {{.}}\n{{end}}")
	f.Add("x", "> 1. {{if .Windows}}a\n>    {{else}}b\n\nc\n{{end}}\n- {{range .Customers}}\n  {{.ID}}{{end}} x")
	f.Fuzz(func(t *testing.T, subject, body string) {
		p, err := tryCompile(own(subject, body))
		if err != nil {
			if _, ok := errors.AsType[*notice.Error](err); !ok {
				t.Fatalf("not a domain error: %v", err)
			}
			return
		}
		m, err := render(p, recipient("Anna", map[string]string{"plan": "gold"}), "en", stamp())
		if err != nil {
			if _, ok := errors.AsType[*notice.Error](err); !ok {
				t.Fatalf("not a domain error: %v", err)
			}
			return
		}
		if strings.ContainsFunc(m.Text, func(r rune) bool { return r != '\n' && r != '\t' && forbidden(r) }) {
			t.Errorf("a mark is left in the text part: %q", m.Text)
		}
		if strings.Contains(m.HTML, "qzx") && !strings.Contains(letters(body), "qzx") {
			t.Errorf("what stands for a control is left in the HTML part: %q", m.HTML)
		}
	})
}
