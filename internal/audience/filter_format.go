package audience

import (
	"slices"
	"strings"
	"unicode"

	"go.einride.tech/aip/filtering"

	"tocsin/internal/notice"
)

// Format writes a filter so that it can be read one way only. Every group within another has a parenthesis, and text
// has double quotes. ParseFilter makes the same tree of it again. The zero Filter gives "".
func Format(f notice.Filter) string {
	switch f.Op {
	case notice.FilterAll:
		return ""
	case notice.FilterNot:
		return "NOT (" + Format(f.Args[0]) + ")"
	case notice.FilterAnd, notice.FilterOr:
		parts := make([]string, len(f.Args))
		for i, arg := range f.Args {
			parts[i] = Format(arg)
			if isGroup(arg) {
				parts[i] = "(" + parts[i] + ")"
			}
		}
		return strings.Join(parts, " "+string(f.Op)+" ")
	case notice.FilterHas:
		if f.Value == "*" {
			return formatName(f) + ":*"
		}
		return formatName(f) + ":" + quote(f.Value)
	case notice.FilterIn:
		write := quote
		if f.Number {
			write = func(s string) string { return s }
		}
		return formatName(f) + " IN " + formatList(f.Values, write)
	}
	if f.Number {
		return formatName(f) + " " + string(f.Op) + " " + f.Value
	}
	return formatName(f) + " " + string(f.Op) + " " + quote(f.Value)
}

func formatList(values []string, write func(string) string) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = write(v)
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

func isGroup(f notice.Filter) bool { return f.Op == notice.FilterAnd || f.Op == notice.FilterOr }

// formatName qualifies the names of attributes that would be taken for something else.
func formatName(f notice.Filter) string {
	if f.Attribute && (slices.Contains(columns, f.Field) || f.Field == "attributes" ||
		strings.EqualFold(f.Field, "IN") || filtering.TokenType(strings.ToUpper(f.Field)).IsKeyword()) {
		return "attributes." + f.Field
	}
	return f.Field
}

// depth is how many parentheses of the canonical form enclose its innermost condition.
func depth(f notice.Filter) int {
	deepest := 0
	for _, arg := range f.Args {
		d := depth(arg)
		if f.Op == notice.FilterNot || isGroup(arg) {
			d++
		}
		deepest = max(deepest, d)
	}
	return deepest
}

// CheckAttributes refuses a filter that names an unknown attribute. known are the attributes that some customer has;
// case does not matter. Such a filter would silently choose nobody, or with != everybody. The error is a *notice.Error
// with Field "audience" that shows the place in the filter's text. It offers the closest known name, or else lists the
// first ten.
func CheckAttributes(text string, f notice.Filter, known []string) error {
	for _, name := range f.Attributes() {
		if slices.ContainsFunc(known, func(k string) bool { return strings.EqualFold(k, name) }) {
			continue
		}
		hint := "no customer has an attribute"
		if names := slices.Sorted(slices.Values(known)); len(names) > 10 {
			hint = "the attributes are " + strings.Join(names[:10], ", ") + " and more"
		} else if len(names) > 0 {
			hint = "the attributes are " + strings.Join(names, ", ")
		}
		if close := notice.Closest(name, slices.Concat(known, []string{columnID, columnName, columnLanguage, columnTimeZone})); close != "" {
			hint = "did you mean " + close + "?"
		}
		offset, found := attributePlace(text, name)
		if !found {
			return notice.Invalid(field, "no customer has the attribute %s; %s", name, hint)
		}
		return errorAt(text, offset, "no customer has the attribute %s; %s", name, hint)
	}
	return nil
}

// attributePlace finds where a filter's text first compares the attribute.
func attributePlace(text, name string) (offset int, found bool) {
	tokens, err := lex(text)
	if err != nil {
		return 0, false
	}
	for i, t := range tokens {
		compared := neighbour(tokens, i+1).kind.IsComparator() || isIn(tokens, i+1) || isIn(tokens, i+2)
		if t.text == name && (t.field || t.kind == filtering.TokenTypeText) && compared {
			return t.offset, true
		}
	}
	return 0, false
}

// printable keeps a shown line one line, and its carets in place.
func printable(r rune) rune {
	if !unicode.IsPrint(r) {
		return ' '
	}
	return r
}
