package delivery

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"tocsin/internal/ledger"
)

// commitTimeout bounds one commit; after it the ledger is asked again.
const commitTimeout = 10 * time.Second

// maxBatch is how many outcomes one transaction records at most; marks are bounded by the open marks.
const maxBatch = 256

// gathers is how long marks and outcomes are gathered before a commit, unless enough have come.
const gathers = time.Millisecond

var (
	errRefused = errors.New("the ledger refused the mark")
	errTooLate = errors.New("the mark was not acknowledged in time")
)

// writer is a worker's only writer of marks and outcomes. Those that come while a transaction is under way go into the
// next one together. Nothing is dropped: an outcome is given to the ledger until it is acknowledged.
type writer struct {
	ledger Ledger
	logger *slog.Logger
	grace  time.Duration
	enough int // no more marks and outcomes than that come at once: each delivery under way waits for one of them at most
	// The simulation has its own. gather waits for more before a commit, after one that took so long. backoff is how
	// long to wait after so many failures.
	gather  func(ctx context.Context, cost time.Duration)
	backoff func(base, ceiling time.Duration, failures int) time.Duration

	mu       sync.Mutex
	marks    []ask
	outcomes []recording
	wakes    chan struct{} // one pending signal that there is something to write
}

// ask is one question for a mark.
type ask struct {
	*mark
	n     int
	again bool // the ledger was asked for it before
}

// recording is an outcome, with who is told when it is durable.
type recording struct {
	ledger.Outcome
	by interface{ acknowledged() }
}

func newWriter(l Ledger, logger *slog.Logger, enough int) *writer {
	w := &writer{ledger: l, logger: logger, grace: l.DotGrace(), enough: enough, backoff: backoff, wakes: make(chan struct{}, 1)}
	w.gather = w.awaitMore
	return w
}

// mark returns the permit for an attempt's dot.
func (w *writer) mark(at ledger.Attempt) mark { return mark{w: w, at: at, answer: make(chan error, 1)} }

// record has an outcome written.
func (w *writer) record(o ledger.Outcome, by interface{ acknowledged() }) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if j, ok := by.(*job); ok {
		j.ended = true
	}
	w.outcomes = append(w.outcomes, recording{o, by})
	w.came()
}

// came wakes the writer where that has it do something: for the first thing to write, and when enough have come. The
// caller holds the mutex.
func (w *writer) came() {
	if n := len(w.marks) + len(w.outcomes); n == 1 || n >= w.enough {
		w.signal()
	}
}

func (w *writer) signal() {
	select {
	case w.wakes <- struct{}{}:
	default:
	}
}

// run writes until ctx ends.
func (w *writer) run(ctx context.Context) {
	failures := 0
	var cost time.Duration // of the last commit
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wakes:
		}
		w.gather(ctx, cost)
		marks, outcomes := w.take()
		if len(marks)+len(outcomes) == 0 {
			continue
		}
		began := time.Now()
		err := w.write(ctx, marks, outcomes)
		cost = time.Since(began)
		if err == nil {
			failures = 0
			continue
		}
		failures++
		w.logger.Warn("ledger does not take marks and outcomes, asking again",
			slog.Int("marks", len(marks)), slog.Int("outcomes", len(outcomes)), slog.Any("error", err))
		pause(ctx, w.backoff(50*time.Millisecond, time.Second, failures))
		w.signal()
	}
}

// awaitMore waits a moment for more to come, where a commit costs more than that.
func (w *writer) awaitMore(ctx context.Context, cost time.Duration) {
	if cost <= gathers {
		return
	}
	over := time.NewTimer(gathers)
	defer over.Stop()
	for w.waiting() < w.enough {
		select {
		case <-ctx.Done():
			return
		case <-over.C:
			return
		case <-w.wakes:
		}
	}
}

func (w *writer) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.marks) + len(w.outcomes)
}

// take returns the marks and outcomes to write, and fails the marks that are out of time.
func (w *writer) take() (marks []ask, outcomes []recording) {
	w.mu.Lock()
	defer w.mu.Unlock()
	marks = make([]ask, 0, len(w.marks))
	for _, m := range w.marks {
		switch {
		case m.ended || m.n != m.asks:
		case !inTime(m.until):
			m.answer <- errTooLate
		default:
			m.again, m.given = m.given, true
			marks = append(marks, m)
		}
	}
	w.marks = w.marks[:0]
	n := min(maxBatch, len(w.outcomes))
	outcomes = w.outcomes[:n:n]
	if w.outcomes = w.outcomes[n:]; len(w.outcomes) > 0 {
		w.signal()
	}
	return marks, outcomes
}

// write commits a batch; after an error all of it is put back, to be asked again under the same epochs.
func (w *writer) write(ctx context.Context, marks []ask, outcomes []recording) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	attempts := make([]ledger.Attempt, len(marks))
	for i, m := range marks {
		attempts[i] = m.at
		attempts[i].Again = m.again
	}
	records := make([]ledger.Outcome, len(outcomes))
	for i, o := range outcomes {
		records[i] = o.Outcome
	}
	granted, err := w.ledger.Commit(ctx, attempts, records)
	w.answered(marks, granted, outcomes, err)
	if err != nil {
		return err
	}
	for _, o := range outcomes {
		o.by.acknowledged()
	}
	return nil
}

// answered tells those who wait for marks, or puts the batch back.
func (w *writer) answered(marks []ask, granted []bool, outcomes []recording, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		w.marks = append(marks, w.marks...)
		w.outcomes = append(outcomes, w.outcomes...)
		return
	}
	for i, m := range marks {
		switch {
		case m.n != m.asks: // it was asked for anew meanwhile
		case granted[i]:
			m.answer <- nil
		default:
			m.refused = true
			m.answer <- errRefused
		}
	}
}

// inTime reports whether until is still to come, by the monotonic and by the wall clock. The monotonic one stands still
// while the machine is suspended.
func inTime(until time.Time) bool {
	now := time.Now()
	return now.Before(until) && now.Round(0).Before(until.Round(0))
}

// backoff doubles from base with each failure after the first, up to ceiling, jittered by half of it both ways.
func backoff(base, ceiling time.Duration, failures int) time.Duration {
	d := min(base<<min(max(failures-1, 0), 20), ceiling)
	return d/2 + rand.N(d+1)
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
