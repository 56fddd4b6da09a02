package render

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// FuzzRender renders any notice for mailboxes of up to three hundred customers. It looks for texts that keep a machine
// busy, for errors that are not the author's, and for marks and tokens that reach a reader. No machine needs nearly as
// long as the bound on time.
func FuzzRender(f *testing.F) {
	for _, body := range []string{
		"{{range .Customers}}{{range $.Customers}}{{range $.Customers}}{{.ID}}{{end}}{{end}}{{end}}",
		"| a | b |\n|---|--:|\n{{range .Customers}}| {{.Name}} | ~~{{.ID}}~~ |\n{{end}}\n\n[x]({{.Customer.Attributes.a}})",
		"{{if ge .Customer.Attributes.a 10}}- [x](https://{{.Customer.ID}}.example/?{{.Customer.Name}})\n{{else}}> {{number .Customer.Attributes.a}}\n{{end}}",
		strings.Repeat("|", 40) + "\n" + strings.Repeat("-|", 40) + "\n" + strings.Repeat("|\n", 100),
		strings.Repeat("> ", 18) + strings.Repeat("*a ", 900) + "\n\n" + strings.Repeat("~~b", 500) + "\n\n" + strings.Repeat("[", 2000),
		"((x)) ${y} {z} TODO `{{.Customer.ID}}` <https://münchen.example/ä> ![](//x) {{with .Customer.Name}}{{.}}{{end}}",
	} {
		f.Add("About {{.Customer.Name}}", body, "12", "Ann", uint16(3))
	}
	f.Fuzz(func(t *testing.T, subject, body, attribute, name string, customers uint16) {
		late := time.AfterFunc(time.Minute, func() { panic(fmt.Sprintf("still busy with %q, %q", subject, body)) })
		defer late.Stop()
		own := own(subject, body)
		own.Stacked, own.Texts["ar"] = notice.StackAlways, notice.Text{Subject: subject, Body: body}
		p, err := tryCompile(own)
		if err != nil {
			domain(t, err)
			return
		}
		if err := p.Sound(); err != nil {
			domain(t, err)
		}
		p.Placeholders()
		r := recipient(name, map[string]string{"a": attribute})
		for i := range int(customers) % 300 {
			r.Customers = append(r.Customers, notice.Frozen{ID: fmt.Sprint(i), Name: name, Attributes: map[string]string{"a": attribute + fmt.Sprint(i%7)}})
		}
		if _, err := p.Taken(r, "ar", make([]bool, len(p.Branches()))); err != nil {
			domain(t, err)
		}
		m, err := p.Preview(r, "ar")
		if err != nil {
			domain(t, err)
			return
		}
		if strings.ContainsFunc(m.Text, func(r rune) bool { return r != '\n' && r != '\t' && forbidden(r) }) {
			t.Errorf("a mark is left in the text part: %q", m.Text)
		}
		for _, token := range []string{p.texts["ar"].tokens.prefix, p.texts["en"].tokens.prefix} {
			if strings.Contains(m.HTML+m.Text, token) && !strings.Contains(letters(attribute+name), token) {
				t.Errorf("a token is left: %q", m.HTML)
			}
		}
	})
}

func domain(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*notice.Error](err); !ok {
		t.Fatalf("not a domain error: %v", err)
	}
}
