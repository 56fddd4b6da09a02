package main

import (
	"bytes"
	"fmt"
	"html/template"
	"strings"
	"unicode"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
)

// render fills in the page from the text of its document. Links to documents become links to their pages.
func (p *page) render(source []byte) error {
	md := goldmark.New(
		goldmark.WithExtensions(extension.Table, extension.Strikethrough, extension.TaskList),
		goldmark.WithParserOptions(parser.WithAutoHeadingID()),
		goldmark.WithRendererOptions(html.WithUnsafe()), // the documents are ours: comments, and a table's notes
	)
	doc := md.Parser().Parse(text.NewReader(source), parser.WithContext(parser.NewContext(parser.WithIDs(ids{}))))
	at := ""
	err := ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Heading:
			id := p.heading(n, source)
			if n.Level == 2 {
				at = id
			}
		case *ast.Link:
			p.links = append(p.links, link{string(n.Destination), string(plain(n, source)), at})
			n.Destination = []byte(p.pageLink(string(n.Destination)))
		case *ast.Image:
			p.links = append(p.links, link{string(n.Destination), string(plain(n, source)), at})
			n.Destination = []byte(p.pageLink(string(n.Destination)))
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return err
	}
	if p.Title == "" {
		return fmt.Errorf("it has no heading")
	}
	var b bytes.Buffer
	if err := md.Renderer().Render(&b, source, doc); err != nil {
		return err
	}
	// A wide table moves by itself, not the page.
	wide := strings.NewReplacer("<table>", `<div class="wide" tabindex="0"><table>`, "</table>", "</table></div>")
	p.Body = template.HTML(wide.Replace(b.String()))
	return nil
}

// heading notes a heading, and returns its anchor.
func (p *page) heading(n *ast.Heading, source []byte) string {
	value, _ := n.AttributeString("id")
	id, _ := value.([]byte)
	p.anchors[string(id)] = true
	words := string(bytes.TrimSpace(plain(n, source)))
	switch {
	case n.Level == 1 && p.Title == "":
		p.Title = words
	case n.Level == 2:
		p.Parts = append(p.Parts, heading{n.Level, string(id), words})
	}
	return string(id)
}

// plain returns the words of a node without its marks.
func plain(n ast.Node, source []byte) (words []byte) {
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		if t, ok := c.(*ast.Text); ok {
			words = append(words, t.Segment.Value(source)...)
		} else {
			words = append(words, plain(c, source)...)
		}
	}
	return words
}

// ids makes anchors as GitHub does, so that a link works there as well as here.
type ids map[string]bool

// Generate returns the anchor of a heading.
func (i ids) Generate(value []byte, _ ast.NodeKind) []byte {
	var b strings.Builder
	for _, r := range strings.ToLower(strings.TrimSpace(string(value))) {
		switch {
		case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
			b.WriteRune(r)
		case r == ' ':
			b.WriteByte('-')
		}
	}
	id := b.String()
	for n := 1; i[id]; n++ {
		id = fmt.Sprintf("%s-%d", b.String(), n)
	}
	i[id] = true
	return []byte(id)
}

// Put takes an anchor that a document gives itself.
func (i ids) Put(value []byte) { i[string(value)] = true }
