package audience

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	"go.einride.tech/aip/filtering"

	"tocsin/internal/notice"
)

// token is one token of a filter that is not white space.
type token struct {
	kind   filtering.TokenType
	text   string
	offset int     // byte offset in the text
	spaced bool    // white space stands before it
	run    string  // of the first token of a value: all that stands there without a blank
	field  bool    // a part of a name behind a dot
	exact  bool    // of a value: == stands before it
	list   []token // of a value: those of the list that it stands for
}

// isJoiner reports whether the token is AND, OR or NOT and no part of a name.
func (t token) isJoiner() bool { return t.kind.IsKeyword() && !t.field }

func lex(text string) ([]token, error) {
	if len(text) > maxText {
		return nil, notice.Invalid(field, "is longer than %d MiB", maxText>>20)
	}
	if !utf8.ValidString(text) {
		valid := strings.ToValidUTF8(text, "\x00")
		return nil, errorAt(valid, strings.IndexByte(valid, 0), "is not UTF-8 from here on")
	}
	var lexer filtering.Lexer
	lexer.Init(text)
	var tokens []token
	spaced := false
	for {
		t, err := lexer.Lex()
		if errors.Is(err, io.EOF) {
			return tokens, nil
		}
		if err != nil {
			// UTF-8 was checked, so only a quote can be at fault.
			return nil, errorAt(text, int(lexer.Position().Offset), "this quote is never closed")
		}
		if t.Type == filtering.TokenTypeWhitespace {
			spaced = true
			continue
		}
		next := token{kind: t.Type, text: t.Value, offset: int(t.Position.Offset), spaced: spaced}
		next.field = len(tokens) > 0 && tokens[len(tokens)-1].kind == filtering.TokenTypeDot
		tokens = append(tokens, next)
		spaced = false
	}
}

// lint refuses text that the library's parser would accept in a sense nobody meant, or would refuse without a hint at
// the right one. It notes each value's run.
func lint(text string, tokens []token) error {
	var open []token
	for i, t := range tokens {
		fail := func(format string, args ...any) error { return errorAt(text, t.offset, format, args...) }
		before, after := neighbour(tokens, i-1), neighbour(tokens, i+1)
		if before.kind.IsComparator() {
			if err := lintValue(tokens, i, fail); err != nil {
				return err
			}
		}
		switch {
		case t.kind == filtering.TokenTypeLeftParen:
			if open = append(open, t); len(open) > maxDepth {
				return fail("parentheses are nested deeper than %d levels", maxDepth)
			}
		case t.kind == filtering.TokenTypeRightParen:
			if len(open) == 0 {
				return fail("this parenthesis closes none")
			}
			open = open[:len(open)-1]
		case t.kind == filtering.TokenTypeComma:
			return fail(`a list stands behind IN, like plan IN ("a", "b"); conditions are joined by AND and OR`)
		case t.kind == filtering.TokenTypeExclaim:
			return fail("write NOT for the opposite, != for unequal")
		case t.kind.IsComparator() && after.kind == "":
			return fail("a value is missing after %s", t.text)
		case t.isJoiner():
			if err := lintJoiner(t, before, after, fail); err != nil {
				return err
			}
		case t.kind == filtering.TokenTypeText && !before.kind.IsComparator():
			if err := lintWord(t, after, fail); err != nil {
				return err
			}
		}
	}
	if len(open) > 0 {
		return errorAt(text, open[len(open)-1].offset, "this parenthesis is never closed")
	}
	return nil
}

func neighbour(tokens []token, i int) token {
	if i < 0 || i >= len(tokens) {
		return token{}
	}
	return tokens[i]
}

type failer func(format string, args ...any) error

// lintJoiner checks that AND, OR and NOT stand between conditions.
func lintJoiner(t, before, after token, fail failer) error {
	// Library and grammar alike would take a lone "AND" for a name.
	if after.kind.IsComparator() {
		return fail("write attributes.%s for an attribute of that name", t.text)
	}
	if after.kind == "" || after.kind == filtering.TokenTypeRightParen || after.kind == filtering.TokenTypeAnd ||
		after.kind == filtering.TokenTypeOr {
		return fail("a condition is missing after %s", t.text)
	}
	if t.kind == filtering.TokenTypeNot {
		if after.kind == filtering.TokenTypeNot || after.kind == filtering.TokenTypeMinus {
			return fail("write NOT (NOT …) for a double negative")
		}
		return nil
	}
	if before.kind == "" || before.kind == filtering.TokenTypeLeftParen {
		return fail("a condition is missing before %s", t.text)
	}
	return nil
}

// lintWord checks an unquoted word that is not a value.
func lintWord(t, after token, fail failer) error {
	named := after.kind.IsComparator() || after.kind == filtering.TokenTypeDot || t.field
	switch upper := strings.ToUpper(t.text); {
	case strings.ContainsAny(t.text, "“”„«»‘’"):
		return fail(`write straight quotes, like "trial"`)
	case strings.ContainsAny(t.text, "&|"):
		return fail("write AND and OR instead of && and ||")
	case after.kind == filtering.TokenTypeLeftParen && !after.spaced && upper != "AND" && upper != "OR" && upper != "NOT":
		return fail("filters have no functions")
	case !named && (upper == "AND" || upper == "OR" || upper == "NOT"):
		return fail("write %s in capitals", upper)
	case !named && (strings.EqualFold(after.text, "IN") || after.text == "not"):
		return fail(`write IN or NOT IN in capitals, and a list behind it, like server IN ("mx1", "mx2")`)
	case !named:
		return fail(`a word alone is no condition; write one like plan = "trial", or plan:* for any plan`)
	}
	return nil
}

// numberForm is a decimal that reads the same for everybody; the digits bound it for every reader.
var numberForm = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?$`)

// lintValue checks the value right of the operator at i-1 and notes its run.
func lintValue(tokens []token, i int, fail failer) error {
	end := i + 1
	for end < len(tokens) && !tokens[end].spaced && tokens[end].kind != filtering.TokenTypeRightParen && !tokens[end-1].isValueEnd() {
		end++
	}
	var run strings.Builder
	for _, t := range tokens[i:end] {
		run.WriteString(t.text)
	}
	tokens[i].run = run.String()
	t := tokens[i]
	switch {
	case t.kind == filtering.TokenTypeEquals && tokens[i-1].kind == filtering.TokenTypeNotEquals:
		return fail("write NOT and == for unequal letter by letter")
	case t.kind == filtering.TokenTypeGreaterThan && tokens[i-1].kind == filtering.TokenTypeLessThan:
		return fail("write != for unequal")
	case t.kind.IsComparator():
		return fail("two operators in a row")
	case t.kind == filtering.TokenTypeLeftParen:
		return fail(`write a list with IN, like plan IN ("a", "b")`)
	case t.kind == filtering.TokenTypeString:
		return nil
	case strings.ContainsAny(t.text, "“”„«»‘’"):
		return fail(`write straight quotes, like "trial"`)
	case t.kind == filtering.TokenTypeRightParen, t.isJoiner() && t.spaced && end < len(tokens):
		return fail("a value is missing here; a text must stand in quotes")
	case t.kind == filtering.TokenTypeText && end == i+1 && tokens[i-1].kind == filtering.TokenTypeHas:
		return nil
	case numberForm.MatchString(t.run):
		return nil
	case numberStart.MatchString(t.run):
		return fail("write a number like 42 or -1.5, without zeros in front and with at most 18 digits; a text must stand in quotes")
	}
	return fail("write the value in quotes; names are compared with values only")
}

var numberStart = regexp.MustCompile(`^-?[0-9.]+$`)

// isValueEnd reports whether nothing that follows the token can belong to the same value.
func (t token) isValueEnd() bool { return t.kind == filtering.TokenTypeString }

// syntaxError names the place where the library's parser stumbled: the innermost of its errors that has a place gives
// it.
func (p *filterParser) syntaxError(err error) error {
	type placed interface{ Position() filtering.Position }
	var offset int32
	inner := err
	for ; err != nil; err = errors.Unwrap(err) {
		if e, ok := err.(placed); ok {
			offset = e.Position().Offset
		}
		inner = err
	}
	t := p.token(offset)
	if errors.Is(inner, io.EOF) {
		return errorAt(p.text, len(strings.TrimRight(p.text, " \t\r\n")), "the filter ends where a condition should go on")
	}
	if t.kind == filtering.TokenTypeString {
		return errorAt(p.text, t.offset, badEscape)
	}
	return errorAt(p.text, t.offset, "%s makes no sense here", t.text)
}

const badEscape = `this quoted text is misplaced or holds an unknown escape; write \\ for a backslash and \" for a quote`

// errorAt is an error about the filter at a byte offset of its text. It shows line and column, the message, the line
// and a caret under the place.
func errorAt(text string, offset int, format string, args ...any) *notice.Error {
	start := strings.LastIndexByte(text[:offset], '\n') + 1
	line, _, _ := strings.Cut(text[start:], "\n")
	number := strings.Count(text[:start], "\n") + 1
	column := utf8.RuneCountInString(text[start:offset])
	shown := []rune(strings.Map(printable, line))
	// A long line is shown from a little before the place.
	from, to := 0, len(shown)
	if to > 100 {
		from = max(0, min(column-50, to-100))
		to = from + 100
	}
	return notice.Invalid(field, "line %d, column %d: %s\n  %s\n  %s^", number, column+1,
		fmt.Sprintf(format, args...), string(shown[from:to]), strings.Repeat(" ", column-from))
}
