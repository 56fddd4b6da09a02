package render

import (
	"bufio"
	"bytes"
	"fmt"
	stdhtml "html"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"
)

// The text template prints lines for reflow: a blank line is wanted (markBlank, and what quotes it), or a kind, a
// prefix for every line, a marker for the first one, and the words. The marks are noncharacters, which forbidden
// keeps out of all that is printed between them.
const (
	markBlank  = '\uFDD0'
	markMarker = '\uFDD1'
	markWords  = '\uFDD2'
)

const (
	lineWords   = 'w' // wrapped
	lineCode    = 'c' // as it is
	lineTitle   = '1' // wrapped and underlined with =
	lineSection = '2' // wrapped and underlined with -
)

// plainWriter writes a Markdown tree as the body of a text/template.
type plainWriter struct {
	source []byte
	tokens *tokens
	out    strings.Builder
	prefix string // of every line
	marker string // of the next line only
	later  string // the marker of the lines after it
	lists  int
}

func plainTemplate(doc ast.Node, source []byte, t *tokens) string {
	w := &plainWriter{source: source, tokens: t}
	w.blocks(doc, true)
	return w.out.String()
}

// blocks writes the children of n, with a blank line before each where apart is set.
func (w *plainWriter) blocks(n ast.Node, apart bool) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if w.control(c) {
			continue
		}
		if apart {
			w.blank()
		}
		w.block(c)
	}
}

// control writes n if it is a control, and reports whether it was one.
func (w *plainWriter) control(n ast.Node) bool {
	c, ok := n.(*control)
	if ok {
		for _, token := range c.tokens {
			w.out.WriteString(w.tokens.get(token).template("out"))
		}
	}
	return ok
}

func (w *plainWriter) blank() {
	w.out.WriteString(string(markBlank) + w.prefix + "\n")
}

func (w *plainWriter) line(kind rune, words string) {
	fmt.Fprintf(&w.out, "%c%s%c%s%c%s\n", kind, w.prefix, markMarker, w.marker, markWords, words)
	w.marker = w.later
}

func (w *plainWriter) block(n ast.Node) {
	switch n := n.(type) {
	case *ast.Heading:
		kind := lineWords
		if n.Level <= 2 {
			kind = rune('0' + n.Level)
		}
		w.line(kind, w.inline(n))
	case *ast.Paragraph, *ast.TextBlock:
		for words := range strings.SplitSeq(w.inline(n), "\n") {
			w.line(lineWords, words)
		}
	case *ast.ThematicBreak:
		w.line(lineCode, "----------")
	case *ast.CodeBlock, *ast.FencedCodeBlock:
		outer := w.prefix
		w.prefix += "    "
		for i := range n.Lines().Len() {
			segment := n.Lines().At(i)
			w.line(lineCode, w.tokens.expand(strings.TrimRight(string(segment.Value(w.source)), "\n"), "raw"))
		}
		w.prefix = outer
	case *ast.Blockquote:
		outer := w.prefix
		w.prefix += "> "
		w.blocks(n, true)
		w.prefix = outer
	case *ast.List:
		w.list(n)
	default:
		w.blocks(n, true)
	}
}

func (w *plainWriter) list(l *ast.List) {
	w.lists++
	id, outer, outerLater := w.lists, w.prefix, w.later
	w.later = ""
	indent := 2
	if l.IsOrdered() {
		indent = 3
		if l.Start+l.ChildCount() > 10 {
			indent = 4
		}
		// A list within a range begins anew each time round, so the template counts, not this writer.
		fmt.Fprintf(&w.out, "{{start $ %d %d}}", id, l.Start)
	}
	for c := l.FirstChild(); c != nil; c = c.NextSibling() {
		if w.control(c) {
			continue
		}
		if !l.IsTight {
			w.blank()
		}
		w.prefix, w.marker = outer+strings.Repeat(" ", indent), "- "
		mark := `"- "`
		if l.IsOrdered() {
			w.marker = fmt.Sprintf("{{item $ %d}}%c ", id, l.Marker)
			mark = fmt.Sprintf(`(item $ %d) "%c "`, id, l.Marker)
		}
		if _, ok := c.FirstChild().(*control); ok {
			// Only when the mail is written is it known which line of the item is the first one.
			w.out.WriteString("{{mark $ " + mark + "}}")
			w.marker, w.later = "{{marker $}}", "{{marker $}}"
		}
		for b := c.FirstChild(); b != nil; b = b.NextSibling() {
			if w.control(b) {
				continue
			}
			if b != c.FirstChild() && !l.IsTight {
				w.blank()
			}
			w.block(b)
		}
		w.prefix, w.marker, w.later = outer, "", ""
	}
	w.marker, w.later = outerLater, outerLater
}

// inline writes the inline children of n; a newline in it is a hard line break.
func (w *plainWriter) inline(n ast.Node) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Text:
			b.WriteString(w.tokens.expand(w.unescape(c.Value(w.source)), "out"))
			if c.HardLineBreak() {
				b.WriteString("\n")
			} else if c.SoftLineBreak() {
				b.WriteString(" ")
			}
		case *ast.String:
			b.WriteString(w.tokens.expand(string(c.Value), "out"))
		case *ast.CodeSpan:
			for t := c.FirstChild(); t != nil; t = t.NextSibling() {
				code := strings.ReplaceAll(string(t.(*ast.Text).Value(w.source)), "\n", " ")
				b.WriteString(w.tokens.expand(code, "raw"))
			}
		case *ast.AutoLink:
			b.WriteString(w.address(string(c.Label(w.source))))
		case *ast.Link:
			b.WriteString(w.link(w.inline(c), c.Destination))
		case *ast.Image:
			b.WriteString(w.link(w.inline(c), c.Destination))
		default:
			b.WriteString(w.inline(c))
		}
	}
	return b.String()
}

// link writes a link as its words and then its address, or as one of them where the other would say nothing.
func (w *plainWriter) link(words string, destination []byte) string {
	if html.IsDangerousURL(destination) {
		return words
	}
	address := string(util.URLEscape(destination, true))
	address = strings.TrimPrefix(address, "mailto:")
	expanded := w.address(address)
	if words == "" || expanded == words || w.tokens.expand(address, "out") == words || address == "" {
		return expanded
	}
	return words + " (" + expanded + ")"
}

// address expands an address: what is printed into its query is escaped as a part of it.
func (w *plainWriter) address(s string) string {
	if i := strings.IndexByte(s, '?'); i >= 0 {
		return w.tokens.expand(s[:i], "url") + w.tokens.expand(s[i:], "query")
	}
	return w.tokens.expand(s, "url")
}

// unescape resolves backslashes and entities the way the HTML part has them resolved. An entity may stand for what
// cannot be typed: that becomes a space.
func (w *plainWriter) unescape(s []byte) string {
	var b bytes.Buffer
	buf := bufio.NewWriter(&b)
	html.DefaultWriter.Write(buf, s)
	_ = buf.Flush()
	return strings.Map(func(r rune) rune {
		if forbidden(r) {
			return ' '
		}
		return r
	}, stdhtml.UnescapeString(b.String()))
}
