package ledger

import (
	"regexp"
	"strconv"
	"strings"

	"tocsin/internal/notice"
)

// filterSQL turns a filter into a condition over "customer c" that is true or false, never NULL, for every customer.
// What the filter names and compares with is bound, never spelled out: it is appended to args, whose entries so far
// are taken for $1 and on. Its error is a notice.Error.
//
// An absent attribute, or an empty column, is the empty text:
//
//	plan = "x"    the same bytes; plan = "" holds for those who have none
//	plan != "x"   whoever plan = "x" does not hold for, those who have none included
//	plan < "x"    by bytes; it holds for nobody who has none, and so do <=, > and >=
//	seats < 5     by number; it holds for nobody whose value is not a plain decimal number
//	seats != 5    whoever seats = 5 does not hold for, those without a number included
//	plan:*        has a value
//	plan:"x"      the value contains x, letter for letter
func filterSQL(f notice.Filter, args *[]any) (string, error) {
	switch f.Op {
	case notice.FilterAll:
		return "true", nil
	case notice.FilterAnd, notice.FilterOr:
		if len(f.Args) == 0 {
			return "", notice.Invalid("audience", "%s joins nothing", f.Op)
		}
		parts := make([]string, len(f.Args))
		for i, a := range f.Args {
			part, err := filterSQL(a, args)
			if err != nil {
				return "", err
			}
			parts[i] = part
		}
		return "(" + strings.Join(parts, " "+string(f.Op)+" ") + ")", nil
	case notice.FilterNot:
		if len(f.Args) != 1 {
			return "", notice.Invalid("audience", "NOT takes one condition")
		}
		part, err := filterSQL(f.Args[0], args)
		return "(NOT " + part + ")", err
	}
	if !storable(f.Field) || !storable(f.Value) {
		return "", notice.Invalid("audience", "is not UTF-8, or holds a zero byte")
	}
	value, err := fieldSQL(f, args)
	if err != nil {
		return "", err
	}
	if f.Number && f.Op != notice.FilterHas {
		return numberSQL(f, value, args)
	}
	return textSQL(f, value, args)
}

// fieldSQL is the text that a comparison looks at.
func fieldSQL(f notice.Filter, args *[]any) (string, error) {
	if f.Attribute {
		// Names that differ by case are one attribute; the sub-select runs once.
		name := bind(args, f.Field) + "::text"
		return "coalesce(c.attributes->>coalesce((SELECT name FROM attribute_name WHERE folded = " + bind(args, strings.ToLower(f.Field)) +
			"), " + name + "), '')", nil
	}
	switch f.Field {
	case "id", "name", "language", "time_zone":
		return "c." + f.Field, nil
	}
	return "", notice.Invalid("audience", "customers have no field %q", f.Field)
}

func textSQL(f notice.Filter, value string, args *[]any) (string, error) {
	switch f.Op {
	case notice.FilterEq, notice.FilterNe:
		return "(" + value + " " + string(f.Op) + " " + bind(args, f.Value) + "::text)", nil
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

// plainNumber bounds the digits too: Postgres refuses a numeric of 200,000, and one such value would fail the query.
const plainNumber = `^-?[0-9]{1,100}(\.[0-9]{1,100})?$`

var plainNumberForm = regexp.MustCompile(plainNumber)

func numberSQL(f notice.Filter, value string, args *[]any) (string, error) {
	if !plainNumberForm.MatchString(f.Value) {
		return "", notice.Invalid("audience", "%q is not a plain decimal number", f.Value)
	}
	otherwise := "false"
	switch f.Op {
	case notice.FilterEq, notice.FilterLt, notice.FilterLe, notice.FilterGt, notice.FilterGe:
	case notice.FilterNe:
		otherwise = "true"
	default:
		return "", notice.Invalid("audience", "%q is no operator", f.Op)
	}
	// CASE is what keeps the cast away from other values: AND promises no order.
	return "(CASE WHEN " + value + " ~ '" + plainNumber + "' THEN (" + value + ")::numeric " + string(f.Op) + " " +
		bind(args, f.Value) + "::text::numeric ELSE " + otherwise + " END)", nil
}

// bind appends an argument and returns its placeholder.
func bind(args *[]any, v any) string {
	*args = append(*args, v)
	return "$" + strconv.Itoa(len(*args))
}
