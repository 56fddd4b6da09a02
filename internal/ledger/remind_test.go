package ledger_test

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// moment is the instant of the tests about reminders, to the minute, which a window can say.
func moment() time.Time { return time.Now().UTC().Truncate(time.Minute) }

// window is one of an hour from then on.
func window(start time.Time) notice.Window {
	return notice.Window{Start: start.Format(time.RFC3339), End: start.Add(time.Hour).Format(time.RFC3339)}
}

// maintenance is a notice about windows that start then, in the incident m.
func maintenance(key, phase string, starts ...time.Time) notice.Body {
	b := notice.Body{Key: key, Incident: "m", Kind: notice.Maintenance, Phase: phase, DefaultLanguage: "en"}
	for _, start := range starts {
		b.Windows = append(b.Windows, window(start))
	}
	return b
}

// announce drafts a notice and releases it with its reminders.
func (d *desk) announce(b notice.Body) error {
	d.t.Helper()
	return d.announcing(b)()
}

// announcing drafts a notice, and returns how it is released with its reminders.
func (d *desk) announcing(b notice.Body) func() error {
	d.t.Helper()
	id, _, err := d.PutDraft(d.t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "test"})
	d.must(err)
	d.id, d.ref = id, b.Key
	p := press("")
	for _, r := range b.Reminders("") {
		p.Reminders = append(p.Reminders, ledger.Draft{Body: b.Reminding(r), Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}})
	}
	return func() error {
		_, err := d.Release(d.t.Context(), id, all(b), p)
		return err
	}
}

// statesOfM returns where the notices of the incident m stand, by their keys.
func (d *desk) statesOfM() map[string]string {
	d.t.Helper()
	list, err := d.Notices(d.t.Context(), notice.Page{Incident: "m", Limit: 100})
	d.must(err)
	states := map[string]string{}
	for _, st := range list {
		states[st.Key] = string(st.State)
		if st.Reason != "" {
			states[st.Key] += ": " + st.Reason
		}
	}
	return states
}

func (d *desk) wantStanding(want map[string]string) {
	d.t.Helper()
	if diff := cmp.Diff(want, d.statesOfM()); diff != "" {
		d.t.Errorf("the notices (-want +got):\n%s", diff)
	}
}

func (d *desk) at(key string) int64 {
	d.t.Helper()
	id, err := d.Find(d.t.Context(), key)
	d.must(err)
	d.id, d.ref = id, key
	return id
}

// due has a reminder leave now.
func (d *desk) due(key string) (int64, ledger.Audience) {
	d.t.Helper()
	id := d.at(key)
	d.exec(`UPDATE notice SET send_at = clock_timestamp() WHERE id = $1`, id)
	return id, all(d.body())
}

// announced is a ledger with a notice that was sent to three mailboxes and has reminders 24 hours and one hour before its window.
func announced(t *testing.T) (*desk, time.Time) {
	t.Helper()
	d, start := open(t), moment().Add(48*time.Hour)
	d.customers(3)
	b := maintenance("k", "scheduled", start)
	b.Remind = []string{"72h", "24h", "1h"}
	d.must(d.announce(b))
	d.deliver()
	return d, start
}

func TestAReleaseMakesItsReminders(t *testing.T) {
	t.Parallel()
	d, start := announced(t)
	d.sweep()
	d.wantStanding(map[string]string{"k": "sent", "k.reminder-24h": "scheduled", "k.reminder-1h": "scheduled"}) // the time of the first is past
	d.at("k.reminder-1h")
	st, err := d.Status(t.Context(), "k.reminder-1h")
	d.must(err)
	if !st.SendAt.Equal(start.Add(-time.Hour)) || !st.ExpiresAt.Equal(start) || st.ReminderOf != "k" || st.Phase != "reminder" || st.ReleasedBy != "test" {
		t.Errorf("the reminder is %+v", st)
	}
	var most int
	d.must(d.pool.QueryRow(t.Context(), `SELECT max_recipients FROM notice WHERE id = $1`, d.id).Scan(&most))
	if most != notice.MostReminded(3) {
		t.Errorf("it may have %d recipients", most)
	}
	d.must(d.Cancel(t.Context(), d.id, "ann")) // alone
	d.wantStanding(map[string]string{"k": "sent", "k.reminder-24h": "scheduled", "k.reminder-1h": "cancelled: cancelled"})
}

func TestAReminderWithATakenKeyReleasesNothing(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(1)
	b := maintenance("k", "scheduled", moment().Add(48*time.Hour))
	b.Remind = []string{"24h", "1h"}
	other := maintenance("k.reminder-1h", "reminder")
	_, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: other, Texts: map[string]notice.Text{}, Who: "test"})
	d.must(err)
	d.wantConflict(d.announce(b))
	d.wantStanding(map[string]string{"k": "draft", "k.reminder-1h": "draft"})
}

func TestANoticeThatEndsRemindersEndsThemAll(t *testing.T) {
	t.Parallel()
	for _, phase := range []string{"rescheduled", "completed", "cancelled"} {
		d, start := announced(t)
		id, a := d.due("k.reminder-24h")
		d.must(d.Leave(t.Context(), id, a))
		c := d.claim("w")
		sent := attempt(c, c.Due[0].Seq)
		if !d.mark(sent) {
			t.Fatal("the mark was refused")
		}
		d.must(d.announce(maintenance("end", phase, start)))
		d.at("k.reminder-24h")
		d.answer(sent, notice.DeliverySent, 250)
		if d.mark(attempt(c, c.Due[1].Seq)) {
			t.Errorf("after %s, a mail of a reminder may leave", phase)
		}
		d.closeChunk(c)
		d.wantCounts(map[string]int{"sent": 1, "cancelled": 2})
		d.wantStanding(map[string]string{"k": "sent", "k.reminder-24h": "cancelled: superseded", "k.reminder-1h": "cancelled: superseded", "end": "sending"})
	}
}

func TestTodaysReminderGoesOutBeforeTomorrowsEnd(t *testing.T) {
	t.Parallel()
	d, start := announced(t)
	end := maintenance("end", "cancelled", start)
	end.SendAt = notice.At(time.Now().Add(time.Hour))
	d.must(d.announce(end))
	d.must(d.announce(maintenance("begun", "in-progress", start)))
	d.wantStanding(map[string]string{"k": "sent", "k.reminder-24h": "scheduled", "k.reminder-1h": "scheduled", "end": "scheduled", "begun": "sending"})
	d.exec(`UPDATE notice SET send_at = clock_timestamp() WHERE key = 'end'`)
	d.sweep()
	d.wantStanding(map[string]string{"k": "sent", "k.reminder-24h": "cancelled: superseded", "k.reminder-1h": "cancelled: superseded", "end": "sending", "begun": "sent"})
}

func TestAReminderThatAHoldKeepsLeavesBeforeItsWindowAlone(t *testing.T) {
	t.Parallel()
	d, _ := announced(t)
	until := time.Now().Add(time.Hour)
	h, err := d.AddHold(t.Context(), notice.Hold{Until: &until}, "ann")
	d.must(err)
	for _, key := range []string{"k.reminder-24h", "k.reminder-1h"} {
		id, a := d.due(key)
		d.must(d.Leave(t.Context(), id, a))
		d.wantNotice(notice.Held)
	}
	d.exec(`UPDATE notice SET expires_at = clock_timestamp() WHERE key = 'k.reminder-1h'`) // its window has begun
	_, err = d.RemoveHold(t.Context(), h.Number, "ann")
	d.must(err)
	d.sweep()
	d.wantStanding(map[string]string{"k": "sent", "k.reminder-24h": "sending", "k.reminder-1h": "cancelled: expired"})
	d.wantCounts(map[string]int{"cancelled": 3})
	d.at("k.reminder-24h")
	d.wantCounts(map[string]int{"queued": 3})
}

func TestRemindersFollowTheirNotice(t *testing.T) {
	t.Parallel()
	d, start := open(t), moment().Add(48*time.Hour)
	d.customers(2)
	b := maintenance("k", "scheduled", start)
	b.Remind, b.SendAt = []string{"24h", "1h"}, notice.At(moment().Add(time.Hour))
	d.must(d.announce(b))
	both := map[string]string{"k": "scheduled", "k.reminder-24h": "scheduled", "k.reminder-1h": "scheduled"}
	d.wantStanding(both)
	d.must(d.TakeBack(t.Context(), d.id, "ann"))
	d.wantStanding(map[string]string{"k": "draft"})
	d.must(d.announce(b))
	d.wantStanding(both)
	d.must(d.Move(t.Context(), d.id, start.Add(-2*time.Hour), nil, "ann"))
	d.wantStanding(map[string]string{"k": "scheduled", "k.reminder-24h": "cancelled: superseded", "k.reminder-1h": "scheduled"})
	d.must(d.Cancel(t.Context(), d.id, "ann"))
	d.wantStanding(map[string]string{"k": "cancelled: cancelled", "k.reminder-24h": "cancelled: superseded", "k.reminder-1h": "cancelled: superseded"})
}

// TestAnAmendmentCancelsTheRemindersOfItsNotice, those that are under way too, and no others.
func TestAnAmendmentCancelsTheRemindersOfItsNotice(t *testing.T) {
	t.Parallel()
	d, start := announced(t)
	other := maintenance("other", "scheduled", start.Add(24*time.Hour))
	other.Incident, other.Remind = "m2", []string{"1h"}
	d.must(d.announce(other))
	id, a := d.due("k.reminder-24h")
	d.must(d.Leave(t.Context(), id, a))
	c := d.claim("w")
	b := maintenance("k2", "scheduled", start)
	b.Amends, b.Corrections = "k", map[string]notice.Text{"en": {Subject: "correction", Body: "c"}}
	id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "op"})
	d.must(err)
	a = all(b)
	a.Amends = d.at("k")
	_, err = d.Release(t.Context(), id, a, press(""))
	d.must(err)
	d.wantStanding(map[string]string{"k": "cancelled: amended", "k2": "sending", "k.reminder-24h": "cancelled: superseded", "k.reminder-1h": "cancelled: superseded"})
	d.at("k.reminder-24h")
	if d.mark(attempt(c, 0)) {
		t.Error("a mail of a reminder was marked after the amendment")
	}
	d.at("other.reminder-1h")
	d.wantNotice(notice.Scheduled)
}

// TestACancelAgainstTheTimeOfAReminder: whichever is first, no mail of the reminder is marked once the other has begun.
func TestACancelAgainstTheTimeOfAReminder(t *testing.T) {
	t.Parallel()
	for round := range 8 {
		d, start := announced(t)
		id, a := d.due("k.reminder-24h")
		end := d.announcing(maintenance("end", "cancelled", start))
		if round%2 == 0 { // an operator, and no notice
			k := d.at("k")
			end = func() error { return d.Cancel(t.Context(), k, "ann") }
			d.exec(`UPDATE notice SET state = 'sending' WHERE key = 'k'`) // it can be cancelled still
		}
		errs := make([]error, 2)
		var both sync.WaitGroup
		both.Go(func() { errs[0] = d.Leave(t.Context(), id, a) })
		both.Go(func() { errs[1] = end() })
		both.Wait()
		d.must(errors.Join(errs...))
		d.sweep()
		st, err := d.Status(t.Context(), "k.reminder-24h")
		d.must(err)
		if st.State != notice.Cancelled || st.Counts["queued"]+st.Counts["sending"] > 0 {
			t.Fatalf("round %d: the reminder is %s, %v", round, st.State, st.Counts)
		}
	}
}

// TestTheRemindersOfMovedWindowsStay: a notice that moves them again ends them, and not itself.
func TestTheRemindersOfMovedWindowsStay(t *testing.T) {
	t.Parallel()
	d, start := announced(t)
	for _, key := range []string{"moved", "again"} {
		b := maintenance(key, "rescheduled", start.Add(time.Hour))
		b.Remind = []string{"1h"}
		d.must(d.announce(b))
	}
	d.sweep()
	d.wantStanding(map[string]string{"k": "sent", "k.reminder-24h": "cancelled: superseded", "k.reminder-1h": "cancelled: superseded", "moved": "sent",
		"moved.reminder-1h": "cancelled: superseded", "again": "sending", "again.reminder-1h": "scheduled"})
	n, err := d.Announced(t.Context(), "m", "again")
	if d.must(err); n.Key != "moved" {
		t.Errorf("before it %s announced the windows", n.Key)
	}
	steps, err := d.Begun(t.Context(), "m", "again")
	if d.must(err); len(steps) != 2 || steps[0] != (notice.Step{Key: "moved", Phase: "rescheduled"}) {
		t.Errorf("the incident has come to %v", steps)
	}
}

// TestAPlanIsComparedWithTheLastNoticeThatWentOut, not with a reminder that waits or was cancelled.
func TestAPlanIsComparedWithTheLastNoticeThatWentOut(t *testing.T) {
	t.Parallel()
	d, start := announced(t)
	for _, cancelled := range []bool{false, true} {
		if cancelled {
			d.must(d.Cancel(t.Context(), d.at("k.reminder-1h"), "test"))
		}
		p, err := d.Plan(t.Context(), all(maintenance("next", "in-progress", start)))
		d.must(err)
		if p.Previous == nil || p.Previous.Key != "k" || p.Previous.Same != 3 || p.Previous.New != 0 {
			t.Errorf("cancelled: %v, the difference is %+v", cancelled, p.Previous)
		}
	}
}
