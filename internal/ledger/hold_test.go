package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// hold adds a hold.
func (d *desk) hold(from, until time.Time, reason string) notice.Hold {
	d.t.Helper()
	h, err := d.AddHold(d.t.Context(), notice.Hold{From: from, Until: &until, Reason: reason}, "ada (laptop)")
	d.must(err)
	return h
}

// unholdAll removes holds.
func (d *desk) unholdAll(all ...notice.Hold) {
	d.t.Helper()
	for _, h := range all {
		_, err := d.RemoveHold(d.t.Context(), h.Number, "bob")
		d.must(err)
	}
}

func TestAPlannedHold(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	now := time.Now()
	d.hold(now.Add(time.Hour), now.Add(2*time.Hour), "later")
	c := d.claim("a")
	if !d.mark(attempt(c, 0)) {
		t.Error("a hold that is still to come refuses a mark")
	}
	// Ten seconds before it begins a dot could fall into it: the grace is 20 s.
	h := d.hold(now.Add(10*time.Second), now.Add(time.Hour), "power feeds")
	if d.mark(attempt(c, 1)) {
		t.Error("a mark was given whose dot could fall into the hold")
	}
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	d.closeChunk(c)
	if w, err := d.Sweep(t.Context()); err != nil || len(w.Chunks) != 0 {
		t.Errorf("%d chunks are due in a hold (%v)", len(w.Chunks), err)
	}
	st, err := d.Status(t.Context(), d.ref)
	d.must(err)
	if st.State != notice.Held || st.Reason != "power feeds" || st.HeldUntil == nil {
		t.Errorf("in a hold the notice is %s (%s) until %v", st.State, st.Reason, st.HeldUntil)
	}
	if err := d.Unhold(t.Context(), d.id, true, false, "op"); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("a planned hold was lifted by unhold: %v", err)
	}
	d.unholdAll(h)
	if w, err := d.Sweep(t.Context()); err != nil || len(w.Chunks) != 1 {
		t.Errorf("%d chunks are due after the hold (%v), want 1", len(w.Chunks), err)
	}
	d.wantNotice(notice.Sending)
	d.deliver()
	d.wantCounts(map[string]int{"sent": 2})
}

func TestANoticeThatIsReleasedInAPlannedHoldIsHeldAtOnce(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	h := d.hold(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "power feeds")
	d.send(notice.Body{Key: "in-hold"})
	d.wantNotice(notice.Held)
	d.unholdAll(h)
	if _, err := d.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.wantNotice(notice.Sending)
}

func TestAHoldFromNowOnStopsEverythingUntilItIsRemoved(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	c := d.claim("a")
	if !d.mark(attempt(c, 0)) {
		t.Fatal("no mark before the hold")
	}
	h, err := d.AddHold(t.Context(), notice.Hold{Reason: "wrong text"}, "ada (laptop)")
	d.must(err)
	if h.Until != nil || h.Owner != "ada (laptop)" || time.Since(h.From).Abs() > time.Minute {
		t.Errorf("the hold is %+v", h)
	}
	if d.mark(attempt(c, 1)) {
		t.Error("a mark was given in a hold")
	}
	st, err := d.Status(t.Context(), d.ref)
	d.must(err)
	if st.State != notice.Held || st.Reason != "wrong text" || st.HeldUntil != nil {
		t.Errorf("the notice is %s (%s) until %v at once", st.State, st.Reason, st.HeldUntil)
	}
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	d.closeChunk(c)
	short := d.hold(time.Now(), time.Now().Add(time.Hour), "another")
	d.unholdAll(h)
	if st, err = d.Status(t.Context(), d.ref); err != nil || st.State != notice.Held || st.Reason != "another" || st.HeldUntil == nil {
		t.Errorf("in the hold that is left the notice is %s (%s) until %v: %v", st.State, st.Reason, st.HeldUntil, err)
	}
	d.unholdAll(short)
	d.wantNotice(notice.Sending) // at once, without a sweep
	d.deliver()
	d.wantCounts(map[string]int{"sent": 2})
	if _, err := d.RemoveHold(t.Context(), h.Number, "bob"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("removed a second time: %v", err)
	}
	acts, err := d.Acts(t.Context(), notice.ActPage{Limit: 100})
	d.must(err)
	var told []string
	for _, a := range acts {
		if a.What == "add hold" || a.What == "remove hold" {
			told = append(told, a.Who+" "+a.What)
		}
	}
	if diff := cmp.Diff([]string{"bob remove hold", "bob remove hold", "ada add hold", "ada add hold"}, told); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}

// TestAFileOnlyAddsHolds is a worker that starts with an old file, and one with a newer.
func TestAFileOnlyAddsHolds(t *testing.T) {
	t.Parallel()
	d := open(t)
	now := time.Now().UTC().Truncate(time.Second)
	span := func(from, until int, reason string) notice.Hold {
		end := now.Add(time.Duration(until) * time.Hour)
		return notice.Hold{From: now.Add(time.Duration(from) * time.Hour), Until: &end, Reason: reason}
	}
	old, today, moved, over := span(24, 25, "old"), span(-1, 2, "today"), span(-1, 3, "today"), span(-3, -2, "over")
	start := func(want int64, file ...notice.Hold) {
		t.Helper()
		if added, err := d.KeepFileHolds(t.Context(), file); err != nil || added != want {
			t.Errorf("a start added %d holds (%v), want %d", added, err, want)
		}
	}
	stand := func(want ...string) {
		t.Helper()
		all, err := d.Holds(t.Context())
		d.must(err)
		got := []string{}
		for _, h := range all {
			got = append(got, h.Reason+" "+h.Until.Sub(now).String()+" "+h.Owner)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the holds (-want +got):\n%s", diff)
		}
	}
	start(1, today, over)
	mine := d.hold(now.Add(-time.Minute), now.Add(5*time.Hour), "mine")
	start(1, old) // an old file
	start(0)      // an empty one
	stand("today 2h0m0s file", "mine 5h0m0s ada (laptop)", "old 25h0m0s file")
	start(1, moved)
	stand("today 2h0m0s file", "mine 5h0m0s ada (laptop)", "old 25h0m0s file", "today 3h0m0s file")
	all, err := d.Holds(t.Context())
	d.must(err)
	d.unholdAll(mine, all[0])
	start(0, today, moved, old) // a removed one stays removed
	stand("old 25h0m0s file", "today 3h0m0s file")
}

func TestCheckNamesHoldsThatNoFileHas(t *testing.T) {
	t.Parallel()
	d := open(t)
	now := time.Now().Truncate(time.Second)
	until, later := now.Add(time.Hour), now.Add(2*time.Hour)
	known, forgotten := notice.Hold{From: now, Until: &until, Reason: "known"}, notice.Hold{From: now, Until: &later, Reason: "forgotten"}
	_, err := d.KeepFileHolds(t.Context(), []notice.Hold{known, forgotten})
	d.must(err)
	d.hold(time.Now(), later, "somebody's")
	f := ledger.CheckHolds(t.Context(), d.url, []notice.Hold{known})
	if len(f) != 1 || f[0].Level != notice.LevelWarning || f[0].Advice != "remove it with `tocsin hold remove 2`, unless another file has it" {
		t.Errorf("found %+v", f)
	}
}
