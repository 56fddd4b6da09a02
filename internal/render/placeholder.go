package render

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	"golang.org/x/text/language"

	"tocsin/internal/notice"
)

// orders are the beginnings of placeholders in square brackets.
var orders = []string{"insert", "your", "enter", "fill[ -]in", "replace", "name of", "date", "time", "link", "url", "company", "customer", "tbd", "tbc", "todo"}

// placeholder matches the forms that other programs, and authors, have for a value that is still to come. A token is masked
// by a control character, which nothing here matches.
var placeholder = regexp.MustCompile(strings.Join([]string{
	`\{\{|\}\}`,                                                  // of an action that lost a brace
	`\{\.?[A-Za-z_][\w.-]*\}`,                                    // {name}
	`\$\{[^{}\n\x01]*\}`,                                         // ${name}
	`\(\([^()\n\x01]*[A-Za-z][^()\n\x01]*\)\)`,                   // ((name))
	`\[\[[^\[\]\n\x01]*[A-Za-z][^\[\]\n\x01]*\]\]`,               // [[name]]
	`<<\s*[A-Za-z_][^<>\n\x01]*>>`,                               // <<name>>
	`\*\|[A-Z][A-Z0-9_:]*\|\*`,                                   // *|NAME|*
	`%%[A-Za-z_]\w*%%|%[A-Z][A-Z0-9]*_[A-Z0-9_]*%|<%|%>|\{%|%\}`, // %%name%%, %FIRST_NAME%, <% name %>, {% name %}
	`\[(?i:` + strings.Join(orders, "|") + `)\b[^\[\]\n\x01]*\](?:[^(\[:]|$)`,
	`\bFIXME\b|\bTBD\b|\bTBC\b|\bXXX+\b|(?i:\blorem ipsum\b)`,
}, "|"))

var todo = regexp.MustCompile(`\bTODO\b`)

// everyday are the languages in which "todo" is a word.
var everyday = []string{"es", "pt", "it", "ca", "gl"}

// Placeholders returns the placeholders that are left over in the texts, other than in code, and in the parameters.
func (p *Program) Placeholders() []notice.Placeholder {
	found := slices.Clone(p.placeholders)
	for _, key := range slices.Sorted(maps.Keys(p.texts)) {
		t := p.texts[key]
		for _, name := range slices.Sorted(maps.Keys(t.parameters)) {
			f := notice.Placeholder{Place: "parameters." + name, Text: strings.TrimSpace(placeholder.FindString(t.parameters[name]))}
			if f.Text != "" && !slices.Contains(found, f) {
				found = append(found, f)
			}
		}
	}
	return found
}

// look looks through a text, with all of its branches, for links that lead nowhere and for placeholders.
func (p *Program) look(src source, t *text, w whole) {
	p.links(src, t, w)
	md := slices.Clone(w.source)
	blankCode(w.doc, md)
	p.seek(src, t, string(md))
}

// hints are words of which a placeholder has one; "lorem ipsum" and orders apart.
var hints = []string{"{", "}", "((", "[[", "<<", "<%", "%>", "*|", "%%", "FIXME", "TBD", "TBC", "XXX"}

// mayHold reports whether a text may hold a placeholder: most hold none, and the expression takes long to tell.
func mayHold(s string) bool {
	if slices.ContainsFunc(hints, func(h string) bool { return strings.Contains(s, h) }) || strings.Contains(s, "%") && strings.Contains(s, "_") {
		return true
	}
	s = strings.ToLower(s)
	return strings.Contains(s, "lorem") || slices.ContainsFunc(orders, func(o string) bool { return strings.Contains(s, "["+o[:3]) })
}

// seek notes the placeholders in s.
func (p *Program) seek(src source, t *text, s string) {
	s = t.tokens.form.ReplaceAllString(s, "\x01")
	var found []string
	if mayHold(s) {
		found = placeholder.FindAllString(s, -1)
	}
	if base, _ := language.Make(t.key).Base(); strings.Contains(s, "TODO") && !slices.Contains(everyday, base.String()) {
		found = append(found, todo.FindAllString(s, -1)...)
	}
	for _, f := range found {
		f = strings.TrimSpace(f)
		p.placeholders = append(p.placeholders, notice.Placeholder{Place: src.find(t.tokens, f), Text: f})
	}
}

// blankCode blanks the code in md.
func blankCode(n ast.Node, md []byte) {
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			if md[i] != '\n' {
				md[i] = ' '
			}
		}
	}
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.CodeBlock, *ast.FencedCodeBlock:
			for i := range c.Lines().Len() {
				segment := c.Lines().At(i)
				blank(segment.Start, segment.Stop)
			}
		case *ast.CodeSpan:
			for t := c.FirstChild(); t != nil; t = t.NextSibling() {
				if t, ok := t.(*ast.Text); ok {
					blank(t.Segment.Start, t.Segment.Stop)
				}
			}
		default:
			blankCode(c, md)
		}
	}
}
