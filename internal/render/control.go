package render

import (
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// control is a block made of a line that holds nothing but {{if}}, {{range}}, {{else}}, {{end}} and the like.
// It stands between the blocks that it governs and is itself in no paragraph.
type control struct {
	ast.BaseBlock
	tokens []string
}

var kindControl = ast.NewNodeKind("Control")

func (n *control) Kind() ast.NodeKind               { return kindControl }
func (n *control) Dump(source []byte, level int)    { ast.DumpHelper(n, source, level, nil, nil) }
func (n *control) step(t *tokens) (change, low int) { return depths(t, n.tokens) }

// depths returns by how much controls change the depth of nesting, and the lowest depth on the way.
func depths(t *tokens, controls []string) (change, low int) {
	for _, token := range controls {
		switch t.get(token).keyword {
		case "if", "range", "with":
			change++
		case "else":
			low = min(low, change-1) // one that belongs to what began further up
		case "end":
			change--
		}
		low = min(low, change)
	}
	return change, low
}

// controlParser parses and renders control blocks.
type controlParser struct{}

func (controlParser) Trigger() []byte { return []byte{'q'} }

func (controlParser) Open(_ ast.Node, reader text.Reader, pc parser.Context) (ast.Node, parser.State) {
	t := pc.Get(tokensKey).(*tokens)
	line, _ := reader.PeekLine()
	found := t.form.FindAllString(string(line), -1)
	if len(found) == 0 || strings.TrimSpace(t.form.ReplaceAllString(string(line), "")) != "" {
		return nil, parser.NoChildren
	}
	for _, token := range found {
		if t.get(token).keyword == "" {
			return nil, parser.NoChildren
		}
	}
	reader.AdvanceToEOL()
	return &control{tokens: found}, parser.NoChildren
}

func (controlParser) Continue(ast.Node, text.Reader, parser.Context) parser.State {
	return parser.Close
}
func (controlParser) Close(ast.Node, text.Reader, parser.Context) {}
func (controlParser) CanInterruptParagraph() bool                 { return true }
func (controlParser) CanAcceptIndentedLine() bool                 { return false }

// controlTag is the element that controls stand in until expandHTML takes it away.
const controlTag = "control"

func (controlParser) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(kindControl, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering {
			_, _ = w.WriteString("<" + controlTag + ">" + strings.Join(n.(*control).tokens, "") + "</" + controlTag + ">")
		}
		return ast.WalkContinue, nil
	})
}

// listMerger makes one list of the items that controls between them, or a range around them, have cut apart, so that
// the numbers of an ordered list go on and a range over customers does not print a list for each.
type listMerger struct{}

// Transform implements parser.ASTTransformer.
func (listMerger) Transform(doc *ast.Document, _ text.Reader, pc parser.Context) {
	t := pc.Get(tokensKey).(*tokens)
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if entering && n.Type() != ast.TypeInline {
			for c := n.FirstChild(); c != nil; c = c.NextSibling() {
				if run := listRun(t, c); run != nil {
					c = merge(n, run)
				}
			}
		}
		return ast.WalkContinue, nil
	})
}

// listRun returns the longest run of lists and controls from first on in which every control ends and that must be
// one list; nil if there is none.
func listRun(t *tokens, first ast.Node) (run []ast.Node) {
	var all []ast.Node
	var marker *ast.List
	depth, lists, ranged := 0, 0, false
	for n := first; n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *control:
			change, low := n.step(t)
			if depth+low < 0 {
				return run
			}
			depth += change
			ranged = ranged || t.get(n.tokens[0]).keyword == "range"
		case *ast.List:
			if marker != nil && n.Marker != marker.Marker {
				return run
			}
			marker = n
			lists++
		default:
			return run
		}
		all = append(all, n)
		if depth == 0 && marker != nil && (lists > 1 || ranged) {
			run = all[:len(all):len(all)]
		}
	}
	return run
}

func merge(parent ast.Node, run []ast.Node) *ast.List {
	var list *ast.List
	for _, n := range run {
		if l, ok := n.(*ast.List); ok && list == nil {
			list = ast.NewList(l.Marker)
			list.Start, list.IsTight = l.Start, true
		}
	}
	parent.InsertBefore(parent, run[0], list)
	for _, n := range run {
		parent.RemoveChild(parent, n)
		l, ok := n.(*ast.List)
		if !ok {
			list.AppendChild(list, n)
			continue
		}
		list.IsTight = list.IsTight && l.IsTight
		for item := l.FirstChild(); item != nil; item = l.FirstChild() {
			l.RemoveChild(l, item)
			list.AppendChild(list, item)
		}
	}
	return list
}
