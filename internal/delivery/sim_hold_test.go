package delivery

import (
	"context"
	"time"

	"tocsin/internal/notice"
)

// holdRow is a span of time in which nothing leaves.
type holdRow struct {
	from, until time.Time
	removed     bool
}

// hold is the hold that a dot marked now could fall into, that which ends last; nil: there is none.
func (m *memory) hold() (last *holdRow) {
	now := m.now()
	for i := range m.holds {
		h := &m.holds[i]
		if !h.removed && h.from.Before(now.Add(m.opts.DotGrace)) && h.until.After(now) && (last == nil || h.until.After(last.until)) {
			last = h
		}
	}
	return last
}

// applyHolds shows holds in the state of notices, and has those go on that one has held.
func (m *memory) applyHolds() {
	h := m.hold()
	for _, n := range m.notices {
		switch {
		case h != nil && (n.State == notice.Sending || n.byHold()):
			until := h.until
			n.State, n.HeldUntil = notice.Held, &until
		case h == nil && n.byHold() && !m.tooLate(n) && m.mutant != holdOutlivesItsEnd:
			m.goOn(n)
		}
	}
}

// byHold reports whether a hold holds the notice.
func (n *noticeRow) byHold() bool { return n.State == notice.Held && n.HeldUntil != nil }

// goOn has a notice sent that nothing stops any more, or wait for its time.
func (m *memory) goOn(n *noticeRow) {
	n.reason, n.HeldUntil = "", nil
	if n.plan == nil || n.SendAt != nil && n.SendAt.After(m.now()) {
		n.State = notice.Scheduled
	} else {
		m.begin(n)
	}
}

// AddHold stops everything until then. When it returns, nothing is marked any more.
func (s *session) AddHold(ctx context.Context, h notice.Hold, _ string) (notice.Hold, error) {
	m := s.memory
	err := s.tx(ctx, "add hold", 0, 0, func() error {
		h.From, h.Number = m.now(), int64(len(m.holds)+1)
		m.holds = append(m.holds, holdRow{from: h.From, until: *h.Until})
		return nil
	})
	if err == nil {
		err = s.tx(ctx, "barrier", 0, 0, func() error { m.watch.held(h); return nil })
	}
	if err == nil {
		err = s.tx(ctx, "apply holds", 0, 0, func() error { m.applyHolds(); return nil })
	}
	return h, err
}

// RemoveHold ends a hold.
func (s *session) RemoveHold(ctx context.Context, number int64, _ string) (h notice.Hold, err error) {
	m := s.memory
	err = s.tx(ctx, "remove hold", number, 0, func() error {
		if number > int64(len(m.holds)) || m.holds[number-1].removed || !m.holds[number-1].until.After(m.now()) {
			return notice.NotFound("there is no hold %d, or it has ended", number)
		}
		m.holds[number-1].removed = true
		m.watch.unheldBy(number)
		return nil
	})
	if err == nil {
		err = s.tx(ctx, "apply holds", 0, 0, func() error { m.applyHolds(); return nil })
	}
	return h, err
}

// holdUp has an operator add a hold, or remove the last.
func (w *world) holdUp() {
	if n := int64(len(w.memory.holds)); n > 0 && w.rng.IntN(3) == 0 {
		w.act("remove a hold", func(ctx context.Context, s *session) error { _, err := s.RemoveHold(ctx, n, "op"); return err })
		return
	}
	until := time.Now().Add(time.Duration(1+w.rng.IntN(20)) * time.Minute)
	w.act("add a hold", func(ctx context.Context, s *session) error {
		_, err := s.AddHold(ctx, notice.Hold{Until: &until}, "op")
		return err
	})
}

// held notes that an operator's hold has returned, unless it was removed meanwhile.
func (c *checker) held(h notice.Hold) {
	if c == nil {
		return
	}
	if all := c.world.memory.holds; h.Number <= int64(len(all)) && all[h.Number-1].until.Equal(*h.Until) && !all[h.Number-1].removed {
		c.holds[h.Number] = *h.Until
	}
}

func (c *checker) unheldBy(number int64) {
	if c != nil {
		delete(c.holds, number)
	}
}

// inHold reports whether a mark of now falls into a hold that has returned.
func (c *checker) inHold() bool {
	for _, until := range c.holds {
		if until.After(time.Now()) {
			return true
		}
	}
	return false
}

// hold compares a hold of everything, which ends soon or is removed, in both ledgers. The holds of other pairs stand in
// the same Postgres, so it ends before anything else is done.
func (p *pair) hold(n int64) error {
	until := p.memory.now().Add(time.Hour)
	m, _ := p.s.AddHold(p.ctx, notice.Hold{Until: &until}, "op")
	pgUntil := time.Now().Add(time.Hour)
	pg, err := p.db.AddHold(p.ctx, notice.Hold{Until: &pgUntil}, "op")
	if err != nil {
		return err
	}
	for range 2 {
		if err := []func(int64) error{p.claim, p.commit, p.release, p.sweep, p.stop, p.resume, p.close}[p.draw("in the hold", 7)](n); err != nil {
			return err
		}
		if err := p.same(); err != nil {
			return err
		}
	}
	_, mErr := p.s.RemoveHold(p.ctx, m.Number, "op")
	_, err = p.db.RemoveHold(p.ctx, pg.Number, "op")
	return refused(mErr, err)
}
