package delivery

import (
	"context"
	"slices"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// Commit is the writer's transaction. A mutant without a lock reads in one step and writes in a later one.
func (s *session) Commit(ctx context.Context, marks []ledger.Attempt, outcomes []ledger.Outcome) (granted []bool, err error) {
	m := s.memory
	marks, outcomes = s.bend(marks, outcomes)
	if m.mutant == waitsForEver {
		ctx = context.WithoutCancel(ctx)
	}
	var before map[int64]sight
	if m.mutant == markWithoutLock || m.mutant == outcomeWithoutLock {
		if err := s.tx(ctx, "look", 0, 0, func() error { before = m.look(marks, outcomes); return nil }); err != nil {
			return nil, err
		}
	}
	var late []ledger.Outcome
	err = s.tx(ctx, "commit", 0, 0, func() error {
		seen := m.look(marks, outcomes)
		for id, was := range before {
			is := seen[id]
			if m.mutant == markWithoutLock {
				is.state, is.expiresAt = was.state, was.expiresAt
			} else {
				is.chunk = was.chunk
			}
			seen[id] = is
		}
		granted, late = m.commit(seen, marks, outcomes)
		return nil
	})
	if err != nil {
		return s.unanswered(marks, err)
	}
	if len(late) > 0 {
		err = s.tx(ctx, "late", 0, 0, func() error { m.recordLate(late); m.watch.heard(late); return nil })
	}
	return granted, err
}

// bend distorts the outcomes of a worker that is a mutant.
func (s *session) bend(marks []ledger.Attempt, outcomes []ledger.Outcome) ([]ledger.Attempt, []ledger.Outcome) {
	switch s.memory.mutant {
	case noDotIsUncertain:
		outcomes = slices.Clone(outcomes)
		for i, o := range outcomes {
			if o.NoDot && o.State == notice.DeliveryDeferred {
				outcomes[i].State, outcomes[i].NoDot = notice.DeliveryUncertain, false
			}
		}
	case unansweredForgotten:
		outcomes = slices.DeleteFunc(slices.Clone(outcomes), func(o ledger.Outcome) bool { return o.NoDot && s.forgotten[o.Attempt] })
	}
	return marks, outcomes
}

// unanswered ends a commit without an answer: the writer asks again.
func (s *session) unanswered(marks []ledger.Attempt, err error) ([]bool, error) {
	switch s.memory.mutant {
	case unansweredAssumed:
		granted := make([]bool, len(marks))
		for i := range granted {
			granted[i] = true
		}
		return granted, nil
	case unansweredForgotten:
		for _, a := range marks {
			a.Again = false
			s.forgotten[a] = true
		}
	}
	return nil, err
}
