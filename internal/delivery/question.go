package delivery

import (
	"context"
	"log/slog"
	"time"
)

// question is asked until it was answered once, before anything is sent, and then again and again.
type question struct {
	about string
	ask   func(context.Context) error
}

// askEvery bounds how long an operator's word takes to reach a worker, and how much a copy of the ledger can miss
// without being recognised.
const askEvery = 500 * time.Millisecond

// questions are those that the options name.
func (w *Worker) questions() (all []question) {
	if w.Levers != nil {
		all = append(all, question{"what operators have set at run time", w.pull})
	}
	if w.Compare != nil {
		all = append(all, question{"whether the ledger has the marks of its mirror", w.Compare})
	}
	return all
}

// pull takes over the rests and limits that operators have set. Where one has changed, a sweep looks at once for mails
// that may go now.
func (w *Worker) pull(ctx context.Context) error {
	changed, err := w.Levers(ctx)
	if changed {
		w.mu.Lock()
		w.dispatcher.askAgain()
		w.mu.Unlock()
		w.sweepSoon()
		w.wake()
	}
	return err
}

// first returns when a question was answered, or ctx has ended.
func (w *Worker) first(ctx context.Context, q question) {
	for failures := 1; ctx.Err() == nil; failures++ {
		err := w.put(ctx, q)
		if err == nil {
			return
		}
		if failures == 1 {
			w.Logger.Warn("nothing is sent until this was asked", slog.String("question", q.about), slog.Any("error", err))
		}
		pause(ctx, w.backoff(100*time.Millisecond, 2*time.Second, failures))
	}
}

func (w *Worker) put(ctx context.Context, q question) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return q.ask(ctx)
}

func (w *Worker) keepAsking(ctx context.Context, q question) {
	failing := false
	for ctx.Err() == nil {
		pause(ctx, askEvery)
		err := w.put(ctx, q)
		if err != nil && !failing && ctx.Err() == nil {
			w.Logger.Warn("asked in vain, asking again", slog.String("question", q.about), slog.Any("error", err))
		}
		failing = err != nil
	}
}

// givesWay is how long a task waits for a relay. So long its chunk is not claimed, and another worker may have a relay.
// awaits is how often it looks.
const (
	givesWay = 5 * time.Second
	awaits   = 50 * time.Millisecond
)

// awaitRelay reports whether there is a relay that takes mails, and waits a while for one.
func (w *Worker) awaitRelay(life context.Context) bool {
	for waited := time.Duration(0); w.Pacer.NoRelay(); waited += awaits {
		if waited >= givesWay || life.Err() != nil || w.isDraining() {
			return false
		}
		pause(life, awaits)
	}
	return true
}

func (w *Worker) isDraining() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.draining
}
