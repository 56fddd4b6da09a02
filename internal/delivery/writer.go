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

var (
	errRefused = errors.New("the ledger refused the mark")
	errTooLate = errors.New("the mark was not acknowledged in time")
)

// writer is a worker's only writer of marks and outcomes. What comes while a transaction is under way goes into
// the next one together: group commit without a timer. Nothing is dropped: an outcome is given to the ledger until
// it is acknowledged.
type writer struct {
	ledger Ledger
	logger *slog.Logger
	grace  time.Duration
	slots  chan struct{} // one for each open mark; freed by acknowledged outcomes only
	// backoff is how long to wait after so many failures; the simulation's is not random.
	backoff func(base, ceiling time.Duration, failures int) time.Duration

	mu       sync.Mutex
	marks    []*permit
	outcomes []recording
	wake     chan struct{} // one pending signal that there is something to write
}

type recording struct {
	ledger.Outcome
	acknowledged func()
}

func newWriter(l Ledger, logger *slog.Logger, openMarks int) *writer {
	return &writer{ledger: l, logger: logger, grace: l.DotGrace(), slots: make(chan struct{}, openMarks), backoff: backoff, wake: make(chan struct{}, 1)}
}

// record has an outcome written; acknowledged is called once it is durable.
func (w *writer) record(o ledger.Outcome, acknowledged func()) {
	w.mu.Lock()
	w.outcomes = append(w.outcomes, recording{o, acknowledged})
	w.mu.Unlock()
	w.signal()
}

func (w *writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run writes until ctx ends.
func (w *writer) run(ctx context.Context) {
	failures := 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.wake:
		}
		for ctx.Err() == nil {
			marks, outcomes := w.take()
			if len(marks)+len(outcomes) == 0 {
				break
			}
			if err := w.write(ctx, marks, outcomes); err != nil {
				failures++
				w.logger.Warn("ledger does not take marks and outcomes, asking again",
					slog.Int("marks", len(marks)), slog.Int("outcomes", len(outcomes)), slog.Any("error", err))
				pause(ctx, w.backoff(50*time.Millisecond, time.Second, failures))
				continue
			}
			failures = 0
		}
	}
}

// take returns what is to be written, and fails the marks whose time is over.
func (w *writer) take() (marks []*permit, outcomes []recording) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.marks {
		if p.abandoned {
			continue
		}
		if !inTime(p.until) {
			p.answer <- errTooLate
			continue
		}
		marks = append(marks, p)
	}
	w.marks = nil
	n := min(maxBatch, len(w.outcomes))
	outcomes = w.outcomes[:n:n]
	w.outcomes = w.outcomes[n:]
	return marks, outcomes
}

// write commits a batch; after an error all of it is put back, to be asked again under the same epochs.
func (w *writer) write(ctx context.Context, marks []*permit, outcomes []recording) error {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	attempts := make([]ledger.Attempt, len(marks))
	for i, p := range marks {
		attempts[i] = p.attempt
	}
	records := make([]ledger.Outcome, len(outcomes))
	for i, o := range outcomes {
		records[i] = o.Outcome
	}
	granted, err := w.ledger.Commit(ctx, attempts, records)
	if err != nil {
		for _, p := range marks {
			p.attempt.Again = true
		}
		w.mu.Lock()
		w.marks = append(marks, w.marks...)
		w.outcomes = append(outcomes, w.outcomes...)
		w.mu.Unlock()
		return err
	}
	for i, p := range marks {
		if granted[i] {
			p.answer <- nil
		} else {
			p.answer <- errRefused
		}
	}
	for _, o := range outcomes {
		o.acknowledged()
	}
	return nil
}

// permit is a notice.Permit for one attempt, asked of the writer.
type permit struct {
	w         *writer
	attempt   ledger.Attempt
	until     time.Time // t0 + G, t0 read before the mark was asked for
	answer    chan error
	abandoned bool // guarded by w.mu
	refused   bool // read after Wait
}

func (w *writer) permit(a ledger.Attempt) *permit {
	return &permit{w: w, attempt: a, answer: make(chan error, 1)}
}

// Ask puts the mark before the writer.
func (p *permit) Ask() {
	p.until = time.Now().Add(p.w.grace)
	p.w.mu.Lock()
	p.w.marks = append(p.w.marks, p)
	p.w.mu.Unlock()
	p.w.signal()
}

// Wait returns nil only when a commit that was acknowledged has marked the row.
func (p *permit) Wait(ctx context.Context) (time.Time, error) {
	timer := time.NewTimer(time.Until(p.until))
	defer timer.Stop()
	select {
	case err := <-p.answer:
		p.refused = errors.Is(err, errRefused)
		return p.until, err
	case <-timer.C:
		p.abandon()
		return p.until, errTooLate
	case <-ctx.Done():
		p.abandon()
		return p.until, ctx.Err()
	}
}

// abandon takes the mark back from the writer where it was not sent yet. Where it was, the no-dot that the
// attempt is recorded with undoes it.
func (p *permit) abandon() {
	p.w.mu.Lock()
	p.abandoned = true
	p.w.mu.Unlock()
}

// inTime reports whether until is still to come, by the monotonic and by the wall clock: the monotonic one stands
// still while the machine is suspended.
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
