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
	"tocsin/internal/testkit"
)

// relay counts the dots that it took for each delivery.
type relay struct {
	mu     sync.Mutex
	dots   map[owed]int
	heard  map[owed]bool    // it answered 250, and the worker lived to hear it
	last   map[string]owed  // the last dot to each mailbox
	marked map[string]int64 // the first notice that a mailbox was marked for
	// corrected says of each mail of an amendment whether it was the correction.
	corrected map[owed]bool
	amends    bool  // each notice amends the one before
	newest    int64 // the last notice with a release that has returned
	wrong     []string
}

// owed names a delivery.
type owed struct {
	notice int64
	seq    int
}

func newRelay() *relay {
	return &relay{dots: map[owed]int{}, heard: map[owed]bool{}, last: map[string]owed{}, marked: map[string]int64{}, corrected: map[owed]bool{}}
}

// take takes a mail. A notice with a higher number is a later phase: no mail of an earlier one may follow it.
func (r *relay) take(a ledger.Attempt, due ledger.Due) {
	r.mu.Lock()
	defer r.mu.Unlock()
	it, to := owed{a.NoticeID, a.Seq}, due.Recipient.Address
	r.dots[it]++
	if r.dots[it] > 1 {
		r.wrong = append(r.wrong, fmt.Sprintf("delivery %v was handed over %d times", it, r.dots[it]))
	}
	if last, ok := r.last[to]; ok && last.notice > it.notice {
		r.wrong = append(r.wrong, fmt.Sprintf("%s got notice %d after notice %d", to, it.notice, last.notice))
	}
	if _, got := r.last[to]; r.amends && got != due.Corrects && (got || r.marked[to] == it.notice) {
		r.wrong = append(r.wrong, fmt.Sprintf("%s has an earlier version: %v; notice %d gives it the correction: %v", to, got, it.notice, due.Corrects))
	}
	r.last[to] = it
	r.corrected[it] = due.Corrects
}

// granted notes a mark.
func (r *relay) granted(a ledger.Attempt, due ledger.Due) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.marked[due.Recipient.Address]; !ok {
		r.marked[due.Recipient.Address] = a.NoticeID
	}
}

// latest is the last notice with a release that has returned: no mark of an earlier one that is asked from now on is given.
func (r *relay) latest() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest
}

func (r *relay) released(id int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.newest = id
}

// failed notes an error that no fault explains.
func (r *relay) failed(ctx context.Context, err error) {
	if err == nil || ctx.Err() != nil || notice.CodeOf(err) != "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wrong = append(r.wrong, err.Error())
}

// TestManyFaultyWorkersDeliverOnce has workers crash, lose leases, lose the acknowledgement of commits and answer
// late, all at random, on one real ledger. Whatever happens, no delivery gets a second dot that nobody asked for.
func TestManyFaultyWorkersDeliverOnce(t *testing.T) {
	t.Parallel()
	rows, workers := testkit.Size(300, 700), 6
	d := release(t, rows)
	r := newRelay()
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
		dots, heard := r.dots[owed{d.id, row.Seq}], r.heard[owed{d.id, row.Seq}]
		switch {
		case row.State == notice.DeliverySent && dots != 1:
			t.Errorf("delivery %d is sent, and the relay has %d", row.Seq, dots)
		case row.State != notice.DeliverySent && heard:
			t.Errorf("delivery %d is %s, and its 250 was recorded", row.Seq, row.State)
		case row.State != notice.DeliverySent && row.State != notice.DeliveryUncertain:
			t.Errorf("delivery %d ended %s", row.Seq, row.State)
		}
	}
	t.Logf("ended as %v", states)
	d.wantCounted(r)
	if states[notice.DeliveryUncertain] == 0 || states[notice.DeliverySent] < rows/2 {
		t.Errorf("the faults did not bite, or did nothing else: %v", states)
	}
}

// workOnce claims something that is due and works it, with faults.
func workOnce(ctx context.Context, d *desk, r *relay, rng *rand.Rand, name string) {
	work, err := d.Sweep(ctx)
	r.failed(ctx, err)
	if err != nil || len(work.Chunks) == 0 {
		return
	}
	c, ok, err := d.Claim(ctx, work.Chunks[rng.IntN(len(work.Chunks))].ID, name)
	r.failed(ctx, err)
	if err != nil || !ok {
		return
	}
	var late []ledger.Outcome
	for _, due := range c.Due {
		a := attempt(c, due.Seq)
		latest := r.latest()
		granted, err := d.Commit(ctx, []ledger.Attempt{a}, nil)
		if err == nil && granted[0] && a.NoticeID < latest {
			r.failed(ctx, fmt.Errorf("a mark of notice %d was given after the release of notice %d", a.NoticeID, latest))
		}
		if err == nil && granted[0] {
			r.granted(a, due)
		}
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
			r.take(a, due)
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
	_, err = d.CloseChunk(ctx, c) // a chunk that was not given back is found by the sweep
	r.failed(ctx, err)
}

func record(ctx context.Context, d *desk, r *relay, o ledger.Outcome) {
	_, err := d.Commit(ctx, nil, []ledger.Outcome{o})
	r.failed(ctx, err)
	if err != nil || o.State != notice.DeliverySent {
		return
	}
	r.mu.Lock()
	r.heard[owed{o.NoticeID, o.Seq}] = true
	r.mu.Unlock()
}

// wantCounted checks that every chunk counts its deliveries right, and that the relay saw nothing wrong.
func (d *desk) wantCounted(r *relay) {
	d.t.Helper()
	var wrong int
	d.must(d.pool.QueryRow(d.t.Context(), `
		SELECT count(*) FROM chunk c WHERE counts <> (SELECT array_agg((SELECT count(*)::int FROM delivery d WHERE d.chunk_id = c.id AND d.state = s) ORDER BY s)
			FROM generate_series(0, 8) s)`).Scan(&wrong))
	if wrong != 0 {
		d.t.Errorf("%d chunks are not counted right", wrong)
	}
	for _, what := range r.wrong {
		d.t.Error(what)
	}
}

// TestPhasesBeginWhileWorkersAndOperatorsAreAtWork has four phases of an incident released one after the other. Meanwhile
// faulty workers send, and operators pause, suppress, erase and cancel. No mailbox gets a notice twice or old news after
// the new, nothing stays owed, and nobody waits for somebody who waits for them.
func TestPhasesBeginWhileWorkersAndOperatorsAreAtWork(t *testing.T) {
	t.Parallel()
	const workers = 4
	rows := testkit.Size(100, 300)
	d := open(t)
	d.customers(rows)
	var err error
	d.DB, err = ledger.Open(t.Context(), d.url, ledger.Options{MaxConns: 16, Lease: 12 * time.Second})
	d.must(err)
	t.Cleanup(d.Close)
	r := newRelay()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	begun := make(chan int64, 4)
	var wg sync.WaitGroup
	ended := func() (over bool) {
		err := d.pool.QueryRow(ctx, `SELECT count(*) = 4 AND bool_and(state IN ('sent', 'cancelled')) AND NOT EXISTS (SELECT FROM chunk WHERE open) FROM notice`).Scan(&over)
		return err == nil && over
	}
	for w := range workers {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(11, uint64(w)))
			for ctx.Err() == nil && !ended() {
				workOnce(ctx, d, r, rng, fmt.Sprint("w", w))
			}
		})
	}
	wg.Go(func() {
		rng := rand.New(rand.NewPCG(12, 0))
		for id := range begun {
			for range 6 {
				address := fmt.Sprintf("c%d@example.com", rng.IntN(rows))
				r.failed(ctx, d.Pause(ctx, id, "op"))
				_, _, err := d.Suppress(ctx, never(address), "op")
				r.failed(ctx, err)
				r.failed(ctx, d.Resume(ctx, id, false, "op"))
				r.failed(ctx, d.DeleteCustomer(ctx, fmt.Sprintf("c%d", rng.IntN(rows))))
			}
		}
	})
	for i, phase := range notice.Phases[notice.Outage][:4] {
		before := d.id
		d.send(notice.Body{Key: phase, Incident: "i", Phase: phase})
		r.released(d.id)
		begun <- d.id
		for sent := 0; sent < rows/5 && ctx.Err() == nil; {
			st, err := d.Status(ctx, d.ref)
			r.failed(ctx, err)
			sent = st.Counts["sent"]
		}
		if i == 2 {
			r.failed(ctx, d.Cancel(ctx, before, "op"))
		}
	}
	close(begun)
	wg.Wait()
	if !ended() {
		t.Error("something is still owed")
	}
	d.wantCounted(r)
}
