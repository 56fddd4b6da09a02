package delivery

import (
	"context"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// rowSession is the simulated ledger of the version before as one process uses it.
type rowSession struct {
	clerk
	memory *rowMemory
}

func newRowSession(m *rowMemory, tx func(ctx context.Context, kind string, a, b int64, do func() error) error) *rowSession {
	return &rowSession{clerk: clerk{books: m, opts: m.opts, tx: tx}, memory: m}
}

func (s *rowSession) Release(ctx context.Context, id int64, a ledger.Audience, press ledger.Press) (bool, error) {
	released := false
	err := s.tx(ctx, "release", id, 0, func() (err error) {
		released, err = s.memory.release(id, a, press.Domain)
		if released { // the migration carries over the rest of a notice
			s.memory.expand(id)
		}
		return err
	})
	return released && err == nil, err
}

func (s *rowSession) Commit(ctx context.Context, marks []ledger.Attempt, outcomes []ledger.Outcome) ([]bool, error) {
	var granted []bool
	var late []ledger.Outcome
	err := s.tx(ctx, "commit", 0, 0, func() error {
		granted, late = s.memory.commit(s.memory.look(marks, outcomes), marks, outcomes)
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(late) == 0:
		return granted, nil
	}
	if err := s.tx(ctx, "late", 0, 0, func() error { s.memory.recordLate(late); return nil }); err != nil {
		return nil, err
	}
	return granted, nil
}

func (s *rowSession) Sweep(ctx context.Context) (ledger.Work, error) {
	var done []int64
	if err := s.tx(ctx, "advance", 0, 0, func() error { done = s.memory.advance(); return nil }); err != nil {
		return ledger.Work{}, err
	}
	return s.finishAndRead(ctx, done)
}

func (s *rowSession) Settle(ctx context.Context, id int64, what notice.Settlement, key, who string) (done notice.Settled, err error) {
	err = s.tx(ctx, "settle", id, 0, func() (err error) {
		done, err = s.memory.settle(id, what, key, who)
		return err
	})
	return done, err
}
