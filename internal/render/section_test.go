package render

import (
	"fmt"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// shared returns a mailbox of customers, each with a name, and attributes as "name=value".
func shared(customers ...[]string) notice.Recipient {
	r := recipient("", nil)
	r.Customers = nil
	for i, c := range customers {
		f := notice.Frozen{ID: fmt.Sprint(i + 1), Name: c[0], Attributes: map[string]string{}}
		for _, a := range c[1:] {
			name, value, _ := strings.Cut(a, "=")
			f.Attributes[name] = value
		}
		r.Customers = append(r.Customers, f)
	}
	return r
}

func TestAMailboxGetsASectionForEachText(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		body string
		r    notice.Recipient
		want string // of the text part
	}{
		"an attribute that is printed": {"Server {{.Customer.Attributes.server}}", shared([]string{"Ann", "server=a"}, []string{"Bo", "server=b"}, []string{"", "server=a"}),
			"Ann (1), 3\n==========\n\nServer a\n\n----------\n\nBo (2)\n======\n\nServer b\n"},
		"an attribute that decides": {"{{if .Customer.Attributes.rebate}}Rebate{{else}}None{{end}} of {{len .Customers}}", shared([]string{"Ann"}, []string{"Bo", "rebate=5"}, []string{"Cy"}),
			"Ann (1), Cy (3)\n===============\n\nNone of 2\n\n----------\n\nBo (2)\n======\n\nRebate of 1\n"},
		"one in a variable": {"{{$c := .Customer}}{{with $c.Attributes}}{{.plan}}{{end}}", shared([]string{"Ann", "plan=x"}, []string{"Bo", "plan=y"}),
			"Ann (1)\n=======\n\nx\n\n----------\n\nBo (2)\n======\n\ny\n"},
		"an id that decides": {`{{if eq .Customer.ID "2"}}You{{else}}Others{{end}}`, shared([]string{"Ann"}, []string{"Bo"}, []string{"Cy"}),
			"Ann (1), Cy (3)\n===============\n\nOthers\n\n----------\n\nBo (2)\n======\n\nYou\n"},
		"the name alone":       {"Dear {{.Customer.Name}} ({{.Customer.ID}})", shared([]string{"Ann"}, []string{"Bo"}), "Dear Ann (1)\n"},
		"a name that may lack": {"Dear{{if .Customer.Name}} {{.Customer.Name}}{{end}} {{default \"x\" .Customer.Name}}", shared([]string{"Ann"}, []string{""}), "Dear Ann Ann\n"},
		"a list of all":        {"{{range .Customers}}\n- {{.Attributes.server}}\n{{end}}", shared([]string{"Ann", "server=a"}, []string{"Bo", "server=b"}), "- a\n- b\n"},
		"the same values":      {"{{.Customer.Attributes.plan}}", shared([]string{"Ann", "plan=x"}, []string{"Bo", "plan=x"}), "x\n"},
		"a range within section": {"{{.Customer.Attributes.p}}:{{range .Customers}} {{.Name}}{{end}}", shared([]string{"Ann", "p=1"}, []string{"Bo", "p=2"}, []string{"Cy", "p=1"}),
			"Ann (1), Cy (3)\n===============\n\n1: Ann Cy\n\n----------\n\nBo (2)\n======\n\n2: Bo\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := preview(t, compile(t, own("For {{.Customer.Name}}", tt.body)), tt.r)
			if text := strings.TrimSuffix(below(m.Text), "\n-- \nExample Status\n"); text != tt.want || m.Subject != "For Ann" {
				t.Errorf("%s:\n%s", m.Subject, text)
			}
			if n := strings.Count(m.HTML, `<div class="section">`); n != strings.Count(tt.want, "==\n") {
				t.Errorf("%d sections in the HTML part", n)
			}
		})
	}
}

func TestNobodyOfAMailboxIsLeftOut(t *testing.T) {
	t.Parallel()
	p := compile(t, own("s", "Server {{.Customer.Attributes.server}}"))
	if err := p.Check(shared([]string{"Ann", "server=a"}, []string{"Bo"}), "en"); err == nil || err.Error() != "texts.en.body:1: .Customer.Attributes.server is empty for this recipient" {
		t.Errorf("the second one's hole: %v", err)
	}
	var many, long [][]string
	for i := range 51 {
		many = append(many, []string{"A", fmt.Sprintf("server=%d", i)})
		long = append(long, []string{"A", fmt.Sprintf("server=%d", i%40) + strings.Repeat("x", 3000)})
	}
	if err := p.Check(shared(many[1:]...), "en"); err != nil {
		t.Errorf("fifty sections: %v", err)
	}
	if err := p.Check(shared(many...), "en"); err == nil || !strings.Contains(err.Error(), "the 51 customers of this mailbox would get more than 50 different texts") {
		t.Errorf("fifty-one sections: %v", err)
	}
	if err := p.Check(shared(long...), "en"); err == nil || !strings.Contains(err.Error(), "more than 200 KB") {
		t.Errorf("a long mail: %v", err)
	}
	// A notice that was released before there were sections was checked for its first customer, and has to leave.
	m, err := render(p, shared([]string{"Ann", "server=a"}, []string{"Bo"}), "en", stamp())
	if err != nil || !strings.HasPrefix(below(m.Text), "Server a\n") {
		t.Errorf("%v\n%s", err, m.Text)
	}
}

func TestSectionsAreCompiledOnceForManyMailboxes(t *testing.T) {
	t.Parallel()
	b := own("s", "{{.Customer.Attributes.server}}")
	b.Stacked, b.Texts["nl"] = notice.StackAlways, notice.Text{Subject: "s", Body: "{{.Customer.Name}}"}
	p := compile(t, b)
	r := shared([]string{"Ann", "server=a"}, []string{"Bo", "server=b"})
	first, err := p.Compiled(r, "nl")
	if err != nil {
		t.Fatal(err)
	}
	if other, err := p.Compiled(shared([]string{"Cy", "server=c"}, []string{"Di", "server=d"}), "nl"); other != first || err != nil {
		t.Errorf("a mailbox of the same kind has another mail: %v", err)
	}
	if other, err := p.Compiled(shared([]string{"Cy", "server=c"}, []string{"", "server=d"}), "nl"); other == first || err != nil {
		t.Errorf("one whose customer has no name has the same: %v", err)
	}
	if m := preview(t, p, r); strings.Count(m.HTML, `<div class="section">`) != 2 {
		t.Errorf("got %s", m.HTML)
	}
	r.Language = "nl"
	if m, err := p.Preview(r, "nl"); err != nil || strings.Count(m.HTML, `<div class="section">`) != 4 {
		t.Errorf("stacked: %v\n%s", err, m.Text)
	}
}

// TestCustomersOfAMailboxStandInATable in each language: columns begin below each other, however wide the letters are.
// The name of a customer is no template, and no table.
func TestCustomersOfAMailboxStandInATable(t *testing.T) {
	t.Parallel()
	p := compile(t, outage())
	for _, key := range thirty {
		r := shared([]string{"株式会社東京"}, []string{"مؤسسة النور"}, []string{"A | {{.Customer.ID}} **b**"})
		for i, service := range []string{"メール", "Mail", "{{x}}|y"} {
			r.Customers[i].Attributes = map[string]string{"service": service}
		}
		r.Language = key
		m := preview(t, p, r)
		var columnsOfServices []int
		for line := range strings.Lines(m.Text) {
			for _, service := range []string{"メール", "Mail", "{{x}}|y"} {
				if before, ok := strings.CutSuffix(strings.TrimRight(line, "\u2069\n"), service); ok && strings.Contains(line, ")") {
					columnsOfServices = append(columnsOfServices, columns(strings.TrimRight(before, "\u2068")))
				}
			}
		}
		if len(columnsOfServices) != 3 || columnsOfServices[0] != columnsOfServices[1] || columnsOfServices[1] != columnsOfServices[2] {
			t.Errorf("%s: services begin in columns %d:\n%s", key, columnsOfServices, m.Text)
		}
		if n := strings.Count(m.HTML, `<th scope="col">`); n != 2 || !strings.Contains(m.HTML, "{{x}}|y") || !strings.Contains(m.HTML, "A | {{.Customer.ID}} **b**") {
			t.Errorf("%s: %d columns with names:\n%s", key, n, m.HTML)
		}
	}
	r := shared([]string{strings.Repeat("very long ", 9)}, []string{""})
	if m := preview(t, p, r); !strings.Contains(m.HTML, `<th scope="col">Account</th>`) || strings.Contains(m.HTML, `<th scope="col">Service</th>`) {
		t.Errorf("without services: %s", m.HTML)
	}
}
