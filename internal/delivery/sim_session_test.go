package delivery

import (
	"context"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// session is the simulated ledger as one process uses it.
type session struct {
	clerk
	memory    *memory
	transact  func(ctx context.Context, kind string, a, b int64, do func() error) error
	connected int64                               // which database its connections lead to; 0: none yet
	looks     func(n *noticeRow, key string) bool // an operator who looks at the relay's log first
	forgotten map[ledger.Attempt]bool             // marks without an answer; only for the mutant that forgets them
}

func newSession(m *memory, transact func(ctx context.Context, kind string, a, b int64, do func() error) error) *session {
	s := &session{memory: m, transact: transact, forgotten: map[ledger.Attempt]bool{}}
	s.clerk = clerk{books: m, opts: m.opts, pins: m.pins, tx: s.tx}
	return s
}

// tx runs one transaction. A restore breaks all connections, and each new one is checked before anything else uses it.
func (s *session) tx(ctx context.Context, kind string, a, b int64, do func() error) error {
	asked := s.memory.database.Load()
	return s.transact(ctx, kind, a, b, func() error {
		if asked != s.memory.database.Load() {
			return errLost
		}
		if s.connected != asked && (s.connected == 0 || s.memory.mutant != fenceAtStartOnly) {
			s.memory.checkFence()
		}
		s.connected = asked
		return do()
	})
}

// Release freezes a plan of a draft, shows it, and releases the draft with that plan.
func (s *session) Release(ctx context.Context, id int64, a ledger.Audience, press ledger.Press) (bool, error) {
	p, err := s.freeze(ctx, id)
	if err != nil || p == nil {
		return false, err
	}
	for _, r := range p.recipients {
		if r.reason == "" && !r.erased {
			if err := a.Each(r.Recipient, "en"); err != nil {
				return false, err
			}
		}
	}
	if err := a.Judge(); err != nil {
		return false, err
	}
	if press.MaxRecipients > 0 {
		released := false
		err := s.tx(ctx, "approve", id, 0, func() error {
			p, err := s.memory.mayTake(id, p.digest)
			if released = p != nil; released {
				s.memory.approve(p)
				s.memory.remind(p.notice)
			}
			return err
		})
		return released && err == nil, err
	}
	return s.take(ctx, id, p.digest, press.Domain)
}

// freeze returns the plan that is shown; nil: the notice was released before.
func (s *session) freeze(ctx context.Context, id int64) (p *planRow, err error) {
	m := s.memory
	var f frozen
	if m.mutant == freezeWithoutLock {
		if err := s.tx(ctx, "look around", id, 0, func() error { f = m.lookAround(id); return nil }); err != nil {
			return nil, err
		}
	}
	err = s.tx(ctx, "freeze", id, 0, func() error {
		if m.notice(id).State.Released() {
			return nil
		}
		if m.mutant != freezeWithoutLock {
			f = m.lookAround(id)
		}
		p = m.freeze(id, f)
		p.unlisted = m.mutant == freezeInTwo
		m.watch.shown(p)
		return nil
	})
	if err == nil && p != nil && p.unlisted {
		err = s.tx(ctx, "list", id, 0, func() error { p.unlisted = false; return nil })
	}
	return p, err
}

func (s *session) take(ctx context.Context, id int64, digest, domain string) (released bool, err error) {
	m := s.memory
	var p *planRow
	if m.mutant == releaseWithoutLock {
		if err := s.tx(ctx, "look", id, 0, func() (err error) { p, err = m.mayTake(id, digest); return err }); err != nil {
			return false, err
		}
	}
	if a := m.amended(m.notice(id)); a != nil && m.mutant == amendInTwo {
		if err := s.tx(ctx, "stop", id, 0, func() error { m.stopAmended(a); return nil }); err != nil {
			return false, err
		}
	}
	err = s.tx(ctx, "release", id, 0, func() (err error) {
		if m.mutant != releaseWithoutLock {
			p, err = m.mayTake(id, digest)
		}
		if err == nil && p != nil {
			m.take(p, domain)
			m.watch.taken(p)
			if m.mutant != remindersMadeApart {
				m.remind(p.notice)
			}
		}
		return err
	})
	if m.mutant == remindersMadeApart && p != nil && err == nil {
		_ = s.tx(ctx, "remind", id, 0, func() error { m.remind(p.notice); return nil })
	}
	return p != nil && err == nil, err
}

func (s *session) Sweep(ctx context.Context) (ledger.Work, error) {
	var expired, done []int64
	err := s.tx(ctx, "advance", 0, 0, func() error {
		if expired = s.memory.expire(); len(expired) == 0 {
			done = s.memory.start()
		}
		return nil
	})
	if err != nil {
		return ledger.Work{}, err
	}
	for _, id := range expired {
		if err := s.tx(ctx, "barrier", id, 0, func() error { s.memory.stopAll(s.memory.notice(id)); return nil }); err != nil {
			return ledger.Work{}, err
		}
	}
	if len(expired) > 0 {
		if err := s.tx(ctx, "start", 0, 0, func() error { done = s.memory.start(); return nil }); err != nil {
			return ledger.Work{}, err
		}
	}
	return s.finishAndRead(ctx, done)
}

func (s *session) Unhold(ctx context.Context, id int64, send, lift bool, _ string) error {
	err := s.tx(ctx, "unhold", id, 0, func() error {
		err := s.memory.unhold(id, send, lift)
		if err == nil {
			s.memory.watch.unheld(s.memory.notice(id), send, lift)
		}
		return err
	})
	if err != nil {
		return err
	}
	return s.Finish(ctx, id)
}

func (s *session) Settle(ctx context.Context, id int64, what notice.Settlement, key, who string) (done notice.Settled, err error) {
	var seen map[int]int64
	if s.looks != nil {
		err := s.tx(ctx, "look at the log", id, 0, func() (err error) { seen, err = s.look(id, key); return err })
		if err != nil {
			return done, err
		}
	}
	err = s.tx(ctx, "settle", id, 0, func() (err error) {
		done, err = s.memory.settle(id, what, key, who, seen)
		return err
	})
	return done, err
}

// look returns the attempts to a mailbox that the relay's log does not have, though it covers them.
func (s *session) look(id int64, key string) (map[int]int64, error) {
	m, seen := s.memory, map[int]int64{}
	n := m.notice(id)
	if s.looks(n, key) {
		return nil, notice.Conflict("the relay's log shows it")
	}
	for _, c := range m.chunksOf(n) {
		for seq := c.lo; seq < c.hi; seq++ {
			if d := c.view(seq); d.key == key && (d.state != notice.DeliveryUncertain || d.at.Add(m.opts.Gate).Before(m.now())) {
				seen[seq] = d.epoch
			}
		}
	}
	return seen, nil
}

// DeleteCustomer erases a customer.
func (s *session) DeleteCustomer(ctx context.Context, id string) error {
	m := s.memory
	if err := s.tx(ctx, "forget", 0, 0, func() error { m.forget(id); return nil }); err != nil {
		return err
	}
	for seen := 0; ; { // an amendment takes over rows meanwhile
		var plans []*planRow
		if err := s.tx(ctx, "holding", 0, 0, func() error { plans = m.holding(id); return nil }); err != nil {
			return err
		}
		if len(plans) == 0 || seen > 0 && m.mutant == eraseLooksOnce || seen == len(m.plans) {
			break
		}
		seen = len(m.plans)
		if err := s.eraseFrom(ctx, plans, id); err != nil {
			return err
		}
	}
	m.watch.erased(id)
	return nil
}

// eraseFrom takes a customer out of plans, each in a transaction.
func (s *session) eraseFrom(ctx context.Context, plans []*planRow, id string) error {
	m := s.memory
	for _, p := range plans {
		var c *chunkRow
		if m.mutant == eraseWithoutLock {
			if err := s.tx(ctx, "look", p.id, 0, func() error { c = m.chunkIn(p, id); return nil }); err != nil {
				return err
			}
		}
		err := s.tx(ctx, "erase", p.id, 0, func() error {
			if m.mutant != eraseWithoutLock {
				c = m.chunkIn(p, id)
			}
			m.erase(p, c, id)
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Suppress puts an address key on the list of suppressions.
func (s *session) Suppress(ctx context.Context, key string, scope notice.Scope) error {
	s.memory.watch.wants(key)
	if err := s.tx(ctx, "list", 0, 0, func() error { s.memory.list(key, scope); return nil }); err != nil {
		return err
	}
	return s.tx(ctx, "suppress", 0, 0, func() error {
		s.memory.suppress(key)
		s.memory.watch.suppressed(key)
		return nil
	})
}

// Collect drops a plan.
func (s *session) Collect(ctx context.Context, p *planRow) error {
	first := s.memory.mutant == collectorDeletesFirst
	for _, rows := range []bool{first, !first} {
		if err := s.tx(ctx, "collect", p.id, 0, func() error { s.memory.collect(p, rows); return nil }); err != nil {
			return err
		}
	}
	return nil
}
