package ledger

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

// filterSQL turns a filter into a condition over "customer c" that is true or false, never NULL, for every customer.
// The names and values of the filter are bound, never spelled out: they are appended to args. The entries of args so far
// are taken for $1 and on. The error is a notice.Error.
//
// An absent attribute, or an empty column, is the empty text:
//
//	plan = "x"      the same bytes; plan = "" holds for those who have none
//	plan = "x*"     a value that begins so: * is any text, none included
//	language = "de" de and whatever begins with de- (RFC 4647 §3.3.1), of a list the first
//	plan == "x"     the same bytes, whatever they are
//	plan IN (…)     plan = holds for one of the values
//	plan != "x"     everybody that plan = "x" does not hold for, those who have none included
//	plan < "x"      by bytes; it holds for nobody who has none, and so do <=, > and >=
//	seats < 5       by number; it holds for nobody with another value than a plain decimal number
//	seats != 5      everybody that seats = 5 does not hold for, those without a number included
//	plan:*          has a value
//	plan:"x"        the value contains x, letter for letter
func filterSQL(f notice.Filter, args *[]any) (string, error) {
	return conditions{args: args, fields: map[string]string{}}.sql(f)
}

// conditions writes the parts of one filter. A field is written the same way each time, so that its name is bound once.
type conditions struct {
	args   *[]any
	fields map[string]string // by name, that of an attribute behind a dot
}

func (c conditions) sql(f notice.Filter) (string, error) {
	switch f.Op {
	case notice.FilterAll:
		return "true", nil
	case notice.FilterAnd, notice.FilterOr:
		return c.join(f)
	case notice.FilterNot:
		if len(f.Args) != 1 {
			return "", notice.Invalid("audience", "NOT takes one condition")
		}
		part, err := c.sql(f.Args[0])
		return "(NOT " + part + ")", err
	}
	if !storable(f.Field) || !storable(f.Value) || slices.ContainsFunc(f.Values, func(v string) bool { return !storable(v) }) {
		return "", notice.Invalid("audience", "is not UTF-8, or holds a zero byte")
	}
	value, err := c.field(f)
	if err != nil {
		return "", err
	}
	if f.Number && f.Op != notice.FilterHas {
		return numberSQL(f, value, c.args)
	}
	return textSQL(f, value, c.args)
}

// join joins conditions by AND or OR. Those of an OR that compare one field with a text become one list: 20,000 of them
// would be looked at one after the other for each customer.
func (c conditions) join(f notice.Filter) (string, error) {
	if len(f.Args) == 0 {
		return "", notice.Invalid("audience", "%s joins nothing", f.Op)
	}
	single, merged := notice.FilterEq, notice.FilterIn
	if f.Op == notice.FilterAnd {
		single = notice.FilterNe
	}
	lists := map[string]*notice.Filter{} // by field
	parts := make([]string, 0, len(f.Args))
	for _, a := range f.Args {
		if a.Op == single && !a.Number {
			name := fieldName(a)
			if lists[name] == nil {
				lists[name] = &notice.Filter{Op: merged, Field: a.Field, Attribute: a.Attribute}
			}
			lists[name].Values = append(lists[name].Values, a.Value)
			continue
		}
		part, err := c.sql(a)
		if err != nil {
			return "", err
		}
		parts = append(parts, part)
	}
	for _, name := range slices.Sorted(maps.Keys(lists)) {
		part, err := c.sql(*lists[name])
		if err != nil {
			return "", err
		}
		if f.Op == notice.FilterAnd {
			part = "(NOT " + part + ")"
		}
		parts = append(parts, part)
	}
	return "(" + strings.Join(parts, " "+string(f.Op)+" ") + ")", nil
}

func fieldName(f notice.Filter) string {
	if f.Attribute {
		return "." + f.Field
	}
	return f.Field
}

// field is the text that a comparison looks at.
func (c conditions) field(f notice.Filter) (string, error) {
	switch name := fieldName(f); {
	case c.fields[name] != "":
		return c.fields[name], nil
	case f.Attribute:
		// Names that differ by case are one attribute; the sub-select runs once.
		c.fields[name] = "coalesce(c.attributes->>coalesce((SELECT name FROM attribute_name WHERE folded = " +
			bind(c.args, strings.ToLower(f.Field)) + "), " + bind(c.args, f.Field) + "::text), '')"
		return c.fields[name], nil
	}
	switch f.Field {
	case "id", "name", "time_zone":
		return "c." + f.Field, nil
	case "language": // the first of the list
		return "split_part(c.language, ',', 1)", nil
	}
	return "", notice.Invalid("audience", "customers have no field %q", f.Field)
}

func textSQL(f notice.Filter, value string, args *[]any) (string, error) {
	switch f.Op {
	case notice.FilterExact:
		return "(" + value + " = " + bind(args, f.Value) + "::text)", nil
	case notice.FilterEq:
		return oneOf(f, value, []string{f.Value}, args), nil
	case notice.FilterNe:
		return "(NOT " + oneOf(f, value, []string{f.Value}, args) + ")", nil
	case notice.FilterIn:
		return oneOf(f, value, f.Values, args), nil
	case notice.FilterLt, notice.FilterLe, notice.FilterGt, notice.FilterGe:
		return "(" + value + " <> '' AND " + value + ` COLLATE "C" ` + string(f.Op) + " " + bind(args, f.Value) + "::text)", nil
	case notice.FilterHas:
		switch f.Value {
		case "*":
			return "(" + value + " <> '')", nil
		case "":
			return "", notice.Invalid("audience", `%s:"" asks for nothing: %s:* holds for those who have one`, f.Field, f.Field)
		}
		return "(strpos(" + value + ", " + bind(args, f.Value) + "::text) > 0)", nil
	}
	return "", notice.Invalid("audience", "%q is no operator", f.Op)
}

// oneOf is the condition that a value is one of these texts, or fits one of them that is a pattern or a language.
func oneOf(f notice.Filter, value string, texts []string, args *[]any) string {
	var exact, patterns []string
	for _, text := range texts {
		switch {
		case strings.Contains(text, "*"):
			patterns = append(patterns, likeForm.Replace(text))
			continue
		case f.Field == "language" && !f.Attribute && text != "":
			patterns = append(patterns, likeForm.Replace(text)+"-%")
		}
		exact = append(exact, text)
	}
	var parts []string
	if exact != nil {
		parts = append(parts, value+" = ANY("+bind(args, exact)+"::text[])")
	}
	if patterns != nil {
		parts = append(parts, value+" LIKE ANY("+bind(args, patterns)+"::text[])")
	}
	if parts == nil {
		return "false"
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// likeForm writes a text in which * is any text as a pattern of LIKE.
var likeForm = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`, `*`, `%`)

// plainNumber bounds the digits too: Postgres refuses a numeric of 200,000, and one such value would fail the query.
const plainNumber = `^-?[0-9]{1,100}(\.[0-9]{1,100})?$`

var plainNumberForm = regexp.MustCompile(plainNumber)

func numberSQL(f notice.Filter, value string, args *[]any) (string, error) {
	numbers := []string{f.Value}
	if f.Op == notice.FilterIn {
		numbers = f.Values
	}
	for _, n := range numbers {
		if !plainNumberForm.MatchString(n) {
			return "", notice.Invalid("audience", "%q is not a plain decimal number", n)
		}
	}
	otherwise, compared := "false", string(f.Op)
	switch f.Op {
	case notice.FilterEq, notice.FilterLt, notice.FilterLe, notice.FilterGt, notice.FilterGe:
	case notice.FilterNe:
		otherwise = "true"
	case notice.FilterIn:
		compared = "="
	default:
		return "", notice.Invalid("audience", "%q is no operator", f.Op)
	}
	if f.Op == notice.FilterIn {
		compared += " ANY(" + bind(args, numbers) + "::text[]::numeric[])"
	} else {
		compared += " " + bind(args, f.Value) + "::text::numeric"
	}
	// CASE keeps the cast away from other values: AND promises no order.
	return "(CASE WHEN " + value + " ~ '" + plainNumber + "' THEN (" + value + ")::numeric " + compared + " ELSE " + otherwise + " END)", nil
}

// bind appends an argument and returns its placeholder.
func bind(args *[]any, v any) string {
	*args = append(*args, v)
	return "$" + strconv.Itoa(len(*args))
}
