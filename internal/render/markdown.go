package render

import (
	"bytes"
	"fmt"
	stdhtml "html"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/renderer/html"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"tocsin/internal/notice"
)

// While Markdown is parsed, a token stands for every action: lower-case letters, which no context of Markdown and of
// HTML changes and which can end up in a URL or in code as well as in a sentence. What was written cannot hold one,
// because the token's first letters are chosen not to occur in it.
type tokens struct {
	prefix  string
	form    *regexp.Regexp
	actions []*action
}

const (
	tokenPrint   = 'p'
	tokenControl = 'c'
)

func newTokens(pieces []piece) *tokens {
	// An entity, an escape or a control character within a word is gone from what Markdown is converted to, so the
	// letters alone are looked at, before and after entities are resolved.
	var all strings.Builder
	for _, p := range pieces {
		all.WriteString(letters(p.literal) + " " + letters(stdhtml.UnescapeString(p.literal)) + " ")
	}
	prefix := "qzx"
	for strings.Contains(all.String(), prefix) {
		prefix = "qz" + prefix[1:]
	}
	return &tokens{prefix: prefix, form: regexp.MustCompile(prefix + "[pc][a-z]{4}")}
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

func (t *tokens) add(a *action) string {
	class := tokenPrint
	if a.keyword != "" {
		class = tokenControl
	}
	n := len(t.actions)
	t.actions = append(t.actions, a)
	return fmt.Sprintf("%s%c%c%c%c%c", t.prefix, class, 'a'+n/17576%26, 'a'+n/676%26, 'a'+n/26%26, 'a'+n%26)
}

func (t *tokens) get(token string) *action {
	n := 0
	for _, c := range token[len(t.prefix)+1:] {
		n = n*26 + int(c-'a')
	}
	return t.actions[n]
}

// expand gives s back with an action's code for each token and every other brace protected. What prints is passed
// through the function named print.
func (t *tokens) expand(s, print string) string {
	var b strings.Builder
	for {
		at := t.form.FindStringIndex(s)
		if at == nil {
			b.WriteString(braces(s))
			return b.String()
		}
		b.WriteString(braces(s[:at[0]]))
		b.WriteString(t.get(s[at[0]:at[1]]).template(print))
		s = s[at[1]:]
	}
}

// braces protects literal text from being taken for the beginning of an action.
func braces(s string) string { return strings.ReplaceAll(s, "{", `{{"{"}}`) }

func (a *action) template(print string) string {
	if a.keyword != "" {
		return "{{" + a.code + "}}"
	}
	return fmt.Sprintf("{{%s $ %d (%s)}}", print, a.site, a.code)
}

// converter turns vetted Markdown into the bodies of two templates. It is safe for concurrent use.
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
		util.Prioritized(parser.NewParagraphParser(), 1000),
		util.Prioritized(controlParser{}, 50),
	}
	// There is no parser for raw HTML among them, so that it is text like any other.
	inlines := []util.PrioritizedValue{
		util.Prioritized(parser.NewCodeSpanParser(), 100),
		util.Prioritized(parser.NewLinkParser(), 200),
		util.Prioritized(parser.NewAutoLinkParser(), 300),
		util.Prioritized(parser.NewEmphasisParser(), 500),
		util.Prioritized(extension.NewLinkifyParser(), 999),
	}
	return &converter{goldmark.New(
		goldmark.WithParser(parser.NewParser(parser.WithBlockParsers(blocks...), parser.WithInlineParsers(inlines...),
			parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...),
			parser.WithASTTransformers(util.Prioritized(listMerger{}, 100)))),
		goldmark.WithRenderer(renderer.NewRenderer(renderer.WithNodeRenderers(
			util.Prioritized(html.NewRenderer(), 1000), util.Prioritized(controlParser{}, 500)))),
	)}
}

var tokensKey = parser.NewContextKey()

// convert returns the bodies of an html/template and of a text/template.
func (c *converter) convert(src source, pieces []piece) (htmlBody, textBody string, err error) {
	t := newTokens(pieces)
	var md bytes.Buffer
	for _, p := range pieces {
		if p.action != nil {
			md.WriteString(t.add(p.action))
			continue
		}
		md.WriteString(strings.Map(func(r rune) rune {
			if forbidden(r) && r != '\n' && r != '\t' {
				return -1
			}
			return r
		}, p.literal))
	}
	htmlBody, textBody, err = c.parse(src, t, md.String())
	if err == nil {
		return htmlBody, textBody, nil
	}
	return c.parse(src, t, t.unfold(md.String()))
}

// parse converts Markdown with tokens.
func (c *converter) parse(src source, t *tokens, md string) (htmlBody, textBody string, err error) {
	pc := parser.NewContext()
	pc.Set(tokensKey, t)
	doc := c.markdown.Parser().Parse(text.NewReader([]byte(md)), parser.WithContext(pc))
	var out bytes.Buffer
	if err := c.markdown.Renderer().Render(&out, []byte(md), doc); err != nil {
		return "", "", fmt.Errorf("convert %s to HTML: %w", src.label, err)
	}
	htmlBody, bad := t.expandHTML(out.String(), src)
	if bad != nil {
		return "", "", bad
	}
	return htmlBody, plainTemplate(doc, []byte(md), t), nil
}

var markup = regexp.MustCompile(`<(/?)([a-z0-9]+)[^>]*>`)

// expandHTML puts the actions back into converted Markdown. It refuses an if that begins in one element and ends in
// another, or begins within a sentence and ends on a line of its own: half of a list item or of bold text would be
// left where the condition does not hold.
func (t *tokens) expandHTML(s string, src source) (string, *notice.Error) {
	var b strings.Builder
	n := nesting{source: src}
	at, inCode := 0, false
	for _, m := range append(markup.FindAllStringSubmatchIndex(s, -1), nil) {
		end := len(s)
		if m != nil {
			end = m[0]
		}
		print := "out"
		if inCode {
			print = "raw"
		}
		n.controls(t, s[at:end])
		b.WriteString(t.expand(s[at:end], print))
		if m == nil {
			break
		}
		tag, name, closing := s[m[0]:m[1]], s[m[4]:m[5]], m[2] < m[3]
		at = m[1]
		if name == controlTag {
			n.block = !closing
			continue
		}
		depth := len(n.open)
		n.controls(t, tag)
		if len(n.open) != depth {
			n.fail(n.line())
		}
		b.WriteString(t.expand(tag, "raw"))
		switch {
		case name == "br" || name == "hr" || name == "img":
		case closing:
			n.close(name)
		default:
			n.open = append(n.open, open{name: name})
		}
		if name == "code" {
			inCode = !closing
		}
	}
	return b.String(), n.err
}

// nesting is the elements and the controls that are open at a point of the HTML.
type nesting struct {
	source source
	block  bool // what comes is controls on a line of their own
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
		a := t.get(token)
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
