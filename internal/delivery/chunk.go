package delivery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/pace"
	"tocsin/internal/render"
)

// chunk works one chunk: claims it and begins what may be attempted in it. What is under way then is waited for,
// recorded and given back beside the next task: a mailbox that takes its time holds up nobody else's, nor those of its
// own chunk that had to wait.
func (w *Worker) chunk(id int64) error {
	if !w.begin() {
		return errDraining
	}
	ctx := w.life
	asking, asked := context.WithTimeout(ctx, 2*askTimeout)
	claim, ok, err := w.ledger.Claim(asking, id, w.Name)
	asked()
	if err != nil || !ok {
		w.under.Done()
		return err
	}
	renewing, stopRenewing := context.WithCancel(ctx)
	var renewal sync.WaitGroup
	r := &run{Worker: w, claim: claim, idle: make(chan struct{}, 1)}
	renewal.Go(func() { r.renew(renewing) })
	if len(claim.Due) > 0 {
		r.dispatch(ctx)
	}
	go func() {
		defer w.under.Done()
		r.beginRested(ctx)
		r.awaitOutcomes(ctx)
		stopRenewing()
		renewal.Wait()
		r.giveBack(ctx)
	}()
	return nil
}

// beginRested begins what had to rest, each time that it has rested, under the same claim: as long as something else of
// it is under way nobody else could. No attempt is begun any more when it has returned.
func (r *run) beginRested(ctx context.Context) {
	for len(r.lanes) > 0 && r.unsettled.Load() > 0 && !r.over() {
		rested := time.Now().Add(r.claim.Rest)
		timer := time.NewTimer(r.claim.Rest)
		select {
		case <-timer.C:
			r.claim.Rest, r.aside = 0, true
			r.beginAll(ctx)
		case <-r.idle:
			r.claim.Rest = max(0, time.Until(rested))
		case <-r.draining:
		}
		timer.Stop()
	}
}

// settled notes that nothing more comes of an attempt.
func (r *run) settled() {
	if r.unsettled.Add(-1) > 0 {
		return
	}
	select {
	case r.idle <- struct{}{}:
	default:
	}
}

// awaitOutcomes returns when all outcomes are durable, or the drain is over.
func (r *run) awaitOutcomes(ctx context.Context) {
	recorded := make(chan struct{})
	go func() {
		defer close(recorded)
		r.attempts.Wait()
		r.open.Wait()
	}()
	select {
	case <-recorded:
	case <-ctx.Done():
	}
}

// giveBack closes the chunk and has what it still owes looked at when that is due.
func (r *run) giveBack(ctx context.Context) {
	if !r.closeChunk(r.claim) {
		return
	}
	if !r.stopped.Load() {
		select {
		case r.owed <- struct{}{}:
		default:
		}
	}
	if r.stopping() {
		// Another worker need not wait for its sweep.
		next := ledger.DueChunk{Epoch: r.claim.Epoch}.Generation()
		if err := r.tasks.EnqueueChunk(context.WithoutCancel(ctx), r.claim.ChunkID, next, r.urgent); err != nil {
			r.Logger.Warn("enqueue, left to the sweep", slog.Int64("chunk_id", r.claim.ChunkID), slog.Any("error", err))
		}
	}
}

// closeChunk gives a chunk back and returns whether something in it is still owed. Should the ledger be away for
// longer than a lease, the sweep finds the chunk.
func (w *Worker) closeChunk(c ledger.Claim) (owed bool) {
	// The claim is given back even when the drain is over: the next worker need not wait for the lease to run out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(w.life), w.ledger.Lease())
	defer cancel()
	for failures := 1; ; failures++ {
		call, done := context.WithTimeout(ctx, askTimeout)
		owed, err := w.ledger.CloseChunk(call, c)
		done()
		if err == nil {
			return owed
		}
		w.Logger.Warn("close chunk", slog.Int64("chunk_id", c.ChunkID), slog.Any("error", err))
		if pause(ctx, w.backoff(50*time.Millisecond, time.Second, failures)); ctx.Err() != nil || w.life.Err() != nil {
			return true
		}
	}
}

// askTimeout bounds one question to the ledger: a Postgres that drops packets answers nothing for a long time.
const askTimeout = 10 * time.Second

// run is one claim being worked.
type run struct {
	*Worker
	claim    ledger.Claim
	program  *program
	urgent   bool
	hungry   bool           // and everybody else was told so
	limited  time.Time      // its domains' limits last held it up until then
	stopped  atomic.Bool    // no attempt is begun any more
	attempts sync.WaitGroup // under way
	open     sync.WaitGroup // outcomes not yet acknowledged

	lanes     []*lane       // what was not begun
	aside     bool          // its task's place was given back
	unsettled atomic.Int32  // attempts under way, or with an outcome that is not yet acknowledged
	idle      chan struct{} // there are none any more: see
}

func (r *run) renew(ctx context.Context) {
	ticker := time.NewTicker(r.ledger.Lease() / 4)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		asking, asked := context.WithTimeout(ctx, askTimeout)
		held, err := r.ledger.Renew(asking, r.claim.ChunkID, r.claim.Epoch)
		asked()
		if err != nil && ctx.Err() == nil {
			r.Logger.Warn("renew", slog.Int64("chunk_id", r.claim.ChunkID), slog.Any("error", err))
		}
		if err == nil && !held {
			r.stopped.Store(true)
		}
	}
}

func (r *run) over() bool { return r.stopped.Load() || r.stopping() }

// attempt makes one attempt of one delivery, for which a connection's turn and an open mark's place are reserved.
func (r *run) attempt(ctx context.Context, due pending, leave *pace.Leave) {
	at := ledger.Attempt{NoticeID: r.claim.NoticeID, Seq: due.Seq, ChunkID: r.claim.ChunkID, Epoch: r.claim.Epoch}
	var answer notice.Answer
	defer func() {
		r.Pacer.Done(leave, answer)
		<-r.sending
	}()
	m, err := r.mail(due)
	if err != nil {
		r.Logger.Error("render", slog.Int64("notice_id", at.NoticeID), slog.Int("seq", at.Seq), slog.Any("error", err))
		r.record(ledger.Outcome{Attempt: at, State: notice.DeliveryFailed, NoDot: true, Heard: time.Now(),
			Reason: unmade(err), Answer: notice.Answer{Text: err.Error()}})
		return
	}
	m.Via = leave.Relay()
	p := r.writer.permit(at)
	if answer, err = r.sender.Send(ctx, m, p); err != nil {
		// Nothing was tried: the delivery stays as it is, and the sweep brings the chunk again.
		if !r.stopped.Swap(true) {
			r.Logger.Warn("no relay", slog.Int64("chunk_id", at.ChunkID), slog.Any("error", err))
		}
		<-r.writer.slots
		r.settled()
		return
	}
	if p.refused {
		r.stopped.Store(true)
	}
	r.record(r.outcome(at, due.Due, answer, p.refused))
}

func (r *run) record(o ledger.Outcome) {
	r.open.Add(1)
	r.writer.record(o, func() {
		<-r.writer.slots
		r.settled()
		r.open.Done()
	})
}

// mail renders what a delivery sends: the same bytes each time.
func (r *run) mail(due pending) (notice.Mail, error) {
	if due.wrong != nil {
		return notice.Mail{}, notice.Invalid("address", "%v", due.wrong)
	}
	due.Recipient.Address = due.to.Wire()
	raw, err := r.program.Render(nil, due.Recipient, due.Text, render.Stamp{
		MessageID: r.program.MessageID(due.Seq),
		InReplyTo: due.InReplyTo,
		NoticeKey: r.program.Key,
		ListID:    r.program.Incident + "." + r.program.MessageDomain,
		Date:      r.program.date(),
	})
	if err != nil {
		return notice.Mail{}, err
	}
	return notice.Mail{From: r.returnPath, To: due.to.Wire(), Raw: raw}, nil
}

// unmade is why a delivery has no mail: a hole in its text, or an address or message that can't be put on the wire.
func unmade(err error) string {
	if e, ok := errors.AsType[*notice.Error](err); ok && e.Field != "address" {
		return notice.ReasonHole
	}
	return notice.ReasonUnsendable
}

// leastTries is how often a delivery is tried before it is given up for having been owed for too long: a pause, a
// hold or a relay that was away is no fault of its mailbox.
const leastTries = 8

// outcome judges an answer: what state the delivery goes to, and when it is tried again.
func (r *run) outcome(at ledger.Attempt, due ledger.Due, a notice.Answer, refused bool) ledger.Outcome {
	o := ledger.Outcome{Attempt: at, NoDot: a.NoDot, Answer: a, Heard: time.Now()}
	switch a.Outcome {
	case notice.OutcomeSent:
		o.State = notice.DeliverySent
	case notice.OutcomeNever:
		o.State = notice.DeliveryFailed
	case notice.OutcomeLater:
		o.State = notice.DeliveryDeferred
		tried := due.Tries + 1
		switch {
		case refused || a.Code == 0 && tried == 1:
			// No fault of the mailbox: at once due.
		case r.program.ExpiresAt == nil && due.Waited > r.GiveUp && tried >= leastTries:
			o.State, o.Reason = notice.DeliveryFailed, notice.ReasonTooLong
		default:
			o.Delay = r.backoff(r.FirstRetry, 15*time.Minute, tried)
		}
	default:
		o.State = notice.DeliveryUncertain
	}
	return o
}
