package render

import (
	"regexp"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	mdtext "github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
	"golang.org/x/text/language"
)

// foreignFence stands above and below paragraphs in another language than the text: "::: en" and ":::".
const foreignFence = ":::"

var foreignBegin = regexp.MustCompile(`^ {0,3}::: +([A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*)[ \t]*\n?$`)

var foreignEnd = regexp.MustCompile(`^ {0,3}:::[ \t]*\n?$`)

var kindForeign = ast.NewNodeKind("Foreign")

// foreign is paragraphs in another language.
type foreign struct {
	ast.BaseBlock
	language language.Tag
}

// Kind implements ast.Node.
func (*foreign) Kind() ast.NodeKind { return kindForeign }

// Dump implements ast.Node.
func (f *foreign) Dump(source []byte, level int) {
	ast.DumpHelper(f, source, level, map[string]string{"language": f.language.String()}, nil)
}

// foreignBlocks parses paragraphs in another language, and writes their HTML.
type foreignBlocks struct{}

// Trigger implements parser.BlockParser.
func (foreignBlocks) Trigger() []byte { return []byte{':'} }

// Open implements parser.BlockParser.
func (foreignBlocks) Open(_ ast.Node, reader mdtext.Reader, _ parser.Context) (ast.Node, parser.State) {
	line, _ := reader.PeekLine()
	m := foreignBegin.FindSubmatch(line)
	if m == nil {
		return nil, parser.NoChildren
	}
	_, tag, err := canonical(string(m[1]))
	if err != nil {
		return nil, parser.NoChildren
	}
	reader.AdvanceToEOL()
	return &foreign{language: tag}, parser.HasChildren
}

// Continue implements parser.BlockParser.
func (foreignBlocks) Continue(_ ast.Node, reader mdtext.Reader, _ parser.Context) parser.State {
	if line, _ := reader.PeekLine(); foreignEnd.Match(line) {
		reader.AdvanceToEOL()
		return parser.Close
	}
	return parser.Continue | parser.HasChildren
}

// Close implements parser.BlockParser.
func (foreignBlocks) Close(ast.Node, mdtext.Reader, parser.Context) {}

// CanInterruptParagraph implements parser.BlockParser.
func (foreignBlocks) CanInterruptParagraph() bool { return true }

// CanAcceptIndentedLine implements parser.BlockParser.
func (foreignBlocks) CanAcceptIndentedLine() bool { return false }

// RegisterFuncs implements renderer.NodeRenderer.
func (foreignBlocks) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(kindForeign, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		tag := n.(*foreign).language
		if entering {
			_, _ = w.WriteString(`<div lang="` + tag.String() + `" dir="` + direction(tag) + "\">\n")
		} else {
			_, _ = w.WriteString("</div>\n")
		}
		return ast.WalkContinue, nil
	})
}
