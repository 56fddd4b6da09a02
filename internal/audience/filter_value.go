package audience

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"go.einride.tech/aip/filtering"
	expr "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"tocsin/internal/notice"
)

// comparison makes the condition of a name, an operator and a value or a list of them.
func (p *filterParser) comparison(op notice.FilterOp, left, right *expr.Expr) (notice.Filter, error) {
	f := notice.Filter{Op: op}
	var err error
	if f.Field, f.Attribute, err = p.name(left); err != nil {
		return notice.Filter{}, err
	}
	value := p.at(right)
	fail := func(format string, args ...any) error { return p.errorf(right, format, args...) }
	switch right.GetConstExpr().GetConstantKind().(type) {
	case *expr.Constant_StringValue:
	case *expr.Constant_Int64Value, *expr.Constant_DoubleValue:
		// The text, not the number: a double can't hold every decimal.
		f.Value, f.Number = value.run, true
		return f, p.checkNumber(f, fail)
	default:
		return notice.Filter{}, fail("a condition compares a name with a text in quotes or with a number")
	}
	if value.list != nil {
		return p.membership(f, value.list)
	}
	f.Value = tidy(right.GetConstExpr().GetStringValue())
	if value.exact {
		f.Op = notice.FilterExact
	}
	switch {
	case strings.ContainsFunc(f.Value, unicode.IsControl):
		return notice.Filter{}, fail("%s", holdsControl)
	case op == notice.FilterHas:
		return f, p.checkPart(f, value, fail)
	case op == notice.FilterEq, op == notice.FilterNe:
		return p.equality(f, fail)
	case !p.literal && (f.Attribute || f.Field == columnID) && numeral.MatchString(f.Value):
		return notice.Filter{}, fail(`texts have the order of a dictionary, in which "10" comes before "9": leave the quotes out to compare numbers, like %s %s %s`,
			formatName(f), op, plainNumeral(f.Value))
	case !p.literal && strings.Contains(f.Value, "*"):
		return notice.Filter{}, fail("* stands for any text behind = and != alone")
	}
	return f, nil
}

const holdsControl = "holds a control character, which no customer's data does"

// numeral is a text that people read as a number, however they group and mark its digits.
var numeral = regexp.MustCompile(`^\s*[-+−]?[.,]?\p{Nd}+([.,'’\s]\p{Nd}+)?([,'’\s]\p{Nd}+)*[.,]?([eE][-+]?\p{Nd}+)?\s*%?\s*$`)

// plainNumeral is a number that may stand for a numeral in an example.
func plainNumeral(text string) string {
	if text = strings.TrimSpace(text); numberForm.MatchString(text) {
		return text
	}
	return "42"
}

func (p *filterParser) checkNumber(f notice.Filter, fail failer) error {
	ordered := f.Op != notice.FilterEq && f.Op != notice.FilterNe && f.Op != notice.FilterHas
	switch {
	case !f.Attribute && (p.literal || f.Field != columnID || !ordered):
		return fail(`%s is text: write it in quotes, like %[1]s = "%s"`, f.Field, f.Value)
	case f.Op == notice.FilterHas:
		return fail(`":" looks for text: write it in quotes, like %s:"%s"`, f.Field, f.Value)
	}
	return nil
}

// checkPart checks the text that ":" looks for.
func (p *filterParser) checkPart(f notice.Filter, value token, fail failer) error {
	quoted := value.kind == filtering.TokenTypeString
	switch {
	case f.Value == "":
		return fail("write %s:* to ask whether there is a value", formatName(f))
	case f.Value == "*" && quoted:
		return fail("write %s:* without quotes to ask whether there is a value", formatName(f))
	case !p.literal && f.Value != "*" && strings.Contains(f.Value, "*"):
		return fail(`":" finds a part anywhere in a value: leave the * out, or write %s = %s for the whole value`, formatName(f), quote(f.Value))
	}
	return nil
}

// equality gives a comparison by =, != or == its canonical form: == where the others would mean something else alone.
func (p *filterParser) equality(f notice.Filter, fail failer) (notice.Filter, error) {
	negated := f.Op == notice.FilterNe
	language := f.Field == columnLanguage && !f.Attribute
	starred := strings.Contains(f.Value, "*")
	switch {
	case f.Value == "" && f.Attribute, starred && strings.Trim(f.Value, "*") == "" && !p.literal && f.Op != notice.FilterExact:
		// An absent attribute differs from "" for SQL, which would make plan != "" hold for everybody.
		has := notice.Filter{Op: notice.FilterHas, Field: f.Field, Attribute: f.Attribute, Value: "*"}
		if negated == (f.Value == "") {
			return has, nil
		}
		return notice.Filter{Op: notice.FilterNot, Args: []notice.Filter{has}}, nil
	case f.Value == "":
		if f.Op == notice.FilterExact {
			f.Op = notice.FilterEq
		}
		return f, nil
	}
	special := starred || language
	exact := special && (f.Op == notice.FilterExact || p.literal)
	var reason string
	if f.Value, reason = checkCompared(f, exact); reason != "" {
		return notice.Filter{}, fail("%s", reason)
	}
	switch {
	case exact && negated:
		f.Op = notice.FilterExact
		return notice.Filter{Op: notice.FilterNot, Args: []notice.Filter{f}}, nil
	case exact:
		f.Op = notice.FilterExact
	case f.Op == notice.FilterExact:
		f.Op = notice.FilterEq
	}
	return f, nil
}

// checkCompared checks a language or a zone that something is compared with, and returns the value's canonical form.
func checkCompared(f notice.Filter, exact bool) (value, reason string) {
	starred := !exact && strings.Contains(f.Value, "*")
	switch {
	case f.Attribute || f.Value == "":
	case f.Field == columnLanguage && starred:
		return f.Value, `a language holds for its regions too: leave the * out, like language = "de"`
	case f.Field == columnLanguage:
		return canonicalLanguage(f.Value)
	case f.Field == columnTimeZone && !starred:
		return f.Value, checkZone(f.Value)
	}
	return f.Value, ""
}

// membership makes the condition of a list. Its error points at the value at fault.
func (p *filterParser) membership(f notice.Filter, list []token) (notice.Filter, error) {
	negated := f.Op == notice.FilterNe
	f.Op, f.Number = notice.FilterIn, list[0].kind != filtering.TokenTypeString
	f.Values = make([]string, len(list))
	for i, t := range list {
		fail := func(format string, args ...any) error { return errorAt(p.text, t.offset, format, args...) }
		if f.Number != (t.kind != filtering.TokenTypeString) {
			return notice.Filter{}, fail("a list is of texts in quotes or of numbers, not of both")
		}
		one := notice.Filter{Op: notice.FilterEq, Field: f.Field, Attribute: f.Attribute, Value: t.text}
		if f.Number {
			f.Values[i] = t.text
			if err := p.checkNumber(one, fail); err != nil {
				return notice.Filter{}, err
			}
			continue
		}
		text, err := filtering.Token{Type: t.kind, Value: t.text}.Unquote()
		if err != nil {
			return notice.Filter{}, fail("%s", badEscape)
		}
		one.Value = tidy(text)
		var reason string
		switch {
		case strings.ContainsFunc(one.Value, unicode.IsControl):
			reason = holdsControl
		case one.Value != "" && strings.Trim(one.Value, "*") == "":
			reason = fmt.Sprintf("any value at all is no value of a list: write %s:*", formatName(f))
		default:
			f.Values[i], reason = checkCompared(one, false)
		}
		if reason != "" {
			return notice.Filter{}, fail("%s", reason)
		}
	}
	slices.Sort(f.Values)
	f.Values = slices.Compact(f.Values)
	if negated {
		return notice.Filter{Op: notice.FilterNot, Args: []notice.Filter{f}}, nil
	}
	return f, nil
}
