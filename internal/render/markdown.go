package render

import (
	"bytes"
	stdhtml "html"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	mdtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// tokens stand for the values while Markdown is parsed. They are lower-case letters, which no context of Markdown and
// of HTML changes. They can end up in a URL or in code as well as in a sentence. The text as written cannot hold one,
// because their first letters are chosen not to occur in it. Values are never in the Markdown.
type tokens struct {
	prefix string
	form   *regexp.Regexp
	flat   []node // their actions stand in the text while it is prepared
}

const (
	tokenPrint   = 'p'
	tokenControl = 'c'
)

// newTokens returns tokens for the actions of flat. The literal text of other holds none of them either.
func newTokens(flat, other []node) *tokens {
	// An entity, an escape or a control character within a word is gone once Markdown is converted. So the letters
	// alone are looked at, before and after entities are resolved.
	var all strings.Builder
	for _, n := range slices.Concat(flat, other) {
		all.WriteString(letters(n.literal) + " " + letters(stdhtml.UnescapeString(n.literal)) + " ")
	}
	prefix := "qzx"
	for strings.Contains(all.String(), prefix) {
		prefix = "qz" + prefix[1:]
	}
	return &tokens{prefix: prefix, form: regexp.MustCompile(prefix + "[pc][a-z]{4}"), flat: flat}
}

// letters returns the letters that s has and a token may have.
func letters(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, strings.ToLower(s))
}

// find returns where the first token of s begins and ends, nil for none. It is form without a regular expression's cost.
func (t *tokens) find(s string) []int {
	for from := 0; ; from++ {
		i := strings.Index(s[from:], t.prefix)
		if i < 0 {
			return nil
		}
		from += i
		if to := from + len(t.prefix) + 5; to <= len(s) && t.form.MatchString(s[from:to]) {
			return []int{from, to}
		}
	}
}

func (t *tokens) name(class byte, n int) string {
	return t.prefix + string([]byte{class, 'a' + byte(n/17576%26), 'a' + byte(n/676%26), 'a' + byte(n/26%26), 'a' + byte(n%26)})
}

func (t *tokens) number(token string) int {
	n := 0
	for _, c := range token[len(t.prefix)+1:] {
		n = n*26 + int(c-'a')
	}
	return n
}

// keyword is that of the action which a token stands for.
func (t *tokens) keyword(token string) string { return t.flat[t.number(token)].action.keyword }

// markSoft stands around the controls that have a line to themselves.
const markSoft = "\uFDD0"

// prepare returns the nodes of a body. It refuses an if that begins in one element and ends in another, or begins
// within a sentence and ends on a line of its own. Half of a list item or of bold text would be left where the
// condition does not hold.
func (p *Program) prepare(src source, text *text) ([]node, error) {
	t := text.tokens
	md := t.markdown()
	if err := bounded(md, src.at); err != nil {
		return nil, err
	}
	whole, err := p.converter.nesting(src, t, md)
	if err != nil {
		md = t.unfold(md)
		if whole, err = p.converter.nesting(src, t, md); err != nil {
			return nil, err
		}
	}
	p.look(src, text, whole)
	var flat []node
	for {
		at := t.find(md)
		if at == nil {
			return build(append(flat, node{literal: md})), nil
		}
		token := md[at[0]:at[1]]
		mark := ""
		if whole.alone[token] {
			mark = markSoft
		}
		flat = append(flat, node{literal: md[:at[0]] + mark}, t.flat[t.number(token)], node{literal: mark})
		md = md[at[1]:]
	}
}

// markdown returns the text with a token for each action.
func (t *tokens) markdown() string {
	var b strings.Builder
	for i, n := range t.flat {
		switch {
		case n.action == nil:
			b.WriteString(strings.Map(func(r rune) rune {
				if forbidden(r) && r != '\n' && r != '\t' {
					return -1
				}
				return r
			}, n.literal))
		case n.action.keyword == "":
			b.WriteString(t.name(tokenPrint, i))
		default:
			b.WriteString(t.name(tokenControl, i))
		}
	}
	return b.String()
}

// soften gives each line that controls have to themselves back as a blank one. soft has where those begin: they end a
// paragraph, but do not put a list's items apart. A list item that controls begin in begins with its first words.
func soften(md string) (out []byte, soft map[int]bool) {
	soft = map[int]bool{}
	item := ""       // the beginning of a list item that has no words yet
	row := false     // the line before was a row of a table
	var gap []string // lines of controls below it, which do not end the table if another row follows
	for line := range strings.Lines(md) {
		marked := strings.Contains(line, markSoft)
		if marked {
			line = strings.ReplaceAll(line, markSoft, "")
		}
		indent := indentation.FindString(line)
		rest := strings.TrimSpace(line[len(indent):])
		if marked && rest == "" && row {
			gap = append(gap, line)
			continue
		}
		goesOn := row && strings.Contains(rest, "|")
		if !goesOn {
			for _, line := range gap {
				soft[len(out)] = true
				out = append(out, line...)
			}
		}
		row, gap = goesOn || strings.HasPrefix(rest, "|") || delimiter.MatchString(line), nil
		switch blank := rest == ""; {
		case marked && blank && strings.Trim(indent, " \t>") != "":
			item = indent
			continue
		case marked && blank && item != "":
			continue
		case marked && blank:
			soft[len(out)] = true
		case item != "":
			rest, ok := strings.CutPrefix(line, further(item))
			if !ok {
				rest = "\n" + line
			}
			line, item = item+rest, ""
		}
		out = append(out, line...)
	}
	return out, soft
}

// converter turns Markdown into trees and HTML. It is safe for concurrent use.
type converter struct {
	markdown goldmark.Markdown
}

func newConverter() *converter {
	blocks := []util.PrioritizedValue{
		util.Prioritized(parser.NewSetextHeadingParser(), 100),
		util.Prioritized(parser.NewThematicBreakParser(), 200),
		util.Prioritized(parser.NewListParser(), 300),
		util.Prioritized(parser.NewListItemParser(), 400),
		util.Prioritized(parser.NewCodeBlockParser(), 500),
		util.Prioritized(parser.NewATXHeadingParser(), 600),
		util.Prioritized(parser.NewFencedCodeBlockParser(), 700),
		util.Prioritized(parser.NewBlockquoteParser(), 800),
		util.Prioritized(foreignBlocks{}, 900),
		util.Prioritized(parser.NewParagraphParser(), 1000),
	}
	// There is no parser for raw HTML among them, so that it is text like any other.
	inlines := []util.PrioritizedValue{
		util.Prioritized(parser.NewCodeSpanParser(), 100),
		util.Prioritized(parser.NewLinkParser(), 200),
		util.Prioritized(parser.NewAutoLinkParser(), 300),
		util.Prioritized(parser.NewEmphasisParser(), 500),
		util.Prioritized(extension.NewStrikethroughParser(), 500),
		util.Prioritized(extension.NewLinkifyParser(), 999),
	}
	paragraphs := append(parser.DefaultParagraphTransformers(), util.Prioritized(extension.NewTableParagraphTransformer(), 200))
	return &converter{goldmark.New(
		goldmark.WithParser(parser.NewParser(parser.WithBlockParsers(blocks...), parser.WithInlineParsers(inlines...),
			parser.WithParagraphTransformers(paragraphs...), parser.WithASTTransformers(util.Prioritized(extension.NewTableASTTransformer(), 0)))),
		goldmark.WithRenderer(renderer.NewRenderer(renderer.WithNodeRenderers(util.Prioritized(html.NewRenderer(html.WithEastAsianLineBreaks(html.EastAsianLineBreaksSimple)), 1000),
			util.Prioritized(foreignBlocks{}, 500),
			util.Prioritized(extension.NewTableHTMLRenderer(), 500), util.Prioritized(extension.NewStrikethroughHTMLRenderer(), 500)))),
	)}
}

// convert returns the tree of Markdown without controls, its HTML, and the Markdown that both refer to.
func (c *converter) convert(markdown string) (doc ast.Node, page string, md []byte, err error) {
	md, soft := soften(markdown)
	doc = c.markdown.Parser().Parse(mdtext.NewReader(md))
	tidy(doc, md, soft)
	nameHosts(doc, md)
	headColumns(doc)
	var out strings.Builder
	err = c.markdown.Renderer().Render(&out, md, doc)
	return doc, out.String(), md, err
}

// headColumns says of the names of a table's columns that they are.
func headColumns(doc ast.Node) {
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if _, ok := n.(*extast.TableHeader); ok && entering {
			for cell := n.FirstChild(); cell != nil; cell = cell.NextSibling() {
				cell.SetAttributeString("scope", []byte("col"))
			}
		}
		return ast.WalkContinue, nil
	})
}

// tidy takes away list items that controls have left empty, and makes the lists tight that only controls put apart.
func tidy(n ast.Node, md []byte, soft map[int]bool) {
	for c := n.FirstChild(); c != nil; {
		next := c.NextSibling()
		if c.Type() == ast.TypeBlock {
			tidy(c, md, soft)
		}
		c = next
	}
	list, ok := n.(*ast.List)
	if !ok {
		if n.Kind() == ast.KindListItem && n.ChildCount() == 0 {
			n.Parent().RemoveChild(n.Parent(), n)
		}
		return
	}
	if list.ChildCount() == 0 {
		list.Parent().RemoveChild(list.Parent(), list)
		return
	}
	if list.IsTight {
		return
	}
	for item := list.FirstChild(); item != nil; item = item.NextSibling() {
		for b := item.FirstChild(); b != nil; b = b.NextSibling() {
			if b != item.FirstChild() && apart(b, md, soft) {
				return
			}
		}
		if item != list.FirstChild() && apart(item, md, soft) {
			return
		}
	}
	list.IsTight = true
	for item := list.FirstChild(); item != nil; item = item.NextSibling() {
		for b := item.FirstChild(); b != nil; b = b.NextSibling() {
			if p, ok := b.(*ast.Paragraph); ok {
				tight := ast.NewTextBlock()
				tight.SetLines(p.Lines())
				for c := p.FirstChild(); c != nil; c = p.FirstChild() {
					tight.AppendChild(tight, c)
				}
				item.ReplaceChild(item, p, tight)
				b = tight
			}
		}
	}
}

// apart reports whether blank lines that were written, and no soft ones, stand above a block.
func apart(n ast.Node, md []byte, soft map[int]bool) bool {
	if !n.HasBlankPreviousLines() {
		return false
	}
	end := bytes.LastIndexByte(md[:n.Pos()], '\n')
	for end > 0 {
		begin := bytes.LastIndexByte(md[:end], '\n') + 1
		if len(bytes.Trim(md[begin:end], " \t>")) > 0 {
			return true
		}
		if soft[begin] {
			return false
		}
		end = begin - 1
	}
	return true
}
