package render

import (
	"slices"
	"strings"
	"text/template/parse"

	"tocsin/internal/notice"
)

// Sound returns the *notice.Error for which a new notice with these texts is refused though they can be rendered. It is
// about a comparison that does not compare as it reads, or a link that leads nowhere. A notice that is kept keeps its
// meaning, so it is not asked.
func (p *Program) Sound() error {
	if len(p.doubts) > 0 {
		return p.doubts[0]
	}
	return nil
}

// Condition is something that a text asks of customers: of an attribute, or of one of its values.
type Condition struct {
	Place  string        // file and line
	What   string        // the condition as it is written
	Filter notice.Filter // which customers it is about: those who have the attribute, or the value
}

// Conditions returns the conditions of the texts on customers. A condition that is about none of them is probably
// misspelt.
func (p *Program) Conditions() []Condition { return p.conditions }

// partOf reports whether a place is in a part of ready texts. They ask for attributes that customers need not have.
func partOf(place string) bool { return strings.HasPrefix(place, partsName+"/") }

func (v *vetter) doubt(n parse.Node, format string, args ...any) {
	v.doubts = append(v.doubts, notice.Invalid(v.source.at(v.line(n.Position())), format, args...))
}

// presence notes the attributes that a condition asks for.
func (v *vetter) presence(n parse.Node, x *expr) {
	if name, ok := x.attribute(); ok {
		v.ask(n, notice.Filter{Op: notice.FilterHas, Field: name, Attribute: true, Value: "*"})
	}
	for _, a := range x.Args {
		v.presence(n, a)
	}
}

func (v *vetter) ask(n parse.Node, f notice.Filter) {
	if c := (Condition{v.source.at(v.line(n.Position())), n.String(), f}); !partOf(c.Place) {
		v.conditions = append(v.conditions, c)
	}
}

// comparison looks for comparisons that do not do as they read.
func (v *vetter) comparison(cmd *parse.CommandNode, x *expr, kinds []kind) {
	order := x.Name != "eq" && x.Name != "ne"
	numbers := slices.Contains(kinds, kindNumber)
	for i, a := range x.Args {
		text, constant := v.text(a)
		switch {
		case constant && order && !numbers && numeric.MatchString(text):
			v.doubt(cmd, `%s compares text, in which "9" comes after "10": write the number without quotes`, cmd)
		case constant && numbers && kinds[i] == kindText && !numeric.MatchString(text):
			v.doubt(cmd, "%s compares a number with %q, which is none", cmd, text)
		}
		for j, other := range x.Args {
			if i != j && !order {
				v.equal(cmd, a, other)
			}
		}
	}
}

// equal looks at a comparison of a field with a constant.
func (v *vetter) equal(cmd *parse.CommandNode, field, constant *expr) {
	for field.Op == opCall && field.Name == "default" {
		if text, _ := v.text(field.Args[0]); text == constant.Name {
			return // the value is that of those who have none
		}
		field = field.Args[1]
	}
	if field.Op != opField || constant.Op != opText && constant.Op != opNumber || constant.Name == "" {
		return
	}
	name, attribute := field.attribute()
	switch {
	case attribute:
		v.presence(cmd, field)
	case field.Name == "Name" || field.Name == "ID":
		name = strings.ToLower(field.Name)
	case field.Args[0].Op == opField && field.Args[0].Name == "Notice":
		v.possible(cmd, field.Name, constant.Name)
		return
	default:
		return
	}
	f := notice.Filter{Op: notice.FilterExact, Field: name, Attribute: attribute, Value: constant.Name}
	if constant.Op == opNumber {
		f.Op, f.Number = notice.FilterEq, true
	}
	v.ask(cmd, f)
}

// possible refuses a comparison with a kind, phase or severity that does not exist.
func (v *vetter) possible(cmd *parse.CommandNode, field, value string) {
	var known []string
	switch field {
	case "Kind":
		for _, k := range notice.Kinds {
			known = append(known, string(k))
		}
	case "Phase":
		known = anyPhase()
	case "Severity":
		known = notice.Severities
	}
	if len(known) > 0 && !slices.Contains(known, value) {
		v.doubt(cmd, "%s: no notice is %q: it is one of %s", cmd, value, strings.Join(slices.Compact(known), ", "))
	}
}

// text returns a text that x is for all recipients, or for those who lack something.
func (v *vetter) text(x *expr) (s string, constant bool) {
	switch {
	case x.Op == opText:
		return x.Name, true
	case x.Op == opField && x.Args[0].Op == opField && x.Args[0].Name == "Parameters":
		s, constant = v.parameters[x.Name]
		return s, constant && s != ""
	case x.Op == opCall && (x.Name == "default" || x.Name == "or"):
		for _, a := range x.Args {
			if s, constant = v.text(a); constant {
				return s, true
			}
		}
	}
	return "", false
}

// attribute returns the name of the attribute of a customer that x is.
func (x *expr) attribute() (name string, ok bool) {
	if x.Op == opField && x.Args[0].Op == opField && x.Args[0].Name == "Attributes" {
		return x.Name, true
	}
	return "", false
}
