package audience

import (
	"regexp"
	"sort"
	"strings"

	"go.einride.tech/aip/filtering"
	expr "google.golang.org/genproto/googleapis/api/expr/v1alpha1"

	"tocsin/internal/notice"
)

// The bounds of a filter. A statement of Postgres may have 65,535 parameters. Each comparison takes up to three of
// them; a list takes one, however long it is.
const (
	maxText        = 16 << 20 // bytes
	maxComparisons = 20_000
	maxDepth       = 50 // levels of parentheses, in the text and in the canonical form
)

// field is the Field of every error about a filter: the key of notice.yaml.
const field = "audience"

// attributeName is the form of an attribute's name, so that filters and templates can use it.
var attributeName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// ParseFilter reads a filter over customers in the language of AIP-160 (https://google.aip.dev/160), by the rules of
// today; docs/filters.md tells them to users.
//
// The names are id, name, language, time_zone and any attribute, which may be written attributes.plan as well. The
// operators are = != < <= > >= and ":", which asks for presence (plan:*) or for a part of the value (name:"bakery");
// IN compares with each value of a list, and == letter by letter. Conditions are joined by AND, OR and NOT or "-"; OR
// binds tighter than AND. Text stands in quotes. In a text that =, != or IN compares with, "*" stands for any text,
// and a language stands for its regions too. A bare number is compared as a number: with attributes, and with ids for
// their order. An absent value is the empty one: plan = "" becomes NOT (plan:*). Languages and zones that are compared
// with = and != are checked, and languages put in their canonical form.
//
// Empty text gives the zero Filter, which holds for everybody. Text that the grammar would read otherwise than a
// person does is refused: bare words, conditions with nothing between them, lower-case and/or, functions. Its error is
// a *notice.Error with Field "audience"; the message names line and column, both from 1, and shows the place.
func ParseFilter(text string) (notice.Filter, error) { return ParseKept(text, notice.FilterPatterns) }

// ParseKept reads a filter by the rules under which it was kept, so that it never changes its meaning.
func ParseKept(text string, rules notice.FilterRules) (notice.Filter, error) {
	tokens, err := lex(text)
	if err != nil || len(tokens) == 0 {
		return notice.Filter{}, err
	}
	if tokens, err = foldLists(text, tokens); err != nil {
		return notice.Filter{}, err
	}
	if err := lint(text, tokens); err != nil {
		return notice.Filter{}, err
	}
	p := filterParser{text: text, tokens: tokens, literal: rules == notice.FilterLiteral}
	e, err := p.parse()
	if err != nil {
		return notice.Filter{}, err
	}
	f, err := p.tree(e)
	if err != nil {
		return notice.Filter{}, err
	}
	if depth(f) > maxDepth { // the canonical form, which adds parentheses, must itself be a filter
		return notice.Filter{}, notice.Invalid(field, "is deeper than %d levels once every parenthesis is written", maxDepth)
	}
	return f, nil
}

type filterParser struct {
	text   string
	tokens []token
	starts []int // per token, where it begins in the text that the library parses
	parsed *expr.ParsedExpr

	literal bool // by the rules of notice.FilterLiteral
}

// parse has the library parse the tokens, written afresh. Its grammar wants a blank around AND, OR and NOT, and none
// inside parentheses or behind a minus.
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
	after := sort.Search(len(p.starts), func(i int) bool { return p.starts[i] > int(offset) })
	return p.tokens[max(after-1, 0)]
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
	err := p.collect(&joined, args)
	return joined, err
}

// collect adds conditions to the node that joins them. Those of the same operator are taken apart, for the library nests
// a long run as deep as it is long.
func (p *filterParser) collect(into *notice.Filter, args []*expr.Expr) error {
	for _, e := range args {
		if call := e.GetCallExpr(); call != nil && call.GetFunction() == string(into.Op) {
			if err := p.collect(into, call.GetArgs()); err != nil {
				return err
			}
			continue
		}
		arg, err := p.tree(e)
		if err != nil {
			return err
		}
		into.Args = append(into.Args, arg)
	}
	return nil
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
