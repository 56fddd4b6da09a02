package render

import (
	"bufio"
	"bytes"
	stdhtml "html"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/util"
)

// A token in the words of a line has the form of its value before it, by one of these noncharacters. forbidden keeps
// them out of all else.
const (
	markIsolated = '\uFDD2'
	markRaw      = '\uFDD3'
	markURL      = '\uFDD4'
	markQuery    = '\uFDD5'
)

var markedForms = map[rune]int{markIsolated: formIsolated, markRaw: 0, markURL: formURL, markQuery: formQuery}

// plainWriter writes a Markdown tree as lines of text.
type plainWriter struct {
	*block
	source []byte
	prefix string // of every line
	marker string // of the next line only
	blank  bool   // a blank line is wanted before the next line
	quote  string // the beginning of that line
}

func (w *plainWriter) blocks(n ast.Node, apart bool) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if apart {
			w.apart()
		}
		w.write(c)
	}
}

// apart asks for a blank line.
func (w *plainWriter) apart() {
	if !w.blank || len(w.prefix) < len(w.quote) {
		w.blank, w.quote = true, w.prefix
	}
}

// line writes words that are wrapped, and underlined if underline is not 0.
func (w *plainWriter) line(words string, underline byte) {
	if strings.Trim(words, " \t") == "" {
		return
	}
	l := &line{First: w.begin(), Prefix: w.prefix, Pieces: w.pieces(words)}
	if underline != 0 {
		l.Underline = string(underline)
	}
	if len(l.Pieces) > 1 || !l.Pieces[0].constant() {
		w.text = add(w.text, piece{Line: l})
		return
	}
	out := writer{plain: true}
	out.line(l, nil)
	w.text = add(w.text, piece{Text: string(out.buf)})
}

// begin puts a blank line above where one is wanted, and returns the beginning of the next line.
func (w *plainWriter) begin() string {
	if w.blank && len(w.text) > 0 {
		w.text = add(w.text, piece{Text: strings.TrimRight(w.quote, " ") + "\n"})
	}
	first := w.prefix[:max(0, len(w.prefix)-len(w.marker))] + w.marker
	w.blank, w.marker = false, ""
	return first
}

// code writes a line as it is.
func (w *plainWriter) code(words string) {
	first := w.begin()
	if words == "" {
		first = strings.TrimRight(first, " ")
	}
	w.text = add(w.expand(add(w.text, piece{Text: first}), words, 0), piece{Text: "\n"})
}

func (w *plainWriter) write(n ast.Node) {
	outer := w.prefix
	switch n := n.(type) {
	case *ast.Heading:
		w.line(w.inline(n), map[int]byte{1: '=', 2: '-'}[n.Level])
	case *ast.Paragraph, *ast.TextBlock:
		for words := range strings.SplitSeq(w.inline(n), "\n") {
			w.line(words, 0)
		}
	case *ast.ThematicBreak:
		w.code("----------")
	case *ast.CodeBlock, *ast.FencedCodeBlock:
		w.prefix += "    "
		for i := range n.Lines().Len() {
			segment := n.Lines().At(i)
			w.code(strings.TrimRight(string(segment.Value(w.source)), " \t\n"))
		}
	case *ast.Blockquote:
		w.prefix += "> "
		w.blocks(n, true)
	case *ast.List:
		w.list(n)
	case *extast.Table:
		w.table(n)
	default:
		w.blocks(n, true)
	}
	w.prefix = outer
}

func (w *plainWriter) list(l *ast.List) {
	outer, number := w.prefix, l.Start
	indent := 2
	if l.IsOrdered() {
		indent = 3
		if l.Start+l.ChildCount() > 10 {
			indent = 4
		}
	}
	for item := l.FirstChild(); item != nil; item = item.NextSibling() {
		if !l.IsTight {
			w.prefix = outer
			w.apart()
		}
		w.prefix, w.marker = outer+strings.Repeat(" ", indent), "- "
		if l.IsOrdered() {
			w.marker = strconv.Itoa(number) + string(l.Marker) + " "
			number++
		}
		for b := item.FirstChild(); b != nil; b = b.NextSibling() {
			if b != item.FirstChild() && !l.IsTight {
				w.apart()
			}
			w.write(b)
		}
	}
	w.prefix, w.marker = outer, ""
}

// inline returns the words of the inline children of n; a newline in it is a hard line break.
func (w *plainWriter) inline(n ast.Node) string {
	var b strings.Builder
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		switch c := c.(type) {
		case *ast.Text:
			b.WriteString(w.mark(markIsolated, w.unescape(c.Value(w.source))))
			if c.HardLineBreak() {
				b.WriteString("\n")
			} else if c.SoftLineBreak() && !withoutSpaces(c, w.source) {
				b.WriteString(" ")
			}
		case *ast.String:
			b.WriteString(w.mark(markIsolated, string(c.Value)))
		case *ast.CodeSpan:
			for t := c.FirstChild(); t != nil; t = t.NextSibling() {
				b.WriteString(w.mark(markRaw, strings.ReplaceAll(string(t.(*ast.Text).Value(w.source)), "\n", " ")))
			}
		case *ast.AutoLink:
			b.WriteString(w.marked(string(c.Label(w.source))))
		case *ast.Link:
			b.WriteString(w.reference(w.inline(c), c.Destination))
		case *ast.Image:
			b.WriteString(w.reference(w.inline(c), c.Destination))
		case *extast.Strikethrough: // nobody is to read it as if it still held
			b.WriteString("~~" + w.inline(c) + "~~")
		default:
			b.WriteString(w.inline(c))
		}
	}
	return b.String()
}

// withoutSpaces reports whether the end of a line stands between letters of a script that has no spaces between sentences.
func withoutSpaces(t *ast.Text, source []byte) bool {
	next, ok := t.NextSibling().(*ast.Text)
	if !ok {
		return false
	}
	before, _ := utf8.DecodeLastRune(t.Value(source))
	after, _ := utf8.DecodeRune(next.Value(source))
	return util.IsEastAsianWideRune(before) && util.IsEastAsianWideRune(after)
}

// reference writes a link as its words and then its address, or as one of them where the other would say nothing.
func (w *plainWriter) reference(words string, destination []byte) string {
	if html.IsDangerousURL(destination) {
		return words
	}
	address := strings.TrimPrefix(string(util.URLEscape(destination, true)), "mailto:")
	marked := w.marked(address)
	if words == "" || marked == words || w.mark(markIsolated, address) == words || address == "" {
		return marked
	}
	return words + " (" + marked + ")"
}

// mark says of each token in s in which form its value is printed.
func (w *plainWriter) mark(form rune, s string) string {
	return w.tokens.form.ReplaceAllString(s, string(form)+"$0")
}

// marked marks an address: a value in its query is escaped as a part of the query.
func (w *plainWriter) marked(s string) string {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		return w.mark(markURL, s[:i]) + w.mark(markQuery, s[i:])
	}
	return w.mark(markURL, s)
}

// pieces returns the pieces of words with marked tokens.
func (w *plainWriter) pieces(s string) (pieces []piece) {
	for {
		at := w.tokens.find(s)
		if at == nil {
			return add(pieces, piece{Text: s})
		}
		before := []rune(s[:at[0]])
		form := markedForms[before[len(before)-1]]
		pieces = add(pieces, piece{Text: string(before[:len(before)-1])}, w.printed(s[at[0]:at[1]], form))
		s = s[at[1]:]
	}
}

// unescape resolves backslashes and entities the way the HTML part has them resolved. An entity may stand for a
// character that cannot be typed: that becomes a space.
func (w *plainWriter) unescape(s []byte) string {
	plain := string(s)
	if bytes.ContainsAny(s, "\\&") {
		var b bytes.Buffer
		buf := bufio.NewWriter(&b)
		html.DefaultWriter.Write(buf, s)
		_ = buf.Flush()
		plain = stdhtml.UnescapeString(b.String())
	}
	return strings.Map(func(r rune) rune {
		if forbidden(r) {
			return ' '
		}
		return r
	}, plain)
}
