package render

import (
	"strings"
	"testing"
)

// TestNoTextTakesForEver holds texts of 60 KB that Markdown would take minutes over, and ranges that would not end.
func TestNoTextTakesForEver(t *testing.T) {
	t.Parallel()
	deep := ""
	for i := range 60 {
		deep += strings.Repeat(" ", 2*i) + "- a\n"
	}
	for name, tt := range map[string]struct{ body, want string }{
		"quotations":      {strings.Repeat(">", 60000), "texts.en.body:1: has more than 20 quotations"},
		"with spaces":     {"a\n\n" + strings.Repeat("> ", 21) + "a", "texts.en.body:3: has more than 20 quotations"},
		"lists in a line": {strings.Repeat("- ", 20000) + "a", "texts.en.body:1: has more than 20 quotations or lists"},
		"numbered lists":  {strings.Repeat("1. ", 20000) + "a", "texts.en.body:1: has more than 20 quotations or lists"},
		"lists":           {deep, "texts.en.body:41: has more than 20 quotations or lists"},
		"brackets":        {"x\n\n" + strings.Repeat("[", 60000), "texts.en.body:3: belongs to a paragraph with more than 3000 signs"},
		"links":           {strings.Repeat("[a](", 15000), "texts.en.body:1: belongs to a paragraph with more than 3000 signs"},
		"emphasis":        {strings.Repeat("a*\n", 20000), "texts.en.body:3001: belongs to a paragraph with more than 3000 signs"},
		"code":            {strings.Repeat("` `` ", 10000), "texts.en.body:1: belongs to a paragraph with more than 3000 signs"},
		"underlines":      {strings.Repeat("a\n", 30000) + "=", "texts.en.body:8193: belongs to a paragraph of more than 16 KiB"},
		"nested ranges": {strings.Repeat("{{range $.Customers}}", 5) + "{{.Name}}" + strings.Repeat("{{end}}", 5),
			"texts.en.body: becomes longer for this recipient than a mail can be"},
		"a range of signs":  {"{{range .Customers}}****************{{.Name}}{{end}}", "texts.en.body: belongs to a paragraph with more than 3000 signs"},
		"a rule":            {strings.Repeat("- ", 40) + "\n\n" + strings.Repeat("*", 80), ""},
		"many items":        {strings.Repeat("- **a** [b](https://x.example/)\n", 1500), ""},
		"a list of mailbox": {"{{range .Customers}}\n- **{{.Name}}** ({{.ID}}), [x](https://x.example/{{.ID}})\n{{end}}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := tryCompile(own("s", tt.body))
			if err == nil {
				r := recipient("Anna", nil)
				for range 299 {
					r.Customers = append(r.Customers, r.Customers[0])
				}
				err = p.Check(r, "en")
			}
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("got %v", err)
			}
		})
	}
}
