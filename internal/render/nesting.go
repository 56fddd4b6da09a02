package render

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark/ast"

	"tocsin/internal/notice"
)

// whole is Markdown with all of its controls, converted.
type whole struct {
	doc    ast.Node
	source []byte          // that doc refers to
	alone  map[string]bool // the tokens of the controls that have a line to themselves, outside of code
}

// nesting converts Markdown with all of its controls, to see that each of them ends in the element in which it begins.
func (c *converter) nesting(src source, t *tokens, md string) (w whole, bad error) {
	doc, page, source, err := c.convert(isolated(t, md))
	if err != nil {
		return w, fmt.Errorf("convert %s to HTML: %w", src.label, err)
	}
	n := nesting{source: src}
	alone := map[string]bool{}
	own := regexp.MustCompile(`<p>((?:` + t.prefix + `c[a-z]{4}\s*)+)</p>`)
	page = own.ReplaceAllString(page, "<control>$1</control>")
	at := 0
	for _, m := range append(markup.FindAllStringSubmatchIndex(page, -1), nil) {
		end := len(page)
		if m != nil {
			end = m[0]
		}
		if n.block {
			for _, token := range t.form.FindAllString(page[at:end], -1) {
				alone[token] = true
			}
		}
		n.controls(t, page[at:end])
		if m == nil {
			break
		}
		tag, name, closing := page[m[0]:m[1]], page[m[4]:m[5]], m[2] < m[3]
		at = m[1]
		if name == "control" {
			n.block = !closing
			continue
		}
		depth := len(n.open)
		n.controls(t, tag)
		if len(n.open) != depth {
			n.fail(n.line())
		}
		switch {
		case name == "br" || name == "hr" || name == "img":
		case closing:
			n.close(name)
		default:
			n.open = append(n.open, open{name: name})
		}
	}
	if n.err != nil {
		return w, n.err
	}
	return whole{doc, source, alone}, nil
}

// isolated returns Markdown in which controls with a line to themselves are made paragraphs.
func isolated(t *tokens, md string) string {
	var b strings.Builder
	for line := range strings.Lines(md) {
		indent, head, rest, _ := t.edges(strings.TrimRight(line, "\n"))
		if len(head) == 0 || strings.TrimSpace(rest) != "" {
			b.WriteString(line)
			continue
		}
		around := strings.TrimRight(further(indent), " \t") + "\n"
		if further(indent) == indent {
			b.WriteString(around)
		}
		b.WriteString(strings.TrimRight(line, "\n") + "\n" + around)
	}
	return b.String()
}

// nesting is the elements and the controls that are open at a point of the HTML.
type nesting struct {
	source source
	block  bool // the controls that come are on a line of their own
	open   []open
	err    *notice.Error
}

type open struct {
	name  string // of an element, or if, range, with
	line  int    // of a control; 0 = an element
	block bool   // a control on a line of its own
}

func (n *nesting) line() int {
	for i := len(n.open) - 1; i >= 0; i-- {
		if n.open[i].line > 0 {
			return n.open[i].line
		}
	}
	return 1
}

func (n *nesting) fail(line int) {
	if n.err == nil {
		n.err = notice.Invalid(n.source.at(line), "what begins here ends in another paragraph, list item or emphasis: "+
			"put {{if}}, {{range}}, {{else}} and {{end}} on lines of their own, or all of them into one sentence")
	}
}

func (n *nesting) close(name string) {
	if len(n.open) == 0 || n.open[len(n.open)-1].name != name || n.open[len(n.open)-1].line > 0 {
		n.fail(n.line())
		return
	}
	n.open = n.open[:len(n.open)-1]
}

func (n *nesting) controls(t *tokens, s string) {
	for _, token := range t.form.FindAllString(s, -1) {
		a := t.flat[t.number(token)].action
		top := open{}
		if len(n.open) > 0 {
			top = n.open[len(n.open)-1]
		}
		switch a.keyword {
		case "if", "range", "with":
			n.open = append(n.open, open{a.keyword, a.line, n.block})
		case "else", "end":
			if top.line == 0 || top.block != n.block {
				n.fail(n.line())
				return
			}
			if a.keyword == "end" {
				n.open = n.open[:len(n.open)-1]
			}
		}
	}
}
