package ledger_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// on has the desk look at another notice.
func (d *desk) on(id int64, ref string) { d.id, d.ref = id, ref }

func (d *desk) requeue(address string) notice.Settled {
	d.t.Helper()
	done, err := d.Settle(d.t.Context(), d.id, notice.Settlement{Requeue: true, Address: address}, address, "op")
	d.must(err)
	return done
}

// TestALate250OverALaterMarkIsHeard: the attempt that was requeued while unknown was taken after all. If the next one is
// refused for now, a third mail must not leave.
func TestALate250OverALaterMarkIsHeard(t *testing.T) {
	t.Parallel()
	d, old := requeued(t)
	c := d.claim("c")
	if !d.mark(attempt(c, 0)) {
		t.Fatal("the requeued delivery can't be marked")
	}
	d.answer(old, notice.DeliverySent, 250)
	d.wantState(0, notice.DeliverySent)
	d.answer(attempt(c, 0), notice.DeliveryDeferred, 451)
	d.closeChunk(c)
	d.wantState(0, notice.DeliverySent)
	d.wantCounts(map[string]int{"sent": 1})
	d.exec(`UPDATE chunk SET open = true, due_at = clock_timestamp()`)
	if c := d.claim("d"); len(c.Due) != 0 {
		t.Errorf("it is tried again: %+v", c.Due)
	}
}

func TestALate250IsHeardOverWhateverCameAfterIt(t *testing.T) {
	t.Parallel()
	for name, then := range map[string]func(d *desk){
		"failed": func(d *desk) {
			c := d.claim("c")
			d.mark(attempt(c, 0))
			d.answer(attempt(c, 0), notice.DeliveryFailed, 550)
			d.closeChunk(c)
		},
		"cancelled": func(d *desk) { d.must(d.Cancel(d.t.Context(), d.id, "op")) },
		"deferred": func(d *desk) {
			c := d.claim("c")
			d.mark(attempt(c, 0))
			d.answer(attempt(c, 0), notice.DeliveryDeferred, 450)
			d.closeChunk(c)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, old := requeued(t)
			then(d)
			d.answer(old, notice.DeliverySent, 250)
			d.wantCounts(map[string]int{"sent": 1})
		})
	}
}

// TestALateNoDotMakesNoRow: the chunk was taken over, and its mail is the new holder's.
func TestALateNoDotMakesNoRow(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	old := attempt(d.claim("a"), 0)
	d.loseLease()
	c := d.claim("b")
	d.record(ledger.Outcome{Attempt: old, State: notice.DeliveryDeferred, NoDot: true, Heard: time.Now()})
	d.wantState(0, notice.DeliveryQueued)
	if !d.mark(attempt(c, 0)) {
		t.Error("the new holder can't mark it")
	}
}

func TestANoticeSupersedesWhenItIsFirstSent(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	a, aRef := d.id, d.ref
	later := notice.At(time.Now().Add(time.Hour))
	d.send(notice.Body{Key: "n2", Incident: "n1", Phase: "resolved", SendAt: later})
	d.wantNotice(notice.Scheduled)
	b, bRef := d.id, d.ref
	d.on(a, aRef)
	d.wantCounts(map[string]int{"queued": 2})
	// A mark of the earlier notice is open when the later one begins.
	c := d.claim("w")
	d.mark(attempt(c, 0))
	d.exec(`UPDATE notice SET send_at = clock_timestamp() WHERE id = $1`, b)
	d.exec(`UPDATE chunk SET due_at = clock_timestamp() WHERE notice_id = $1`, b)
	if _, err := d.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.wantCounts(map[string]int{"sending": 1, "cancelled": 1})
	if d.mark(attempt(c, 1)) {
		t.Error("old news was marked")
	}
	d.on(b, bRef)
	k := d.claim("w2")
	if len(k.Due) != 1 || k.Due[0].Seq != 1 {
		t.Errorf("due are %+v, want the mailbox alone that the earlier notice has no mark for", k.Due)
	}
	d.closeChunk(k)
	d.on(a, aRef)
	d.answer(attempt(c, 0), notice.DeliveryDeferred, 450)
	d.closeChunk(c)
	d.wantCounts(map[string]int{"cancelled": 2})
	d.wantNotice(notice.Sent)
}

// TestALateRefusalRevivesNoOldNews: the earlier notice was finished, with a delivery that nobody knew of.
func TestALateRefusalRevivesNoOldNews(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	a, aRef := d.id, d.ref
	old := attempt(d.claim("w"), 0)
	d.mark(old)
	d.loseLease()
	d.closeChunk(d.claim("x"))
	d.wantNotice(notice.Sent)
	d.send(notice.Body{Key: "n2", Incident: "n1", Phase: "monitoring"})
	d.deliver()
	d.on(a, aRef)
	d.answer(old, notice.DeliveryDeferred, 450)
	d.wantCounts(map[string]int{"cancelled": 1})
	d.wantNotice(notice.Sent)
}

func TestOldNewsIsRequeuedOnlyWhereTheLaterNoticeReachesNobody(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	a, aRef := d.id, d.ref
	d.send(notice.Body{Key: "n2", Incident: "n1", Phase: "resolved"})
	b, bRef := d.id, d.ref
	d.on(a, aRef)
	d.wantCounts(map[string]int{"cancelled": 3})
	if done := d.requeue("c1@example.com"); done.Changed != 0 || done.Skipped != 1 {
		t.Errorf("requeued %+v while the later notice owes", done)
	}
	d.on(b, bRef)
	c := d.claim("w")
	for seq, state := range []notice.DeliveryState{notice.DeliveryFailed, notice.DeliverySent, notice.DeliveryUncertain} {
		d.mark(attempt(c, seq))
		d.answer(attempt(c, seq), state, 0)
	}
	d.closeChunk(c)
	d.on(a, aRef)
	for address, want := range map[string]int{"c1@example.com": 1, "c2@example.com": 0, "c3@example.com": 0} {
		if done := d.requeue(address); done.Changed != want {
			t.Errorf("%s: requeued %+v, want %d", address, done, want)
		}
	}
	d.wantCounts(map[string]int{"queued": 1, "cancelled": 2})
	d.wantNotice(notice.Sending)
	// The later one is owed again: the earlier is superseded anew.
	d.on(b, bRef)
	if done := d.requeue("c1@example.com"); done.Changed != 1 {
		t.Fatalf("requeued %+v", done)
	}
	d.on(a, aRef)
	d.wantCounts(map[string]int{"cancelled": 3})
}

// TestAllEarlierPhasesAreSuperseded, whatever has become of them, and no later one.
func TestAllEarlierPhasesAreSuperseded(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(2)
	phases := notice.Phases[notice.Outage][:4]
	ids := map[string]int64{}
	for _, phase := range phases {
		d.send(notice.Body{Key: phase, Incident: "i", Phase: phase})
		ids[phase] = d.id
		if phase == phases[1] {
			d.must(d.Pause(t.Context(), d.id, "op"))
		}
	}
	for i, phase := range phases {
		d.on(ids[phase], phase)
		if i < len(phases)-1 {
			d.wantCounts(map[string]int{"cancelled": 2})
		} else {
			d.wantCounts(map[string]int{"queued": 2})
		}
	}
}

// TestALaterPhaseLooksOnlyAtWhatIsNotThrough: of an earlier phase that was sent it reads the chunks alone, except those with
// mails that are owed, or may be again.
func TestALaterPhaseLooksOnlyAtWhatIsNotThrough(t *testing.T) {
	t.Parallel()
	const rows = 4096
	d := release(t, rows)
	ctx, a, aRef := t.Context(), d.id, d.ref
	found, err := d.pool.Query(ctx, `SELECT id FROM chunk WHERE notice_id = $1 ORDER BY id`, a)
	d.must(err)
	chunks, err := pgx.CollectRows(found, pgx.RowTo[int64])
	d.must(err)
	var lost ledger.Attempt
	for _, id := range chunks {
		c, _, err := d.Claim(ctx, id, "w")
		d.must(err)
		var marks []ledger.Attempt
		var outcomes []ledger.Outcome
		for _, due := range c.Due {
			at := attempt(c, due.Seq)
			o := ledger.Outcome{Attempt: at, State: notice.DeliverySent, Heard: time.Now(), Answer: notice.Answer{Code: 250}}
			switch due.Seq {
			case 1, 600:
				o.State = notice.DeliveryFailed
			case 601:
				o.State, o.Delay = notice.DeliveryDeferred, time.Hour
			case 1000:
				o.State, lost = notice.DeliveryUncertain, at
			}
			marks, outcomes = append(marks, at), append(outcomes, o)
		}
		_, err = d.Commit(ctx, marks, nil)
		d.must(err)
		_, err = d.Commit(ctx, nil, outcomes)
		d.must(err)
		d.closeChunk(c)
	}
	b := notice.Body{Key: "n2", Incident: "n1", Phase: "resolved", Kind: notice.Outage, DefaultLanguage: "en"}
	d.id, _, err = d.PutDraft(ctx, ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "test"})
	d.must(err)
	d.ref = b.Key
	plan := d.freeze(b)
	blocks := d.blocks("release", ledger.Options{MaxConns: 2}, func(db *ledger.DB) error {
		_, err := db.Take(ctx, d.id, press(plan.Digest))
		return err
	})
	if t.Logf("%d blocks", blocks); blocks > rows {
		t.Errorf("the release reads %d blocks for %d rows, of which 4 are not through", blocks, rows)
	}
	d.wantCounts(map[string]int{"queued": rows})
	d.on(a, aRef)
	d.wantCounts(map[string]int{"sent": rows - 4, "failed": 2, "cancelled": 1, "uncertain": 1})
	d.answer(lost, notice.DeliveryDeferred, 451)
	d.wantCounts(map[string]int{"sent": rows - 4, "failed": 2, "cancelled": 2})
}

func TestAClaimWaitsForOutcomesThatAreBeingRecorded(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	d.claim("a")
	d.loseLease()
	var id int64
	d.must(d.pool.QueryRow(t.Context(), `SELECT id FROM chunk`).Scan(&id))
	if !d.blocked("KEY SHARE", func() error { _, _, err := d.Claim(t.Context(), id, "b"); return err }) {
		t.Error("a claim passed beside an outcome that was not committed")
	}
}

// TestABounceIsCountedBesideTheBitOfThe250 and reopens nothing.
func TestABounceIsCountedBesideTheBitOfThe250(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	d.deliver()
	d.exec(`INSERT INTO outcome (notice_id, seq, state) VALUES ($1, 0, 8)`, d.id)
	d.answer(ledger.Attempt{NoticeID: d.id, Seq: 1, ChunkID: d.claimable(), Epoch: 1}, notice.DeliveryUncertain, 0) // has the chunk counted
	d.wantState(0, notice.DeliveryBounced)
	d.wantCounts(map[string]int{"sent": 1, "bounced": 1})
	d.wantNotice(notice.Sent)
}

// claimable is the notice's only chunk.
func (d *desk) claimable() (id int64) {
	d.t.Helper()
	d.must(d.pool.QueryRow(d.t.Context(), `SELECT id FROM chunk WHERE notice_id = $1`, d.id).Scan(&id))
	return id
}
