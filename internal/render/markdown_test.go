package render

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMarkdownBecomesBothParts(t *testing.T) {
	t.Parallel()
	attributes := map[string]string{"plan": "gold", "path": "a b?c", "empty": "", "seats": "1234.5"}
	for name, tt := range map[string]struct{ body, html, text string }{
		"a line of control is in no paragraph": {
			"Hello\n{{if .Customer.Attributes.plan}}\nWorld\n{{end}}\nBye",
			"<p>Hello</p>\n<p>World</p>\n<p>Bye</p>\n", "Hello\n\nWorld\n\nBye\n"},
		"control within a sentence stays in it": {
			"Hello {{if .Customer.Attributes.plan}}big{{else}}small{{end}} world",
			"<p>Hello big world</p>\n", "Hello big world\n"},
		"control between list items keeps one list": {
			"1. one\n{{if .Customer.Attributes.empty}}\n2. two\n{{end}}\n3. three\n{{if .Customer.Attributes.plan}}\n4. four\n{{end}}",
			"<ol>\n<li>one</li>\n<li>three</li>\n<li>four</li>\n</ol>\n", "1. one\n2. three\n3. four\n"},
		"a range makes one list": {
			"{{range .Customers}}\n- {{.Name}}\n{{end}}",
			"<ul>\n<li>Ann &amp; *Bo*</li>\n<li>Cy</li>\n</ul>\n", "- Ann & *Bo*\n- Cy\n"},
		"a list within a list of a range": {
			"{{range .Customers}}\n- {{.Name}}\n  1. x\n  2. y\n{{end}}",
			"<ul>\n<li>Ann &amp; *Bo*\n<ol>\n<li>x</li>\n<li>y</li>\n</ol>\n</li>\n<li>Cy\n<ol>\n<li>x</li>\n<li>y</li>\n</ol>\n</li>\n</ul>\n",
			"- Ann & *Bo*\n  1. x\n  2. y\n- Cy\n  1. x\n  2. y\n"},
		"else between two lists": {
			"{{if .Customer.Attributes.empty}}\n- a\n{{else}}\n- b\n{{end}}\n- c",
			"<ul>\n<li>b</li>\n<li>c</li>\n</ul>\n", "- b\n- c\n"},
		"a list before an else": {
			"{{if .Customer.Attributes.plan}}\n{{range .Customers}}\n- {{.Name}}\n{{end}}\n{{else}}\n- c\n\nx\n{{end}}",
			"<ul>\n<li>Ann &amp; *Bo*</li>\n<li>Cy</li>\n</ul>\n", "- Ann & *Bo*\n- Cy\n"},
		"else if on a line of its own": {
			"{{if .Customer.Attributes.empty}}\na\n{{else if eq .Customer.Attributes.plan \"gold\"}}\nb\n{{else}}\nc\n{{end}}",
			"<p>b</p>\n", "b\n"},
		"what a condition leaves empty goes": {
			"a\n\n{{if .Customer.Attributes.empty}}x{{end}}\n\n- {{if .Customer.Attributes.empty}}x{{end}}\n\nb",
			"<p>a</p>\n<p>b</p>\n", "a\n\nb\n"},
		"a variable": {
			"{{$p := .Customer.Attributes.plan}}\n\nPlan {{$p}}",
			"<p>Plan gold</p>\n", "Plan gold\n"},
		"raw HTML is text": {
			"<script>x</script> <b>{{.Customer.Name}}</b>",
			"<p>&lt;script&gt;x&lt;/script&gt; &lt;b&gt;Ann &amp; *Bo*&lt;/b&gt;</p>\n",
			"<script>x</script> <b>Ann & *Bo*</b>\n"},
		"links, in words and bare": {
			"[status page](https://x.example/{{.Customer.ID}}?q={{.Customer.Attributes.path}}) https://y.example/{{.Customer.ID}}. [a@b.example](mailto:a@b.example)",
			`<p><a href="https://x.example/7?q=a%20b%3Fc">status page</a> <a href="https://y.example/7">https://y.example/7</a>. <a href="mailto:a@b.example">a@b.example</a></p>` + "\n",
			"status page (https://x.example/7?q=a%20b%3Fc) https://y.example/7.\na@b.example\n"},
		"a table": {
			"| Service | Price |\n|:--|--:|\n| **web** | {{.Customer.Attributes.seats}} |\n| `a` | 9 \\| 10 |\n\nBye",
			"<table>\n<thead>\n<tr>\n<th scope=\"col\" style=\"text-align:left\">Service</th>\n<th scope=\"col\" style=\"text-align:right\">Price</th>\n</tr>\n</thead>\n" +
				"<tbody>\n<tr>\n<td style=\"text-align:left\"><strong>web</strong></td>\n<td style=\"text-align:right\">1234.5</td>\n</tr>\n" +
				"<tr>\n<td style=\"text-align:left\"><code>a</code></td>\n<td style=\"text-align:right\">9 | 10</td>\n</tr>\n</tbody>\n</table>\n<p>Bye</p>\n",
			"Service   Price\n-------  ------\nweb      1234.5\na        9 | 10\n\nBye\n"},
		"a table with a range": {
			"a|b\n-|-\n{{range .Customers}}| {{.ID}} | {{.Name}} |\n{{end}}\n\nBye",
			"<table>\n<thead>\n<tr>\n<th scope=\"col\">a</th>\n<th scope=\"col\">b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>7</td>\n<td>Ann &amp; *Bo*</td>\n</tr>\n" +
				"<tr>\n<td>8</td>\n<td>Cy</td>\n</tr>\n</tbody>\n</table>\n<p>Bye</p>\n",
			"a  b\n-  ----------\n7  Ann & *Bo*\n8  Cy\n\nBye\n"},
		"a table with an if": {
			"| a |\n|---|\n{{if .Customer.Attributes.empty}}\n| b |\n{{else}}\n| c |\n{{end}}\n{{if .Customer.Attributes.plan}}| d{{if .Customers}}e{{end}} |{{end}}\n{{if .Customer.Attributes.plan}}\nBye\n{{end}}",
			"<table>\n<thead>\n<tr>\n<th scope=\"col\">a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>c</td>\n</tr>\n<tr>\n<td>de</td>\n</tr>\n</tbody>\n</table>\n<p>Bye</p>\n",
			"a\n--\nc\nde\n\nBye\n"},
		"a table that is too wide for a line": {
			"- x\n\n  | What | |\n  |---|---|\n  | " + strings.Repeat("very ", 20) + "long | {{.Customer.ID}} |\n  | b | |",
			"<ul>\n<li>x\n<table>\n<thead>\n<tr>\n<th scope=\"col\">What</th>\n<th scope=\"col\"></th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>" + strings.Repeat("very ", 20) +
				"long</td>\n<td>7</td>\n</tr>\n<tr>\n<td>b</td>\n<td></td>\n</tr>\n</tbody>\n</table>\n</li>\n</ul>\n",
			"- x\n  What: " + strings.TrimSpace(strings.Repeat("very ", 13)) + "\n    " + strings.TrimSpace(strings.Repeat("very ", 7)) + " long\n  7\n\n  What: b\n"},
		"what is struck through": {
			"From ~~{{.Customer.ID}} to 9~~ **10** ~a~", "<p>From <del>7 to 9</del> <strong>10</strong> <del>a</del></p>\n", "From ~~7 to 9~~ 10 ~~a~~\n"},
		"the host of a link is what the DNS calls it": {
			"[s](https://münchen.example/ä?ü) <https://bücher.example:8080/> ![](https://ö.example/x.png)",
			`<p><a href="https://xn--mnchen-3ya.example/%C3%A4?%C3%BC">s</a> <a href="https://xn--bcher-kva.example:8080/">https://bücher.example:8080/</a> <img src="https://xn--nda.example/x.png" alt=""></p>` + "\n",
			"s (https://xn--mnchen-3ya.example/%C3%A4?%C3%BC)\nhttps://bücher.example:8080/ (https://xn--bcher-kva.example:8080/)\nhttps://xn--nda.example/x.png\n"},
		"headings, emphasis, code, quotes and rules": {
			"# Title *x*\n\n## Part\n\n### Small\n\nSome **bold** `co*de` \\*lit\\* &amp; &lt;\n\n    code {{.Customer.Name}}\n\n> quoted\n> more\n>\n> last\n\n---\n",
			"<h1>Title <em>x</em></h1>\n<h2>Part</h2>\n<h3>Small</h3>\n<p>Some <strong>bold</strong> <code>co*de</code> *lit* &amp; &lt;</p>\n<pre><code>code Ann &amp; *Bo*\n</code></pre>\n<blockquote>\n<p>quoted\nmore</p>\n<p>last</p>\n</blockquote>\n<hr>\n",
			"Title x\n=======\n\nPart\n----\n\nSmall\n\nSome bold co*de *lit* & <\n\n    code Ann & *Bo*\n\n> quoted more\n>\n> last\n\n----------\n"},
		"braces that are no action stay braces": {
			"\\{\\{ .Secret \\}\\} &#123;&#123;x {{\"{{\"}} `{`{{.Customer.ID}}",
			"<p>{{ .Secret }} {{x {{ <code>{</code>7</p>\n", "{{ .Secret }} {{x {{ {7\n"},
		"a hard line break": {
			"a\\\nb  \nc", "<p>a<br>\nb<br>\nc</p>\n", "a\nb\nc\n"},
		"a loose list": {
			"- a\n\n- b", "<ul>\n<li>\n<p>a</p>\n</li>\n<li>\n<p>b</p>\n</li>\n</ul>\n", "- a\n\n- b\n"},
		"numbers print as the reader writes them": {
			"{{number .Customer.Attributes.seats}} {{len .Customers}} {{12345}}", "<p>1,234.5 2 12,345</p>\n", "1,234.5 2 12,345\n"},
		"a range that begins where its item does": {
			"Who:\n\n{{range .Customers}}- {{.Name}}\n{{end}}\nBye",
			"<p>Who:</p>\n<ul>\n<li>Ann &amp; *Bo*</li>\n<li>Cy</li>\n</ul>\n<p>Bye</p>\n", "Who:\n\n- Ann & *Bo*\n- Cy\n\nBye\n"},
		"a range over lines": {
			"{{range .Customers}}{{.Name}}\n{{end}}", "<p>Ann &amp; *Bo*</p>\n<p>Cy</p>\n", "Ann & *Bo*\n\nCy\n"},
		"a range that ends with its item": {
			"Who: {{range .Customers}}\n1. {{.Name}}{{end}}\nBye",
			"<p>Who:</p>\n<ol>\n<li>Ann &amp; *Bo*</li>\n<li>Cy</li>\n</ol>\n<p>Bye</p>\n", "Who:\n\n1. Ann & *Bo*\n2. Cy\n\nBye\n"},
		"an if and a range that begin and end together": {
			"{{if .Customers}}{{range .Customers}}- {{.Name}}{{if .Attributes.plan}} ({{.Attributes.plan}}){{end}}\n{{end}}{{end}}",
			"<ul>\n<li>Ann &amp; *Bo* (gold)</li>\n<li>Cy (gold)</li>\n</ul>\n", "- Ann & *Bo* (gold)\n- Cy (gold)\n"},
		"else where the paragraph begins": {
			"{{if .Customer.Attributes.empty}}a\n{{else if .Customer.Attributes.plan}}b\n\nc\n{{else}}d\n{{end}}e",
			"<p>b</p>\n<p>c</p>\n<p>e</p>\n", "b\n\nc\n\ne\n"},
		"an if around a title and its paragraph": {
			"{{if .Customer.Attributes.plan}}## Title\n\nText{{else}}\nNo{{end}}\nBye",
			"<h2>Title</h2>\n<p>Text</p>\n<p>Bye</p>\n", "Title\n-----\n\nText\n\nBye\n"},
		"a range in an item": {
			"- x\n  {{range .Customers}}- {{.Name}}\n  {{end}}\n- y",
			"<ul>\n<li>x\n<ul>\n<li>Ann &amp; *Bo*</li>\n<li>Cy</li>\n</ul>\n</li>\n<li>y</li>\n</ul>\n", "- x\n  - Ann & *Bo*\n  - Cy\n- y\n"},
		"an if that begins with its item": {
			"- {{if .Customer.Attributes.empty}}a\n  {{else}}b\n  {{end}}\n- {{range .Customers}}{{.ID}}\n  {{end}}\n",
			"<ul>\n<li>b</li>\n<li>7\n8</li>\n</ul>\n", "- b\n- 7\n  8\n"},
		"a range in a block of code": {
			"x\n```\n{{range .Customers}}{{.Name}}\n{{end}}\n```", "<p>x</p>\n<pre><code>Ann &amp; *Bo*\nCy\n\n</code></pre>\n", "x\n\n    Ann & *Bo*\n    Cy\n\n"},
		"a range in a quotation": {
			"> {{range .Customers}}- {{.Name}}\n> {{end}}",
			"<blockquote>\n<ul>\n<li>Ann &amp; *Bo*</li>\n<li>Cy</li>\n</ul>\n</blockquote>\n", "> - Ann & *Bo*\n> - Cy\n"},
		"lines that an if holds stay in their paragraph": {
			"{{if .Customer.Attributes.plan}}Hello\nworld{{end}}\nbye", "<p>Hello\nworld\nbye</p>\n", "Hello world bye\n"},
		"trimming joins lines": {
			"a\n{{- if .Customer.Attributes.plan}} b{{end}}", "<p>a b</p>\n", "a b\n"},
		"words that look like a token": {
			"qzxpaaaa qzxcaaaa {{.Customer.ID}} qz{{.Customer.ID}}", "<p>qzxpaaaa qzxcaaaa 7 qz7</p>\n", "qzxpaaaa qzxcaaaa 7 qz7\n"},
		"an entity within what looks like a token": {
			"&#113;zxpaaaa q\x00zxpaaaa {{.Customer.ID}}", "<p>qzxpaaaa qzxpaaaa 7</p>\n", "qzxpaaaa qzxpaaaa 7\n"},
		"an entity that stands for a mark of ours": {
			"a&#xFDD0;b &#0;c", "<p>a\uFDD0b \uFFFDc</p>\n", "a b c\n"},
		"an action in a host name": {
			"https://{{.Customer.Attributes.plan}}.example/x and https://www.{{.Customer.Attributes.plan}}/x",
			`<p><a href="https://gold.example/x">https://gold.example/x</a> and <a href="https://www.gold/x">https://www.gold/x</a></p>` + "\n",
			"https://gold.example/x and https://www.gold/x\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := recipient("Ann & *Bo*", attributes)
			r.Customers[0].ID = "7"
			r.Customers = append(r.Customers, r.Customers[0])
			r.Customers[1].ID, r.Customers[1].Name = "8", "Cy"
			m := preview(t, compile(t, own("s", tt.body)), r)
			_, page, _ := strings.Cut(m.HTML, "<div class=\"block ltr\" lang=\"en\" dir=\"ltr\">\n")
			page, _, _ = strings.Cut(page, "</div>\n</td></tr>")
			if diff := cmp.Diff(tt.html, page); diff != "" {
				t.Errorf("HTML (-want +got):\n%s", diff)
			}
			text := strings.TrimSuffix(below(m.Text), "\n-- \nExample Status\n")
			if diff := cmp.Diff(tt.text, text); diff != "" {
				t.Errorf("text (-want +got):\n%s", diff)
			}
		})
	}
}

// wrapped returns the lines of a text that is wrapped.
func wrapped(text string, limit int) (lines []string) {
	l := line{}
	l.Pieces = []piece{{Text: text}}
	out := writer{plain: true}
	out.wrap(&l, nil, limit)
	for s := range strings.Lines(string(out.buf)) {
		lines = append(lines, strings.TrimSuffix(s, "\n"))
	}
	return lines
}

func TestLinesWrapAtSpaces(t *testing.T) {
	t.Parallel()
	long := "https://status.example.net/" + strings.Repeat("path/", 20)
	for name, tt := range map[string]struct {
		in   string
		want []string
	}{
		"nothing":                 {"  ", nil},
		"a line that just fits":   {"1234 6789", []string{"1234 6789"}},
		"one column too much":     {"1234 67890", []string{"1234", "67890"}},
		"a URL is never broken":   {"see " + long + " now", []string{"see", long, "now"}},
		"accents take one column": {"éééé éééé", []string{"éééé éééé"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, wrapped(tt.in, 9)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWideScriptsWrapWithoutSpaces(t *testing.T) {
	t.Parallel()
	const in = "障害が発生しましたhttps://example.net/aaaaaaaaaaaaです。"
	got := wrapped(in, 12)
	if joined := strings.Join(got, ""); joined != in {
		t.Errorf("%q came back as %q", in, joined)
	}
	for _, line := range got {
		if columns(line) > 12 && !strings.Contains(line, "https://example.net/aaaaaaaaaaaa") {
			t.Errorf("%q is wider than 12 columns, or broken within the URL", line)
		}
	}
}
