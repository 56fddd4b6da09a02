package ledger_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

func TestALeaseIsHeldByOne(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	a := d.claim("a")
	if len(a.Due) != 3 {
		t.Fatalf("%d deliveries are due, want 3", len(a.Due))
	}
	if _, ok, err := d.Claim(t.Context(), a.ChunkID, "b"); ok || err != nil {
		t.Errorf("a second holder got the leased chunk: %v %v", ok, err)
	}
	d.loseLease()
	if held, err := d.Renew(t.Context(), a.ChunkID, a.Epoch); held || err != nil {
		t.Errorf("a lease that ran out was renewed: %v %v", held, err)
	}
	b := d.claim("b")
	if b.Epoch <= a.Epoch {
		t.Errorf("the epoch went from %d to %d, want it to grow", a.Epoch, b.Epoch)
	}
}

func TestAMarkIsGivenOnlyUnderTheCurrentLease(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	tests := map[string]struct {
		before func(d *desk, a *ledger.Attempt)
		want   bool
		marked bool // and not answered
	}{
		"held":                                 {func(*desk, *ledger.Attempt) {}, true, false},
		"asked again":                          {func(d *desk, a *ledger.Attempt) { d.mark(*a); a.Again = true }, true, false},
		"asked twice as if for the first time": {func(d *desk, a *ledger.Attempt) { d.mark(*a) }, false, true},
		"lease ran out":                        {func(d *desk, _ *ledger.Attempt) { d.loseLease() }, false, false},
		"lease too short for the dot": {func(d *desk, _ *ledger.Attempt) {
			d.exec(`UPDATE chunk SET lease_until = clock_timestamp() + interval '19 seconds'`)
		}, false, false},
		"taken over":               {func(d *desk, _ *ledger.Attempt) { d.loseLease(); d.claim("b") }, false, false},
		"answered":                 {func(d *desk, a *ledger.Attempt) { d.mark(*a); d.answer(*a, notice.DeliverySent, 250) }, false, false},
		"deferred by this attempt": {func(d *desk, a *ledger.Attempt) { d.mark(*a); d.answer(*a, notice.DeliveryDeferred, 450) }, false, false},
		"paused":                   {func(d *desk, _ *ledger.Attempt) { d.must(d.Pause(ctx, d.id, "test")) }, false, false},
		"cancelled":                {func(d *desk, _ *ledger.Attempt) { d.must(d.Cancel(ctx, d.id, "test")) }, false, false},
		"expired":                  {func(d *desk, _ *ledger.Attempt) { d.exec(`UPDATE notice SET expires_at = clock_timestamp()`) }, false, false},
		"the same epoch under another chunk": {func(d *desk, a *ledger.Attempt) {
			d.exec(`UPDATE chunk SET epoch = epoch + 1 WHERE id = $1`, a.ChunkID)
		}, false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := release(t, 2)
			a := attempt(d.claim("a"), 0)
			tt.before(d, &a)
			if got := d.mark(a); got != tt.want {
				t.Errorf("mark given: %v, want %v", got, tt.want)
			}
			if tt.want {
				d.wantState(0, notice.DeliverySending)
			} else if s := d.state(0); s == notice.DeliverySending && !tt.marked {
				t.Error("the refused mark left the delivery sending")
			}
		})
	}
}

func TestTakeoverMakesMarkedDeliveriesUncertain(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	a := d.claim("a")
	d.mark(attempt(a, 0))
	d.loseLease()
	b := d.claim("b")
	d.wantState(0, notice.DeliveryUncertain)
	if len(b.Due) != 2 {
		t.Errorf("%d deliveries are due to the new holder, want the 2 that were not marked", len(b.Due))
	}
	d.wantCounts(map[string]int{"uncertain": 1, "queued": 2})
}

func TestALateAnswer(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		state notice.DeliveryState
		code  int
		want  notice.DeliveryState
	}{
		"250 settles":         {notice.DeliverySent, 250, notice.DeliverySent},
		"4xx defers":          {notice.DeliveryDeferred, 450, notice.DeliveryDeferred},
		"5xx fails":           {notice.DeliveryFailed, 550, notice.DeliveryFailed},
		"no answer unchanged": {notice.DeliveryUncertain, 0, notice.DeliveryUncertain},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := release(t, 1)
			a := d.claim("a")
			d.mark(attempt(a, 0))
			d.loseLease()
			b := d.claim("b")
			d.closeChunk(b)
			d.wantNotice(notice.Sent)
			d.answer(attempt(a, 0), tt.state, tt.code)
			d.answer(attempt(a, 0), tt.state, tt.code) // once more: a commit with a lost acknowledgement
			d.wantState(0, tt.want)
			d.wantCounts(map[string]int{tt.want.String(): 1})
			if tt.want == notice.DeliveryDeferred {
				d.wantNotice(notice.Sending) // reopened: something is owed again
			} else {
				d.wantNotice(notice.Sent)
			}
		})
	}
}

// requeued returns a notice with one delivery, which attempt a left uncertain and an operator requeued.
func requeued(t *testing.T) (d *desk, a ledger.Attempt) {
	d = release(t, 1)
	c := d.claim("a")
	a = attempt(c, 0)
	d.mark(a)
	d.loseLease()
	d.closeChunk(d.claim("b"))
	d.exec(`UPDATE outcome SET at = clock_timestamp() - interval '1 hour'`)
	done, err := d.Settle(t.Context(), d.id, notice.Settlement{Requeue: true, AllUncertain: true}, "", "op")
	d.must(err)
	if done.Changed != 1 {
		t.Fatalf("requeued %+v, want one", done)
	}
	d.wantState(0, notice.DeliveryQueued)
	d.wantNotice(notice.Sending)
	return d, a
}

func TestALate250AfterARequeueKeepsTheSecondCopyBack(t *testing.T) {
	t.Parallel()
	d, old := requeued(t)
	d.answer(old, notice.DeliverySent, 250)
	d.wantState(0, notice.DeliverySent)
	d.wantNotice(notice.Sending) // the chunk is closed; the sweep finishes the notice
	if _, err := d.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.wantNotice(notice.Sent)
}

func TestALateRefusalDoesNotUndoANewerAttempt(t *testing.T) {
	t.Parallel()
	for _, late := range []notice.DeliveryState{notice.DeliveryDeferred, notice.DeliveryFailed, notice.DeliveryUncertain} {
		t.Run(late.String(), func(t *testing.T) {
			t.Parallel()
			d, old := requeued(t)
			c := d.claim("c")
			if !d.mark(attempt(c, 0)) {
				t.Fatal("the requeued delivery can't be marked")
			}
			d.answer(old, late, 0)
			d.wantState(0, notice.DeliverySending)
			d.answer(attempt(c, 0), notice.DeliverySent, 250)
			d.wantState(0, notice.DeliverySent)
		})
	}
}

func TestAnUnresolvedAttempt(t *testing.T) {
	t.Parallel()
	t.Run("makes a cancelled delivery uncertain", func(t *testing.T) {
		t.Parallel()
		d, _ := requeued(t)
		d.must(d.Cancel(t.Context(), d.id, "op"))
		d.wantState(0, notice.DeliveryUncertain)
	})
	t.Run("makes a delivery uncertain that is deferred in a cancelled notice", func(t *testing.T) {
		t.Parallel()
		d, _ := requeued(t)
		c := d.claim("c")
		d.mark(attempt(c, 0))
		d.must(d.Cancel(t.Context(), d.id, "op"))
		d.answer(attempt(c, 0), notice.DeliveryDeferred, 450)
		d.wantState(0, notice.DeliveryUncertain)
	})
	t.Run("is resolved by its late refusal", func(t *testing.T) {
		t.Parallel()
		d, old := requeued(t)
		d.answer(old, notice.DeliveryFailed, 550)
		d.must(d.Cancel(t.Context(), d.id, "op"))
		d.wantState(0, notice.DeliveryCancelled)
	})
	t.Run("is named when the delivery fails", func(t *testing.T) {
		t.Parallel()
		d, _ := requeued(t)
		c := d.claim("c")
		d.mark(attempt(c, 0))
		d.answer(attempt(c, 0), notice.DeliveryFailed, 550)
		var reason string
		d.must(d.pool.QueryRow(t.Context(), `SELECT reason FROM delivery`).Scan(&reason))
		if reason != "an earlier attempt is unresolved" {
			t.Errorf("reason %q", reason)
		}
	})
}

func TestRequeueWaitsForTheGate(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	a := d.claim("a")
	d.mark(attempt(a, 0))
	d.answer(attempt(a, 0), notice.DeliveryUncertain, 0)
	d.closeChunk(a)
	d.wantNotice(notice.Sent)
	done, err := d.Settle(t.Context(), d.id, notice.Settlement{Requeue: true, AllUncertain: true}, "", "op")
	d.must(err)
	if done.Changed != 0 || done.TooEarly != 1 || done.From == nil {
		t.Fatalf("settled %+v, want one too early, with a time", done)
	}
	if wait := time.Until(*done.From); wait < 14*time.Minute || wait > 16*time.Minute {
		t.Errorf("possible in %v, want 15 minutes", wait)
	}
	d.wantState(0, notice.DeliveryUncertain)
}

func TestSettledAsSentKeepsWhoAndNoCode(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	a := d.claim("a")
	d.mark(attempt(a, 0))
	d.answer(attempt(a, 0), notice.DeliveryUncertain, 0)
	d.closeChunk(a)
	_, err := d.Settle(t.Context(), d.id, notice.Settlement{Sent: true, Address: "c1@example.com"}, "c1@example.com", "ann")
	d.must(err)
	rows, err := d.Deliveries(t.Context(), d.id, notice.DeliveryPage{After: -1, Limit: 10})
	d.must(err)
	if got := rows[0]; got.State != notice.DeliverySent || got.SMTPCode != 0 || got.Reason != "settled by ann" || got.SentAt == nil {
		t.Errorf("got %+v", got)
	}
}

func TestCancelReachesWhatIsNotMarked(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	c := d.claim("a")
	d.mark(attempt(c, 0))
	d.mark(attempt(c, 1))
	d.must(d.Cancel(t.Context(), d.id, "op"))
	d.wantCounts(map[string]int{"sending": 2, "cancelled": 1})
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	d.answer(attempt(c, 1), notice.DeliveryDeferred, 450)
	d.closeChunk(c)
	d.wantCounts(map[string]int{"sent": 1, "cancelled": 2})
	d.wantNotice(notice.Cancelled)
}

func TestPauseKeepsWhatIsOwed(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	c := d.claim("a")
	d.mark(attempt(c, 0))
	d.must(d.Pause(t.Context(), d.id, "op"))
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	d.closeChunk(c)
	d.wantCounts(map[string]int{"sent": 1, "queued": 1})
	if w, err := d.Sweep(t.Context()); err != nil || len(w.Chunks) != 0 {
		t.Errorf("a paused notice has %d chunks due (%v), want none", len(w.Chunks), err)
	}
	d.must(d.Resume(t.Context(), d.id, false, "op"))
	if w, err := d.Sweep(t.Context()); err != nil || len(w.Chunks) != 1 {
		t.Errorf("a resumed notice has %d chunks due (%v), want one", len(w.Chunks), err)
	}
}

func TestTheSweepFindsWhatAWorkerLeft(t *testing.T) {
	t.Parallel()
	for _, stop := range []string{"", "pause", "cancel"} {
		t.Run("then "+stop, func(t *testing.T) {
			t.Parallel()
			d := release(t, 1)
			c := d.claim("a")
			d.mark(attempt(c, 0))
			switch stop {
			case "pause":
				d.must(d.Pause(t.Context(), d.id, "op"))
			case "cancel":
				d.must(d.Cancel(t.Context(), d.id, "op"))
			}
			d.loseLease()
			w, err := d.Sweep(t.Context())
			d.must(err)
			if len(w.Chunks) != 1 || w.Chunks[0].ID != c.ChunkID {
				t.Errorf("the sweep found %+v, want chunk %d whatever the notice's state", w.Chunks, c.ChunkID)
			}
		})
	}
}

// TestAChunkThatIsGivenBackRests: a holder gives back deliveries that it could not begin, with a time. The chunk rests, and
// the deliveries were not tried.
func TestAChunkThatIsGivenBackRests(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	c := d.claim("a")
	d.mark(attempt(c, 0))
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	c.Rest = time.Minute
	d.closeChunk(c)
	d.wantState(1, notice.DeliveryQueued)
	work, err := d.Sweep(t.Context())
	d.must(err)
	if len(work.Chunks) != 0 || work.NextDue < 50*time.Second || work.NextDue > time.Minute {
		t.Errorf("swept %+v, want nothing before a minute has gone by", work)
	}
	d.exec(`UPDATE chunk SET due_at = clock_timestamp()`)
	c = d.claim("b")
	if len(c.Due) != 1 || c.Due[0].Seq != 1 || c.Due[0].Tries != 0 {
		t.Errorf("claimed %+v, want the delivery that was not tried", c.Due)
	}
	if work, err = d.Sweep(t.Context()); err != nil || len(work.Chunks) != 0 {
		t.Errorf("swept %+v, %v", work, err)
	}
	c.Rest = 0
	d.closeChunk(c)
	work, err = d.Sweep(t.Context())
	d.must(err)
	if len(work.Chunks) != 1 || !work.Chunks[0].Urgent {
		t.Errorf("swept %+v, want the chunk of an outage", work.Chunks)
	}
}

// TestAClaimNamesTheRelayThatRefused: where another relay may take a delivery that one refused, it goes to the other at its next
// attempt.
func TestAClaimNamesTheRelayThatRefused(t *testing.T) {
	t.Parallel()
	d := release(t, 4)
	a := d.claim("a")
	for seq, answer := range []notice.Answer{
		{Relay: "main", Code: 554, Enhanced: "5.7.1"},
		{Relay: "main", Code: 450, Enhanced: "4.2.1"},
		{Relay: "main", Code: 550, Enhanced: "4.2.1"},
	} {
		at := attempt(a, seq)
		d.mark(at)
		d.record(ledger.Outcome{Attempt: at, State: notice.DeliveryDeferred, Answer: answer})
	}
	d.closeChunk(a)
	var got []string
	for _, due := range d.claim("b").Due {
		got = append(got, due.Shuns)
	}
	if want := []string{"main", "", "", ""}; !slices.Equal(got, want) {
		t.Errorf("they shun %q, want %q", got, want)
	}
}
