package render

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tocsin/internal/notice"
)

func TestNeedsNamesTheFieldsThatATextPrints(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body  string
		want  []string
		exact bool
	}{
		"nothing":                       {"x", nil, true},
		"fields":                        {"{{.Customer.Name}} {{.Customer.Attributes.plan}} {{.Customer.ID}}{{.Customer.Name}}", []string{"attributes.plan", "id", "name"}, true},
		"a default":                     {"{{default \"you\" .Customer.Name}} {{or .Customer.Attributes.a .Customer.Attributes.b \"c\"}}", nil, true},
		"an empty default":              {"{{default \"\" .Customer.Name}}", nil, false},
		"one of two":                    {"{{or .Customer.Attributes.a .Customer.Attributes.b}}", nil, false},
		"a number":                      {"{{number .Customer.Attributes.n}}", nil, false},
		"a number with a default":       {"{{default \"none\" (number .Customer.Attributes.n)}}", nil, false},
		"an if on a field":              {"x{{if .Customer.Name}} {{.Customer.Name}}{{end}}", nil, false},
		"an if on the notice":           {"x{{if .Windows}} {{.Customer.Name}}{{end}}", []string{"name"}, true},
		"an if on how many there are":   {"x {{if gt (len .Customers) 1}}{{.Customer.ID}}{{else}}{{.Customer.Name}}{{end}}", []string{"name"}, true},
		"a range":                       {"{{range .Customers}}\n- {{.Name}}\n{{end}}", []string{"name"}, true},
		"a link that may lead anywhere": {"[x]({{.Customer.Attributes.url}})", []string{"attributes.url"}, false},
		"a link":                        {"[x](https://x.example/{{.Customer.Attributes.url}})", []string{"attributes.url"}, true},
	} {
		fields, exact, err := compile(t, own("s", tt.body)).Needs("en", "en")
		if err != nil || exact != tt.exact || exact && !slices.Equal(fields, tt.want) {
			t.Errorf("%s: got %v, %v, %v", name, fields, exact, err)
		}
	}
	if fields, exact, err := compile(t, outage()).Needs("nl", "nl"); !exact || len(fields) > 0 || err != nil {
		t.Errorf("a ready text: %v, %v, %v", fields, exact, err)
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
		p := rapid.SampledFrom(programs).Draw(t, "notice")
		r := recipients().Draw(t, "recipient")
		r.Customers = r.Customers[:1]
		for text := range p.texts {
			fields, exact, err := p.Needs(r.Language, text)
			if err != nil || !exact {
				continue
			}
			hole := slices.ContainsFunc(fields, func(name string) bool { return clean(fieldOf(r.Customers[0], name)) == "" })
			if got := p.Check(r, text); (got != nil) != hole {
				t.Fatalf("%s needs %v: %v", text, fields, got)
			}
		}
	})
}

func fieldOf(c notice.Frozen, name string) string {
	switch name {
	case "id":
		return c.ID
	case "name":
		return c.Name
	}
	return c.Attributes[name[len("attributes."):]]
}
