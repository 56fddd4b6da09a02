package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"tocsin/internal/notice"
)

// The bounds of the hints about a filter: how many are given; how many of its conditions are tried one by one, each of
// which reads all customers; and of how many values of a field the closest is looked for.
const (
	hintsGiven  = 20
	hintsTried  = 50
	hintsChoice = 500
)

// FilterHints names the parts of filters that are probably not meant: values that no customer has, and numbers that are
// compared with values which are none. It is asked for a dry run.
func (db *DB) FilterHints(ctx context.Context, filters ...notice.Filter) ([]string, error) {
	h := hinter{db: db, values: map[string]*notice.Filter{}, numbers: map[string]notice.Filter{}}
	for _, f := range filters {
		h.sort(f)
	}
	hints, err := h.ask(ctx)
	if more := len(hints) - hintsGiven; more > 0 {
		hints = append(hints[:hintsGiven], fmt.Sprintf("and %d more values that no customer has", more))
	}
	return hints, err
}

// hinter looks for the conditions of filters that hold for nobody.
type hinter struct {
	db      *DB
	values  map[string]*notice.Filter // by field: the texts that are compared letter by letter, as one list
	singles []notice.Filter           // the other conditions, each by itself
	numbers map[string]notice.Filter  // by field: one that compares numbers
}

// sort takes a filter apart by how its conditions are tried.
func (h *hinter) sort(f notice.Filter) {
	for _, a := range f.Args {
		h.sort(a)
	}
	switch {
	case f.Field == "":
	case f.Number:
		h.numbers[fieldName(f)] = f
	case f.Op == notice.FilterEq, f.Op == notice.FilterNe:
		h.add(f, f.Value)
	case f.Op == notice.FilterIn:
		h.add(f, f.Values...)
	case f.Op == notice.FilterExact, f.Op == notice.FilterHas && f.Value != "*":
		h.singles = append(h.singles, f)
	}
}

func (h *hinter) add(f notice.Filter, values ...string) {
	name := fieldName(f)
	for _, v := range values {
		switch {
		case v == "":
		case strings.Contains(v, "*"), name == "language":
			h.singles = append(h.singles, notice.Filter{Op: notice.FilterEq, Field: f.Field, Attribute: f.Attribute, Value: v})
		default:
			if h.values[name] == nil {
				h.values[name] = &notice.Filter{Field: f.Field, Attribute: f.Attribute}
			}
			h.values[name].Values = append(h.values[name].Values, v)
		}
	}
}

func (h *hinter) ask(ctx context.Context) (hints []string, err error) {
	for _, name := range slices.Sorted(maps.Keys(h.values)) {
		if err := h.unmet(ctx, *h.values[name], &hints); err != nil {
			return nil, err
		}
	}
	for _, f := range h.singles[:min(len(h.singles), hintsTried)] {
		met, err := h.db.Anybody(ctx, f)
		if err != nil {
			return nil, err
		}
		if !met {
			hints = append(hints, fmt.Sprintf("no customer has %s %s %q", f.Field, f.Op, f.Value))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(h.numbers)) {
		if err := h.noNumbers(ctx, h.numbers[name], &hints); err != nil {
			return nil, err
		}
	}
	return hints, nil
}

// unmet adds the values of a list that no customer has, each with the closest that some customer has.
func (h *hinter) unmet(ctx context.Context, f notice.Filter, hints *[]string) error {
	var args []any
	value, err := conditions{args: &args, fields: map[string]string{}}.field(f)
	if err != nil {
		return err
	}
	missing, err := collect[string](ctx, h.db.pool, `
		SELECT DISTINCT v FROM unnest(`+bind(&args, f.Values)+`::text[]) v
		WHERE NOT EXISTS (SELECT FROM customer c WHERE `+value+` = v) ORDER BY v`, args...)
	if err != nil {
		return fmt.Errorf("look for values that no customer has: %w", err)
	}
	if len(missing) == 0 {
		return nil
	}
	args = args[:len(args)-1] // the names, without the values
	present, err := collect[string](ctx, h.db.pool, `SELECT DISTINCT `+value+` FROM customer c WHERE `+value+` <> '' LIMIT `+bind(&args, hintsChoice), args...)
	if err != nil {
		return fmt.Errorf("look for the values that customers have: %w", err)
	}
	for _, v := range missing {
		hint := fmt.Sprintf("no customer has %s = %q", f.Field, v)
		if len(*hints) < hintsGiven {
			if close := closestValue(v, present); close != "" {
				hint += fmt.Sprintf("; did you mean %q?", close)
			}
		}
		*hints = append(*hints, hint)
	}
	return nil
}

func closestValue(v string, present []string) string {
	if i := slices.IndexFunc(present, func(p string) bool { return strings.EqualFold(p, v) }); i >= 0 {
		return present[i]
	}
	return notice.Closest(v, present)
}

// noNumbers says how many customers have a value that is compared as a number and is none.
func (h *hinter) noNumbers(ctx context.Context, f notice.Filter, hints *[]string) error {
	var args []any
	value, err := conditions{args: &args, fields: map[string]string{}}.field(f)
	if err != nil {
		return err
	}
	var n int
	var example string
	err = h.db.pool.QueryRow(ctx, `
		SELECT count(*), coalesce(min(left(v, 40)), '') FROM (SELECT `+value+` AS v FROM customer c) k
		WHERE v <> '' AND v !~ '`+plainNumber+`'`, args...).Scan(&n, &example)
	if err != nil {
		return fmt.Errorf("look for values that are no numbers: %w", err)
	}
	if n > 0 {
		*hints = append(*hints, fmt.Sprintf("%s is no plain number for %d customers, such as %q: a comparison with a number leaves them out", f.Field, n, example))
	}
	return nil
}
