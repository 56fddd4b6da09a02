package delivery

import (
	"context"
	"maps"
	"slices"
	"time"

	"tocsin/internal/notice"
)

// waiting is the condition on a notice that an operator takes back or moves: it waits for its time.
func (m *memory) waiting(id int64, what string, states ...notice.State) (*noticeRow, error) {
	n := m.notice(id)
	if n == nil {
		return nil, notice.NotFound("there is no notice %d", id)
	}
	if (!slices.Contains(states, n.State) || !n.beganAt.IsZero() || n.SendAt == nil) && m.mutant != takesBackWhatBegan {
		return nil, notice.Conflict("notice %d is %s: there is nothing to %s", id, n.State, what)
	}
	return n, nil
}

// sendNow makes a scheduled notice due; the sweep begins it.
func (m *memory) sendNow(id int64) error {
	n, err := m.waiting(id, "send now", notice.Scheduled)
	if err != nil {
		return err
	}
	now := m.now()
	n.SendAt = &now
	for _, c := range m.chunksOf(n) {
		c.dueAt = now
	}
	return nil
}

// takeBack makes a draft of a notice that waits for its time: its chunks and outcomes go.
func (m *memory) takeBack(id int64) error {
	n, err := m.waiting(id, "take back", notice.Scheduled, notice.Paused)
	if err != nil {
		return err
	}
	for _, c := range m.chunksOf(n) {
		if c.dots|c.sent != 0 && m.mutant != takesBackWhatBegan {
			return notice.Conflict("mails of notice %d may have left", id)
		}
	}
	for _, o := range n.outcomes {
		if !slices.Contains([]notice.DeliveryState{notice.DeliveryQueued, notice.DeliverySuppressed, notice.DeliveryCancelled}, o.state) &&
			m.mutant != takesBackWhatMayHaveLeft && m.mutant != takesBackWhatBegan {
			return notice.Conflict("mails of notice %d may have left", id)
		}
	}
	if err := m.takeBackReminders(n); err != nil {
		return err
	}
	m.watch.takenBack(n)
	for _, c := range m.chunksOf(n) {
		*c = chunkRow{leaseRow: leaseRow{id: c.id}, notice: n} // of no delivery
	}
	if n.plan != nil {
		n.plan.state = planDropped
	}
	n.State, n.reason, n.plan, n.customers, n.ReleasedAt, n.MessageDomain, n.beganAt = notice.Draft, "", nil, 0, nil, "", time.Time{}
	if m.mutant != takenBackKeepsOutcomes {
		n.outcomes = map[int]*outcomeRow{}
	}
	n.SendAt, n.ExpiresAt, _ = n.Body.Schedule()
	n.canary, n.trial = 0, false
	return nil
}

// takenBack checks that no mail of the notice has left.
func (c *checker) takenBack(n *noticeRow) {
	if c == nil {
		return
	}
	for to, copies := range c.world.relay.copies {
		if to.notice == n.Key && copies > 0 {
			c.world.relay.fail("notice %s was taken back, and %s has its mail", n.Key, to.address)
		}
	}
	delete(c.took, n.Key)
	delete(c.quiet, n.Key)
	maps.DeleteFunc(c.pairs, func(pair [3]string, _ bool) bool { return pair[0] == n.Key })
}

func (s *session) SendNow(ctx context.Context, id int64, _ string) error {
	return s.tx(ctx, "send now", id, 0, func() error { return s.memory.sendNow(id) })
}

func (s *session) TakeBack(ctx context.Context, id int64, _ string) error {
	return s.tx(ctx, "take back", id, 0, func() error { return s.memory.takeBack(id) })
}

// reschedule sends a notice now, or takes it back.
func (p *pair) reschedule(n int64) error {
	id := p.notices[n-1]
	if p.draw("now", 3) == 0 {
		p.note("now")
		return refused(p.s.SendNow(p.ctx, n, "op"), p.db.SendNow(p.ctx, id, "op"))
	}
	if slices.ContainsFunc(p.memory.notices, func(r *noticeRow) bool { return r.Body.ReminderOf == p.memory.notice(n).Key }) {
		return nil // its reminders would be deleted, and have no number any more
	}
	mErr, err := p.s.TakeBack(p.ctx, n, "op"), p.db.TakeBack(p.ctx, id, "op")
	if mErr == nil && err == nil { // the times of its body are those of the beginning
		_, err = p.pool.Exec(p.ctx, `UPDATE notice SET send_at = send_at - $2::interval, expires_at = expires_at - $2::interval WHERE id = $1`, id, p.skip)
		return err
	}
	return refused(mErr, err)
}

// tomorrow makes a notice wait for its time after its release.
func (p *script) tomorrow(n int64) {
	at := p.memory.now().AddDate(0, 0, 1)
	p.memory.notice(n).SendAt = &at
}

// takeBack takes a notice back as an operator, and reports whether that was done.
func (p *script) takeBack(n int64) bool { return p.s.TakeBack(context.Background(), n, "op") == nil }
