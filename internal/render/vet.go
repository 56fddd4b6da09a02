package render

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"

	"tocsin/internal/notice"
)

// source is one subject or body before it is compiled, and where it stands for whoever reads an error about it.
type source struct {
	label  string   // such as outage/identified/nl.md or texts.nl.body
	body   bool     // a subject needs no line
	places []string // of each line of the body, where these are not the label and the line
	text   string
}

// at returns file and line of a line of the text.
func (s source) at(line int) string {
	switch {
	case !s.body:
		return s.label
	case line <= len(s.places):
		return s.places[line-1]
	}
	return s.label + ":" + strconv.Itoa(line)
}

// site is a place of a text where something is printed or formatted, for errors that only a recipient shows.
type site struct {
	where string // file and line
	what  string // the expression as it is written
}

// piece is a run of literal text, or an action.
type piece struct {
	literal string
	action  *action
}

// action is one {{…}} after vetting. The code is what text/template executes: calls that depend on the reader get
// the reader passed along, so that the parsed templates are shared by all readers.
type action struct {
	keyword string // if, range, with, else, end; set for an assignment; "" for what prints
	code    string // what stands between the braces; of what prints, the expression alone
	site    int    // of what prints
	line    int
}

// vetter walks the parse tree of one text, refuses all that is not in the vocabulary, and rewrites the rest.
type vetter struct {
	source       source
	parameters   map[string]string
	optional     map[string]string // parameters that a template may have and the notice need not give
	anyParameter bool              // whatever the notice does not give may be absent
	sites        *[]site           // filled

	pieces []piece
	err    *notice.Error
}

var parserFunctions = func() map[string]any {
	m := map[string]any{}
	for name := range functions {
		m[name] = true
	}
	return m
}()

var parserError = regexp.MustCompile(`(?s)^template: t:(\d+):(?:\d+:)? (.*)$`)

// run vets the text and leaves its pieces.
func (v *vetter) run() *notice.Error {
	trees := map[string]*parse.Tree{}
	tree := parse.New("t")
	if _, err := tree.Parse(v.source.text, "", "", trees, parserFunctions); err != nil {
		line, message := 1, err.Error()
		if m := parserError.FindStringSubmatch(message); m != nil {
			line, _ = strconv.Atoi(m[1])
			message = m[2]
		}
		return notice.Invalid(v.source.at(line), "%s", message)
	}
	for name := range trees {
		if name != "t" {
			return notice.Invalid(v.source.at(1), "{{define}} and {{block}} are not available in a text")
		}
	}
	if tree.Root != nil {
		v.list(tree.Root, &scope{dot: kindRoot, vars: map[string]kind{"$": kindRoot}})
	}
	return v.err
}

// scope is what the dot and the variables are at a point of the text.
type scope struct {
	dot  kind
	vars map[string]kind
}

func (s *scope) inner() *scope { return &scope{dot: s.dot, vars: maps.Clone(s.vars)} }

func (v *vetter) line(pos parse.Pos) int {
	return 1 + strings.Count(v.source.text[:min(int(pos), len(v.source.text))], "\n")
}

func (v *vetter) fail(n parse.Node, format string, args ...any) {
	if v.err == nil {
		v.err = notice.Invalid(v.source.at(v.line(n.Position())), format, args...)
	}
}

func (v *vetter) emit(n parse.Node, keyword, code string) {
	v.pieces = append(v.pieces, piece{action: &action{keyword: keyword, code: code, line: v.line(n.Position())}})
}

func (v *vetter) addSite(n, what parse.Node) int {
	*v.sites = append(*v.sites, site{v.source.at(v.line(n.Position())), what.String()})
	return len(*v.sites) - 1
}

func (v *vetter) list(l *parse.ListNode, sc *scope) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			v.pieces = append(v.pieces, piece{literal: string(n.Text)})
		case *parse.ActionNode:
			v.action(n, sc)
		case *parse.IfNode:
			v.branch(n, &n.BranchNode, "if", sc)
		case *parse.WithNode:
			v.branch(n, &n.BranchNode, "with", sc)
		case *parse.RangeNode:
			v.branch(n, &n.BranchNode, "range", sc)
		case *parse.CommentNode:
		default:
			v.fail(n, "%s is not available in a text", n)
		}
	}
}

func (v *vetter) action(n *parse.ActionNode, sc *scope) {
	code, k := v.pipe(n.Pipe, sc)
	if len(n.Pipe.Decl) > 0 {
		v.declare(n.Pipe, sc, k)
		v.emit(n, "set", code)
		return
	}
	switch k {
	case kindText, kindNumber, kindMoment, kindWindow:
	case kindWindows:
		v.fail(n, "%s is a list: write {{range %[1]s}}{{.}}{{end}}", n.Pipe)
	case kindCustomers:
		v.fail(n, "%s is a list: write {{range %[1]s}}{{.Name}}{{end}}", n.Pipe)
	default:
		v.fail(n, "%s is %s, which cannot be printed", n.Pipe, kindNames[k])
	}
	v.emit(n, "", code)
	v.pieces[len(v.pieces)-1].action.site = v.addSite(n, n.Pipe)
}

func (v *vetter) branch(n parse.Node, b *parse.BranchNode, keyword string, sc *scope) {
	inner := sc.inner()
	code, k := v.pipe(b.Pipe, inner)
	switch keyword {
	case "with":
		v.declare(b.Pipe, inner, k)
		inner.dot = k
	case "if":
		v.declare(b.Pipe, inner, k)
	case "range":
		element, ok := map[kind]kind{kindCustomers: kindCustomer, kindWindows: kindWindow}[k]
		if !ok {
			v.fail(n, "%s is %s: only .Customers and .Windows can be ranged over", b.Pipe, kindNames[k])
		}
		switch d := b.Pipe.Decl; len(d) {
		case 1:
			inner.vars[d[0].Ident[0]] = element
		case 2:
			inner.vars[d[0].Ident[0]], inner.vars[d[1].Ident[0]] = kindNumber, element
		}
		if b.Pipe.IsAssign {
			v.fail(n, "%s: declare new variables with := here", b.Pipe)
		}
		inner.dot = element
	}
	v.emit(n, keyword, keyword+" "+code)
	v.list(b.List, inner.inner())
	if b.ElseList != nil {
		v.emit(b.ElseList, "else", "else")
		inner.dot = sc.dot
		v.list(b.ElseList, inner)
	}
	v.emit(n, "end", "end")
}

// declare notes the variable that a pipeline sets.
func (v *vetter) declare(p *parse.PipeNode, sc *scope, k kind) {
	for _, d := range p.Decl {
		name := d.Ident[0]
		if was, ok := sc.vars[name]; p.IsAssign && ok && was != k {
			v.fail(p, "%s is %s and cannot become %s", name, kindNames[was], kindNames[k])
		}
		sc.vars[name] = k
	}
}

func (v *vetter) pipe(p *parse.PipeNode, sc *scope) (code string, k kind) {
	var b strings.Builder
	for i, d := range p.Decl {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(d.Ident[0])
	}
	if len(p.Decl) > 0 {
		b.WriteString(map[bool]string{true: " = ", false: " := "}[p.IsAssign])
	}
	for i, cmd := range p.Cmds {
		var piped []kind
		if i > 0 {
			b.WriteString(" | ")
			piped = []kind{k}
		}
		code, k = v.command(cmd, sc, piped)
		b.WriteString(code)
	}
	return b.String(), k
}

func (v *vetter) command(cmd *parse.CommandNode, sc *scope, piped []kind) (string, kind) {
	name, ok := cmd.Args[0].(*parse.IdentifierNode)
	if !ok {
		if len(cmd.Args) > 1 || len(piped) > 0 {
			v.fail(cmd, "%s is not a function and takes no arguments", cmd.Args[0])
			return "", kindText
		}
		return v.operand(cmd.Args[0], sc)
	}
	f := functions[name.Ident]
	code := []string{name.Ident}
	if f.reader {
		code = append(code, "$", strconv.Itoa(v.addSite(cmd, cmd)))
	}
	var kinds []kind
	for _, arg := range cmd.Args[1:] {
		c, k := v.operand(arg, sc)
		code, kinds = append(code, c), append(kinds, k)
	}
	kinds = append(kinds, piped...)
	if len(kinds) < f.least || len(kinds) > f.most {
		v.fail(cmd, "%s takes %s, not %d", name.Ident, arguments(f), len(kinds))
		return "", kindText
	}
	for _, k := range kinds {
		if f.takes != nil && !slices.Contains(f.takes, k) {
			v.fail(cmd, "%s cannot be given to %s", kindNames[k], name.Ident)
		}
		if f.same && k != kinds[0] {
			v.fail(cmd, "%s compares %s with %s: put a number to compare with text in quotes", cmd, kindNames[kinds[0]], kindNames[k])
		}
	}
	v.constant(cmd, sc)
	return strings.Join(code, " "), f.result(kinds)
}

// constant refuses {{date "soon"}} and the like at once: what does not depend on the recipient fails for all of them.
func (v *vetter) constant(cmd *parse.CommandNode, sc *scope) {
	name := cmd.Args[0].(*parse.IdentifierNode).Ident
	if len(cmd.Args) != 2 || name != "number" && name != "date" {
		return
	}
	value := ""
	switch arg := cmd.Args[1].(type) {
	case *parse.StringNode:
		value = arg.Text
	case *parse.FieldNode:
		if sc.dot != kindRoot || arg.Ident[0] != "Parameters" || len(arg.Ident) != 2 {
			return
		}
		value = v.parameters[arg.Ident[1]]
	default:
		return
	}
	if name == "number" && value != "" && !numeric.MatchString(value) {
		v.fail(cmd, "%s: %q is not a number", cmd, value)
	}
	if _, _, err := parseMoment(value, nil); name == "date" && value != "" && err != nil {
		v.fail(cmd, "%s: %v", cmd, err)
	}
}

func (v *vetter) operand(n parse.Node, sc *scope) (string, kind) {
	switch n := n.(type) {
	case *parse.FieldNode:
		return n.String(), v.field(n, sc.dot, "", n.Ident)
	case *parse.VariableNode:
		if k, ok := sc.vars[n.Ident[0]]; ok {
			path := n.Ident[0]
			if path == "$" {
				path = ""
			}
			return n.String(), v.field(n, k, path, n.Ident[1:])
		}
		v.fail(n, "%s is not set here", n.Ident[0])
	case *parse.ChainNode:
		code, k := v.operand(n.Node, sc)
		return code + "." + strings.Join(n.Field, "."), v.field(n, k, n.Node.String(), n.Field)
	case *parse.PipeNode:
		code, k := v.pipe(n, sc)
		return "(" + code + ")", k
	case *parse.DotNode:
		return ".", sc.dot
	case *parse.StringNode:
		if strings.ContainsFunc(n.Text, forbidden) {
			v.fail(n, "%s holds a control character", n)
		}
		return n.String(), kindText
	case *parse.NumberNode:
		if !n.IsInt && !n.IsFloat {
			v.fail(n, "%s is not a number that can be printed", n)
		}
		return n.String(), kindNumber
	case *parse.BoolNode:
		return n.String(), kindBool
	case *parse.IdentifierNode:
		v.fail(n, "%s takes %s, not 0", n, arguments(functions[n.Ident]))
	default:
		v.fail(n, "%s is not available in a text", n)
	}
	return "", kindText
}

// field follows names from a value of kind k.
func (v *vetter) field(n parse.Node, k kind, path string, names []string) kind {
	for _, name := range names {
		path += "." + name
		switch k {
		case kindAttributes:
			k = kindText
		case kindParameters:
			_, given := v.parameters[name]
			if _, known := v.optional[name]; !given && !known && !v.anyParameter {
				v.fail(n, "%s does not exist: %s", path, v.given())
			}
			k = kindText
		default:
			next, ok := fields[k][name]
			if !ok {
				v.fail(n, "%s does not exist: %s", path, members(k))
				return kindText
			}
			k = next
		}
	}
	return k
}

func (v *vetter) given() string {
	if len(v.parameters) == 0 {
		return "the notice gives no parameters"
	}
	return "the notice gives the parameters " + strings.Join(slices.Sorted(maps.Keys(v.parameters)), ", ")
}
