package render

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestNeedsNamesTheFieldsThatATextPrints(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body  string
		want  []string
		exact bool
		named bool
	}{
		"nothing":                       {"x", nil, true, false},
		"fields":                        {"{{.Customer.Name}} {{.Customer.Attributes.plan}} {{.Customer.ID}}{{.Customer.Name}}", []string{"attributes.plan", "id", "name"}, true, false},
		"a default":                     {"{{default \"you\" .Customer.Name}} {{or .Customer.Attributes.a .Customer.Attributes.b \"c\"}}", nil, true, false},
		"an empty default":              {"{{default \"\" .Customer.Name}}", nil, false, false},
		"one of two":                    {"{{or .Customer.Attributes.a .Customer.Attributes.b}}", nil, false, false},
		"a number":                      {"{{number .Customer.Attributes.n}}", nil, false, false},
		"a number with a default":       {"{{default \"none\" (number .Customer.Attributes.n)}}", nil, false, false},
		"an if on a field":              {"x{{if .Customer.Attributes.a}} {{.Customer.Attributes.a}}{{end}}", nil, false, false},
		"an if on a name":               {"x{{if .Customer.Name}} {{.Customer.Name}}{{end}}", nil, true, false},
		"an if on a name that is there": {"x{{if .Customer.Name}} {{.Customer.Name}}{{else}}{{.Customer.ID}}{{end}}", []string{"name"}, true, true},
		"an if on what a name is":       {"x{{if eq .Customer.Name \"a\"}} {{.Customer.Name}}{{end}}", nil, false, true},
		"an if on the notice":           {"x{{if .Windows}} {{.Customer.Name}}{{end}}", []string{"name"}, true, false},
		"an if on how many there are":   {"x {{if gt (len .Customers) 1}}{{.Customer.ID}}{{else}}{{.Customer.Name}}{{end}}", []string{"name"}, true, false},
		"a range":                       {"{{range .Customers}}\n- {{.Name}}\n{{end}}", []string{"name"}, true, false},
		"a link that may lead anywhere": {"[x]({{.Customer.Attributes.url}})", []string{"attributes.url"}, false, false},
		"a link":                        {"[x](https://x.example/{{.Customer.Attributes.url}})", []string{"attributes.url"}, true, false},
	} {
		fields, exact := needsOf(t, compile(t, own("s", tt.body)), "en", "en", tt.named)
		if exact != tt.exact || exact && !slices.Equal(fields, tt.want) {
			t.Errorf("%s: got %v, %v", name, fields, exact)
		}
	}
	for named, want := range map[bool][]string{true: {"name"}, false: nil} {
		if fields, exact := needsOf(t, compile(t, outage()), "nl", "nl", named); !exact || !slices.Equal(fields, want) {
			t.Errorf("a ready text, with a name %v: %v, %v", named, fields, exact)
		}
	}
}

// TestNeedsIsWhatCheckFinds holds for every notice and recipients of all kinds.
func TestNeedsIsWhatCheckFinds(t *testing.T) {
	t.Parallel()
	var programs []*Program
	for _, b := range bodies(t) {
		programs = append(programs, compile(t, b))
	}
	programs = append(programs, compile(t, own("{{.Customer.Name}}", "{{range .Customers}}{{.Attributes.plan}}{{end}} {{or .Customer.Attributes.server \"x\"}}")))
	rapid.Check(t, func(t *rapid.T) {
		p := programs[len(programs)-1] // it has needs of all kinds
		if rapid.Bool().Draw(t, "another") {
			p = rapid.SampledFrom(programs).Draw(t, "notice")
		}
		r := recipients().Draw(t, "recipient")
		r.Customers = r.Customers[:1]
		for range 4 {
			text := rapid.SampledFrom(slices.Sorted(maps.Keys(p.texts))).Draw(t, "text")
			if quick, slow := p.Check(r, text), p.check(r, text); (quick == nil) != (slow == nil) {
				_, exact := needsOf(t, p, r.Language, text, clean(r.Customers[0].Name) != "")
				t.Fatalf("%s, exact %v: by its fields %v, by its mail %v", text, exact, quick, slow)
			}
		}
	})
}

func needsOf(t fataler, p *Program, language, text string, named bool) (fields []string, exact bool) {
	reader, err := p.reader(readerKey{text: text, language: language})
	if err != nil {
		t.Fatalf("%v", err)
	}
	return reader.needs[named]()
}
