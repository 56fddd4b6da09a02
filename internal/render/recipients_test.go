package render

import (
	"strings"

	"pgregory.net/rapid"

	"tocsin/internal/notice"
)

// everything is a text that has a value in every place where one can be.
const everything = `# About {{.Customer.Name}}

Dear {{default "customer" .Customer.Name}}, **{{.Customer.ID}}** {{or .Customer.Attributes.server "none"}}{{with .Customer.Attributes.plan}} ({{.}}){{end}}.
.{{.Customer.ID}} = {{.Customer.ID}}=

## {{.Customer.ID}}
{{range $i, $c := .Customers}}
{{if $c.Name}}
1. {{$i}} {{$c.Name}} [{{.Name}}](https://x.example/{{.ID}}/?q={{.Name}}&r={{.ID}}#{{.Name}} "for {{.Name}}") <https://y.example/{{.ID}}>
{{else}}
1. ` + "`{{.ID}}`" + `
{{end}}
{{end}}

| {{.Customer.ID}} | b |
|-----|---:|
{{range .Customers}}| ~~{{.ID}}~~ {{.Name}} | [{{.ID}}](https://x.example/{{.ID}}) |
{{end}}

> {{default (len .Customers) .Customer.Attributes.seats}} {{number (default "1234567.5" .Customer.Attributes.none)}}
> {{date (default "2026-11-09T21:00" .Customer.Attributes.none)}} {{range .Windows}}{{.}}{{end}}

    code {{.Customer.ID}}
    .{{.Customer.ID}}

![{{.Customer.ID}}](https://z.example/{{.Customer.ID}}.png) https://{{.Customer.ID}}.example/x
`

// recipients draws customers of all kinds.
func recipients() *rapid.Generator[notice.Recipient] {
	data := rapid.OneOf(rapid.Just(""), rapid.StringN(0, 30, 120), rapid.SampledFrom([]string{"Bakkerij De Vries", "x", ".", "..a", "=", "12", "1234.5",
		"a b", strings.Repeat("long words ", 20), strings.Repeat("x", 200), strings.Repeat("ü", 90), "שלום", "株式会社とても長い名前の会社で折り返しが必要になるものです", "<b>&\"'+", "a\r\n.b", "50% off?", "#1", "javascript:x"}))
	return rapid.Custom(func(t *rapid.T) notice.Recipient {
		r := notice.Recipient{Address: rapid.SampledFrom([]string{"anna@example.org", "Anna@Example.org", "jörg@bücher.example", `"a b"@example.org`}).Draw(t, "address"),
			Language: rapid.SampledFrom([]string{"", "en-US", "de-CH", "ar-EG", "fa", "ja", "es-MX", "nl"}).Draw(t, "language"),
			TimeZone: rapid.SampledFrom([]string{"", "Europe/Zurich", "America/Mexico_City", "Asia/Tokyo", "Mars"}).Draw(t, "zone")}
		for range rapid.IntRange(1, 4).Draw(t, "customers") {
			c := notice.Frozen{ID: data.Draw(t, "id"), Name: data.Draw(t, "name"), Attributes: map[string]string{}}
			for _, name := range []string{"server", "plan", "service", "rebate", "seats", "accounts", "mail_affected"} {
				if rapid.Bool().Draw(t, name) {
					c.Attributes[name] = data.Draw(t, name)
				}
			}
			r.Customers = append(r.Customers, c)
		}
		return r
	})
}
