package render

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
	"tocsin/templates"
)

// files makes a file system of names and contents.
func files(contents map[string]string) fstest.MapFS {
	all := fstest.MapFS{}
	for name, content := range contents {
		all[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return all
}

var layoutsOnly = map[string]string{"layout.html": "<p>{{.Subject}}", "layout.txt": "{{range .Blocks}}{{.Text}}{{end}}"}

const ready = "---\nsubject: About {{.Parameters.thing}}\n---\n{{template \"hello\"}}\n\nx{{if .Parameters.more}} {{.Parameters.more}}{{end}}\n"

// welcome is a template that is as it should be.
func welcome() map[string]string {
	return map[string]string{
		"parts/hello/en.md":              "Hello\n{{default \"you\" .Customer.Name}}",
		"parts/hello/nl.md":              "Hallo",
		"welcome/template.yaml":          "phases: [identified, resolved]\nrequired: {thing: a book}\noptional: {more: \"12\"}\n",
		"welcome/identified/en.md":       ready,
		"welcome/identified/nl.md":       ready,
		"welcome/resolved/en.md":         ready,
		"welcome/resolved/nl-NL.md":      ready, // takes the part of nl
		"welcome/resolved/nl.md":         ready,
		"welcome/identified/nl-NL.md":    ready,
		"untouched/notes.txt":            "no template",
		"untouched/deeper/still/en.md":   "no template",
		"simple/en.md":                   "---\nsubject: Hello\n---\nFor any phase\n",
		"simple/monitoring/en.md":        "---\nsubject: Hello\n---\nFor one phase\n",
		"simple/investigating/.keep":     "",
		"simple/investigating/notes.txt": "",
	}
}

func TestATextIsThatOfItsPhaseWithItsParts(t *testing.T) {
	t.Parallel()
	s := New(templates.FS, files(welcome()))
	for _, tt := range []struct{ template, phase, want string }{
		{"welcome", "resolved", "Hello\n{{default \"you\" .Customer.Name}}\n\nx{{if .Parameters.more}} {{.Parameters.more}}{{end}}\n"},
		{"simple", "resolved", "For any phase\n"},
		{"simple", "monitoring", "For one phase\n"},
		{"simple", "investigating", "For any phase\n"},
	} {
		b := notice.Body{Template: tt.template, Phase: tt.phase}
		if tt.template == "welcome" {
			b.Parameters = given(map[string]string{"thing": "a book"})
		}
		texts, err := s.Texts(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, texts["en"].Body); diff != "" {
			t.Errorf("%s, %s (-want +got):\n%s", tt.template, tt.phase, diff)
		}
	}
}

func TestAPostmortemIsTheSameOfWhateverItIs(t *testing.T) {
	t.Parallel()
	s := builtin()
	for _, template := range []string{"outage", "maintenance", "postmortem"} {
		texts, err := s.Texts(notice.Body{Template: template, Phase: "postmortem", Parameters: given(map[string]string{"component": "mail"})})
		if err != nil || !strings.Contains(texts["en"].Subject, "what we have learnt") {
			t.Errorf("%s: %v, %v", template, texts["en"], err)
		}
	}
}

func TestATemplateSaysWhatItTakes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		template, phase string
		parameters      map[string]string
		want            string
	}{
		{"outage", "identified", nil, `parameters.component: the template outage needs it, such as "webmail"`},
		{"outage", "identified", map[string]string{"component": " "}, `parameters.component: the template outage needs it, such as "webmail"`},
		{"outage", "identified", map[string]string{"component": "a", "componnet": "b"}, "parameters.componnet: the template outage does not know it: it takes component, next_update, status_page"},
		{"outage", "scheduled", map[string]string{"component": "a"}, `phase: the template outage has texts for investigating, identified, monitoring, resolved, none for "scheduled"`},
		{"postmortem", "resolved", map[string]string{"component": "a"}, `phase: the template postmortem has texts for postmortem, none for "resolved"`},
		{"outage", "postmortem", map[string]string{"component": "a", "next_update": "x"}, "parameters.next_update: the template postmortem does not know it: it takes component, report"},
		{"outage", "identified", map[string]string{"component": "a", "next_update": "soon"}, `parts/next/frame.md:1`},
	} {
		b := outage()
		b.Template, b.Phase, b.Parameters = tt.template, tt.phase, given(tt.parameters)
		if _, err := tryCompile(b); err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s, %s, %v: %v, want %s", tt.template, tt.phase, tt.parameters, err, tt.want)
		}
	}
}

// TestFrozenTextsOutliveTheirTemplate renders texts that were frozen with an optional parameter absent, on a worker
// that has no such template.
func TestFrozenTextsOutliveTheirTemplate(t *testing.T) {
	t.Parallel()
	b := outage()
	b.Template, b.Phase, b.Parameters = "welcome", "resolved", given(map[string]string{"thing": "a book"})
	texts, err := New(templates.FS, files(welcome())).Texts(b)
	if err != nil {
		t.Fatal(err)
	}
	p, err := builtin().Compile(Source{Body: b, Texts: texts, From: "s@example.net"})
	if err != nil {
		t.Fatal(err)
	}
	if m := preview(t, p, recipient("Ann", nil)); m.Subject != "About a book" || !strings.HasPrefix(below(m.Text), "Hello Ann\n\nx\n") {
		t.Errorf("got %q, %q", m.Subject, m.Text)
	}
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	text := func(body string) string { return "---\nsubject: s\n---\n" + body }
	for name, tt := range map[string]struct {
		change map[string]string // "" = no such file
		want   []string
	}{
		"nothing":                        {nil, nil},
		"a language without a phase":     {map[string]string{"welcome/resolved/nl.md": ""}, []string{"welcome/resolved/nl.md: is missing: welcome/identified/nl.md has that language"}},
		"a phase without a text":         {map[string]string{"welcome/resolved/nl.md": "", "welcome/resolved/en.md": "", "welcome/resolved/nl-NL.md": ""}, []string{"welcome/resolved: has no text: add welcome/resolved/en.md and the like"}},
		"a template without a text":      {map[string]string{"empty/template.yaml": "phases: []"}, []string{"empty: has no text"}},
		"a folder of no phase":           {map[string]string{"welcome/resolvd/en.md": ready}, []string{"welcome/resolvd: is named after no phase of a notice"}},
		"a phase that is not announced":  {map[string]string{"welcome/monitoring/en.md": ready}, []string{"welcome/monitoring: is no phase of welcome/template.yaml"}},
		"a phase that is none":           {map[string]string{"welcome/template.yaml": "phases: [solved]"}, []string{`welcome/template.yaml:1: "solved" is no phase of a notice`}},
		"a manifest's unknown field":     {map[string]string{"welcome/template.yaml": "phases: [resolved]\nphazes: []\n"}, []string{`welcome/template.yaml:2: "phazes" is not a field of a template; did you mean phases? known are optional, phases, required`}},
		"a manifest that is no YAML":     {map[string]string{"welcome/template.yaml": "phases: ["}, []string{"welcome/template.yaml:1: is not YAML: did not find expected node content: a bracket is not closed, or was not opened"}},
		"a field that can't exist":       {map[string]string{"welcome/resolved/nl.md": text("a\n\n{{.Customer.Nmae}}\n")}, []string{"welcome/resolved/nl.md:6: .Customer.Nmae does not exist: a customer has .Attributes, .ID, .Name"}},
		"a parameter of another name":    {map[string]string{"welcome/resolved/nl.md": text("{{.Parameters.thign}}")}, []string{"welcome/resolved/nl.md:4: .Parameters.thign does not exist: the notice gives the parameters thing"}},
		"a field in a subject":           {map[string]string{"welcome/resolved/en.md": "---\n\nsubject: \"{{.Foo}}\"\n---\nx"}, []string{"welcome/resolved/en.md:3: .Foo does not exist"}},
		"a field in a part":              {map[string]string{"parts/hello/nl.md": "x\n{{.Foo}}"}, []string{"parts/hello/nl.md:2: .Foo does not exist"}},
		"a line after a part":            {map[string]string{"welcome/resolved/en.md": text("{{template \"hello\"}}\n\n{{.Foo}}")}, []string{"welcome/resolved/en.md:6: .Foo does not exist"}},
		"a part that is missing":         {map[string]string{"parts/hello/nl.md": "", "welcome/resolved/nl-NL.md": "", "welcome/identified/nl-NL.md": ""}, []string{"welcome/identified/nl.md:4: there is no parts/hello/nl.md for it", "welcome/resolved/nl.md:4: there is no parts/hello/nl.md for it"}},
		"a part within a sentence":       {map[string]string{"welcome/resolved/en.md": text("x {{template \"hello\"}}")}, []string{`welcome/resolved/en.md:4: {{template "hello"}} is not available in a text`}},
		"an optional parameter printed":  {map[string]string{"welcome/resolved/en.md": text("{{.Parameters.more}}")}, []string{"welcome/resolved/en.md:4: .Parameters.more is empty for this recipient"}},
		"an attribute printed":           {map[string]string{"welcome/resolved/en.md": text("{{.Customer.Attributes.server}}")}, []string{"welcome/resolved/en.md:4: .Customer.Attributes.server is empty for this recipient"}},
		"a parameter without a manifest": {map[string]string{"simple/en.md": text("{{.Parameters.thing}}")}, []string{"simple/en.md:4: .Parameters.thing is not known: name it in simple/template.yaml, under required or optional, with an example"}},
		"the kind that is seldom":        {map[string]string{"simple/postmortem/en.md": text("{{if eq .Notice.Kind \"maintenance\"}}{{.Customer.Name}}{{end}}x")}, []string{"simple/postmortem/en.md:4: .Customer.Name is empty for this recipient"}},
		"a condition that is seldom":     {map[string]string{"simple/en.md": text("{{if eq .Notice.Phase \"cancelled\"}}{{if gt (len .Windows) 1}}{{.Customer.Name}}{{end}}{{end}}x")}, []string{"simple/en.md:4: .Customer.Name is empty for this recipient"}},
		"emphasis that stays open":       {map[string]string{"welcome/resolved/en.md": text("**Bold.**{{.Customer.ID}}")}, []string{"welcome/resolved/en.md: leaves ** in a mail"}},
		"a file of no language":          {map[string]string{"welcome/resolved/english.md": ready}, []string{"welcome/resolved/english.md: \"english\" is not a language tag such as en or pt-BR"}},
		"a text without a subject":       {map[string]string{"welcome/resolved/en.md": "Hello"}, []string{`welcome/resolved/en.md:1: must begin with a line "---", "subject: …" and another "---"`}},
		"a broken layout":                {map[string]string{"layout.txt": "{{.Nothing}}"}, []string{"layout.txt:1: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			contents := welcome()
			for file, content := range tt.change {
				contents[file] = content
				if content == "" {
					delete(contents, file)
				}
			}
			_, problems := New(files(layoutsOnly), files(contents)).Check()
			if !slices.EqualFunc(problems, tt.want, func(err error, want string) bool {
				return strings.HasPrefix(err.Error(), want) && notice.CodeOf(err) == notice.CodeInvalid
			}) {
				t.Errorf("got %v\nwant %q", problems, tt.want)
			}
		})
	}
}

// FuzzCheck: Check returns for any content of a template's files, and its errors name these files.
func FuzzCheck(f *testing.F) {
	f.Add("phases: [resolved]\nrequired: {thing: a}\noptional: {more: 1}\n", ready, "Hello {{.Customer.Name}}")
	f.Add("phases: [[resolved]]\nrequired: [a]\n", "---\nsubject: {{template \"hello\"}}\n---\n{{template \"hello\"}}\r\n{{end}}", "{{if .Windows}}\xff")
	f.Add("? [a]\n: &a [*a]\n---\n", "\uFEFF---\nsubject: 'a'\n---\n{{range .Windows}}- {{.}}\n{{template \"hello\"}}", "{{end}}{{template \"hello\"}}")
	f.Fuzz(func(t *testing.T, manifest, text, part string) {
		_, problems := New(files(layoutsOnly), files(map[string]string{
			"w/template.yaml": manifest, "w/resolved/en.md": text, "w/nl.md": text, "parts/hello/en.md": part,
		})).Check()
		for _, err := range problems {
			if notice.CodeOf(err) != notice.CodeInvalid {
				t.Errorf("not a domain error: %v", err)
			}
		}
	})
}
