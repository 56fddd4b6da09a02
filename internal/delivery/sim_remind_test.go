package delivery

import (
	"context"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// tooLate reports whether a notice still owes something, and has expired.
func (m *memory) tooLate(n *noticeRow) bool {
	return n.ExpiresAt != nil && !n.ExpiresAt.After(m.now()) && (n.plan == nil || !m.finished(n))
}

// remind makes the reminders of a notice in the transaction of its release: those with a time after it leaves.
func (m *memory) remind(n *noticeRow) {
	for _, r := range n.Body.Reminders("") {
		if leaves := n.owedSince(); !r.At.After(m.now()) || !r.At.After(leaves) {
			continue
		}
		b := n.Body.Reminding(r)
		b.MaxRecipients = notice.MostReminded(len(m.customers))
		if m.mutant == reminderIgnoresWindow {
			b.ExpiresAt = ""
		}
		made := m.notice(m.draft(b, n.Texts))
		at := m.now()
		made.ReleasedAt, made.State = &at, notice.Scheduled
		if m.fenced {
			made.State, made.reason = notice.Held, notice.ReasonRestored
		}
	}
}

// waitingReminder reports whether a notice is a reminder that still owes something.
func (n *noticeRow) waitingReminder() bool {
	switch n.State {
	case notice.Scheduled, notice.Sending, notice.Paused, notice.Held:
		return n.Body.ReminderOf != ""
	}
	return false
}

// endReminders cancels the reminders of an incident when a notice begins that ends them.
func (m *memory) endReminders(n *noticeRow) {
	if !notice.EndsReminders(n.Body.Phase) {
		return
	}
	m.watch.ended(n)
	for _, r := range m.notices {
		if r.Incident == n.Incident && r.waitingReminder() && r.Body.ReminderOf != n.Key && m.mutant != remindersOutliveTheEnd {
			m.endReminder(r)
		}
	}
}

// cancelReminders cancels the reminders of a notice that is cancelled.
func (m *memory) cancelReminders(n *noticeRow) {
	for _, r := range m.notices {
		if r.waitingReminder() && r.Body.ReminderOf == n.Key && m.mutant != remindersOutliveTheirNotice {
			m.endReminder(r)
		}
	}
}

// takeBackReminders deletes the reminders of a notice that is taken back.
func (m *memory) takeBackReminders(n *noticeRow) error {
	for _, r := range m.notices {
		switch {
		case r.Body.ReminderOf != n.Key:
		case r.plan != nil:
			return notice.Conflict("reminder %q has left", r.Key)
		default: // its number stays
			r.Key, r.Body.ReminderOf, r.State, r.reason = r.Key+" deleted", "", notice.Cancelled, "deleted"
		}
	}
	return nil
}

func (m *memory) endReminder(r *noticeRow) {
	r.State, r.reason, r.HeldUntil = notice.Cancelled, notice.ReasonSuperseded, nil
	m.stopAll(r)
}

// ended notes that a notice has begun which ends the reminders of its incident.
func (c *checker) ended(n *noticeRow) {
	if c == nil {
		return
	}
	for _, r := range c.world.memory.notices {
		if r.Incident == n.Incident && r.waitingReminder() && r.Body.ReminderOf != n.Key {
			c.over[r.Key] = n.Key
		}
	}
}

// remindedOf judges a mark of a reminder.
func (c *checker) remindedOf(a ledger.Attempt, n *noticeRow) {
	if by := c.over[n.Key]; by != "" && !c.restored {
		c.world.relay.fail("the mark %v is of reminder %s, and %s has begun", a, n.Key, by)
	}
	if n.Body.ReminderOf == "" {
		return
	}
	if start, _, err := n.Body.Windows[0].Span(""); err == nil && !start.After(time.Now()) {
		c.world.relay.fail("the mark %v is of reminder %s, whose window has begun", a, n.Key)
	}
}

// reminders are schedules about reminders, by the mutant that each catches. The first notice is announced with a
// reminder a day before its window, which is number 4 once the first is released. The second cancels the maintenance.
var reminders = map[mutant]func(p *script){
	remindersOutliveTheEnd: func(p *script) {
		p.announce()
		p.wait(25 * time.Hour)
		p.leave(4)
		p.release(2)
		p.must(!p.memory.notice(4).waitingReminder(), "a reminder goes on after the maintenance was cancelled")
	},
	remindersOutliveTheirNotice: func(p *script) {
		p.announce()
		_ = p.s.Cancel(context.Background(), 1, "op")
		p.wait(25 * time.Hour)
		p.leave(4)
		p.must(p.memory.notice(4).plan == nil, "a reminder of what was cancelled has left")
	},
	reminderIgnoresWindow: func(p *script) {
		p.announce()
		p.wait(25 * time.Hour)
		until := time.Now().Add(48 * time.Hour)
		_, _ = p.s.AddHold(context.Background(), notice.Hold{Until: &until}, "op")
		p.leave(4)
		p.wait(49 * time.Hour)
		_, _ = p.s.Sweep(context.Background())
		if p.chunk(4).open {
			p.attempt(4)
		}
	},
	remindersMadeApart: func(p *script) {
		p.s.transact = func(_ context.Context, kind string, _, _ int64, do func() error) error {
			if kind == "remind" {
				return errLost // the process is gone
			}
			return do()
		}
		p.announce()
		p.must(len(p.memory.notices) == 4, "a release has returned, and its reminder is forgotten")
	},
}

// plan makes notice i of a schedule one of a maintenance that begins in 25 minutes. The maintenance is announced, with
// reminders, and then it begins, is completed or cancelled, each some time later.
func (w *world) plan(b *notice.Body, i int) {
	start := time.Now().Add(25 * time.Minute).UTC()
	b.Kind, b.Incident, b.Phase, b.ExpiresAt = notice.Maintenance, "i", notice.PhaseScheduled, ""
	b.Windows = []notice.Window{{Start: start.Format(time.RFC3339), End: start.Add(time.Hour).Format(time.RFC3339)}}
	if i == 0 {
		b.Remind, b.Texts = []string{"20m", "2m"}, simTexts
		return
	}
	b.Phase = []string{"in-progress", notice.PhaseCompleted, notice.PhaseCancelled}[w.rng.IntN(3)]
	if w.rng.IntN(2) == 0 {
		b.SendAt, b.AudienceAt, b.MaxRecipients = notice.At(time.Now().Add(time.Duration(1+w.rng.IntN(30))*time.Minute)), "", 0
	}
}

// announce releases a maintenance with a window in two days and a reminder one day before, and makes the second notice
// its end.
func (p *script) announce() {
	start := p.memory.now().Add(48 * time.Hour).UTC()
	for i, phase := range []string{notice.PhaseScheduled, notice.PhaseCancelled} {
		b := &p.memory.notice(int64(i + 1)).Body
		b.Kind, b.Phase, b.Incident = notice.Maintenance, phase, "i"
		b.Windows = []notice.Window{{Start: start.Format(time.RFC3339), End: start.Add(time.Hour).Format(time.RFC3339)}}
	}
	p.memory.notice(1).Body.Remind = []string{"24h"}
	p.release(1)
}

// Begun is not asked in schedules: operators release the phases of an incident in any order.
func (s *session) Begun(context.Context, string, string) ([]notice.Step, error) { return nil, nil }

func (s *session) Sent(context.Context, notice.Body) ([]ledger.Notice, error) { return nil, nil }
