package render

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tocsin/internal/notice"
)

// TestNoMailIsLargerThanAtMost: of mails with lists, tables, quotations, windows and long values, in any script.
func TestNoMailIsLargerThanAtMost(t *testing.T) {
	t.Parallel()
	b := own("Down: {{.Customer.Name}} {{.Customer.ID}}", "Dear **{{.Customer.Name}}**,\n\n{{range .Windows}}- {{.}}\n{{end}}\n"+
		"| a | b |\n| --- | --- |\n{{range .Customers}}\n| {{.Name}} | {{.ID}} {{default \"none at all\" .Attributes.notes}} |\n{{end}}\n\n"+
		"> 1. {{.Customer.Attributes.notes}} {{number \"23543639\"}} {{date \"2026-11-09T21:00\"}}\n\n# {{.Customer.Name}}\n\n[x](https://example.net/{{.Customer.ID}})\n")
	b.Windows = []notice.Window{{Start: "2026-11-09T21:00", End: "2026-11-10T00:00"}}
	rich := compile(t, b)
	plain := compile(t, own("s", strings.Repeat("[{{.Customer.Name}}](https://example.net) ", 20)))
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.OneOf(rapid.StringN(1, 40, -1), rapid.StringMatching(`[a-z" <&]{1,300}x`), rapid.Map(rapid.IntRange(1, 3000), func(n int) string { return strings.Repeat("\"", n) + "x" }))
		r := notice.Recipient{Address: "a@example.org", Language: rapid.SampledFrom([]string{"en", "ar", "ja"}).Draw(t, "language"), TimeZone: "Asia/Tokyo"}
		for i := range rapid.IntRange(1, 4).Draw(t, "customers") {
			r.Customers = append(r.Customers, notice.Frozen{ID: fmt.Sprint("c", i, word.Draw(t, "id")), Name: word.Draw(t, "name"), Attributes: map[string]string{"notes": word.Draw(t, "notes")}})
		}
		p := rapid.SampledFrom([]*Program{rich, plain}).Draw(t, "program")
		text, _ := p.Match(r.Language)
		m, err := p.Compiled(r, text)
		if err != nil {
			t.Skip(err)
		}
		raw, err := m.Append(nil, r, stamp())
		if err != nil {
			t.Skip(err)
		}
		if most := m.AtMost(r); len(raw) > most {
			t.Fatalf("%d bytes, and at most %d", len(raw), most)
		}
	})
}
