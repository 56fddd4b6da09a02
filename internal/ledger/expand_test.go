package ledger_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// TestExpandersThatAreKilledMakeEachRowOnce has several of them work on the same notice, each cut off again and
// again in the middle of a slice.
func TestExpandersThatAreKilledMakeEachRowOnce(t *testing.T) {
	t.Parallel()
	const recipients = 25_000 // three slices
	d := open(t)
	d.exec(`INSERT INTO customer (id, email, email_key) SELECT 'c' || i, i || '@example.com', i || '@example.com' FROM generate_series(1, $1::int) i`, recipients)
	b := notice.Body{Key: "n1", Incident: "n1", Kind: notice.Outage, Phase: "identified"}
	id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
	d.must(err)
	if _, err := d.Release(t.Context(), id, all(b), "example.net", "test"); err != nil {
		t.Fatal(err)
	}
	d.id, d.ref = id, "n1"
	var expanders sync.WaitGroup
	var mu sync.Mutex
	killed := 0
	for i := range 4 {
		expanders.Go(func() {
			rng := rand.New(rand.NewPCG(11, uint64(i)))
			// By halves more each time: however slow the machine is, few are cut off before a slice is made.
			for patience := 20 * time.Millisecond; t.Context().Err() == nil; patience += patience / 2 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rng.Int64N(int64(patience))))
				_, done, err := d.Expand(ctx, id)
				cancel()
				if err != nil {
					mu.Lock()
					killed++
					mu.Unlock()
				}
				if done {
					return
				}
			}
		})
	}
	expanders.Wait()
	d.wantCounts(map[string]int{"queued": recipients})
	var rows, members, covered, chunks int
	d.must(d.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM delivery), (SELECT count(*) FROM member),
		(SELECT sum(hi - lo) FROM chunk), (SELECT count(*) FROM chunk)`).Scan(&rows, &members, &covered, &chunks))
	if rows != recipients || members != recipients || covered != recipients {
		t.Errorf("%d deliveries, %d members and chunks over %d rows, want %d of each", rows, members, covered, recipients)
	}
	if killed == 0 {
		t.Error("no expander was killed: the test shows nothing")
	}
	t.Logf("%d slices were cut off; %d chunks", killed, chunks)
}
