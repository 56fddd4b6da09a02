package audience

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tocsin/internal/notice"
)

// filters draws canonical trees.
func filters(level int) *rapid.Generator[notice.Filter] {
	return rapid.Custom(func(t *rapid.T) notice.Filter {
		kind := rapid.IntRange(0, 9).Draw(t, "kind")
		switch {
		case level > 0 && kind < 3:
			return node(notice.FilterNot, filters(level-1).Draw(t, "arg"))
		case level > 0 && kind < 7:
			op := rapid.SampledFrom([]notice.FilterOp{notice.FilterAnd, notice.FilterOr}).Draw(t, "op")
			other := filters(level - 1).Filter(func(f notice.Filter) bool { return f.Op != op })
			return node(op, rapid.SliceOfN(other, 2, 4).Draw(t, "args")...)
		}
		f := notice.Filter{
			Op: rapid.SampledFrom([]notice.FilterOp{notice.FilterEq, notice.FilterNe, notice.FilterLt, notice.FilterLe,
				notice.FilterGt, notice.FilterGe, notice.FilterHas}).Draw(t, "op"),
			Attribute: rapid.Bool().Draw(t, "attribute"),
		}
		if f.Attribute {
			f.Field = rapid.OneOf(rapid.StringMatching(`[A-Za-z_][A-Za-z0-9_]{0,8}`),
				rapid.SampledFrom([]string{"AND", "Or", "not", "attributes", "name", "email"})).Draw(t, "field")
		} else {
			f.Field = rapid.SampledFrom([]string{"id", "name"}).Draw(t, "field")
		}
		if f.Attribute && f.Op != notice.FilterHas && rapid.Bool().Draw(t, "number") {
			f.Number = true
			f.Value = rapid.StringMatching(`-?(0|[1-9][0-9]{0,17})(\.[0-9]{1,18})?`).Draw(t, "value")
			return f
		}
		text := rapid.StringMatching(`[\p{L}\p{N} "'\\?.&|()-]{1,12}`)
		switch f.Op {
		case notice.FilterEq, notice.FilterNe:
			text = rapid.StringMatching(`[\p{L} "'\\*]{0,6}[\p{L}\p{N}"'\\?.&|()-]`)
		case notice.FilterLt, notice.FilterLe, notice.FilterGt, notice.FilterGe:
			text = rapid.StringMatching(`[\p{L}"'\\?&|()-]{1,12}`)
		}
		f.Value = tidy(text.Draw(t, "value"))
		if f.Op == notice.FilterEq && strings.Contains(f.Value, "*") && rapid.Bool().Draw(t, "exact") {
			f.Op = notice.FilterExact
		}
		if f.Op == notice.FilterEq && rapid.Bool().Draw(t, "list") {
			f.Op, f.Values, f.Value = notice.FilterIn, []string{f.Value}, ""
		}
		return f
	})
}

func TestFormatIsParsedToTheSameTree(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := filters(3).Draw(t, "filter")
		text := Format(f)
		got, err := ParseFilter(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(f, got); diff != "" {
			t.Fatalf("%s: -want +got\n%s", text, diff)
		}
	})
}

func FuzzParseFilter(f *testing.F) {
	for _, s := range []string{`server = "s639" AND plan != "trial"`, `-(a:* OR b<-1.5) AND NOT(c:"x")`, `language = "de_CH"`,
		`attributes.AND = 'x\u00e9'`, "a=\"\"", `time_zone="europe/amsterdam"`, `((a:b))c:d`, `a IN ("b", 'c*') OR NOT d NOT IN (1,-2.5)`, `language == "de"`, `IN IN @a IN (`, `f(((`, "a = 0x1 b:\xff", `NOT NOT(a)`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tree, err := ParseFilter(s)
		if err != nil {
			e, ok := errors.AsType[*notice.Error](err)
			if !ok || e.Field != "audience" || e.Message == "" {
				t.Fatalf("%q: %v", s, err)
			}
			return
		}
		if d := depth(tree); d > maxDepth {
			t.Fatalf("%q is %d deep", s, d)
		}
		again, err := ParseFilter(Format(tree))
		if err != nil {
			t.Fatalf("%q as %q: %v", s, Format(tree), err)
		}
		if diff := cmp.Diff(tree, again); diff != "" {
			t.Fatalf("%q as %q: %s", s, Format(tree), diff)
		}
	})
}
