package console

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"
)

const (
	tallyTimeout = 10 * time.Minute
	mostTallies  = 100
)

// beside counts apart from pages that can't wait for it: to look at each of 1,000,000 deliveries takes many seconds. One count is made at a time. A
// page shows the last one.
type beside[T any] struct {
	log  *slog.Logger
	turn chan struct{}

	mu sync.Mutex
	of map[string]tally[T] // by the page
}

type tally[T any] struct {
	last     T
	counts   map[string]int // of the mails by state, of the last count
	counting bool
	took     time.Duration
	ended    time.Time // the last count, whether it went well or not
}

func newBeside[T any](log *slog.Logger) *beside[T] {
	return &beside[T]{log: log, turn: make(chan struct{}, 1), of: map[string]tally[T]{}}
}

// get returns the last count for a page, the zero value before the first. Where the mails are in other states by now, it has them counted anew.
func (b *beside[T]) get(ctx context.Context, key string, counts map[string]int, count func(context.Context) (T, error)) T {
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.of[key]
	stale := !maps.Equal(last.counts, counts) && time.Since(last.ended) > lazier*last.took
	if stale && !last.counting && len(b.of) < mostTallies+1 {
		last.counting = true
		b.of[key] = last
		go b.count(context.WithoutCancel(ctx), key, counts, count)
	}
	return last.last
}

func (b *beside[T]) count(ctx context.Context, key string, counts map[string]int, count func(context.Context) (T, error)) {
	b.turn <- struct{}{}
	defer func() { <-b.turn }()
	ctx, cancel := context.WithTimeout(ctx, tallyTimeout)
	defer cancel()
	began := time.Now()
	made, err := count(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	last := b.of[key]
	last.counting, last.took, last.ended = false, time.Since(began), time.Now()
	if err != nil {
		b.log.Error("what a page shows can't be counted", slog.Any("error", err))
	} else {
		last.last, last.counts = made, counts
	}
	b.of[key] = last
	if len(b.of) > mostTallies {
		maps.DeleteFunc(b.of, func(other string, o tally[T]) bool { return other != key && !o.counting })
	}
}
