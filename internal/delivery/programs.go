package delivery

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/render"
)

// program is a notice that can be rendered.
type program struct {
	ledger.Notice
	*render.Program
	largest atomic.Int64 // bytes of a mail so far
}

// programs keeps the notices that were compiled last: what was released does not change.
type programs struct {
	load func(ctx context.Context, id int64) (*program, error)
	mu   sync.Mutex
	kept map[int64]*program
}

const programsKept = 16

// get returns the program of a notice. Two that want the same at once may both load it; nobody waits for another.
func (s *programs) get(ctx context.Context, id int64) (*program, error) {
	s.mu.Lock()
	p := s.kept[id]
	s.mu.Unlock()
	if p != nil {
		return p, nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	p, err := s.load(ctx, id)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil || len(s.kept) >= programsKept {
		s.kept = map[int64]*program{}
	}
	s.kept[id] = p
	return p, nil
}

// date is the Date of the notice's mails: when it was released, or was to leave if that is later. Both are stored, so
// that each attempt of a delivery sends the same bytes.
func (p *program) date() (at time.Time) {
	for _, t := range []*time.Time{p.ReleasedAt, p.SendAt} {
		if t != nil && t.After(at) {
			at = *t
		}
	}
	return at.UTC()
}
