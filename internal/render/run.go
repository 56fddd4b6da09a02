package render

import (
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

// The most that a text may come to for one recipient.
const (
	maxSteps    = 100_000 // actions and pieces of literal text, each time round
	maxMarkdown = 512 << 10
)

// runner runs a text for a recipient. It notes the decisions that it took, so that all recipients with the same
// decisions share a compiled mail.
type runner struct {
	env
	trace []byte
	own   []byte // those of them that depend on an attribute, or on a certain name or id
	taken []bool // nil, or of each branch whether it was taken
	steps int
	label string    // of the text, for errors
	out   *expander // nil: only the decisions are wanted
}

// begin makes r ready to run n.
func (r *runner) begin(n *nodes) {
	r.label, r.dot, r.vars = n.label, value{kind: kindRoot}, append(r.vars[:0], make([]value, n.slots)...)
	if r.out != nil {
		r.out.begin(n.slots)
	}
}

func (r *runner) run(nodes []node) error {
	for i := range nodes {
		if r.steps++; r.steps > maxSteps || r.out != nil && r.out.text.Len() > maxMarkdown {
			return notice.Invalid(r.label, "becomes longer for this recipient than a mail can be")
		}
		n := &nodes[i]
		if n.action == nil {
			r.out.text.WriteString(n.literal)
			continue
		}
		if n.action.keyword == "" {
			if err := r.out.print(&r.env, n.action); err != nil {
				return err
			}
			continue
		}
		v, err := r.eval(n.action.expr)
		if err != nil && (r.out == nil || !r.out.bind(&r.env, n.action.expr).personal()) {
			return err // of one recipient's data it is one when the mail is made
		}
		if err := r.control(n, v); err != nil {
			return err
		}
	}
	return nil
}

// control runs the branch of a control that the value v of its expression selects.
func (r *runner) control(n *node, v value) error {
	a := n.action
	dot := r.dot
	var was, bound *expr
	if r.out != nil {
		was, bound = r.out.dot, r.out.bind(&r.env, a.expr)
		if a.keyword != "set" && !bound.countsOrNames() {
			r.out.values.mail.varied = true
		}
	}
	if a.keyword == "range" {
		return r.loop(n, v)
	}
	if len(a.slots) > 0 {
		r.set(a.slots[0], v, bound)
	}
	if a.keyword == "set" {
		return nil
	}
	yes := r.truth(v)
	r.trace = append(r.trace, byte(boolean(yes).i))
	if bound != nil && bound.individual() {
		r.own = append(r.own, byte(boolean(yes).i))
	}
	if branch := map[bool]int{true: a.branch, false: a.other}[yes]; r.taken != nil && branch > 0 {
		r.taken[branch-1] = true
	}
	if !yes {
		return r.run(n.other)
	}
	if a.keyword == "with" {
		r.turn(v, bound)
	}
	err := r.run(n.body)
	r.turn(dot, was)
	return err
}

// loop runs the body of a range for each customer or window.
func (r *runner) loop(n *node, list value) error {
	size, element, op, first := r.size(list), kindCustomer, opCustomer, 0
	if list.kind == kindWindows {
		element, op = kindWindow, opWindow
		if list.i == 1 {
			first = len(r.fixed.windows)
		}
	}
	r.trace = append(r.trace, byte(size), byte(size>>8), byte(size>>16))
	if size == 0 {
		return r.run(n.other)
	}
	if r.out == nil && len(n.body) == 0 {
		return nil // rounds in which nothing is decided are no steps either
	}
	dot := r.dot
	var was *expr
	if r.out != nil {
		was = r.out.dot
	}
	for i := range size {
		v, x := value{kind: element, i: first + i}, &expr{Op: op, N: first + i}
		if slots := n.action.slots; len(slots) > 0 {
			if len(slots) > 1 {
				index := strconv.Itoa(i)
				r.set(slots[0], value{kind: kindNumber, s: index}, &expr{Op: opNumber, Name: index})
			}
			r.set(slots[len(slots)-1], v, x)
		}
		r.turn(v, x)
		if err := r.run(n.body); err != nil {
			return err
		}
	}
	r.turn(dot, was)
	return nil
}

func (r *runner) set(slot int, v value, x *expr) {
	r.vars[slot] = v
	if r.out != nil {
		r.out.vars[slot] = x
	}
}

func (r *runner) turn(dot value, x *expr) {
	r.dot = dot
	if r.out != nil {
		r.out.dot = x
	}
}

// expander makes Markdown of a text: its controls have gone, and a token stands for each value that it prints.
type expander struct {
	tokens *tokens
	values *values
	text   strings.Builder
	prints []print
	dot    *expr
	vars   []*expr
}

// print is the value that a token stands for.
type print struct {
	value int    // of the mail, and 1 more; 0 = a constant
	s     string // the constant
	text  bool   // it is text, with a direction of its own
	at    *site
}

func (x *expander) begin(slots int) {
	x.text.Reset()
	x.dot, x.vars, x.prints = nil, make([]*expr, slots), nil
}

func (x *expander) print(e *env, a *action) error {
	p := print{at: a.at}
	if bound := x.bind(e, a.expr); bound.personal() {
		p.value = x.values.add(bound, a.at)
	} else {
		v, err := x.eval(e, a.expr)
		if err != nil {
			return err
		}
		if p.s, err = e.print(v, a.at); err != nil {
			return err
		}
		p.text = v.kind == kindText
	}
	x.text.WriteString(x.tokens.name(tokenPrint, len(x.prints)))
	x.prints = append(x.prints, p)
	return nil
}

// bind returns an expression of the recipient alone that means the same as a does here. It has no dot and no variables,
// and the constants of the notice are put in.
func (x *expander) bind(e *env, a *expr) *expr {
	switch a.Op {
	case opDot:
		return x.dot
	case opVar:
		return x.vars[a.N]
	}
	if len(a.Args) == 0 {
		return a
	}
	b := *a
	b.Args = make([]*expr, len(a.Args))
	for i, arg := range a.Args {
		b.Args[i] = x.bind(e, arg)
	}
	if !b.personal() {
		return x.constant(e, &b)
	}
	return &b
}

// constant returns the value of an expression that is the same for all recipients, where there is a constant for it.
func (x *expander) constant(e *env, b *expr) *expr {
	v, err := x.eval(e, b)
	if err != nil {
		return b
	}
	switch v.kind {
	case kindText:
		return &expr{Op: opText, Name: v.s}
	case kindNumber:
		return &expr{Op: opNumber, Name: v.s}
	case kindBool:
		return &expr{Op: opBool, N: v.i}
	}
	return b
}

// eval returns the value of an expression that is the same for all recipients.
func (x *expander) eval(e *env, b *expr) (value, error) {
	same := *e
	same.doubt = &x.values.mail.doubt
	return same.eval(b)
}
