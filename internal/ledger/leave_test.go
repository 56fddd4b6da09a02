package ledger_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// unresolved returns a ledger with so many customers and a released notice with an audience that is resolved at sending, and
// that audience.
func unresolved(t *testing.T, customers, most int) (*desk, ledger.Audience) {
	t.Helper()
	d := open(t)
	d.customers(customers)
	return d, d.approve("n1", most)
}

func (d *desk) approve(key string, most int) ledger.Audience {
	d.t.Helper()
	b := tomorrow(key)
	b.Incident, b.Kind, b.Phase, b.DefaultLanguage, b.AudienceAt, b.MaxRecipients = key, notice.Outage, "identified", "en", notice.AtSend, most
	id, _, err := d.PutDraft(d.t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
	d.must(err)
	d.id, d.ref = id, key
	released, err := d.Release(d.t.Context(), id, all(b), d.maximum(most))
	if d.must(err); !released {
		d.t.Fatal("it was not released")
	}
	return all(b)
}

func (d *desk) maximum(most int) ledger.Press {
	p := press("")
	p.MaxRecipients = most
	return p
}

// wantLeaving wants the notice among those that are to leave now, or not.
func (d *desk) wantLeaving(want bool) {
	d.t.Helper()
	ids, err := d.Leaving(d.t.Context())
	if d.must(err); (len(ids) == 1) != want {
		d.t.Errorf("to leave are %v", ids)
	}
}

func TestAnAudienceIsResolvedWhenItLeaves(t *testing.T) {
	t.Parallel()
	d, a := unresolved(t, 3, 4)
	d.wantNotice(notice.Scheduled)
	d.wantCounts(map[string]int{})
	d.wantLeaving(false)
	d.must(d.Leave(t.Context(), d.id, a)) // not yet
	d.wantNotice(notice.Scheduled)
	d.must(d.Pause(t.Context(), d.id, "ann"))
	d.exec(`UPDATE notice SET send_at = clock_timestamp()`)
	d.sweep()
	d.wantLeaving(false)
	d.must(d.Leave(t.Context(), d.id, a)) // a process that asked just before the pause
	d.wantNotice(notice.Paused)
	d.wantCounts(map[string]int{})
	d.must(d.Resume(t.Context(), d.id, false, "ann"))
	d.sweep()
	d.wantNotice(notice.Scheduled) // it has nothing to send yet
	d.wantLeaving(true)
	d.customer("more")
	d.must(d.Leave(t.Context(), d.id, a))
	d.wantNotice(notice.Sending)
	d.wantCounts(map[string]int{"queued": 4})
	d.must(d.Leave(t.Context(), d.id, a))
	d.deliver()
	d.wantCounts(map[string]int{"sent": 4})
	d.wantNotice(notice.Sent)
	want := []string{"ann: pause: ", "ann: resume: ", "tocsin: leave: 4 recipients"}
	if diff := cmp.Diff(want, d.acts()); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	st, err := d.Status(t.Context(), d.ref)
	if d.must(err); st.ReleasedBy != "test" {
		t.Errorf("it was released by %q", st.ReleasedBy)
	}
}

func TestANoticeThatWouldGoToMoreIsHeld(t *testing.T) {
	t.Parallel()
	d, a := unresolved(t, 3, 3)
	d.customer("more")
	d.must(d.SendNow(t.Context(), d.id, "ann"))
	err := d.Leave(t.Context(), d.id, a)
	if d.wantConflict(err); !strings.Contains(err.Error(), "4 recipients, and max_recipients is 3") {
		t.Error(err)
	}
	d.must(d.HoldLeaving(t.Context(), d.id, err.Error()))
	d.wantNotice(notice.Held)
	d.sweep()
	d.wantLeaving(false)
	d.must(d.LetLeave(t.Context(), d.id, 0, ledger.Allowance{}, "ann")) // nothing has changed
	d.wantConflict(d.Leave(t.Context(), d.id, a))
	d.must(d.HoldLeaving(t.Context(), d.id, "again"))
	d.must(d.LetLeave(t.Context(), d.id, 4, ledger.Allowance{}, "ann"))
	d.must(d.Leave(t.Context(), d.id, a))
	d.wantCounts(map[string]int{"queued": 4})
	d.wantConflict(d.LetLeave(t.Context(), d.id, 5, ledger.Allowance{}, "ann"))

	// At its release it must not go to more either.
	b := tomorrow("n2")
	b.Incident, b.Kind, b.Phase, b.DefaultLanguage = "n2", notice.Outage, "identified", "en"
	id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
	d.must(err)
	if _, err = d.Release(t.Context(), id, all(b), d.maximum(3)); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("released: %v", err)
	}
	// One that is held can be taken back, and released with another maximum.
	a = d.approve("n3", 4)
	d.customer("fifth")
	d.must(d.SendNow(t.Context(), d.id, "ann"))
	d.wantConflict(d.Leave(t.Context(), d.id, a))
	d.must(d.HoldLeaving(t.Context(), d.id, "too many"))
	d.must(d.TakeBack(t.Context(), d.id, "ann"))
	d.wantNotice(notice.Draft)
	if released, err := d.Release(t.Context(), d.id, a, d.maximum(5)); err != nil || !released {
		t.Errorf("released again: %v, %v", released, err)
	}
}

// TestAnUnresolvedNoticeEnds as any other: it expires, is cancelled, or is held after a restore, when it may have gone to anybody.
func TestAnUnresolvedNoticeEnds(t *testing.T) {
	t.Parallel()
	d, a := unresolved(t, 2, 5)
	d.exec(`UPDATE notice SET send_at = clock_timestamp(), expires_at = clock_timestamp()`)
	d.wantLeaving(false)
	d.must(d.Leave(t.Context(), d.id, a))
	d.sweep()
	d.wantNotice(notice.Cancelled)
	d.approve("n2", 5)
	d.must(d.Cancel(t.Context(), d.id, "ann"))
	d.must(d.Leave(t.Context(), d.id, a))
	d.wantNotice(notice.Cancelled)
	a = d.approve("n3", 5)
	d.exec(`UPDATE notice SET state = 'held', reason = 'restored', send_at = clock_timestamp() WHERE id = $1`, d.id)
	d.wantConflict(d.Unhold(t.Context(), d.id, false, false, "ann"))
	d.wantConflict(d.LetLeave(t.Context(), d.id, 5, ledger.Allowance{}, "ann"))
	d.wantConflict(d.TakeBack(t.Context(), d.id, "ann"))
	d.must(d.Unhold(t.Context(), d.id, true, false, "ann"))
	d.wantNotice(notice.Scheduled)
	d.must(d.Leave(t.Context(), d.id, a))
	d.wantCounts(map[string]int{"queued": 2})
}

// TestWorkersLeaveWhileAnOperatorActs: three processes have it leave, and an operator takes it back, pauses or cancels it, and a
// customer is erased. It goes once and as a whole, or not at all.
func TestWorkersLeaveWhileAnOperatorActs(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(40)
	acts := []func(ctx context.Context, id int64) error{
		func(ctx context.Context, id int64) error { return d.TakeBack(ctx, id, "ann") },
		func(ctx context.Context, id int64) error { return d.Pause(ctx, id, "ann") },
		func(ctx context.Context, id int64) error { return d.Cancel(ctx, id, "ann") },
		func(ctx context.Context, id int64) error { return d.HoldLeaving(ctx, id, "why") },
		func(ctx context.Context, id int64) error { return d.DeleteCustomer(ctx, "c7") },
	}
	for round := range 10 {
		a := d.approve("n"+string(rune('a'+round)), 100)
		d.must(d.SendNow(t.Context(), d.id, "ann"))
		ctx := context.Background()
		var wg sync.WaitGroup
		errs := make([]error, 5)
		for i := range 3 {
			wg.Go(func() { errs[i] = d.Leave(ctx, d.id, a) })
		}
		wg.Go(func() { _, errs[3] = d.Sweep(ctx) })
		wg.Go(func() { errs[4] = acts[round%len(acts)](ctx, d.id) })
		wg.Wait()
		for i, err := range errs {
			if err != nil && notice.CodeOf(err) == "" {
				t.Errorf("round %d, %d: %v", round, i, err)
			}
		}
		st, err := d.Status(t.Context(), d.ref)
		d.must(err)
		rows := 0
		for _, n := range st.Counts {
			rows += n
		}
		if rows != st.Recipients || rows != 0 && rows < 39 || (st.State == notice.Sending) && rows == 0 || st.State == notice.Draft && rows > 0 {
			t.Errorf("round %d: it is %s, of %d recipients with %v", round, st.State, st.Recipients, st.Counts)
		}
	}
}
