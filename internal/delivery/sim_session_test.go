package delivery

import (
	"context"
	"time"

	"tocsin/internal/control"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// session is the simulated ledger as one process uses it.
type session struct {
	control.Register // what a schedule does not use
	memory           *memory
	tx               func(ctx context.Context, kind string, a, b int64, do func() error) error
	looks            func(n *noticeRow, key string) bool // an operator who looks at the relay's log first
}

func (s *session) Lease() time.Duration    { return s.memory.opts.Lease }
func (s *session) DotGrace() time.Duration { return s.memory.opts.DotGrace }

func (s *session) Notice(_ context.Context, id int64) (ledger.Notice, error) {
	n := s.memory.notice(id)
	if n == nil {
		return ledger.Notice{}, notice.NotFound("there is no notice %d", id)
	}
	return n.Notice, nil
}

func (s *session) Find(_ context.Context, ref string) (int64, error) {
	for _, n := range s.memory.notices {
		if n.Key == ref {
			return n.ID, nil
		}
	}
	return 0, notice.NotFound("there is no notice %q", ref)
}

func (s *session) Status(ctx context.Context, ref string) (notice.Status, error) {
	id, err := s.Find(ctx, ref)
	if err != nil {
		return notice.Status{}, err
	}
	return s.memory.status(id), nil
}

func (s *session) Release(ctx context.Context, id int64, a ledger.Audience, domain, _ string) (bool, error) {
	released := false
	err := s.tx(ctx, "release", id, 0, func() (err error) {
		released, err = s.memory.release(id, a, domain)
		return err
	})
	return released && err == nil, err
}

func (s *session) Expand(ctx context.Context, id int64) ([]int64, bool, error) {
	var due []int64
	var done bool
	if err := s.tx(ctx, "expand", id, 0, func() error { due, done = s.memory.expand(id); return nil }); err != nil {
		return nil, false, err
	}
	return due, done, nil
}

func (s *session) Finish(ctx context.Context, id int64) error {
	return s.tx(ctx, "finish", id, 0, func() error { s.memory.finish(id); return nil })
}

func (s *session) Claim(ctx context.Context, id int64, holder string) (ledger.Claim, bool, error) {
	var c ledger.Claim
	var ok bool
	if err := s.tx(ctx, "claim", id, 0, func() error { c, ok = s.memory.claim(id, holder); return nil }); err != nil {
		return ledger.Claim{}, false, err
	}
	return c, ok, nil
}

func (s *session) Renew(ctx context.Context, id, epoch int64) (bool, error) {
	held := false
	if err := s.tx(ctx, "renew", id, epoch, func() error { held = s.memory.renew(id, epoch); return nil }); err != nil {
		return false, err
	}
	return held, nil
}

func (s *session) Commit(ctx context.Context, marks []ledger.Attempt, outcomes []ledger.Outcome) ([]bool, error) {
	var granted []bool
	var late []ledger.Outcome
	var seen map[int64]view
	if s.memory.mutant == noLock {
		if err := s.tx(ctx, "look", 0, 0, func() error { seen = s.memory.look(marks, outcomes); return nil }); err != nil {
			return nil, err
		}
	}
	err := s.tx(ctx, "commit", 0, 0, func() error {
		if s.memory.mutant != noLock {
			seen = s.memory.look(marks, outcomes)
		}
		granted, late = s.memory.commit(seen, marks, outcomes)
		return nil
	})
	switch {
	case err != nil && s.memory.mutant == ackAssumed:
		granted := make([]bool, len(marks))
		for i := range granted {
			granted[i] = true
		}
		return granted, nil
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

func (s *session) CloseChunk(ctx context.Context, c ledger.Claim) (bool, error) {
	var held, owed bool
	err := s.tx(ctx, "close", c.ChunkID, c.Epoch, func() error { held, owed = s.memory.closeChunk(c); return nil })
	if err != nil || !held || owed {
		return owed && err == nil, err
	}
	return false, s.Finish(ctx, c.NoticeID)
}

func (s *session) Sweep(ctx context.Context) (ledger.Work, error) {
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

func (s *session) Pause(ctx context.Context, id int64, _ string) error {
	return s.stop(ctx, id, "pause", notice.Paused, notice.Scheduled, notice.Sending)
}

func (s *session) Cancel(ctx context.Context, id int64, _ string) error {
	return s.stop(ctx, id, "cancel", notice.Cancelled, notice.Scheduled, notice.Sending, notice.Paused, notice.Held)
}

func (s *session) stop(ctx context.Context, id int64, what string, to notice.State, from ...notice.State) error {
	if err := s.tx(ctx, what, id, 0, func() error { return s.memory.transition(id, what, to, from...) }); err != nil {
		return err
	}
	return s.tx(ctx, "barrier", id, 0, func() error { s.memory.barrier(id, to); return nil })
}

func (s *session) Resume(ctx context.Context, id int64, _ string) error {
	err := s.tx(ctx, "resume", id, 0, func() error { return s.memory.transition(id, "resume", notice.Sending, notice.Paused) })
	if err != nil {
		return err
	}
	return s.Finish(ctx, id)
}

func (s *session) Settle(ctx context.Context, id int64, what notice.Settlement, key, who string) (done notice.Settled, err error) {
	err = s.tx(ctx, "settle", id, 0, func() (err error) {
		if s.looks != nil && s.looks(s.memory.notice(id), key) {
			return notice.Conflict("the relay's log shows it")
		}
		done, err = s.memory.settle(id, what, key, who)
		return err
	})
	return done, err
}
