package delivery

import (
	"context"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// approve releases a notice with an audience that is resolved when it leaves: it takes no plan yet.
func (m *memory) approve(p *planRow) {
	n, at := p.notice, m.now()
	p.state = planDropped
	n.ReleasedAt, n.State = &at, notice.Scheduled
	if m.fenced {
		n.State, n.reason = notice.Held, notice.ReasonRestored
	}
}

// atSend reports whether the audience of a notice is resolved when it leaves.
func (n *noticeRow) atSend() bool { return n.Body.AudienceAt == notice.AtSend }

// leaving reports whether a notice is due and has an audience to be resolved.
func (m *memory) leaving(n *noticeRow) bool {
	return (n.State == notice.Scheduled && n.plan == nil || n.atSend() && n.ReleasedAt != nil && m.mutant == leavesAgain) &&
		!n.SendAt.After(m.now()) && (n.ExpiresAt == nil || n.ExpiresAt.After(m.now()))
}

// Leave plans a notice that is due, and takes the plan. One that was stopped, or has left, meanwhile is left alone.
func (s *session) Leave(ctx context.Context, id int64, _ ledger.Audience) error {
	m := s.memory
	var p *planRow
	err := s.tx(ctx, "plan to leave", id, 0, func() error {
		if n := m.notice(id); m.leaving(n) {
			p = m.freeze(id, m.lookAround(id))
			m.watch.shown(p)
		}
		return nil
	})
	if err != nil || p == nil {
		return err
	}
	return s.tx(ctx, "leave", id, 0, func() error {
		if n := m.notice(id); m.leaving(n) && p.state == planFrozen && p.body == n.Body.ReplyTo && p.customers > 0 {
			m.take(p, "example.net")
			m.watch.taken(p)
		}
		return nil
	})
}

// leave has a worker look for a notice that is to leave, and reports whether there was one.
func (w *world) leave() bool {
	for _, n := range w.memory.notices {
		if w.memory.leaving(n) {
			w.act("leave", func(ctx context.Context, s *session) error { return s.Leave(ctx, n.ID, everybody) })
			return true
		}
	}
	return false
}

// reconsider has an operator send a notice now that waits for its time, or take it back.
func (w *world) reconsider(n *noticeRow) {
	if w.rng.IntN(2) == 0 {
		w.act("send now", func(ctx context.Context, s *session) error { return s.SendNow(ctx, n.ID, "op") })
		return
	}
	w.act("take back", func(ctx context.Context, s *session) error { return s.TakeBack(ctx, n.ID, "op") })
}
