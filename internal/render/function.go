package render

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template/parse"
	"time"

	"tocsin/internal/cldr"
	"tocsin/internal/notice"
)

// formatted returns the value of a function that writes something as the reader does. Nothing stays nothing, for default.
func (e *env) formatted(x *expr) (string, error) {
	var space [2]value
	args := space[:0]
	for _, a := range x.Args {
		v, err := e.eval(a)
		if err != nil {
			return "", err
		}
		args = append(args, v)
	}
	v := args[0]
	switch x.Name {
	case "list":
		return e.list(args, x.At)
	case "date":
		return e.date(v, x.At)
	case "duration":
		return e.duration(v, x.At)
	}
	if v.s == "" {
		return "", nil
	}
	if !numeric.MatchString(v.s) {
		return "", x.At.hole("is not a number")
	}
	switch x.Name {
	case "percent":
		return e.Format.Percent(v.s), nil
	case "money":
		return e.money(v, args[1], x.At)
	case "plural":
		return e.plural(v, args[1:]), nil
	}
	return e.Format.Decimal(v.s), nil
}

// money writes an amount in a currency.
func (e *env) money(amount, currency value, at *site) (string, error) {
	if !cldr.IsCurrency(currency.s) {
		return "", at.hole("has no code of a currency such as EUR")
	}
	return e.cldr().MoneyOf(amount.s, currency.s), nil
}

// list joins the elements of texts, which commas divide, or the names of customers.
func (e *env) list(args []value, at *site) (string, error) {
	var elements []string
	for _, v := range args {
		if v.kind == kindCustomers {
			for i := range e.customers {
				name := clean(e.customers[i].Name)
				if name == "" {
					return "", at.hole("has a customer without a name")
				}
				elements = append(elements, name)
			}
			continue
		}
		for s := range strings.SplitSeq(v.s, ",") {
			if s = strings.TrimSpace(s); s != "" {
				elements = append(elements, s)
			}
		}
	}
	return e.Lists.And(elements), nil
}

// length is a length of time such as 90m, 1h30m or 2d.
var length = regexp.MustCompile(`^(?:([0-9]{1,5})d)?((?:[0-9]{1,6}h)?(?:[0-9]{1,6}m)?(?:[0-9]{1,6}s)?)$`)

func parseLength(s string) (d time.Duration, ok bool) {
	m := length.FindStringSubmatch(s)
	if m == nil || s == "" {
		return 0, false
	}
	if m[1] != "" {
		days, _ := time.ParseDuration(m[1] + "h")
		d = 24 * days
	}
	rest, _ := time.ParseDuration(m[2])
	return d + rest, true
}

const notALength = "is not a length of time like 90m, 1h30m or 2d"

// duration writes a length of time, or how long a window is.
func (e *env) duration(v value, at *site) (string, error) {
	if v.kind == kindWindow {
		w := e.fixed.window(v.i)
		return e.cldr().Duration(w.end.Sub(w.start)), nil
	}
	d, ok := parseLength(v.s)
	switch {
	case v.s == "":
		return "", nil
	case !ok:
		return "", at.hole(notALength)
	}
	return e.cldr().Duration(d), nil
}

// plural returns the form of the category that a number has, else that of others, with the number for each # in it.
func (e *env) plural(number value, forms []value) string {
	form := ""
	category := e.Plurals.Category(strings.TrimPrefix(number.s, "+"))
	for i := 0; i+1 < len(forms); i += 2 {
		if forms[i].s == category {
			form = forms[i+1].s
			break
		}
		if forms[i].s == cldr.Other {
			form = forms[i+1].s
		}
	}
	return strings.ReplaceAll(form, "#", e.Format.Decimal(number.s))
}

// constant refuses {{date "soon"}} and the like at once: a constant fails for all recipients. One that is for those who
// lack something is a doubt.
func (v *vetter) constant(cmd *parse.CommandNode, x *expr, kinds []kind) {
	s, constant := v.text(x.Args[0])
	constant = constant && kinds[0] == kindText && s != ""
	refuse := func(format string, args ...any) { v.fail(cmd, format, args...) }
	if x.Args[0].Op == opCall {
		refuse = func(format string, args ...any) { v.doubt(cmd, format, args...) }
	}
	switch x.Name {
	case "date":
		if _, _, err := parseMoment(s, nil); constant && err != nil {
			refuse("%s: %v", cmd, err)
		} else if err := notice.CheckClock(s, v.zone); constant && err != nil {
			v.doubt(cmd, "%s: %v", cmd, err)
		}
	case "duration":
		if _, ok := parseLength(s); constant && !ok {
			refuse("%s: %q %s", cmd, s, notALength)
		}
	case "number", "percent", "money", "plural":
		if constant && !numeric.MatchString(s) {
			refuse("%s: %q is not a number", cmd, s)
		}
	}
	switch x.Name {
	case "money":
		if code, constant := v.text(x.Args[1]); constant && !cldr.IsCurrency(code) {
			v.fail(cmd, "%s: %q is not the code of a currency such as EUR", cmd, code)
		}
	case "plural":
		v.forms(cmd, x.Args[1:])
	}
}

// forms refuses forms of a plural that lack one which the language has for whole numbers.
func (v *vetter) forms(cmd *parse.CommandNode, forms []*expr) {
	var given []string
	for i, f := range forms {
		switch {
		case f.Op != opText:
			v.fail(cmd, "%s: write each form, and its name before it, in quotes", cmd)
		case i%2 == 1:
		case !slices.Contains(cldr.Categories, f.Name):
			v.fail(cmd, "%s: %q is not the name of a form: these are %s", cmd, f.Name, strings.Join(cldr.Categories, ", "))
		case slices.Contains(given, f.Name):
			v.fail(cmd, "%s: the form %s is given twice", cmd, f.Name)
		}
		given = append(given, f.Name)
	}
	if len(forms)%2 == 1 {
		v.fail(cmd, "%s: the form %s has no words", cmd, forms[len(forms)-1].Name)
	}
	for _, category := range v.plurals.Needed() {
		if !slices.Contains(given, category) {
			v.fail(cmd, "%s lacks the form %q, which this language has: it wants %s", cmd, category, v.wanted())
		}
	}
}

// wanted shows the forms that a plural needs.
func (v *vetter) wanted() string {
	var forms []string
	for _, category := range v.plurals.Needed() {
		forms = append(forms, fmt.Sprintf("%q %q", category, "# …"))
	}
	return strings.Join(forms, " ")
}
