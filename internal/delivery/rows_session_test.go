package delivery

import (
	"context"
	"time"

	"tocsin/internal/control"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// rowSession is the simulated ledger as one process uses it.
type rowSession struct {
	control.Register // what a schedule does not use
	memory           *rowMemory
	tx               func(ctx context.Context, kind string, a, b int64, do func() error) error
	looks            func(n *oldNotice, key string) bool // an operator who looks at the relay's log first
}

func (s *rowSession) Lease() time.Duration    { return s.memory.opts.Lease }
func (s *rowSession) DotGrace() time.Duration { return s.memory.opts.DotGrace }

func (s *rowSession) Notice(_ context.Context, id int64) (ledger.Notice, error) {
	n := s.memory.notice(id)
	if n == nil {
		return ledger.Notice{}, notice.NotFound("there is no notice %d", id)
	}
	return n.Notice, nil
}

func (s *rowSession) Find(_ context.Context, ref string) (int64, error) {
	for _, n := range s.memory.notices {
		if n.Key == ref {
			return n.ID, nil
		}
	}
	return 0, notice.NotFound("there is no notice %q", ref)
}

func (s *rowSession) Status(ctx context.Context, ref string) (notice.Status, error) {
	id, err := s.Find(ctx, ref)
	if err != nil {
		return notice.Status{}, err
	}
	return s.memory.status(id), nil
}

func (s *rowSession) Release(ctx context.Context, id int64, a ledger.Audience, press ledger.Press) (bool, error) {
	released := false
	err := s.tx(ctx, "release", id, 0, func() (err error) {
		released, err = s.memory.release(id, a, press.Domain)
		if released { // what is left of a notice the migration carries over
			s.memory.expand(id)
		}
		return err
	})
	return released && err == nil, err
}

func (s *rowSession) Finish(ctx context.Context, id int64) error {
	return s.tx(ctx, "finish", id, 0, func() error { s.memory.finish(id); return nil })
}

func (s *rowSession) Claim(ctx context.Context, id int64, holder string) (ledger.Claim, bool, error) {
	var c ledger.Claim
	var ok bool
	if err := s.tx(ctx, "claim", id, 0, func() error { c, ok = s.memory.claim(id, holder); return nil }); err != nil {
		return ledger.Claim{}, false, err
	}
	return c, ok, nil
}

func (s *rowSession) Renew(ctx context.Context, id, epoch int64) (bool, error) {
	held := false
	if err := s.tx(ctx, "renew", id, epoch, func() error { held = s.memory.renew(id, epoch); return nil }); err != nil {
		return false, err
	}
	return held, nil
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

func (s *rowSession) CloseChunk(ctx context.Context, c ledger.Claim) (bool, error) {
	var held, owed bool
	err := s.tx(ctx, "close", c.ChunkID, c.Epoch, func() error { held, owed = s.memory.closeChunk(c); return nil })
	if err != nil || !held || owed {
		return owed && err == nil, err
	}
	return false, s.Finish(ctx, c.NoticeID)
}

func (s *rowSession) Sweep(ctx context.Context) (ledger.Work, error) {
	var done []int64
	var work ledger.Work
	if err := s.tx(ctx, "advance", 0, 0, func() error { done = s.memory.advance(); return nil }); err != nil {
		return work, err
	}
	for _, id := range done {
		if err := s.Finish(ctx, id); err != nil {
			return work, err
		}
	}
	if err := s.tx(ctx, "due", 0, 0, func() error { work = s.memory.due(); return nil }); err != nil {
		return ledger.Work{}, err
	}
	return work, nil
}

func (s *rowSession) Pause(ctx context.Context, id int64, _ string) error {
	return s.stop(ctx, id, "pause", notice.Paused, notice.Scheduled, notice.Sending)
}

func (s *rowSession) Cancel(ctx context.Context, id int64, _ string) error {
	return s.stop(ctx, id, "cancel", notice.Cancelled, notice.Scheduled, notice.Sending, notice.Paused, notice.Held)
}

func (s *rowSession) stop(ctx context.Context, id int64, what string, to notice.State, from ...notice.State) error {
	if err := s.tx(ctx, what, id, 0, func() error { return s.memory.transition(id, what, to, from...) }); err != nil {
		return err
	}
	return s.tx(ctx, "barrier", id, 0, func() error { s.memory.barrier(id, to); return nil })
}

func (s *rowSession) Resume(ctx context.Context, id int64, _ string) error {
	err := s.tx(ctx, "resume", id, 0, func() error { return s.memory.transition(id, "resume", notice.Sending, notice.Paused) })
	if err != nil {
		return err
	}
	return s.Finish(ctx, id)
}

func (s *rowSession) Settle(ctx context.Context, id int64, what notice.Settlement, key, who string) (done notice.Settled, err error) {
	err = s.tx(ctx, "settle", id, 0, func() (err error) {
		if s.looks != nil && s.looks(s.memory.notice(id), key) {
			return notice.Conflict("the relay's log shows it")
		}
		done, err = s.memory.settle(id, what, key, who)
		return err
	})
	return done, err
}
