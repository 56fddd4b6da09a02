package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

func (d *desk) standing() ledger.Standing {
	d.t.Helper()
	s, err := d.Standing(d.t.Context())
	d.must(err)
	return s
}

func TestHowTheLedgerStands(t *testing.T) {
	t.Parallel()
	d := open(t)
	if diff := cmp.Diff(ledger.Standing{Notices: map[notice.State]int{}}, d.standing()); diff != "" {
		t.Errorf("an empty ledger: %s", diff)
	}

	d.exec(`INSERT INTO customer (id, name, email, email_key)
		SELECT 'c' || i, 'Customer ' || i, 'c' || i || '@example.com', 'c' || i || '@example.com' FROM generate_series(1, 5) i`)
	d.exec(`INSERT INTO customer (id, name) VALUES ('c6', 'no address')`)
	d.send(notice.Body{Key: "n1"})
	d.exec(`UPDATE notice SET released_at = clock_timestamp() - interval '10 minutes'`)
	d.exec(`UPDATE chunk SET due_at = clock_timestamp() - interval '3 minutes'`)
	s := d.standing()
	if s.Notices[notice.Sending] != 1 || s.Deliveries[notice.DeliveryQueued] != 5 || s.Deliveries[notice.DeliverySuppressed] != 1 || s.Deliveries.Total() != 6 {
		t.Errorf("a notice that was expanded: %+v", s)
	}
	near := func(what string, got, want time.Duration) {
		t.Helper()
		if got < want || got > want+time.Minute {
			t.Errorf("%s is %s, want %s", what, got, want)
		}
	}
	near("the oldest owed", s.OldestOwed, 10*time.Minute)
	near("the overdue", s.Overdue, 3*time.Minute)

	c := d.claim("w")
	if s = d.standing(); s.Overdue != 0 || s.OldestOwed == 0 {
		t.Errorf("a claimed chunk waits for nobody, and is owed: %+v", s)
	}
	for seq := range 5 {
		a := attempt(c, c.Due[seq].Seq)
		d.mark(a)
		d.answer(a, []notice.DeliveryState{notice.DeliverySent, notice.DeliverySent, notice.DeliverySent, notice.DeliveryFailed, notice.DeliveryUncertain}[seq], 250)
	}
	d.closeChunk(c)
	s = d.standing()
	if s.OldestOwed != 0 || s.Overdue != 0 || s.Deliveries[notice.DeliverySent] != 3 || s.Deliveries[notice.DeliveryFailed] != 1 || s.Deliveries[notice.DeliveryUncertain] != 1 {
		t.Errorf("nothing is owed any more: %+v", s)
	}

	d.must(d.Finish(t.Context(), d.id))
	if s = d.standing(); len(s.Notices) != 0 || s.Deliveries.Total() != 6 {
		t.Errorf("a finished notice of today: %+v", s)
	}
	d.exec(`UPDATE notice SET released_at = released_at - interval '2 days'`)
	if s = d.standing(); s.Deliveries.Total() != 0 {
		t.Errorf("a finished notice of the day before yesterday: %+v", s)
	}
	d.exec(`UPDATE fence SET up = true`)
	if !d.standing().Fenced {
		t.Error("the fence is up and is not told")
	}
}

func TestWhatIsStoppedIsNotOverdue(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	d.must(d.Pause(t.Context(), d.id, "test"))
	s := d.standing()
	if s.Notices[notice.Paused] != 1 || s.OldestOwed != 0 || s.Overdue != 0 || s.Deliveries[notice.DeliveryQueued] != 3 {
		t.Errorf("%+v", s)
	}
}
