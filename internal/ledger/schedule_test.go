package ledger_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// tomorrow is a body of a notice that leaves tomorrow.
func tomorrow(key string) notice.Body {
	return notice.Body{Key: key, SendAt: notice.At(time.Now().Add(24 * time.Hour).Truncate(time.Second))}
}

// scheduled returns a ledger in which a notice to so many mailboxes waits for its time, and its body.
func scheduled(t *testing.T, mailboxes int) (*desk, notice.Body) {
	t.Helper()
	d := open(t)
	d.customers(mailboxes)
	b := tomorrow("n1")
	d.send(b)
	d.wantNotice(notice.Scheduled)
	return d, d.body()
}

// body returns the body of the notice as it is kept.
func (d *desk) body() notice.Body {
	d.t.Helper()
	n, err := d.Notice(d.t.Context(), d.id)
	d.must(err)
	return n.Body
}

func (d *desk) sweep() {
	d.t.Helper()
	_, err := d.Sweep(d.t.Context())
	d.must(err)
}

func (d *desk) wantConflict(err error) {
	d.t.Helper()
	if notice.CodeOf(err) != notice.CodeConflict {
		d.t.Errorf("got %v, want a conflict", err)
	}
}

func TestAScheduledNoticeIsSentNow(t *testing.T) {
	t.Parallel()
	d, _ := scheduled(t, 3)
	d.must(d.SendNow(t.Context(), d.id, "ann"))
	d.sweep()
	d.wantNotice(notice.Sending)
	d.deliver()
	d.wantCounts(map[string]int{"sent": 3})
	d.wantConflict(d.SendNow(t.Context(), d.id, "ann"))
	d.wantConflict(d.Move(t.Context(), d.id, time.Now().Add(time.Hour), nil, "ann"))
	d.wantConflict(d.TakeBack(t.Context(), d.id, "ann"))
}

func TestAScheduledNoticeIsMoved(t *testing.T) {
	t.Parallel()
	d, b := scheduled(t, 3)
	to := time.Now().Add(-time.Second).Truncate(time.Second) // the clock of a test does not wait
	d.must(d.Pause(t.Context(), d.id, "ann"))
	d.must(d.Move(t.Context(), d.id, to, []string{"past"}, "ann"))
	d.wantConflict(d.SendNow(t.Context(), d.id, "ann")) // it is paused
	d.sweep()
	d.wantNotice(notice.Paused)
	d.must(d.Resume(t.Context(), d.id, false, "ann"))
	d.wantNotice(notice.Sending)
	d.must(d.Pause(t.Context(), d.id, "ann")) // it has begun
	d.wantConflict(d.Move(t.Context(), d.id, to, nil, "ann"))
	d.wantConflict(d.TakeBack(t.Context(), d.id, "ann"))
	d.must(d.Resume(t.Context(), d.id, false, "ann"))
	d.deliver()
	d.wantCounts(map[string]int{"sent": 3})
	want := []string{"ann: pause: ", fmt.Sprintf("ann: move: from %s to %s, allowed: past", b.SendAt, notice.At(to)), "ann: resume: ", "ann: pause: ", "ann: resume: "}
	if diff := cmp.Diff(want, d.acts()); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
	if got := d.body(); got.SendAt != b.SendAt {
		t.Errorf("the body says %s, which is what a second press is compared with", got.SendAt)
	}
}

func TestANoticeIsTakenBackAndReleasedAgain(t *testing.T) {
	t.Parallel()
	for _, paused := range []bool{false, true} {
		d, b := scheduled(t, 600)
		digest := d.planDigest()
		if paused {
			d.must(d.Pause(t.Context(), d.id, "ann"))
		}
		_, _, err := d.Suppress(t.Context(), never("c7@example.com"), "ann")
		d.must(err)
		d.must(d.TakeBack(t.Context(), d.id, "ann"))
		d.wantNotice(notice.Draft)
		d.wantCounts(map[string]int{})
		for _, table := range []string{"chunk", "outcome"} {
			d.wantRows(0, "SELECT count(*) FROM "+table)
		}
		d.sweep() // nothing of it is due
		d.wantDropped(digest)
		d.must(d.UnsuppressNumber(t.Context(), 1))
		d.customer("more")
		a := all(b)
		released, err := d.Release(t.Context(), d.id, a, press(""))
		if d.must(err); !released {
			t.Error("it was not released again")
		}
		d.wantNotice(notice.Scheduled)
		d.wantCounts(map[string]int{"queued": 601})
		d.must(d.SendNow(t.Context(), d.id, "ann"))
		d.sweep()
		d.wantNotice(notice.Sending)
		d.dropPlans()
		if got := len(d.addresses()); got != 601 {
			t.Errorf("%d mailboxes are on it, want 601", got)
		}
	}
}

// planDigest returns the digest of the plan that the notice has taken.
func (d *desk) planDigest() (digest string) {
	d.t.Helper()
	d.must(d.pool.QueryRow(d.t.Context(), `SELECT encode(digest, 'hex') FROM plan WHERE notice_id = $1 AND state = 'taken'`, d.id).Scan(&digest))
	return digest
}

// TestATakenBackNoticeHasItsList: the list is kept until the notice begins.
func TestATakenBackNoticeHasItsList(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(5)
	list := []string{"c1", "c3", "c4"}
	for _, end := range []string{"begin", "cancel", "expire"} {
		b := tomorrow("n." + end)
		b.Incident, b.Kind, b.Phase, b.DefaultLanguage = b.Key, notice.Outage, "identified", "en"
		b.ExpiresAt = notice.At(time.Now().Add(48 * time.Hour).Truncate(time.Second))
		b.Audience.Customers = list
		b.Audience.Sum(b.Key)
		id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b.Kept(), Customers: list, Texts: map[string]notice.Text{}, Who: "test"})
		d.must(err)
		d.id, d.ref = id, b.Key
		for range 2 {
			d.wantList(list)
			a := all(b.Kept())
			a.Choice.Customers = list
			_, err = d.Release(t.Context(), id, a, press(""))
			d.must(err)
			d.wantNotice(notice.Scheduled)
			if end == "begin" {
				d.must(d.TakeBack(t.Context(), id, "ann"))
			}
		}
		d.wantList(list)
		switch end {
		case "begin":
			a := all(b.Kept())
			a.Choice.Customers = list
			_, err = d.Release(t.Context(), id, a, press(""))
			d.must(err)
			d.must(d.SendNow(t.Context(), id, "ann"))
		case "cancel":
			d.must(d.Cancel(t.Context(), id, "ann"))
		case "expire":
			d.exec(`UPDATE notice SET expires_at = clock_timestamp() WHERE id = $1`, id)
		}
		d.sweep()
		d.wantList([]string{})
	}
	// A version before kept no list: nobody must be forgotten.
	b := tomorrow("n.old")
	b.Audience = notice.Audience{Digest: "ab", Size: 3}
	d.send(b)
	d.wantConflict(d.TakeBack(t.Context(), d.id, "ann"))
	d.wantNotice(notice.Scheduled)
}

func (d *desk) wantList(want []string) {
	d.t.Helper()
	got, err := d.Listed(d.t.Context(), d.id)
	d.must(err)
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("the list (-want +got):\n%s", diff)
	}
}

// TestWhatMayHaveLeftIsNotTakenBack: after a restore an operator said that mails of it may have left.
func TestWhatMayHaveLeftIsNotTakenBack(t *testing.T) {
	t.Parallel()
	d, _ := scheduled(t, 3)
	d.exec(`UPDATE notice SET state = 'held', reason = 'restored'`)
	d.wantConflict(d.TakeBack(t.Context(), d.id, "ann"))
	d.must(d.Unhold(t.Context(), d.id, false, false, "ann"))
	d.wantCounts(map[string]int{"uncertain": 3})
	d.exec(`UPDATE notice SET state = 'scheduled'`)
	d.wantConflict(d.TakeBack(t.Context(), d.id, "ann"))
	d.wantCounts(map[string]int{"uncertain": 3})
}

// TestAnOperatorTakesBackWhatBegins takes back, moves and sends notices while workers begin them, mailboxes are suppressed and
// customers erased. Each mailbox gets each notice once, or it was suppressed or erased. A notice that was taken back does not
// leave before it is released again.
func TestAnOperatorTakesBackWhatBegins(t *testing.T) {
	t.Parallel()
	const mailboxes, rounds = 24, 8
	d := open(t)
	d.customers(mailboxes)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	r := newRelay()
	backs := 0
	for round := range rounds {
		d.send(tomorrow(fmt.Sprint("n", round)))
		b := d.body()
		var back, now error
		var wg sync.WaitGroup
		if round%2 == 0 { // it begins at any moment
			d.must(d.SendNow(ctx, d.id, "ann"))
		}
		for w := range 2 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(round), uint64(w)))
				for range 10 {
					_, err := d.Sweep(ctx)
					r.failed(ctx, err)
					workOnce(ctx, d, r, rng, fmt.Sprint("w", w))
				}
			})
		}
		if round%2 == 1 {
			wg.Go(func() { now = d.SendNow(ctx, d.id, "ann") })
		}
		wg.Go(func() { r.failed(ctx, d.Move(ctx, d.id, time.Now(), nil, "cy")) })
		wg.Go(func() { back = d.TakeBack(ctx, d.id, "bob") })
		wg.Go(func() {
			_, _, err := d.Suppress(ctx, never(fmt.Sprintf("c%d@example.com", 2*round+1)), "ann")
			r.failed(ctx, err)
		})
		wg.Go(func() { r.failed(ctx, d.DeleteCustomer(ctx, fmt.Sprint("c", 2*round+2))) })
		wg.Wait()
		r.failed(ctx, now)
		r.failed(ctx, back)
		if back == nil {
			backs++
			d.wantNotice(notice.Draft)
			for seq := range mailboxes {
				if n := r.dots[owed{d.id, seq}]; n > 0 {
					t.Fatalf("delivery %d left, and the notice was taken back", seq)
				}
			}
			if _, err := d.Release(ctx, d.id, all(b), press("")); err != nil {
				t.Fatal(err)
			}
		}
		if now != nil || back == nil {
			d.exec(`UPDATE notice SET send_at = clock_timestamp() WHERE id = $1`, d.id)
			d.exec(`UPDATE chunk SET due_at = clock_timestamp() WHERE notice_id = $1 AND due_at > clock_timestamp()`, d.id)
		}
		rng := rand.New(rand.NewPCG(uint64(round), 9))
		for state := notice.Scheduled; state != notice.Sent && ctx.Err() == nil; {
			d.sweep()
			workOnce(ctx, d, r, rng, "w")
			var err error
			state, err = d.State(ctx, d.ref)
			d.must(err)
		}
		d.wantNotice(notice.Sent)
		st, err := d.Status(t.Context(), d.ref)
		d.must(err)
		if sum := st.Counts["sent"] + st.Counts["uncertain"] + st.Counts["suppressed"] + st.Counts["cancelled"]; sum != st.Recipients || st.Recipients < mailboxes-2*round-2 {
			t.Errorf("%s ended as %v, of %d", d.ref, st.Counts, st.Recipients)
		}
	}
	for _, wrong := range r.wrong {
		t.Error(wrong)
	}
	t.Logf("%d of %d were taken back", backs, rounds)
}
