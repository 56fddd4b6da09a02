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

// rivals drafts several amendments of a notice, and returns how each is released.
func (d *desk) rivals(n int, amends string) (ids []int64, release []func(context.Context) (bool, error)) {
	d.t.Helper()
	for i := range n {
		a := d.amendment(fmt.Sprintf("%s.%c", amends, 'a'+i), amends)
		id := d.id
		ids = append(ids, id)
		release = append(release, func(ctx context.Context) (bool, error) { return d.Release(ctx, id, a, press("")) })
	}
	return ids, release
}

// race releases them all at once, each twice; it returns the number of the one that was released.
func (d *desk) race(ctx context.Context, r *relay, amends string) (winner int64) {
	d.t.Helper()
	ids, release := d.rivals(3, amends)
	released := make([]bool, 2*len(ids))
	var all sync.WaitGroup
	for i := range released {
		all.Go(func() {
			var err error
			released[i], err = release[i%len(ids)](ctx)
			r.failed(ctx, err)
		})
	}
	all.Wait()
	for i, ok := range released {
		if ok && winner != 0 {
			d.t.Errorf("notice %q was amended twice", amends)
		}
		if ok {
			winner = ids[i%len(ids)]
		}
	}
	if winner == 0 {
		d.t.Fatalf("none of the amendments of %q was released", amends)
	}
	r.released(winner)
	return winner
}

// TestAmendmentsWhileWorkersAndOperatorsAreAtWork has a notice amended by several at once, and then its amendment. Meanwhile faulty
// workers claim, mark and answer late, and operators requeue, add, suppress, pause and erase. Each mailbox has one row in each version,
// gets no version twice nor an earlier one after a later, and the text that fits it.
func TestAmendmentsWhileWorkersAndOperatorsAreAtWork(t *testing.T) {
	t.Parallel()
	rows := testkit.Size(120, 400)
	d := open(t)
	d.customers(rows)
	var err error
	d.DB, err = ledger.Open(t.Context(), d.url, ledger.Options{MaxConns: 16, Lease: 12 * time.Second, DotGrace: time.Second, Gate: time.Second})
	d.must(err)
	t.Cleanup(d.Close)
	r := newRelay()
	r.amends = true
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	d.send(notice.Body{Key: "n1", Canary: rows / 3})
	d.exec(`UPDATE notice SET trial = false, canary = 0`)
	d.exec(`UPDATE chunk SET canary = false`)                          // many small ones
	first, amended, operated := d.id, make(chan bool), make(chan bool) // closed when the last amendment is out, and operators have gone
	is := func(done chan bool) bool {
		select {
		case <-done:
			return true
		default:
			return false
		}
	}
	ended := func() (over bool) {
		if !is(operated) {
			return false
		}
		err := d.pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM chunk WHERE open)`).Scan(&over)
		return err == nil && over
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(21, uint64(w)))
			for ctx.Err() == nil && !ended() {
				workOnce(ctx, d, r, rng, fmt.Sprint("w", w))
			}
		})
	}
	wg.Go(func() {
		defer close(operated)
		rng := rand.New(rand.NewPCG(22, 0))
		for more := 12; more > 0 && ctx.Err() == nil; {
			if d.operate(ctx, r, rng, rows); is(amended) {
				more--
			}
		}
	})
	versions := []int64{first}
	for _, key := range []string{"n1", "", ""} {
		if key == "" {
			d.must(d.pool.QueryRow(ctx, `SELECT key FROM notice WHERE id = $1`, versions[len(versions)-1]).Scan(&key))
		}
		for sent := 0; sent < rows/5 && ctx.Err() == nil; {
			st, err := d.Status(ctx, key)
			r.failed(ctx, err)
			sent = st.Counts["sent"]
		}
		versions = append(versions, d.race(ctx, r, key))
	}
	close(amended)
	wg.Wait()
	for i, id := range versions {
		var n, mailboxes int
		d.must(d.pool.QueryRow(t.Context(), `SELECT count(*), count(DISTINCT address_key) FROM notice n JOIN recipient r ON r.plan_id = n.plan_id WHERE n.id = $1`, id).Scan(&n, &mailboxes))
		if n < rows || mailboxes != n {
			t.Errorf("version %d has %d rows for %d mailboxes", i, n, mailboxes)
		}
	}
	owed, err := collectStrings(d, `SELECT concat_ws(' ', n.key, n.state, c.lo, c.hi, c.lease_until, c.due_at, c.counts) FROM chunk c JOIN notice n ON n.id = c.notice_id WHERE c.open`)
	d.must(err)
	for _, chunk := range owed {
		t.Errorf("a chunk still owes something: %s", chunk)
	}
	corrections := 0
	for _, corrects := range r.corrected {
		if corrects {
			corrections++
		}
	}
	if t.Logf("%d dots, %d corrections", len(r.dots), corrections); corrections == 0 {
		t.Error("nobody got a correction")
	}
	var state notice.State
	d.must(d.pool.QueryRow(t.Context(), `SELECT state FROM notice WHERE id = $1`, versions[len(versions)-1]).Scan(&state))
	if state != notice.Sent {
		t.Errorf("the last amendment is %s", state)
	}
	d.wantCounted(r)
}

// operate does one act of an operator meanwhile, to the notice that was released last. It requeues nothing that the relay has.
func (d *desk) operate(ctx context.Context, r *relay, rng *rand.Rand, rows int) {
	var id int64
	if err := d.pool.QueryRow(ctx, `SELECT id FROM notice WHERE released_at IS NOT NULL ORDER BY released_at DESC LIMIT 1`).Scan(&id); err != nil {
		r.failed(ctx, err)
		return
	}
	customer := 1 + rng.IntN(rows)
	address := fmt.Sprintf("c%d@example.com", customer)
	switch rng.IntN(6) {
	case 0:
		r.failed(ctx, d.Pause(ctx, id, "op"))
		r.failed(ctx, d.Resume(ctx, id, false, "op"))
	case 1:
		if customer%8 == 0 {
			_, _, err := d.Suppress(ctx, never(address), "op")
			r.failed(ctx, err)
		}
	case 2:
		if customer%8 == 1 {
			r.failed(ctx, d.DeleteCustomer(ctx, fmt.Sprintf("c%d", customer)))
		}
	case 3:
		_, err := d.AddRecipient(ctx, id, elsewhere(fmt.Sprintf("c%d", customer), fmt.Sprintf("other%d@example.com", customer%8)), "op")
		r.failed(ctx, err)
	default:
		for _, uncertain := range r.lost(ctx, d, id) {
			_, err := d.Settle(ctx, id, notice.Settlement{Requeue: true, Address: uncertain}, uncertain, "op")
			r.failed(ctx, err)
		}
	}
}

// lost are the uncertain mailboxes of a notice that the relay got no dot for. Before a delivery is uncertain its worker has written the dot, or never will.
func (r *relay) lost(ctx context.Context, d *desk, id int64) (all []string) {
	uncertain := notice.DeliveryUncertain
	rows, err := d.Deliveries(ctx, id, notice.DeliveryPage{After: -1, Limit: 1000, State: &uncertain})
	r.failed(ctx, err)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, row := range rows {
		if r.dots[owed{id, row.Seq}] == 0 && row.Address != "" {
			all = append(all, row.Address)
		}
	}
	return all
}

// TestAnAmendmentMeetsACancel: one of the two is refused or comes first. Nothing of the notice is owed in two places, or in none that should.
func TestAnAmendmentMeetsACancel(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(12)
	amendedFirst := 0
	for round := range 16 {
		key := fmt.Sprintf("r%d", round)
		d.send(notice.Body{Key: key, Incident: "n1"})
		id := d.id
		c := d.claim("w")
		for seq := range 4 {
			d.mark(attempt(c, seq))
			d.answer(attempt(c, seq), notice.DeliverySent, 250)
		}
		a := d.amendment(key+".a", key)
		amendment := d.id
		plan, err := d.Freeze(t.Context(), amendment, a)
		d.must(err)
		var both sync.WaitGroup
		var amended bool
		var amendErr, cancelErr error
		both.Go(func() { amended, amendErr = d.Take(context.Background(), amendment, press(plan.Digest)) })
		both.Go(func() { cancelErr = d.Cancel(context.Background(), id, "op") })
		both.Wait()
		for what, err := range map[string]error{"the amendment": amendErr, "the cancel": cancelErr} {
			if err != nil && notice.CodeOf(err) != notice.CodeConflict {
				t.Fatalf("%s: %v", what, err)
			}
		}
		d.on(id, key)
		if d.wantCounts(map[string]int{"sent": 4, "cancelled": 8}); amended != (amendErr == nil) {
			t.Errorf("it was amended: %v, %v", amended, amendErr)
		}
		st, err := d.Status(t.Context(), key)
		d.must(err)
		if want := map[bool]string{true: notice.ReasonAmended, false: notice.ReasonCancelled}[amended]; st.Reason != want {
			t.Errorf("it is cancelled: %s, want %s", st.Reason, want)
		}
		if !amended {
			continue
		}
		amendedFirst++
		d.on(amendment, key+".a")
		d.wantCounts(map[string]int{"queued": 12})
	}
	t.Logf("the amendment was first in %d of 16", amendedFirst)
}

// TestAnErasureMeetsAnAmendment: the plan of an amendment takes over rows that an erasure has not come to yet. Nothing is left of the customer.
func TestAnErasureMeetsAnAmendment(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(3)
	d.send(notice.Body{Key: "n1"})
	tx, err := d.pool.Begin(t.Context())
	d.must(err)
	defer tx.Rollback(t.Context()) // a second end does nothing
	_, err = tx.Exec(t.Context(), `SELECT FROM plan FOR SHARE`)
	d.must(err)
	done := make(chan error, 1)
	go func() { done <- d.DeleteCustomer(context.Background(), "c2") }()
	d.waiting(1, done) // they are forgotten, and still on the row
	d.amend("n2", "n1")
	d.must(tx.Commit(t.Context()))
	d.must(<-done)
	d.wantGone("c2@", `"c2"`)
	d.wantCounts(map[string]int{"queued": 2, "cancelled": 1})
}

// TestErasuresWhileNoticesAreAmended: whichever comes first, nothing of the customers is left.
func TestErasuresWhileNoticesAreAmended(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(20)
	d.send(notice.Body{Key: "n1"})
	key := "n1"
	for i := range 10 {
		_, release := d.rivals(1, key)
		var both sync.WaitGroup
		both.Go(func() {
			if ok, err := release[0](context.Background()); err != nil || !ok {
				t.Errorf("the amendment: %v, %v", ok, err)
			}
		})
		both.Go(func() { d.must(d.DeleteCustomer(context.Background(), fmt.Sprintf("c%d", i+1))) })
		both.Wait()
		key += ".a"
		d.wantGone(fmt.Sprintf("c%d@", i+1), fmt.Sprintf(`"c%d"`, i+1))
	}
}
