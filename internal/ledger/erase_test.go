package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// everything is all that stands in the database, row by row.
func (d *desk) everything() string {
	d.t.Helper()
	tables, err := d.pool.Query(d.t.Context(), `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`)
	d.must(err)
	names, err := pgx.CollectRows(tables, pgx.RowTo[string])
	d.must(err)
	var all strings.Builder
	for _, name := range names {
		rows, err := d.pool.Query(d.t.Context(), `SELECT t::text FROM `+pgx.Identifier{name}.Sanitize()+` t`)
		d.must(err)
		texts, err := pgx.CollectRows(rows, pgx.RowTo[string])
		d.must(err)
		for _, text := range texts {
			fmt.Fprintf(&all, "%s: %s\n", name, text)
		}
	}
	return all.String()
}

// wantGone checks that no row of any table holds one of the words.
func (d *desk) wantGone(words ...string) {
	d.t.Helper()
	for line := range strings.Lines(d.everything()) {
		for _, w := range words {
			if strings.Contains(line, w) {
				d.t.Errorf("%q is still there: %s", w, line)
			}
		}
	}
}

// annaAndBob returns a ledger with Anna, alone on her mailbox, and Carla. Later Anna shares one with Bob.
func annaAndBob(t *testing.T) *desk {
	d := open(t)
	d.exec(`INSERT INTO customer (id, name, email, email_key, language, time_zone, attributes) VALUES
		('anna-1', 'Anna Zwart', 'Anna.Zwart@solo.example', 'anna.zwart@solo.example', 'nl', 'Europe/Amsterdam', '{"pet": "axolotl"}'),
		('c1', 'Carla', 'carla@x.example', 'carla@x.example', '', '', '{}')`)
	return d
}

func (d *desk) moveAnnaInWithBob() {
	d.exec(`UPDATE customer SET email = 'Shared.AZ@both.example', email_key = 'shared.az@both.example' WHERE id = 'anna-1'`)
	d.exec(`INSERT INTO customer (id, name, email, email_key) VALUES ('bob-2', 'Bob', 'shared.az@both.example', 'shared.az@both.example')`)
}

func TestAfterAnErasureNothingHoldsTheCustomer(t *testing.T) {
	t.Parallel()
	d := annaAndBob(t)
	ctx := t.Context()
	d.send(notice.Body{Key: "alone"})
	c := d.claim("w")
	d.mark(attempt(c, 0))
	d.record(ledger.Outcome{Attempt: attempt(c, 0), State: notice.DeliveryFailed, Heard: time.Now(),
		Answer: notice.Answer{Code: 550, Relay: "main", Text: "no such user <Anna.Zwart@solo.example>"}})
	d.closeChunk(c)
	d.suppress("anna.zwart@solo.example", "carla@x.example")
	d.moveAnnaInWithBob()
	d.send(notice.Body{Key: "shared"})
	c = d.claim("w")
	d.mark(attempt(c, 1))
	d.record(ledger.Outcome{Attempt: attempt(c, 1), State: notice.DeliveryDeferred, Delay: time.Nanosecond, Heard: time.Now(),
		Answer: notice.Answer{Code: 451, Relay: "main", Text: "Shared.AZ@both.example is busy"}})
	d.closeChunk(c)
	d.must(d.DeleteCustomer(ctx, "anna-1"))
	d.wantGone("anna", "Anna", "zwart", "Zwart", "solo.example", "axolotl", "Shared.AZ")

	// The reports still add up, and show Bob.
	d.wantCounts(map[string]int{"deferred": 1, "suppressed": 1})
	for ref, want := range map[string][]string{
		"alone":  {" (erased) failed", "carla@x.example c1 suppressed"},
		"shared": {"carla@x.example c1 suppressed", "shared.az@both.example bob-2,(erased) deferred"},
	} {
		st, err := d.Status(ctx, ref)
		d.must(err)
		rows, err := d.Deliveries(ctx, st.Number, notice.DeliveryPage{After: -1, Limit: 10})
		d.must(err)
		var told []string
		customers := 0
		for _, r := range rows {
			told = append(told, fmt.Sprint(r.Address, " ", strings.Join(r.Customers, ","), " ", r.State))
			customers += len(r.Customers)
		}
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("%s (-want +got):\n%s", ref, diff)
		}
		if customers != st.Customers {
			t.Errorf("%s: %d customers stand on its rows, %d on its audience", ref, customers, st.Customers)
		}
	}
	if h, err := d.History(ctx, "anna-1", "anna.zwart@solo.example"); err != nil || len(h) != 0 {
		t.Errorf("her history is %v, %v", h, err)
	}
	if h, err := d.History(ctx, "bob-2", ""); err != nil || len(h) != 1 {
		t.Errorf("Bob's history is %v, %v", h, err)
	}
	if err := d.DeleteCustomer(ctx, "anna-1"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("erased twice: %v", err)
	}
	// The mail to the shared mailbox leaves, once, without her.
	c = d.claim("w")
	if len(c.Due) != 1 || len(c.Due[0].Recipient.Customers) != 1 || c.Due[0].Recipient.Address != "shared.az@both.example" {
		t.Fatalf("it owes %+v", c.Due)
	}
	d.closeChunk(c)
	d.deliver()
	d.wantCounts(map[string]int{"sent": 1, "suppressed": 1})
	// Her wish outlives her account: the address alone is not mailed if she comes back.
	d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('new', 'anna.zwart@solo.example', 'anna.zwart@solo.example')`)
	d.sendTo(notice.Body{Key: "again"}, ledger.Choice{Filter: column("id", notice.FilterEq, "new")})
	d.wantCounts(map[string]int{"suppressed": 1})
	d.must(d.Unsuppress(ctx, "anna.zwart@solo.example"))
	d.sendTo(notice.Body{Key: "welcome"}, ledger.Choice{Filter: column("id", notice.FilterEq, "new")})
	d.wantCounts(map[string]int{"queued": 1})
}

// TestWhatIsOwedToTheErasedAloneIsNotSent, whatever state it is in.
func TestWhatIsOwedToTheErasedAloneIsNotSent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before func(d *desk, c ledger.Claim)
		after  func(d *desk, c ledger.Claim)
		want   notice.DeliveryState
		reason string
	}{
		"queued": {want: notice.DeliveryCancelled, reason: "erased"},
		"deferred": {
			before: func(d *desk, c ledger.Claim) {
				d.mark(attempt(c, 0))
				d.answer(attempt(c, 0), notice.DeliveryDeferred, 451)
			},
			want: notice.DeliveryCancelled, reason: "erased"},
		"claimed, and not marked yet": {
			after: func(d *desk, c ledger.Claim) {
				if d.mark(attempt(c, 0)) {
					d.t.Error("it was marked")
				}
			},
			want: notice.DeliveryCancelled, reason: "erased"},
		"being sent, then refused for now": {
			before: func(d *desk, c ledger.Claim) { d.mark(attempt(c, 0)) },
			after:  func(d *desk, c ledger.Claim) { d.answer(attempt(c, 0), notice.DeliveryDeferred, 451) },
			want:   notice.DeliveryCancelled, reason: "erased"},
		"being sent, then taken": {
			before: func(d *desk, c ledger.Claim) { d.mark(attempt(c, 0)) },
			after:  func(d *desk, c ledger.Claim) { d.answer(attempt(c, 0), notice.DeliverySent, 250) },
			want:   notice.DeliverySent},
		"being sent, and the worker lost": {
			before: func(d *desk, c ledger.Claim) { d.mark(attempt(c, 0)) },
			after: func(d *desk, c ledger.Claim) {
				d.loseLease()
				d.closeChunk(d.claim("other"))
				// The gate is open, and yet there is no address to send it to.
				d.exec(`UPDATE outcome SET at = at - interval '1 day'`)
				done, err := d.Settle(d.t.Context(), d.id, notice.Settlement{Requeue: true, AllUncertain: true}, "", "op")
				if err != nil || done.Changed != 0 || done.Skipped != 1 {
					d.t.Errorf("%+v, %v", done, err)
				}
				d.answer(attempt(c, 0), notice.DeliveryDeferred, 451)
			},
			want: notice.DeliveryCancelled, reason: "erased"},
	}
	for name, c := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := release(t, 1)
			claim := d.claim("w")
			if c.before != nil {
				c.before(d, claim)
			}
			d.must(d.DeleteCustomer(t.Context(), "c1"))
			if c.after != nil {
				c.after(d, claim)
			}
			d.closeChunk(claim)
			d.wantState(0, c.want)
			d.wantCounts(map[string]int{c.want.String(): 1})
			d.wantNotice(notice.Sent)
			rows, err := d.Deliveries(t.Context(), d.id, notice.DeliveryPage{After: -1, Limit: 1})
			if err != nil || rows[0].Reason != c.reason || rows[0].SMTPText != "" {
				t.Errorf("the row is %+v, %v", rows, err)
			}
			d.wantGone("c1@example.com", "Customer 1")
		})
	}
}

// TestAnErasureMeetsReleasesExpansionsAndClaims: whatever runs at the same time, nothing of the erased is left.
func TestAnErasureMeetsReleasesExpansionsAndClaims(t *testing.T) {
	t.Parallel()
	d := open(t)
	const customers, notices = 40, 12
	d.exec(`INSERT INTO customer (id, name, email, email_key)
		SELECT 'gone' || i, 'Gone ' || i, 'gone' || i || '@example.com', 'gone' || i || '@example.com' FROM generate_series(1, $1::int) i`, customers)
	d.exec(`INSERT INTO customer (id, email, email_key) SELECT 'stays' || i, 's' || i || '@example.com', 's' || i || '@example.com' FROM generate_series(1, 20) i`)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var work, erasing sync.WaitGroup
	var mu sync.Mutex
	var ids []int64
	for i := range notices {
		work.Go(func() {
			b := notice.Body{Key: fmt.Sprint("n", i), Incident: fmt.Sprint("i", i), Kind: notice.Outage, Phase: "identified"}
			id, _, err := d.PutDraft(ctx, ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
			if err == nil {
				_, err = d.Release(ctx, id, all(b), ledger.Press{Domain: "example.net", Who: "test"})
			}
			var chunk int64
			if err == nil {
				err = d.pool.QueryRow(ctx, `SELECT id FROM chunk WHERE notice_id = $1`, id).Scan(&chunk)
			}
			if err == nil {
				if c, ok, claimErr := d.Claim(ctx, chunk, "w"); ok {
					for _, due := range c.Due {
						if granted, err := d.Commit(ctx, []ledger.Attempt{attempt(c, due.Seq)}, nil); err == nil && granted[0] {
							d.Commit(ctx, nil, []ledger.Outcome{{Attempt: attempt(c, due.Seq), State: notice.DeliverySent, Heard: time.Now(),
								Answer: notice.Answer{Code: 250, Text: "ok for " + due.Recipient.Address}}})
						}
					}
					_, err = d.CloseChunk(ctx, c)
				} else {
					err = claimErr
				}
			}
			if err != nil && !strings.Contains(err.Error(), "nobody matches") {
				t.Errorf("notice %d: %v", i, err)
			}
			mu.Lock()
			ids = append(ids, id)
			mu.Unlock()
		})
	}
	for i := range customers {
		erasing.Go(func() {
			if err := d.DeleteCustomer(ctx, fmt.Sprint("gone", i+1)); err != nil {
				t.Error(err)
			}
		})
	}
	erasing.Wait()
	work.Wait()
	d.wantGone("gone", "Gone")
	for _, id := range ids {
		d.ref = fmt.Sprint(id)
		st, err := d.Status(ctx, d.ref)
		d.must(err)
		rows, err := d.Deliveries(ctx, id, notice.DeliveryPage{After: -1, Limit: 100})
		d.must(err)
		stand, counted := 0, 0
		for _, r := range rows {
			stand += len(r.Customers)
		}
		for _, n := range st.Counts {
			counted += n
		}
		if stand != st.Customers || counted != st.Recipients || len(rows) != st.Recipients {
			t.Errorf("notice %d: %d of %d customers stand on %d rows, %d of %d counted", id, stand, st.Customers, len(rows), counted, st.Recipients)
		}
	}
}

// TestAnErasureFromAPlanThatWasReplacedTouchesNoOtherRow of the plan that the notice took.
func TestAnErasureFromAPlanThatWasReplacedTouchesNoOtherRow(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	c := d.claim("a")
	for seq, state := range []notice.DeliveryState{notice.DeliverySent, notice.DeliveryFailed} {
		d.mark(attempt(c, seq))
		d.answer(attempt(c, seq), state, 250)
	}
	d.closeChunk(c)
	d.exec(`INSERT INTO plan (id, notice_id, state, body, customers, recipients, by_language, suppressed)
		SELECT 1000, notice_id, 'dropped', body, 2, 2, '{}', '{}' FROM plan`)
	d.exec(`INSERT INTO recipient (plan_id, seq, address_key, address, role, text, language, time_zone, customers)
		SELECT 1000, i, 'gone' || i, 'gone', 'primary', 'en', '', '', jsonb_build_array(jsonb_build_object('id', 'gone' || i)) FROM generate_series(0, 1) i`)
	d.exec(`INSERT INTO member SELECT 'gone' || i, 1000, i FROM generate_series(0, 1) i`)
	for i := range 2 {
		d.must(d.DeleteCustomer(t.Context(), fmt.Sprint("gone", i)))
	}
	rows, err := d.Deliveries(t.Context(), d.id, notice.DeliveryPage{After: -1, Limit: 10})
	d.must(err)
	for _, r := range rows {
		if r.SMTPText != "answer" {
			t.Errorf("delivery %d has lost its reply: %+v", r.Seq, r)
		}
	}
}
