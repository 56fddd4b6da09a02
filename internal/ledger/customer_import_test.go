package ledger_test

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tocsin/internal/notice"
)

// file is a customer file in memory: each entry a customer, a rejection, or the error that it ends with.
type file []any

func (f *file) Next() (row notice.CustomerRow, rejected *notice.Rejection, err error) {
	if len(*f) == 0 {
		return row, nil, io.EOF
	}
	entry := (*f)[0]
	*f = (*f)[1:]
	switch entry := entry.(type) {
	case notice.CustomerRow:
		return entry, nil, nil
	case notice.Rejection:
		return row, &entry, nil
	case error:
		return row, nil, entry
	}
	panic("neither a customer, a rejection nor an error")
}

func TestImportCountsWhatItDid(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	ann, bob := notice.Customer{ID: "ann", Email: "a@x.example", Attributes: map[string]string{"plan": "pro"}}, notice.Customer{ID: "bob"}
	malformed := notice.Rejection{Line: 3, Column: "email", Reason: "is no address"}
	twin := notice.Rejection{Line: 4, Column: "id", Reason: "the same id stands on line 2"}

	for _, step := range []struct {
		name   string
		file   file
		strict bool
		want   notice.ImportReport
	}{
		{"an empty file does nothing", file{}, false, notice.ImportReport{}},
		{"strict keeps nothing of a file with a bad row", file{rowOf(2, ann), malformed}, true,
			notice.ImportReport{Read: 2, Rejected: []notice.Rejection{malformed}}},
		{"nor of one with a twin", file{rowOf(2, ann), rowOf(4, ann)}, true,
			notice.ImportReport{Read: 2, Rejected: []notice.Rejection{twin}}},
		{"good rows are kept beside bad ones, rejections by line",
			file{rowOf(2, ann), malformed, rowOf(4, notice.Customer{ID: "ann", Name: "later"}), rowOf(5, bob),
				notice.Rejection{Line: 6, Reason: "has two fields"}, rowOf(7, notice.Customer{ID: "zero\x00"})}, false,
			notice.ImportReport{Read: 6, Inserted: 2, Rejected: []notice.Rejection{malformed, twin,
				{Line: 6, Reason: "has two fields"}, {Line: 7, Column: "id", Reason: "is not UTF-8, or holds a zero byte"}}}},
		{"the same again is unchanged, strict too", file{rowOf(2, ann), rowOf(3, bob)}, true,
			notice.ImportReport{Read: 2, Unchanged: 2}},
		{"an attribute without a value is no change", file{rowOf(2, notice.Customer{ID: "bob", Attributes: map[string]string{"plan": ""}})}, false,
			notice.ImportReport{Read: 1, Unchanged: 1}},
		{"an attribute that is gone is one", file{rowOf(2, notice.Customer{ID: "ann", Email: "a@x.example"}), rowOf(3, bob)}, false,
			notice.ImportReport{Read: 2, Updated: 1, Unchanged: 1}},
		{"another spelling of an address is one", file{rowOf(2, notice.Customer{ID: "ann", Email: "A@x.example"})}, false,
			notice.ImportReport{Read: 1, Updated: 1}},
	} {
		if step.want.Rejected == nil {
			step.want.Rejected = []notice.Rejection{}
		}
		got, err := db.ImportCustomers(t.Context(), &step.file, step.strict)
		if err != nil {
			t.Errorf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	if got, err := db.Customer(t.Context(), "ann"); err != nil || got.Name != "" || got.Email != "A@x.example" {
		t.Errorf("ann is %+v, %v", got, err)
	}
}

func TestImportKeepsNothingOfAFileThatBreaksOff(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	broken := notice.Invalid("customers.csv:3", "a quote is never closed")
	_, err := db.ImportCustomers(t.Context(), &file{rowOf(2, notice.Customer{ID: "1"}), error(broken)}, false)
	if !errors.Is(err, broken) {
		t.Errorf("error %v, want the file's own", err)
	}
	if _, err := db.Customer(t.Context(), "1"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("the row before the break: %v, want not_found", err)
	}
	// The connection that was copying must be as good as new.
	if got, err := db.ImportCustomers(t.Context(), &file{rowOf(2, notice.Customer{ID: "1"})}, false); err != nil || got.Inserted != 1 {
		t.Errorf("the whole file afterwards: %+v, %v", got, err)
	}
}

// TestImportAgainstAModel imports random files, one after the other, and keeps the same customers in a map.
func TestImportAgainstAModel(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	customers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) notice.Customer {
		return notice.Customer{ID: strconv.Itoa(rapid.IntRange(1, 12).Draw(t, "id")), Name: rapid.SampledFrom([]string{"", "N"}).Draw(t, "name"),
			Attributes: rapid.MapOfN(rapid.SampledFrom([]string{"a", "b"}), rapid.SampledFrom([]string{"", "1"}), 0, 2).Draw(t, "attributes")}
	}), 0, 12)
	rapid.Check(t, func(rt *rapid.T) {
		db.exec(t, `DELETE FROM customer`)
		kept := map[string]notice.Customer{}
		for range 4 {
			content, strict := customers.Draw(rt, "file"), rapid.Bool().Draw(rt, "strict")
			var f file
			for i, c := range content {
				f = append(f, rowOf(i+1, c))
			}
			got, err := db.ImportCustomers(t.Context(), &f, strict)
			if err != nil {
				rt.Fatal(err)
			}
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

// importIntoMap does what ImportCustomers is to do with a file without malformed rows.
func importIntoMap(kept map[string]notice.Customer, content []notice.Customer, strict bool) notice.ImportReport {
	report := notice.ImportReport{Read: len(content), Rejected: []notice.Rejection{}}
	changed, lines := map[string]notice.Customer{}, map[string]int{}
	for i, c := range content {
		if first, twice := lines[c.ID]; twice {
			report.Rejected = append(report.Rejected,
				notice.Rejection{Line: i + 1, Column: "id", Reason: fmt.Sprintf("the same id stands on line %d", first)})
			continue
		}
		lines[c.ID] = i + 1
		c.Attributes = maps.Clone(c.Attributes)
		maps.DeleteFunc(c.Attributes, func(_, v string) bool { return v == "" })
		changed[c.ID] = c
	}
	if strict && len(report.Rejected) > 0 {
		return report
	}
	for id, c := range changed {
		switch before, there := kept[id]; {
		case !there:
			report.Inserted++
		case cmp.Equal(before, c):
			report.Unchanged++
		default:
			report.Updated++
		}
	}
	maps.Copy(kept, changed)
	return report
}

func TestImportsAtOnceTakeTurns(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	const n = 2000
	var up file
	for i := range n {
		up = append(up, rowOf(i+2, notice.Customer{ID: fmt.Sprintf("%05d", i)}))
	}
	var wg sync.WaitGroup
	reports := make([]notice.ImportReport, 6)
	for k := range reports {
		f := make(file, n)
		for i, entry := range up {
			row := entry.(notice.CustomerRow)
			row.Customer.Name = "import " + strconv.Itoa(k)
			f[i] = row
		}
		if k%2 == 1 {
			slices.Reverse(f)
		}
		wg.Go(func() {
			var err error
			if reports[k], err = db.ImportCustomers(t.Context(), &f, false); err != nil {
				t.Errorf("import %d: %v", k, err)
			}
		})
	}
	wg.Wait()
	var inserted, updated, names int
	for _, r := range reports {
		inserted += r.Inserted
		updated += r.Updated
	}
	if inserted != n || updated != (len(reports)-1)*n {
		t.Errorf("inserted %d, updated %d of %d customers", inserted, updated, n)
	}
	if err := db.pool.QueryRow(t.Context(), `SELECT count(DISTINCT name) FROM customer`).Scan(&names); err != nil || names != 1 {
		t.Errorf("the customers are those of %d files, want all of the last one (%v)", names, err)
	}
}

// many is a file of n customers that takes no memory.
type many struct{ n, i, generation int }

func (m *many) Next() (row notice.CustomerRow, _ *notice.Rejection, err error) {
	if m.i == m.n {
		return row, nil, io.EOF
	}
	m.i++
	return rowOf(m.i+1, notice.Customer{
		ID: "C" + strconv.Itoa(m.i*7919%m.n), Name: "Customer number " + strconv.Itoa(m.i), Email: "user" + strconv.Itoa(m.i) + "@mail.example",
		Language: []string{"en", "nl", "de", ""}[m.i%4], TimeZone: "Europe/Amsterdam",
		Attributes: map[string]string{"plan": []string{"pro", "free", ""}[m.i%3], "server": "s" + strconv.Itoa(m.i%900), "seats": strconv.Itoa(m.i % 50),
			"generation": strconv.Itoa(m.generation)},
	}), nil, nil
}

// BenchmarkImport200k imports 200,000 customers three times: all new, all the same, all changed. It reports seconds
// for each, for reading the attributes' names, and the most that the heap held while importing.
func BenchmarkImport200k(b *testing.B) {
	const n = 200_000
	for b.Loop() {
		db := openStore(b)
		stop, peak := make(chan struct{}), make(chan uint64)
		go watchHeap(stop, peak)
		for _, step := range []struct {
			name       string
			generation int
			want       notice.ImportReport
		}{
			{"new", 1, notice.ImportReport{Inserted: n}}, {"same", 1, notice.ImportReport{Unchanged: n}}, {"changed", 2, notice.ImportReport{Updated: n}},
		} {
			step.want.Read, step.want.Rejected = n, []notice.Rejection{}
			start := time.Now()
			got, err := db.ImportCustomers(b.Context(), &many{n: n, generation: step.generation}, false)
			if err != nil || !cmp.Equal(step.want, got) {
				b.Fatalf("%+v, %v", got, err)
			}
			b.ReportMetric(time.Since(start).Seconds(), "s/"+step.name)
		}
		close(stop)
		b.ReportMetric(float64(<-peak)/1e6, "MB-heap")
		start := time.Now()
		if names, err := db.AttributeNames(b.Context()); err != nil || len(names) != 4 {
			b.Fatal(names, err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s/names")
	}
}

func watchHeap(stop <-chan struct{}, peak chan<- uint64) {
	var m runtime.MemStats
	var most uint64
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			peak <- most
			return
		case <-tick.C:
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
}
