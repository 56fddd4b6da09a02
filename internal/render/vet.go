package render

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template/parse"
	"time"

	"tocsin/internal/cldr"
	"tocsin/internal/notice"
)

// source is one subject or body before it is compiled, and its place for errors.
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

// vetter walks the parse tree of one text, refuses all that is not in the vocabulary, and rewrites the rest.
type vetter struct {
	source       source
	parameters   map[string]string
	optional     map[string]string // parameters that a template may have and the notice need not give
	anyParameter bool              // all that the notice does not give may be absent
	zone         *time.Location    // of wall-clock times
	plurals      *cldr.Plurals     // of the text's language

	nodes []node // flat: a control governs the nodes between it and its end
	slots int    // variables
	err   *notice.Error

	doubts     []*notice.Error
	conditions []Condition
}

var parserFunctions = func() map[string]any {
	m := map[string]any{}
	for name := range functions {
		m[name] = true
	}
	return m
}()

var parserError = regexp.MustCompile(`(?s)^template: t:(\d+):(?:\d+:)? (.*)$`)

// run vets the text and leaves its nodes.
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
		v.list(tree.Root, &scope{dot: kindRoot, vars: map[string]variable{"$": {&expr{Op: opRoot}, kindRoot}}})
	}
	return v.err
}

// scope has the dot and the variables at a point of the text.
type scope struct {
	dot  kind
	vars map[string]variable
}

type variable struct {
	expr *expr
	kind kind
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

func (v *vetter) emit(n parse.Node, a action) {
	a.line = v.line(n.Position())
	v.nodes = append(v.nodes, node{action: &a})
}

func (v *vetter) site(n, what parse.Node) *site {
	return &site{v.source.at(v.line(n.Position())), what.String()}
}

func (v *vetter) list(l *parse.ListNode, sc *scope) {
	if l == nil {
		return
	}
	for _, n := range l.Nodes {
		switch n := n.(type) {
		case *parse.TextNode:
			v.nodes = append(v.nodes, node{literal: string(n.Text)})
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
	x, k := v.pipe(n.Pipe, sc)
	if len(n.Pipe.Decl) > 0 {
		v.emit(n, action{keyword: "set", expr: x, kind: k, slots: v.declare(n.Pipe, sc, k)})
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
	v.emit(n, action{expr: x, kind: k, at: v.site(n, n.Pipe)})
}

func (v *vetter) branch(n parse.Node, b *parse.BranchNode, keyword string, sc *scope) {
	inner := sc.inner()
	a := action{keyword: keyword, at: v.site(n, b.Pipe)}
	var k kind
	a.expr, k = v.pipe(b.Pipe, inner)
	if keyword != "range" {
		v.presence(b.Pipe, a.expr)
	}
	switch keyword {
	case "if", "with":
		a.slots = v.declare(b.Pipe, inner, k)
		if keyword == "with" {
			inner.dot = k
		}
	case "range":
		element, ok := map[kind]kind{kindCustomers: kindCustomer, kindWindows: kindWindow}[k]
		if !ok {
			v.fail(n, "%s is %s: only .Customers, .Windows and .Was can be ranged over", b.Pipe, kindNames[k])
		}
		if b.Pipe.IsAssign {
			v.fail(n, "%s: declare new variables with := here", b.Pipe)
		}
		for i, d := range b.Pipe.Decl {
			k := element
			if i < len(b.Pipe.Decl)-1 {
				k = kindNumber
			}
			a.slots = append(a.slots, v.variable(inner, d.Ident[0], k))
		}
		inner.dot = element
	}
	v.emit(n, a)
	v.list(b.List, inner.inner())
	if b.ElseList != nil {
		v.emit(b.ElseList, action{keyword: "else"})
		inner.dot = sc.dot
		v.list(b.ElseList, inner)
	}
	v.emit(n, action{keyword: "end"})
}

// declare notes the variable that a pipeline sets, and returns its slot.
func (v *vetter) declare(p *parse.PipeNode, sc *scope, k kind) (slots []int) {
	for _, d := range p.Decl {
		name := d.Ident[0]
		was, ok := sc.vars[name]
		switch {
		case !p.IsAssign:
			slots = append(slots, v.variable(sc, name, k))
		case ok && was.kind != k:
			v.fail(p, "%s is %s and cannot become %s", name, kindNames[was.kind], kindNames[k])
		case !ok || was.expr.Op != opVar:
			v.fail(p, "%s cannot be set", name)
		default:
			slots = append(slots, was.expr.N)
		}
	}
	return slots
}

// variable declares a variable and returns its slot.
func (v *vetter) variable(sc *scope, name string, k kind) int {
	v.slots++
	sc.vars[name] = variable{&expr{Op: opVar, N: v.slots - 1}, k}
	return v.slots - 1
}

func (v *vetter) pipe(p *parse.PipeNode, sc *scope) (x *expr, k kind) {
	for i, cmd := range p.Cmds {
		var piped []variable
		if i > 0 {
			piped = []variable{{x, k}}
		}
		x, k = v.command(cmd, sc, piped)
	}
	return x, k
}

func (v *vetter) command(cmd *parse.CommandNode, sc *scope, piped []variable) (*expr, kind) {
	name, ok := cmd.Args[0].(*parse.IdentifierNode)
	if !ok {
		if len(cmd.Args) > 1 || len(piped) > 0 {
			v.fail(cmd, "%s is not a function and takes no arguments", cmd.Args[0])
			return &expr{Op: opText}, kindText
		}
		return v.operand(cmd.Args[0], sc)
	}
	f := functions[name.Ident]
	x := &expr{Op: opCall, Name: name.Ident}
	if f.reader {
		x.At = v.site(cmd, cmd)
	}
	var kinds []kind
	for _, arg := range cmd.Args[1:] {
		a, k := v.operand(arg, sc)
		x.Args, kinds = append(x.Args, a), append(kinds, k)
	}
	for _, p := range piped {
		x.Args, kinds = append(x.Args, p.expr), append(kinds, p.kind)
	}
	if len(kinds) < f.least || len(kinds) > f.most {
		v.fail(cmd, "%s takes %s, not %d", name.Ident, arguments(f), len(kinds))
		return &expr{Op: opText}, kindText
	}
	for i, k := range kinds {
		if takes := f.argument(i); takes != nil && !slices.Contains(takes, k) {
			v.fail(cmd, "%s cannot be given to %s", kindNames[k], name.Ident)
		}
		if f.compares && (k == kindBool) != (kinds[0] == kindBool) {
			v.fail(cmd, "%s compares %s with %s", cmd, kindNames[kinds[0]], kindNames[k])
		}
	}
	if f.compares {
		v.comparison(cmd, x, kinds)
	}
	if f.reader {
		v.constant(cmd, x, kinds)
	}
	return x, f.result(kinds)
}

func (v *vetter) operand(n parse.Node, sc *scope) (*expr, kind) {
	switch n := n.(type) {
	case *parse.FieldNode:
		dot := &expr{Op: opDot}
		if sc.dot == kindRoot {
			dot = &expr{Op: opRoot}
		}
		return v.field(n, variable{dot, sc.dot}, "", n.Ident)
	case *parse.VariableNode:
		if from, ok := sc.vars[n.Ident[0]]; ok {
			return v.field(n, from, strings.TrimSuffix(n.Ident[0], "$"), n.Ident[1:])
		}
		v.fail(n, "%s is not set here", n.Ident[0])
	case *parse.ChainNode:
		x, k := v.operand(n.Node, sc)
		return v.field(n, variable{x, k}, n.Node.String(), n.Field)
	case *parse.PipeNode:
		return v.pipe(n, sc)
	case *parse.DotNode:
		if sc.dot == kindRoot {
			return &expr{Op: opRoot}, kindRoot
		}
		return &expr{Op: opDot}, sc.dot
	case *parse.StringNode:
		if strings.ContainsFunc(n.Text, forbidden) {
			v.fail(n, "%s holds a control character", n)
		}
		return &expr{Op: opText, Name: n.Text}, kindText
	case *parse.NumberNode:
		switch {
		case n.IsInt:
			return &expr{Op: opNumber, Name: strconv.FormatInt(n.Int64, 10)}, kindNumber
		case len(n.Text) > 15 && numeric.MatchString(n.Text): // a float has no more digits
			return &expr{Op: opNumber, Name: n.Text}, kindNumber
		case n.IsFloat:
			return &expr{Op: opNumber, Name: strconv.FormatFloat(n.Float64, 'f', -1, 64)}, kindNumber
		}
		v.fail(n, "%s is not a number that can be printed", n)
	case *parse.BoolNode:
		return &expr{Op: opBool, N: boolean(n.True).i}, kindBool
	case *parse.IdentifierNode:
		v.fail(n, "%s takes %s, not 0", n, arguments(functions[n.Ident]))
	default:
		v.fail(n, "%s is not available in a text", n)
	}
	return &expr{Op: opText}, kindText
}

// field follows names from a value.
func (v *vetter) field(n parse.Node, from variable, path string, names []string) (*expr, kind) {
	x, k := from.expr, from.kind
	for _, name := range names {
		path += "." + name
		x = &expr{Op: opField, Name: name, Args: []*expr{x}}
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
				return x, kindText
			}
			k = next
		}
	}
	return x, k
}

func (v *vetter) given() string {
	if len(v.parameters) == 0 {
		return "the notice gives no parameters"
	}
	return "the notice gives the parameters " + strings.Join(slices.Sorted(maps.Keys(v.parameters)), ", ")
}
