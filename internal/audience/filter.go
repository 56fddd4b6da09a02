package audience

import (
	"regexp"
	"strings"
	"unicode"

	"go.einride.tech/aip/filtering"
	expr "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"tocsin/internal/notice"
)

// The bounds of a filter: bytes of its text and of its canonical form, and levels of parentheses in each.
const (
	maxFilter = 4096
	maxDepth  = 50
)

// field is the Field of every error about a filter: the key of notice.yaml.
const field = "audience"

// attributeName is the form of an attribute's name, so that filters and templates can use it.
var attributeName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// ParseFilter reads a filter over customers in the language of AIP-160 (https://google.aip.dev/160).
//
// The names are id, name, language, time_zone and any attribute, which may be written attributes.plan as well.
// The operators are = != < <= > >= and ":", which asks for presence (plan:*) or for a part of the value
// (name:"bakery"). Conditions are joined by AND, OR and NOT or "-"; OR binds tighter than AND. Text stands in
// quotes and is compared by its bytes; "*" in it is a character like any other. A bare number is compared as a
// number, with attributes only. An absent value is the empty one: plan = "" becomes NOT (plan:*).
// Languages and zones that are compared with = and != are checked, and languages put in their canonical form.
//
// Empty text gives the zero Filter, which holds for everybody. What the grammar would read otherwise than a
// person does is refused: bare words, conditions with nothing between them, lower-case and/or, functions.
// Its error is a *notice.Error with Field "audience"; the message names line and column, both from 1, and shows
// the place.
func ParseFilter(text string) (notice.Filter, error) {
	tokens, err := lex(text)
	if err != nil || len(tokens) == 0 {
		return notice.Filter{}, err
	}
	if err := lint(text, tokens); err != nil {
		return notice.Filter{}, err
	}
	p := filterParser{text: text, tokens: tokens}
	e, err := p.parse()
	if err != nil {
		return notice.Filter{}, err
	}
	f, err := p.tree(e)
	if err != nil {
		return notice.Filter{}, err
	}
	// The canonical form adds parentheses and must itself be a filter.
	if len(Format(f)) > maxFilter || depth(f) > maxDepth {
		return notice.Filter{}, notice.Invalid(field,
			"is longer than %d bytes or deeper than %d levels once every parenthesis is written", maxFilter, maxDepth)
	}
	return f, nil
}

type filterParser struct {
	text   string
	tokens []token
	starts []int // per token, where it begins in the text that the library parses
	parsed *expr.ParsedExpr
}

// parse has the library parse the tokens, written afresh: its grammar wants a blank around AND, OR and NOT, and
// none inside parentheses or behind a minus.
func (p *filterParser) parse() (*expr.Expr, error) {
	var b strings.Builder
	for i, t := range p.tokens {
		before := neighbour(p.tokens, i-1)
		switch {
		case i == 0, before.kind == filtering.TokenTypeLeftParen, before.kind == filtering.TokenTypeMinus,
			t.kind == filtering.TokenTypeRightParen:
		case t.spaced, t.isJoiner(), before.isJoiner():
			b.WriteByte(' ')
		}
		p.starts = append(p.starts, b.Len())
		b.WriteString(t.text)
	}
	var parser filtering.Parser
	parser.Init(b.String())
	parsed, err := parser.Parse()
	if err != nil {
		return nil, p.syntaxError(err)
	}
	p.parsed = parsed
	return parsed.GetExpr(), nil
}

// token returns the token that stands at an offset of the text that the library parsed.
func (p *filterParser) token(offset int32) token {
	found := p.tokens[0]
	for i, start := range p.starts {
		if start <= int(offset) {
			found = p.tokens[i]
		}
	}
	return found
}

func (p *filterParser) at(e *expr.Expr) token {
	return p.token(p.parsed.GetSourceInfo().GetPositions()[e.GetId()])
}

func (p *filterParser) errorf(e *expr.Expr, format string, args ...any) error {
	return errorAt(p.text, p.at(e).offset, format, args...)
}

func (p *filterParser) tree(e *expr.Expr) (notice.Filter, error) {
	call := e.GetCallExpr()
	if call == nil {
		return notice.Filter{}, p.errorf(e, `a condition needs a name, an operator and a value, like plan = "trial"`)
	}
	switch call.GetFunction() {
	case filtering.FunctionAnd, filtering.FunctionOr:
		return p.join(notice.FilterOp(call.GetFunction()), call.GetArgs())
	case filtering.FunctionNot:
		arg, err := p.tree(call.GetArgs()[0])
		return notice.Filter{Op: notice.FilterNot, Args: []notice.Filter{arg}}, err
	case filtering.FunctionFuzzyAnd:
		return notice.Filter{}, p.errorf(call.GetArgs()[1], "write AND or OR between two conditions")
	}
	return p.comparison(notice.FilterOp(call.GetFunction()), call.GetArgs()[0], call.GetArgs()[1])
}

// join makes one node of a run of the same operator.
func (p *filterParser) join(op notice.FilterOp, args []*expr.Expr) (notice.Filter, error) {
	joined := notice.Filter{Op: op}
	for _, e := range args {
		arg, err := p.tree(e)
		if err != nil {
			return notice.Filter{}, err
		}
		if arg.Op == op {
			joined.Args = append(joined.Args, arg.Args...)
		} else {
			joined.Args = append(joined.Args, arg)
		}
	}
	return joined, nil
}

func (p *filterParser) comparison(op notice.FilterOp, left, right *expr.Expr) (notice.Filter, error) {
	f := notice.Filter{Op: op}
	var err error
	if f.Field, f.Attribute, err = p.name(left); err != nil {
		return notice.Filter{}, err
	}
	value := p.at(right)
	constant := right.GetConstExpr()
	switch constant.GetConstantKind().(type) {
	case *expr.Constant_StringValue:
		f.Value = tidy(constant.GetStringValue())
	case *expr.Constant_Int64Value, *expr.Constant_DoubleValue:
		switch {
		case !f.Attribute:
			return notice.Filter{}, p.errorf(right, `%s is text: write it in quotes, like %[1]s = "%s"`, f.Field, value.run)
		case op == notice.FilterHas:
			return notice.Filter{}, p.errorf(right, `":" looks for text: write it in quotes, like %s:"%s"`, f.Field, value.run)
		}
		// The text, not the number: a double can't hold every decimal.
		f.Value, f.Number = value.run, true
		return f, nil
	default:
		return notice.Filter{}, p.errorf(right, "a condition compares a name with a text in quotes or with a number")
	}
	if strings.ContainsFunc(f.Value, unicode.IsControl) {
		return notice.Filter{}, p.errorf(right, "holds a control character, which no customer's data does")
	}
	switch {
	case op == notice.FilterHas && f.Value == "":
		return notice.Filter{}, p.errorf(right, "write %s:* to ask whether there is a value", formatName(f))
	case op == notice.FilterHas && f.Value == "*" && value.kind == filtering.TokenTypeString:
		return notice.Filter{}, p.errorf(right, "write %s:* without quotes to ask whether there is a value", formatName(f))
	}
	return p.settle(f, right)
}

// settle gives a comparison with "" of an attribute, and languages and zones, their canonical form.
func (p *filterParser) settle(f notice.Filter, right *expr.Expr) (notice.Filter, error) {
	if f.Op != notice.FilterEq && f.Op != notice.FilterNe {
		return f, nil
	}
	if f.Attribute && f.Value == "" {
		// An absent attribute differs from "" for SQL, which would make plan != "" hold for everybody.
		has := notice.Filter{Op: notice.FilterHas, Field: f.Field, Attribute: true, Value: "*"}
		if f.Op == notice.FilterNe {
			return has, nil
		}
		return notice.Filter{Op: notice.FilterNot, Args: []notice.Filter{has}}, nil
	}
	var reason string
	if f.Field == columnLanguage && !f.Attribute && f.Value != "" {
		f.Value, reason = canonicalLanguage(f.Value)
	}
	if f.Field == columnTimeZone && !f.Attribute && f.Value != "" {
		reason = checkZone(f.Value)
	}
	if reason != "" {
		return notice.Filter{}, p.errorf(right, "%s", reason)
	}
	return f, nil
}

// name resolves the left side of a comparison.
func (p *filterParser) name(e *expr.Expr) (name string, attribute bool, err error) {
	if s := e.GetSelectExpr(); s != nil {
		name = s.GetField()
		if s.GetOperand().GetIdentExpr().GetName() != "attributes" {
			return "", false, p.errorf(e, "only attributes have a dot in front, like attributes.plan")
		}
		if !attributeName.MatchString(name) {
			return "", false, p.errorf(e, "%s", notAName)
		}
		return name, true, nil
	}
	ident := e.GetIdentExpr()
	if ident == nil {
		return "", false, p.errorf(e, `a condition starts with a name, without quotes, like plan = "trial"`)
	}
	switch name = ident.GetName(); {
	case name == columnID, name == columnName, name == columnLanguage, name == columnTimeZone:
		return name, false, nil
	case name == columnEmail, name == columnAlternateEmail:
		return "", false, p.errorf(e, "customers are not chosen by address; names are id, name, language, time_zone and attributes")
	case name == "attributes":
		return "", false, p.errorf(e, "name the attribute, like attributes.plan or just plan")
	case !attributeName.MatchString(name):
		return "", false, p.errorf(e, "%s", notAName)
	}
	return name, true, nil
}

const notAName = "this is no name: a letter or _, then at most 63 letters, digits and _"
