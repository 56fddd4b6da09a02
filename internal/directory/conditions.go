package directory

import (
	"reflect"
	"regexp"
	"slices"
	"strings"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// Condition is one of those that a filter joins, as a form has it.
type Condition struct{ Field, Op, Value string }

// The operators of conditions, besides those of filters.
const (
	OpNotIn  = "NOT IN" // a list, of which none is the value
	OpFilled = "filled" // there is a value
	OpEmpty  = "empty"  // there is none
	OpHolds  = "holds"  // the value holds a text
	OpOneOf  = "IN"     // a list, of which one is the value
)

// ConditionOps are the operators that a condition may have.
var ConditionOps = []string{"=", "!=", OpOneOf, OpNotIn, OpHolds, OpFilled, OpEmpty, ">", ">=", "<", "<="}

// Conditions takes a filter apart that joins conditions by AND alone, or by OR alone, which any says. It is not ok for one that says more.
func Conditions(text string) (all []Condition, any, ok bool) {
	f, err := audience.ParseFilter(text)
	if err != nil {
		return nil, false, false
	}
	parts := []notice.Filter{f}
	switch f.Op {
	case notice.FilterAll:
		return nil, false, true
	case notice.FilterAnd, notice.FilterOr:
		parts, any = f.Args, f.Op == notice.FilterOr
	}
	for _, part := range parts {
		all = append(all, conditionOf(part))
	}
	again, err := audience.ParseFilter(FilterOf(all, any))
	return all, any, err == nil && reflect.DeepEqual(again, f)
}

// conditionOf is a part of a filter as a condition, as far as it is one.
func conditionOf(f notice.Filter) Condition {
	negated := f.Op == notice.FilterNot && len(f.Args) == 1
	if negated {
		f = f.Args[0]
	}
	c := Condition{Field: f.Field, Op: string(f.Op), Value: f.Value}
	if _, column := columnOf(f.Field); f.Attribute && column {
		c.Field = attributePrefix + f.Field
	}
	switch {
	case f.Op == notice.FilterHas && f.Value == "*":
		c.Op, c.Value = OpFilled, ""
		if negated {
			c.Op = OpEmpty
		}
	case f.Op == notice.FilterIn:
		c.Value = strings.Join(f.Values, ", ")
		if negated {
			c.Op = OpNotIn
		}
	case f.Op == notice.FilterHas:
		c.Op = OpHolds
	}
	return c
}

const attributePrefix = "attributes."

// columnOf reports whether a name is that of a customer's own fields.
func columnOf(name string) (string, bool) {
	return name, slices.Contains([]string{"id", "name", "language", "time_zone"}, name)
}

var plainNumber = regexp.MustCompile(`^-?\d+(\.\d+)?$`)

// FilterOf is the text of a filter that joins conditions by AND, or with any by OR. One without a field, or without the value that it wants, is left out.
func FilterOf(all []Condition, any bool) string {
	joined := notice.Filter{Op: notice.FilterAnd}
	if any {
		joined.Op = notice.FilterOr
	}
	for _, c := range all {
		if f, ok := c.filter(); ok {
			joined.Args = append(joined.Args, f)
		}
	}
	switch len(joined.Args) {
	case 0:
		return ""
	case 1:
		return written(joined.Args[0])
	}
	parts := make([]string, len(joined.Args))
	for i, f := range joined.Args {
		parts[i] = written(f)
	}
	return strings.Join(parts, " "+string(joined.Op)+" ")
}

// written is a condition as people write it.
func written(f notice.Filter) string {
	if f.Op == notice.FilterNot {
		inner := f.Args[0]
		name, list, found := strings.Cut(audience.Format(inner), " IN (")
		if inner.Op == notice.FilterIn && found {
			return name + " NOT IN (" + list
		}
	}
	return audience.Format(f)
}

// filter is the condition as a part of a filter.
func (c Condition) filter() (f notice.Filter, ok bool) {
	c.Field, c.Value = strings.TrimSpace(c.Field), plainText(c.Value)
	f = notice.Filter{Op: notice.FilterOp(c.Op), Field: strings.TrimPrefix(c.Field, attributePrefix), Value: c.Value}
	_, column := columnOf(c.Field)
	f.Attribute = !column
	switch c.Op {
	case OpFilled, OpEmpty:
		f.Op, f.Value = notice.FilterHas, "*"
		if c.Op == OpEmpty {
			f = notice.Filter{Op: notice.FilterNot, Args: []notice.Filter{f}}
		}
		return f, c.Field != ""
	case OpHolds:
		f.Op = notice.FilterHas
	case OpOneOf, OpNotIn:
		f.Op, f.Value, f.Values = notice.FilterIn, "", filled(strings.Split(c.Value, ","))
		if c.Op == OpNotIn {
			f = notice.Filter{Op: notice.FilterNot, Args: []notice.Filter{f}}
		}
	case "<", "<=", ">", ">=":
		f.Number = plainNumber.MatchString(c.Value)
	}
	return f, c.Field != "" && strings.Trim(c.Value, ", ") != ""
}
