package render

import (
	"cmp"
	"math/big"
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

// The operations of an expr.
const (
	opText     = "text"     // the constant Name
	opNumber   = "number"   // the constant Name, a decimal number
	opBool     = "bool"     // the constant N, 0 or 1
	opRoot     = "root"     // all that a text may use
	opDot      = "dot"      // the dot where the expression stands
	opVar      = "var"      // the variable in slot N
	opCustomer = "customer" // customer N of the mailbox
	opWindow   = "window"   // window N of the notice
	opField    = "field"    // the field Name of the one argument
	opCall     = "call"     // the function Name of the arguments
)

// expr is a vetted expression of a text. Its exported fields are part of the encoding of a Mail.
type expr struct {
	Op   string  `json:"op"`
	Name string  `json:"name,omitempty"`
	N    int     `json:"n,omitempty"`
	Args []*expr `json:"args,omitempty"`
	At   *site   `json:"at,omitempty"` // of functions that format, which can fail
}

// site is a place of a text where something is printed or formatted, for errors that only a recipient shows.
type site struct {
	Where string `json:"where"` // file and line
	What  string `json:"what"`  // the expression as it is written
}

// hole is the error of a mail that would have a hole in it at s.
func (s site) hole(wrong string) error {
	return notice.Invalid(s.Where, "%s %s for this recipient", s.What, wrong)
}

// personal reports whether the value of x depends on the recipient; of the dot and of a variable that is not known.
func (x *expr) personal() bool {
	switch x.Op {
	case opDot, opVar, opCustomer:
		return true
	case opField:
		if x.Args[0].Op == opRoot {
			return x.Name == "Customer" || x.Name == "Customers"
		}
	}
	for _, a := range x.Args {
		if a.personal() {
			return true
		}
	}
	return false
}

// value is the value of an expression.
type value struct {
	kind kind
	s    string // text, or a number in decimals
	i    int    // a bool; the number of a customer or window; of a time, twice the window's, and 1 more for its end
}

// fixed has the fields of a text that are the same for all recipients.
type fixed struct {
	windows  []window
	was      []window // that a moved maintenance had; their numbers go on from the others
	notice   noticeFields
	incident string
}

// list returns the windows of a list, which was or is: its number is 1 or 0.
func (f *fixed) list(number int) []window {
	if number == 1 {
		return f.was
	}
	return f.windows
}

// window returns the window of a number.
func (f *fixed) window(number int) window {
	if n := len(f.windows); number >= n {
		return f.was[number-n]
	}
	return f.windows[number]
}

type noticeFields struct{ Key, Phase, Severity, Kind string }

// env is the surroundings that an expression is evaluated in.
type env struct {
	*locale
	fixed     *fixed // nil in a compiled mail: its expressions use the recipient alone
	text      *text  // nil there too
	customers []notice.Frozen
	first     int // which of them is .Customer
	dot       value
	vars      []value
	doubt     *error // where it is kept why the dry run refuses a value that can be printed; nil: nobody asks
}

// eval returns the value of x. Its error is the *notice.Error of a number or a date that is none.
func (e *env) eval(x *expr) (value, error) {
	switch x.Op {
	case opText:
		return value{s: x.Name}, nil
	case opNumber:
		return value{kind: kindNumber, s: x.Name}, nil
	case opBool:
		return value{kind: kindBool, i: x.N}, nil
	case opRoot:
		return value{kind: kindRoot}, nil
	case opDot:
		return e.dot, nil
	case opVar:
		return e.vars[x.N], nil
	case opCustomer:
		return value{kind: kindCustomer, i: x.N}, nil
	case opWindow:
		return value{kind: kindWindow, i: x.N}, nil
	case opField:
		base, err := e.eval(x.Args[0])
		return e.field(base, x.Name), err
	}
	return e.call(x)
}

// field returns a field of a value that the vetter has seen to have it.
func (e *env) field(of value, name string) value {
	switch of.kind {
	case kindRoot:
		k := fields[kindRoot][name]
		if name == "Language" {
			return value{s: e.text.key}
		}
		switch {
		case k == kindCustomer:
			return value{kind: k, i: e.first}
		case name == "Was":
			return value{kind: k, i: 1}
		}
		return value{kind: k}
	case kindCustomer, kindAttributes:
		if of.i >= len(e.customers) {
			return value{}
		}
		c := &e.customers[of.i]
		switch {
		case of.kind == kindAttributes:
			return value{s: clean(c.Attribute(name))}
		case name == "Name":
			return value{s: clean(c.Name)}
		case name == "ID":
			return value{s: clean(c.ID)}
		}
		return value{kind: kindAttributes, i: of.i}
	case kindWindow:
		return value{kind: kindMoment, i: 2*of.i + map[string]int{"End": 1}[name]}
	}
	if e.fixed == nil {
		return value{}
	}
	switch of.kind {
	case kindParameters:
		return value{s: e.text.parameters[name]}
	case kindIncident:
		return value{s: e.fixed.incident}
	}
	n := e.fixed.notice
	return value{s: map[string]string{"Key": n.Key, "Phase": n.Phase, "Severity": n.Severity, "Kind": n.Kind}[name]}
}

// size is how many elements or bytes a value has.
func (e *env) size(v value) int {
	switch v.kind {
	case kindCustomers:
		return len(e.customers)
	case kindAttributes:
		if v.i < len(e.customers) {
			return len(e.customers[v.i].Attributes)
		}
	case kindWindows:
		if e.fixed != nil {
			return len(e.fixed.list(v.i))
		}
	case kindParameters:
		if e.fixed != nil {
			return len(e.text.parameters)
		}
	case kindText:
		return len(v.s)
	}
	return 0
}

// truth reports whether a condition holds for a value, as text/template does.
func (e *env) truth(v value) bool {
	switch v.kind {
	case kindText, kindCustomers, kindWindows, kindAttributes, kindParameters:
		return e.size(v) > 0
	case kindNumber:
		return v.number() != 0
	case kindBool:
		return v.i != 0
	}
	return true
}

func (v value) number() float64 {
	n, _ := strconv.ParseFloat(v.s, 64)
	return n
}

func boolean(b bool) value {
	v := value{kind: kindBool}
	if b {
		v.i = 1
	}
	return v
}

func (e *env) call(x *expr) (value, error) {
	switch x.Name {
	case "number", "date", "percent", "money", "duration", "list", "plural":
		s, err := e.formatted(x)
		return value{s: s}, err
	}
	first, err := e.eval(x.Args[0])
	if err != nil {
		return value{}, err
	}
	switch x.Name {
	case "and", "or":
		for _, a := range x.Args[1:] {
			if e.truth(first) == (x.Name == "or") {
				break
			}
			if first, err = e.eval(a); err != nil {
				return value{}, err
			}
		}
		return first, nil
	case "not":
		return boolean(!e.truth(first)), nil
	case "len":
		return value{kind: kindNumber, s: strconv.Itoa(e.size(first))}, nil
	}
	if x.Name == "default" { // the value comes last
		v, err := e.eval(x.Args[1])
		if err == nil && v.kind == kindText && v.s == "" {
			return first, nil
		}
		return v, err
	}
	for _, a := range x.Args[1:] {
		second, err := e.eval(a)
		if err != nil {
			return value{}, err
		}
		if first.compares(x.Name, second) {
			return boolean(true), nil
		}
	}
	return boolean(false), nil
}

// compares reports whether a comparison holds. Text and a number are compared as numbers; text that is none is no number's
// equal, and neither less nor greater.
func (v value) compares(function string, w value) bool {
	order := 0
	switch {
	case v.kind == kindBool:
		order = v.i - w.i
	case v.kind == kindText && w.kind == kindText:
		order = strings.Compare(v.s, w.s)
	case !numeric.MatchString(v.s) || !numeric.MatchString(w.s):
		return function == "ne"
	case len(v.s) < 16 && len(w.s) < 16: // floats have so many digits
		order = cmp.Compare(v.number(), w.number())
	default:
		a, _ := new(big.Rat).SetString(v.s)
		b, _ := new(big.Rat).SetString(w.s)
		order = a.Cmp(b)
	}
	switch function {
	case "eq":
		return order == 0
	case "ne":
		return order != 0
	case "lt":
		return order < 0
	case "le":
		return order <= 0
	case "gt":
		return order > 0
	}
	return order >= 0
}

// print returns a value as it is printed.
func (e *env) print(v value, at *site) (string, error) {
	switch v.kind {
	case kindNumber:
		if !numeric.MatchString(v.s) {
			return "", at.hole("is not a number")
		}
		return e.Format.Decimal(v.s), nil
	case kindMoment:
		return e.locale.moment(e.time(v)), nil
	case kindWindow:
		w := e.fixed.window(v.i)
		return e.interval(w.start, w.end), nil
	}
	if v.kind != kindText || v.s == "" {
		return "", at.hole("is empty")
	}
	return v.s, nil
}
