package ledger_test

import (
	"context"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"pgregory.net/rapid"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// selects returns the ids that a filter selects among the customers, sorted. It fails where the condition is NULL
// for anybody.
func (s store) selects(ctx context.Context, f notice.Filter) (ids []string, err error) {
	args := []any{"an argument of the query around it"}
	where, err := ledger.FilterSQL(f, &args)
	if err != nil {
		return nil, err
	}
	rows, err := s.pool.Query(ctx, `SELECT c.id, `+where+` FROM customer c WHERE $1 <> '' ORDER BY c.id`, args...)
	if err != nil {
		return nil, err
	}
	var id string
	var holds *bool
	_, err = pgx.ForEachRow(rows, []any{&id, &holds}, func() error {
		if holds == nil {
			return fmt.Errorf("%s is NULL for %s", where, id)
		}
		if *holds {
			ids = append(ids, id)
		}
		return nil
	})
	return ids, err
}

func attribute(name string, op notice.FilterOp, value string) notice.Filter {
	return notice.Filter{Op: op, Attribute: true, Field: name, Value: value}
}

func number(name string, op notice.FilterOp, value string) notice.Filter {
	f := attribute(name, op, value)
	f.Number = true
	return f
}

func list(name string, values ...string) notice.Filter {
	return notice.Filter{Op: notice.FilterIn, Attribute: true, Field: name, Values: values}
}

func column(name string, op notice.FilterOp, value string) notice.Filter {
	return notice.Filter{Op: op, Field: name, Value: value}
}

func not(f notice.Filter) notice.Filter {
	return notice.Filter{Op: notice.FilterNot, Args: []notice.Filter{f}}
}

func TestFilterSelects(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	// Databases may be made with any collation; here is one that sorts as a dictionary does, where the server has it.
	db.exec(t, `DO $$ BEGIN
		IF EXISTS (SELECT FROM pg_collation WHERE collname = 'und-x-icu') THEN
			ALTER TABLE customer ALTER COLUMN name TYPE text COLLATE "und-x-icu";
		END IF; END $$`)
	db.put(t,
		notice.Customer{ID: "00123", Name: "Åsa", Language: "de", TimeZone: "Europe/Berlin", Attributes: map[string]string{"plan": "pro", "seats": "9"}},
		notice.Customer{ID: "b", Name: "bob", Language: "de-CH", Attributes: map[string]string{"plan": "trial", "seats": "10.0"}},
		notice.Customer{ID: "c", Name: "Bob", Attributes: map[string]string{"seats": "many", "o'c\"k": "'; DROP TABLE customer; --"}},
		notice.Customer{ID: "d", Attributes: map[string]string{"plan": "Pro", "seats": strings.Repeat("9", 200_000)}},
		notice.Customer{ID: "e", Language: "en", Attributes: map[string]string{"seats": "-3"}},
	)
	for _, c := range []struct {
		name string
		f    notice.Filter
		want string
	}{
		{"the zero filter holds for everybody", notice.Filter{}, "00123 b c d e"},
		{"an id is text, zeros included", column("id", "=", "00123"), "00123"},
		{"and nothing else", column("id", "=", "123"), ""},
		{"= is by letter", attribute("plan", "=", "pro"), "00123"},
		{"!= holds for those without", attribute("plan", "!=", "trial"), "00123 c d e"},
		{`= "" holds for those without`, attribute("plan", "=", ""), "c e"},
		{`!= "" holds for those with`, attribute("plan", "!=", ""), "00123 b d"},
		{"an attribute that nobody has is absent everywhere", attribute("nope", "!=", "x"), "00123 b c d e"},
		{"a language has its regions", column("language", "=", "de"), "00123 b"},
		{"a region is no language", column("language", "=", "de-CH"), "b"},
		{"and none that only begins like it", column("language", "=", "d"), ""},
		{"== is without them", column("language", "==", "de"), "00123"},
		{"!= leaves the regions out too", column("language", "!=", "de"), "c d e"},
		{"a star is any text", attribute("plan", "=", "*r*"), "00123 b d"},
		{"also at the end", attribute("plan", "=", "pr*"), "00123"},
		{"and what stands around it is letters", attribute("plan", "!=", "_ro*%"), "00123 b c d e"},
		{"a star is a star for ==", attribute("plan", "==", "pr*"), ""},
		{"one of a list", list("plan", "pro", "tri*", "%"), "00123 b"},
		{"one of a list, or absent", list("plan", "Pro", ""), "c d e"},
		{"one of a list of numbers", notice.Filter{Op: "IN", Attribute: true, Field: "seats", Values: []string{"10", "-3"}, Number: true}, "b e"},
		{"the order of ids", notice.Filter{Op: "<", Field: "id", Value: "124", Number: true}, "00123"},
		{"equals of one field are a list", notice.Filter{Op: "OR", Args: []notice.Filter{attribute("plan", "=", "pro"), attribute("plan", "=", "P*"), column("id", "=", "e")}}, "00123 d e"},
		{"and so are what differs", notice.Filter{Op: "AND", Args: []notice.Filter{attribute("plan", "!=", "pro"), attribute("plan", "!=", ""), column("id", "!=", "d")}}, "b"},
		{"a language that is unknown is the empty one", column("language", "=", ""), "c d"},
		{"order is by bytes", column("name", ">", "a"), "00123 b"},
		{"order holds for nobody without a value", attribute("plan", "<", "z"), "00123 b d"},
		{"and its negation for them", not(attribute("plan", "<", "z")), "c e"},
		{"numbers are compared as numbers", number("seats", ">", "9.5"), "b"},
		{"equal ones in any form", number("seats", "=", "10"), "b"},
		{"negative ones too", number("seats", "<", "0"), "e"},
		{"!= on numbers holds for what is none", number("seats", "!=", "9"), "b c d e"},
		{"as does the negation of =", not(number("seats", "=", "9")), "b c d e"},
		{"numbers against text are text", attribute("seats", ">", "9"), "c d"},
		{":* is presence", attribute("plan", ":", "*"), "00123 b d"},
		{":word is containment, by letter", attribute("plan", ":", "r"), "00123 b d"},
		{"a wildcard of LIKE is a letter", attribute("plan", ":", "%"), ""},
		{"names and values are never SQL", attribute("o'c\"k", "=", "'; DROP TABLE customer; --"), "c"},
		{"AND, OR and NOT nest", notice.Filter{Op: "AND", Args: []notice.Filter{
			{Op: "OR", Args: []notice.Filter{attribute("plan", "=", "pro"), attribute("plan", "=", "trial")}},
			not(column("language", "==", "de"))}}, "b"},
	} {
		got, err := db.selects(t.Context(), c.f)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got := strings.Join(got, " "); got != c.want {
			t.Errorf("%s: selects %q, want %q", c.name, got, c.want)
		}
	}
}

func TestFilterRefusesWhatItCannotMean(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]notice.Filter{
		"a field that is none":    column("email", "=", "x"),
		"SQL for a field":         column("id = c.id OR c.id", "=", "x"),
		"SQL for an operator":     attribute("plan", "= 'x' OR true --", "x"),
		"an operator on numbers":  number("seats", "~", "1"),
		"a number that is none":   number("seats", "=", "1e3"),
		"a number and SQL":        number("seats", "=", "1); --"),
		"a zero byte":             attribute("plan", "=", "\x00"),
		"a zero byte in a name":   attribute("\x00", "=", "x"),
		"containing nothing":      attribute("plan", ":", ""),
		"AND of nothing":          {Op: notice.FilterAnd},
		"NOT of nothing":          {Op: notice.FilterNot},
		"a bad one inside":        not(column("email", "=", "x")),
		"a bad one inside of AND": {Op: notice.FilterAnd, Args: []notice.Filter{{}, column("email", "=", "x")}},
	} {
		var args []any
		if sql, err := ledger.FilterSQL(f, &args); notice.CodeOf(err) != notice.CodeInvalid {
			t.Errorf("%s: %q, %v, want invalid", name, sql, err)
		}
	}
}

// TestFilterIsWhatGoSays compares the SQL with an evaluation in Go, over random filters and customers.
func TestFilterIsWhatGoSays(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	// Few values, so that they meet; and those that numbers, patterns, quotes and bytes make difficult.
	values := rapid.OneOf(
		rapid.SampledFrom([]string{"", "a", "b", "ab", "B", "ä", "1", "01", "1.0", "2", "10", "-1", "-0", "1.", ".5", "1e1", " 1", "1\n", "NaN", "%", "_", "*", `\`, "'", `"`, "$1"}),
		rapid.StringMatching(`[-0-9a-b.]{0,4}`))
	attributes := rapid.SampledFrom([]string{"p", "q", "o'k", `"`, "$1", "id"})
	customers := rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) notice.Customer {
		return notice.Customer{ID: rapid.StringMatching(`[ab1]{1,3}`).Draw(t, "id"), Name: values.Draw(t, "name"),
			Language: rapid.SampledFrom([]string{"", "de", "de-CH", "en", "en, de"}).Draw(t, "language"), TimeZone: rapid.SampledFrom([]string{"", "UTC"}).Draw(t, "zone"),
			Attributes: rapid.MapOfN(attributes, values, 0, 4).Draw(t, "attributes")}
	}), 1, 8, func(c notice.Customer) string { return c.ID })

	rapid.Check(t, func(rt *rapid.T) {
		all := customers.Draw(rt, "customers")
		slices.SortFunc(all, func(a, b notice.Customer) int { return strings.Compare(a.ID, b.ID) })
		var f file
		for i, c := range all {
			f = append(f, rowOf(i+1, c))
		}
		db.exec(t, `DELETE FROM customer`)
		if _, err := db.ImportCustomers(t.Context(), &f, notice.ImportOptions{Strict: true}); err != nil {
			rt.Fatal(err)
		}
		for range 8 {
			filter := drawFilter(rt, values, attributes, 3)
			var want []string
			for _, c := range all {
				if holds(filter, c) {
					want = append(want, c.ID)
				}
			}
			got, err := db.selects(t.Context(), filter)
			if err != nil {
				rt.Fatalf("%+v: %v", filter, err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				rt.Fatalf("%+v (-want +got):\n%s", filter, diff)
			}
		}
	})
}

func drawFilter(t *rapid.T, values, attributes *rapid.Generator[string], depth int) notice.Filter {
	if depth > 0 {
		switch op := notice.FilterOp(rapid.SampledFrom([]string{"AND", "OR", "NOT", "", "=", "=", "="}).Draw(t, "node")); op {
		case notice.FilterAll:
			return notice.Filter{}
		case notice.FilterNot:
			return not(drawFilter(t, values, attributes, depth-1))
		case notice.FilterAnd, notice.FilterOr:
			f := notice.Filter{Op: op}
			for range rapid.IntRange(2, 3).Draw(t, "arguments") {
				f.Args = append(f.Args, drawFilter(t, values, attributes, depth-1))
			}
			return f
		}
	}
	f := notice.Filter{Attribute: rapid.Bool().Draw(t, "attribute"), Value: values.Draw(t, "value"),
		Op: notice.FilterOp(rapid.SampledFrom([]string{"=", "!=", "<", "<=", ">", ">=", ":", "==", "IN"}).Draw(t, "operator"))}
	f.Field = rapid.SampledFrom([]string{"id", "name", "language", "time_zone"}).Draw(t, "column")
	if f.Attribute {
		f.Field = attributes.Draw(t, "name")
	}
	if f.Op == notice.FilterHas && f.Value == "" {
		f.Value = "*"
	}
	f.Number = decimal.MatchString(f.Value) && f.Op != notice.FilterExact && rapid.Bool().Draw(t, "number")
	if f.Op == notice.FilterIn {
		f.Values = append(f.Values, f.Value)
		for range rapid.IntRange(0, 2).Draw(t, "more values") {
			if v := values.Draw(t, "value"); !f.Number || decimal.MatchString(v) {
				f.Values = append(f.Values, v)
			}
		}
		f.Value = ""
	}
	return f
}

var decimal = regexp.MustCompile(`\A-?\d+(\.\d+)?\z`)

// holds is the meaning of a filter, told a second time.
func holds(f notice.Filter, c notice.Customer) bool {
	switch f.Op {
	case notice.FilterAll:
		return true
	case notice.FilterAnd:
		return !slices.ContainsFunc(f.Args, func(a notice.Filter) bool { return !holds(a, c) })
	case notice.FilterOr:
		return slices.ContainsFunc(f.Args, func(a notice.Filter) bool { return holds(a, c) })
	case notice.FilterNot:
		return !holds(f.Args[0], c)
	case notice.FilterNe:
		f.Op = notice.FilterEq
		return !holds(f, c)
	case notice.FilterIn:
		return slices.ContainsFunc(f.Values, func(v string) bool {
			return holds(notice.Filter{Op: notice.FilterEq, Attribute: f.Attribute, Field: f.Field, Value: v, Number: f.Number}, c)
		})
	}
	value := map[string]string{"id": c.ID, "name": c.Name, "language": strings.Split(c.Language, ",")[0], "time_zone": c.TimeZone}[f.Field]
	if f.Attribute {
		value = c.Attributes[f.Field]
	}
	order := strings.Compare(value, f.Value)
	switch {
	case f.Op == notice.FilterHas:
		return value != "" && (f.Value == "*" || strings.Contains(value, f.Value))
	case f.Number && !decimal.MatchString(value):
		return false
	case f.Number:
		a, _ := new(big.Rat).SetString(value)
		b, _ := new(big.Rat).SetString(f.Value)
		order = a.Cmp(b)
	case f.Op == notice.FilterExact:
		return order == 0
	case f.Op == notice.FilterEq:
		pattern := strings.ReplaceAll(regexp.QuoteMeta(f.Value), `\*`, `(?s:.*)`)
		if f.Field == "language" && !f.Attribute && f.Value != "" && !strings.Contains(f.Value, "*") {
			pattern += "(-.*)?"
		}
		return regexp.MustCompile(`\A(` + pattern + `)\z`).MatchString(value)
	case value == "":
		return false
	}
	switch f.Op {
	case notice.FilterEq:
		return order == 0
	case notice.FilterLt:
		return order < 0
	case notice.FilterLe:
		return order <= 0
	case notice.FilterGt:
		return order > 0
	}
	return order >= 0
}
