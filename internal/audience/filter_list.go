package audience

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"go.einride.tech/aip/filtering"

	"tocsin/internal/notice"
)

// foldLists makes one comparison with = or != of each list, and of each ==, for the library's grammar has neither. The
// value that then stands there keeps the meaning.
func foldLists(text string, tokens []token) ([]token, error) {
	folded := tokens[:0:0]
	comparisons := 0
	for i := 0; i < len(tokens); i++ {
		t := tokens[i]
		before, after := neighbour(tokens, i-1), neighbour(tokens, i+1)
		if t.kind.IsComparator() || isIn(tokens, i) {
			if comparisons++; comparisons > maxComparisons {
				return nil, notice.Invalid(field, `has more than %d comparisons: write lists, like server IN ("mx1", "mx2")`, maxComparisons)
			}
		}
		switch {
		case t.kind == filtering.TokenTypeEquals && after.kind == filtering.TokenTypeEquals && !after.spaced:
			folded = append(folded, t)
			if i++; i+1 < len(tokens) {
				tokens[i+1].exact = true
			}
		case t.kind == filtering.TokenTypeNot && !t.field && isIn(tokens, i+1) && isNameEnd(before):
			// "server NOT IN (…)": the list that follows makes the comparison.
		case isIn(tokens, i):
			list, end, err := readListed(text, tokens, i)
			if err != nil {
				return nil, err
			}
			op := token{kind: filtering.TokenTypeEquals, text: "=", offset: t.offset, spaced: true}
			if before.kind == filtering.TokenTypeNot && isNameEnd(neighbour(tokens, i-2)) {
				op.kind, op.text, op.offset = filtering.TokenTypeNotEquals, "!=", before.offset
			}
			folded = append(folded, op, token{kind: filtering.TokenTypeString, text: `"list"`, offset: list[0].offset, list: list})
			i = end
		default:
			folded = append(folded, t)
		}
	}
	return folded, nil
}

// isIn reports whether the token is the operator IN: behind a name, and before a list or the name of a file.
func isIn(tokens []token, i int) bool {
	t, before, after := neighbour(tokens, i), neighbour(tokens, i-1), neighbour(tokens, i+1)
	if t.text != "IN" || t.field {
		return false
	}
	if before.kind == filtering.TokenTypeNot {
		before = neighbour(tokens, i-2)
	}
	return isNameEnd(before) && (after.kind == filtering.TokenTypeLeftParen || strings.HasPrefix(after.text, "@"))
}

func isNameEnd(t token) bool {
	return t.field || (t.kind == filtering.TokenTypeText || t.kind == filtering.TokenTypeString)
}

// readListed reads the list behind the IN at i, and returns where it ends. The text of a number is its run.
func readListed(text string, tokens []token, i int) (list []token, end int, err error) {
	if strings.HasPrefix(tokens[i+1].text, "@") {
		return nil, 0, errorAt(text, tokens[i+1].offset, `a file of values is read by tocsin, beside notice.yaml; here write them, like IN ("mx1", "mx2")`)
	}
	for at := i + 2; at < len(tokens); {
		t := tokens[at]
		fail := func(format string, args ...any) error { return errorAt(text, t.offset, format, args...) }
		last := at + 1
		switch {
		case t.kind == filtering.TokenTypeRightParen, t.kind == filtering.TokenTypeComma:
			return nil, 0, fail(`a value is missing here: write a list like IN ("mx1", "mx2")`)
		case t.kind == filtering.TokenTypeString:
		case strings.ContainsAny(t.text, "“”„«»‘’"):
			return nil, 0, fail(`write straight quotes, like "trial"`)
		default:
			for last < len(tokens) && !tokens[last].spaced && tokens[last].kind != filtering.TokenTypeComma && tokens[last].kind != filtering.TokenTypeRightParen {
				t.text += tokens[last].text
				last++
			}
			if !numberForm.MatchString(t.text) {
				return nil, 0, fail("write the value in quotes, or as a number like 42 or -1.5")
			}
		}
		if list = append(list, t); len(list) > notice.MaxListed {
			return nil, 0, fail("a list has at most %d values", notice.MaxListed)
		}
		switch next := neighbour(tokens, last); next.kind {
		case filtering.TokenTypeRightParen:
			return list, last, nil
		case filtering.TokenTypeComma:
			at = last + 1
		case "":
			at = last
		default:
			return nil, 0, errorAt(text, next.offset, "write a comma between two values of a list")
		}
	}
	return nil, 0, errorAt(text, tokens[i+1].offset, "this parenthesis is never closed")
}

// Fill puts lists into a filter in the place of the files that it names, like server IN @servers.txt. read returns the
// values of a file for the name that they are compared with. A text that is no filter is returned as it is:
// ParseFilter names its fault.
func Fill(text string, read func(file, name string) ([]string, error)) (string, error) {
	tokens, err := lex(text)
	if err != nil {
		return text, nil
	}
	var filled strings.Builder
	from := 0
	for i := range tokens {
		if !isIn(tokens, i) || !strings.HasPrefix(neighbour(tokens, i+1).text, "@") {
			continue
		}
		start, end := tokens[i+1].offset, len(text)
		for _, next := range tokens[i+2:] {
			if next.spaced || next.kind == filtering.TokenTypeRightParen {
				end = next.offset
				break
			}
		}
		name := tokens[i-1]
		if name.kind == filtering.TokenTypeNot {
			name = tokens[i-2]
		}
		values, err := read(strings.TrimSpace(text[start+1:end]), strings.Trim(name.text, `"'`))
		if err != nil {
			return text, err
		}
		filled.WriteString(text[from:start] + formatList(values, quote))
		from = end
	}
	filled.WriteString(text[from:])
	return filled.String(), nil
}

// ReadValues reads a file of values for the condition of a list. The file has one value a line, or is a CSV with a
// column of that name. Its error is a *notice.Error that names the line, unless the file could not be read.
func ReadValues(r io.Reader, column string) ([]string, error) {
	t, err := newTable(r, nil, columnNames{strings.ToLower(column)})
	if err != nil {
		return nil, err
	}
	var values []string
	for {
		line, cells, bad, err := t.next()
		switch {
		case errors.Is(err, io.EOF) && len(values) == 0:
			return nil, notice.Invalid("file", "holds no value")
		case errors.Is(err, io.EOF):
			return values, nil
		case notice.CodeOf(err) == notice.CodeInvalid:
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("read the values: %w", err)
		case bad == "":
			var value string
			if value, bad = cleanText(cells[0], maxAttribute); bad == "" && value != "" {
				values = append(values, value)
			}
		}
		switch {
		case bad != "":
			return nil, notice.Invalid(fmt.Sprintf("line %d", line), "%s", bad)
		case len(values) > notice.MaxListed:
			return nil, notice.Invalid("file", "holds more than %d values", notice.MaxListed)
		}
	}
}
