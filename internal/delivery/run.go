package delivery

import (
	"context"
	"log/slog"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/render"
)

// run is one claim being worked. The worker's mutex guards the fields that change.
type run struct {
	claim   ledger.Claim
	program *program
	mails   map[int]*render.Mail // the compiled mails of its deliveries, by number
	begun   chan struct{}        // closed when its task's place is given back
	end     func()               // has it given back to the ledger

	line     line
	lined    bool // the dispatcher has it
	underway int  // deliveries that were begun, and have no outcome that the ledger has acknowledged
	stopped  bool // nothing more of it is begun
	over     bool // it is being given back
	progress time.Time
}

// stalls is how long a claim may show no progress before its lease is left to run out. It is longer than all that a
// delivery waits for, the answer to its dot included.
const stalls = 20 * time.Minute

// chunk works one chunk. It claims it, and returns when all that may be attempted in it was begun, or put back. The
// answers under way then are waited for, recorded and given back while the next task runs. So a slow mailbox holds up
// no other, nor those of its own chunk that had to wait.
func (w *Worker) chunk(life context.Context, id int64) error {
	if !w.begin() {
		return errDraining
	}
	if !w.awaitRelay(life) {
		w.under.Done()
		return nil
	}
	asking, asked := context.WithTimeout(life, 2*askTimeout)
	claim, ok, err := w.ledger.Claim(asking, id, w.Name)
	asked()
	if err != nil || !ok {
		w.under.Done()
		return err
	}
	working, end := context.WithCancel(life)
	r := &run{claim: claim, begun: make(chan struct{}), end: end, progress: time.Now()}
	go w.keep(life, working, r)
	if len(claim.Due) > 0 {
		if r.program, r.mails, err = w.prepare(working, claim); err != nil {
			w.Logger.Error("prepare notice", slog.Int64("notice_id", claim.NoticeID), slog.Any("error", err))
		}
	}
	w.enter(r)
	<-r.begun
	return nil
}

// enter has the deliveries of a run begun, if there are any.
func (w *Worker) enter(r *run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.program != nil && !w.draining && !r.stopped {
		r.line.lanes, r.line.urgent = lanesOf(r.claim.Due), r.program.Body.Urgent()
		w.dispatcher.add(&r.line, time.Now())
		w.runs[&r.line], r.lined = r, true
	} else if r.program == nil && len(r.claim.Due) > 0 {
		r.stopped = true
	}
	w.look(r)
	w.wake()
}

// look checks how far a run has come. It gives back its task's place, and the claim, when they are not needed any more.
// The caller holds the mutex.
func (w *Worker) look(r *run) {
	if r.lined && (r.stopped || w.draining || len(r.line.lanes) == 0) {
		w.dispatcher.remove(&r.line)
		delete(w.runs, &r.line)
		r.lined = false
	}
	if !r.lined || r.line.stands != placed {
		select {
		case <-r.begun:
		default:
			close(r.begun)
		}
	}
	if r.underway > 0 || r.over || r.lined && r.line.stands != resting {
		return
	}
	r.over = true
	if r.lined { // it rests, and nothing is under way meanwhile
		r.claim.Rest = max(0, time.Until(r.line.until))
		w.dispatcher.remove(&r.line)
		delete(w.runs, &r.line)
		r.lined = false
	}
	r.end()
}

// stop has nothing more of a run begun, and reports whether that is news.
func (w *Worker) stop(r *run) (news bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	news = !r.stopped
	r.stopped = true
	w.look(r)
	return news
}

// settled notes that nothing more comes of a delivery that was begun.
func (w *Worker) settled(r *run) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open--
	r.underway--
	r.progress = time.Now()
	w.look(r)
	w.wake()
}

// keep renews the lease of a claim until working ends, and then gives it back.
func (w *Worker) keep(life, working context.Context, r *run) {
	defer w.under.Done()
	ticker := time.NewTicker(w.ledger.Lease() / 4)
	defer ticker.Stop()
	for working.Err() == nil {
		select {
		case <-working.Done():
		case <-ticker.C:
			w.renew(working, r)
		}
	}
	r.end()
	w.giveBack(life, r)
}

// renew extends a lease, unless its run makes no progress. Once the lease is lost nothing more of the run is begun.
func (w *Worker) renew(working context.Context, r *run) {
	w.mu.Lock()
	stalled := time.Since(r.progress) > stalls
	w.mu.Unlock()
	if stalled {
		if w.stop(r) {
			w.Logger.Error("a claim makes no progress; its lease is left to run out", slog.Int64("chunk_id", r.claim.ChunkID))
		}
		return
	}
	asking, asked := context.WithTimeout(working, askTimeout)
	held, err := w.ledger.Renew(asking, r.claim.ChunkID, r.claim.Epoch)
	asked()
	if err != nil && working.Err() == nil {
		w.Logger.Warn("renew", slog.Int64("chunk_id", r.claim.ChunkID), slog.Any("error", err))
	}
	if err == nil && !held {
		w.stop(r)
	}
}

// giveBack closes the chunk. A sweep follows where the chunk still owes something, and where the worker has fewer
// chunks than places. A sweep brings a few chunks of each notice, and the queue may hold no more of them.
func (w *Worker) giveBack(life context.Context, r *run) {
	owed := w.closeChunk(life, r.claim)
	w.mu.Lock()
	stopped, draining := r.stopped, w.draining
	idle := w.dispatcher.count(false, placed)+w.dispatcher.count(true, placed) < w.Chunks
	w.mu.Unlock()
	if (owed || idle) && !stopped {
		w.sweepSoon()
	}
	if owed && draining {
		// Another worker need not wait for its sweep.
		next := ledger.DueChunk{Epoch: r.claim.Epoch}.Generation()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(life), askTimeout)
		defer cancel()
		if err := w.tasks.EnqueueChunk(ctx, r.claim.ChunkID, next, r.line.urgent); err != nil {
			w.Logger.Warn("enqueue, left to the sweep", slog.Int64("chunk_id", r.claim.ChunkID), slog.Any("error", err))
		}
	}
}

// sweepSoon asks for a sweep.
func (w *Worker) sweepSoon() {
	select {
	case w.owed <- struct{}{}:
	default:
	}
}

// closeChunk gives a chunk back and returns whether something in it is still owed. Should the ledger be away for
// longer than a lease, the sweep finds the chunk.
func (w *Worker) closeChunk(life context.Context, c ledger.Claim) (owed bool) {
	// The claim is given back even when the drain is over: the next worker need not wait for the lease to run out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(life), w.ledger.Lease())
	defer cancel()
	for failures := 1; ; failures++ {
		call, done := context.WithTimeout(ctx, askTimeout)
		owed, err := w.ledger.CloseChunk(call, c)
		done()
		if err == nil {
			return owed
		}
		w.Logger.Warn("close chunk", slog.Int64("chunk_id", c.ChunkID), slog.Any("error", err))
		if pause(ctx, w.backoff(50*time.Millisecond, time.Second, failures)); ctx.Err() != nil || life.Err() != nil {
			return true
		}
	}
}
