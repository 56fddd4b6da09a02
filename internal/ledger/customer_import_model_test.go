package ledger_test

import (
	"fmt"
	"maps"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tocsin/internal/notice"
)

// TestImportAgainstAModel imports random files, one after the other, and keeps the same customers in a map.
func TestImportAgainstAModel(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	rows := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) notice.CustomerRow {
		row := rowOf(0, notice.Customer{ID: strconv.Itoa(rapid.IntRange(1, 12).Draw(t, "id")), Name: rapid.SampledFrom([]string{"", "N"}).Draw(t, "name"),
			Email:      rapid.SampledFrom([]string{"", "E@x.example"}).Draw(t, "email"),
			Attributes: rapid.MapOfN(rapid.SampledFrom([]string{"a", "b"}), rapid.SampledFrom([]string{"", "1"}), 0, 2).Draw(t, "attributes")})
		row.Given = notice.Fields(rapid.IntRange(0, int(notice.GivenAll)).Draw(t, "given"))
		return row
	}), 0, 12)
	rapid.Check(t, func(rt *rapid.T) {
		db.exec(t, `DELETE FROM customer`)
		kept := map[string]notice.Customer{}
		for range 4 {
			content, strict := rows.Draw(rt, "file"), rapid.Bool().Draw(rt, "strict")
			var f file
			for i := range content {
				content[i].Line = i + 1
				f = append(f, content[i])
			}
			got, err := db.ImportCustomers(t.Context(), &f, notice.ImportOptions{Strict: strict})
			if err != nil {
				rt.Fatal(err)
			}
			got.Reasons = []notice.RejectionReason{}
			if diff := cmp.Diff(importIntoMap(kept, content, strict), got); diff != "" {
				rt.Fatalf("(-want +got):\n%s", diff)
			}
		}
		for id, c := range kept {
			if got, err := db.Customer(t.Context(), id); err != nil || !cmp.Equal(c, got) {
				rt.Fatalf("customer %s: %v\n%s", id, err, cmp.Diff(c, got))
			}
		}
	})
}

// importIntoMap does the work of ImportCustomers on a map, for a file without malformed rows.
func importIntoMap(kept map[string]notice.Customer, content []notice.CustomerRow, strict bool) notice.ImportReport {
	r := report(notice.ImportReport{Read: len(content)})
	changed, lines := map[string]notice.Customer{}, map[string]int{}
	cleared := map[string]int{}
	for i, row := range content {
		id := row.Customer.ID
		if first, twice := lines[id]; twice {
			r.Reject(notice.Rejection{Line: i + 1, Column: "id", Reason: fmt.Sprintf("the same id stands on line %d", first)})
			continue
		}
		lines[id] = i + 1
		changed[id] = apply(kept[id], row, cleared)
	}
	r.Reasons = []notice.RejectionReason{}
	if strict && r.RejectedCount > 0 {
		return r
	}
	r.Kept, r.Cleared = true, cleared
	for id, c := range changed {
		switch before, there := kept[id]; {
		case !there:
			r.Inserted++
		case cmp.Equal(before, c):
			r.Unchanged++
		default:
			r.Updated++
		}
	}
	maps.Copy(kept, changed)
	return r
}

// apply is a customer after a row, and counts the values that the row takes away.
func apply(before notice.Customer, row notice.CustomerRow, cleared map[string]int) notice.Customer {
	c := before
	c.ID, c.Attributes = row.Customer.ID, map[string]string{}
	if row.Given&notice.GivenName != 0 {
		c.Name = row.Customer.Name
	}
	if row.Given&notice.GivenEmail != 0 {
		c.Email = row.Customer.Email
	}
	if row.Given&notice.GivenAttributes == 0 {
		maps.Copy(c.Attributes, before.Attributes)
	}
	maps.Copy(c.Attributes, row.Customer.Attributes)
	maps.DeleteFunc(c.Attributes, func(_, v string) bool { return v == "" })
	if before.Name != "" && c.Name == "" {
		cleared["name"]++
	}
	if before.Email != "" && c.Email == "" {
		cleared["email"]++
	}
	for name := range before.Attributes {
		if c.Attributes[name] == "" {
			cleared["attributes."+name]++
		}
	}
	return c
}
