package ledger_test

import (
	"io"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

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
			step.want.Read, step.want.Kept = n, true
			start := time.Now()
			got, err := db.ImportCustomers(b.Context(), &many{n: n, generation: step.generation}, notice.ImportOptions{})
			if err != nil || !cmp.Equal(report(step.want), got) {
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
