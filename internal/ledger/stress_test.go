package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// relay counts the dots that it took for each delivery.
type relay struct {
	mu    sync.Mutex
	dots  map[int]int
	heard map[int]bool // it answered 250, and the worker lived to hear it
}

func (r *relay) take(seq int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.dots[seq]++
}

// TestManyFaultyWorkersDeliverOnce has workers crash, lose leases, lose the acknowledgement of commits and answer
// late, all at random, on one real ledger. Whatever happens, no delivery gets a second dot that nobody asked for.
func TestManyFaultyWorkersDeliverOnce(t *testing.T) {
	t.Parallel()
	const rows, workers = 700, 6
	d := release(t, rows)
	r := &relay{dots: map[int]int{}, heard: map[int]bool{}}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(7, uint64(w)))
			for ctx.Err() == nil {
				if state, err := d.State(ctx, d.ref); err == nil && state == notice.Sent {
					return
				}
				workOnce(ctx, d, r, rng, fmt.Sprint("w", w))
			}
		})
	}
	wg.Wait()
	d.wantNotice(notice.Sent)
	all, err := d.Deliveries(t.Context(), d.id, notice.DeliveryPage{After: -1, Limit: rows + 1})
	d.must(err)
	if len(all) != rows {
		t.Fatalf("%d deliveries, want %d", len(all), rows)
	}
	states := map[notice.DeliveryState]int{}
	for _, row := range all {
		states[row.State]++
		dots, heard := r.dots[row.Seq], r.heard[row.Seq]
		switch {
		case dots > 1:
			t.Errorf("delivery %d was handed over %d times", row.Seq, dots)
		case row.State == notice.DeliverySent && dots != 1:
			t.Errorf("delivery %d is sent, and the relay has %d", row.Seq, dots)
		case row.State != notice.DeliverySent && heard:
			t.Errorf("delivery %d is %s, and its 250 was recorded", row.Seq, row.State)
		case row.State != notice.DeliverySent && row.State != notice.DeliveryUncertain:
			t.Errorf("delivery %d ended %s", row.Seq, row.State)
		}
	}
	t.Logf("ended as %v", states)
	var wrong int
	d.must(d.pool.QueryRow(t.Context(), `
		SELECT count(*) FROM chunk c WHERE counts <> (SELECT array_agg((SELECT count(*)::int FROM delivery d WHERE d.chunk_id = c.id AND d.state = s) ORDER BY s)
			FROM generate_series(0, 8) s)`).Scan(&wrong))
	if wrong != 0 {
		t.Errorf("%d chunks are not counted right", wrong)
	}
	if states[notice.DeliveryUncertain] == 0 || states[notice.DeliverySent] < rows/2 {
		t.Errorf("the faults did not bite, or did nothing else: %v", states)
	}
}

// workOnce claims something that is due and works it, with faults.
func workOnce(ctx context.Context, d *desk, r *relay, rng *rand.Rand, name string) {
	work, err := d.Sweep(ctx)
	if err != nil || len(work.Chunks) == 0 {
		return
	}
	c, ok, err := d.Claim(ctx, work.Chunks[rng.IntN(len(work.Chunks))].ID, name)
	if err != nil || !ok {
		return
	}
	var late []ledger.Outcome
	for _, due := range c.Due {
		a := attempt(c, due.Seq)
		granted, err := d.Commit(ctx, []ledger.Attempt{a}, nil)
		if rng.IntN(20) == 0 { // the acknowledgement is lost: ask again
			granted, err = d.Commit(ctx, []ledger.Attempt{a}, nil)
		}
		o := ledger.Outcome{Attempt: a, State: notice.DeliveryDeferred, NoDot: true, Heard: time.Now()}
		fault := rng.IntN(100)
		switch {
		case fault == 0: // dies between mark and dot
			_, _ = d.pool.Exec(ctx, `UPDATE chunk SET lease_until = clock_timestamp() - interval '1 second' WHERE id = $1 AND epoch = $2`, c.ChunkID, c.Epoch)
			return
		case fault < 10: // the connection breaks before the dot
		case err == nil && granted[0]:
			r.take(due.Seq)
			o.State, o.NoDot = notice.DeliverySent, false
		}
		switch {
		case fault == 10: // dies after the dot
			_, _ = d.pool.Exec(ctx, `UPDATE chunk SET lease_until = clock_timestamp() - interval '1 second' WHERE id = $1 AND epoch = $2`, c.ChunkID, c.Epoch)
			return
		case fault == 11: // the lease is lost while the answer is on its way
			_, _ = d.pool.Exec(ctx, `UPDATE chunk SET lease_until = clock_timestamp() - interval '1 second' WHERE id = $1 AND epoch = $2`, c.ChunkID, c.Epoch)
			late = append(late, o)
			continue
		case fault == 12 && o.State == notice.DeliverySent: // no answer is heard
			o.State = notice.DeliveryUncertain
		}
		record(ctx, d, r, o)
	}
	for _, o := range late {
		record(ctx, d, r, o)
	}
	_, _ = d.CloseChunk(ctx, c) // a chunk that was not given back is found by the sweep
}

func record(ctx context.Context, d *desk, r *relay, o ledger.Outcome) {
	if _, err := d.Commit(ctx, nil, []ledger.Outcome{o}); err != nil || o.State != notice.DeliverySent {
		return
	}
	r.mu.Lock()
	r.heard[o.Seq] = true
	r.mu.Unlock()
}
