package delivery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/pace"
)

// job is one attempt of one delivery, which holds one of the worker's open marks' places until its outcome is
// acknowledged. Package send carries it.
type job struct {
	mark
	worker *Worker
	run    *run
	due    pending
	leave  *pace.Leave
	paced  sync.Once    // leave was given back
	made   *notice.Mail // the mail, where it was made ahead
	digest int64        // of the message, without its signature
}

func newJob(w *Worker, r *run, due pending, leave *pace.Leave) *job {
	at := ledger.Attempt{NoticeID: r.claim.NoticeID, Seq: due.Seq, ChunkID: r.claim.ChunkID, Epoch: r.claim.Epoch}
	return &job{mark: w.writer.mark(at), worker: w, run: r, due: due, leave: leave}
}

// Via names the relay that the mail was counted against, by its rate.
func (j *job) Via() string { return j.leave.Relay() }

// Shuns names the relay that refused the mail at the last attempt, though another may take it.
func (j *job) Shuns() string { return j.due.Shuns }

// Mail renders the mail that is sent.
func (j *job) Mail() (notice.Mail, bool) {
	if j.made != nil {
		return *j.made, true
	}
	m, err := j.worker.mail(j.run, j.due)
	if err == nil {
		j.digest = int64(xxhash.Sum64(m.Raw))
		m.Token = j.run.program.token(j.at)
		m.Raw, err = j.worker.signed(m.Raw, j.run.program.Date())
	}
	if err == nil {
		return m, true
	}
	w := j.worker
	w.Logger.Error("render", slog.Int64("notice_id", j.at.NoticeID), slog.Int("seq", j.at.Seq), slog.Any("error", err))
	j.giveBack(notice.Answer{})
	w.writer.record(ledger.Outcome{Attempt: j.at, State: notice.DeliveryFailed, NoDot: true, Heard: time.Now(),
		Reason: unmade(err), Answer: notice.Answer{Text: err.Error()}}, j)
	return notice.Mail{}, false
}

// Done records the outcome of the attempt.
func (j *job) Done(a notice.Answer, err error) {
	w := j.worker
	j.giveBack(a)
	if err != nil {
		if w.stop(j.run) {
			w.Logger.Warn("no relay", slog.Int64("chunk_id", j.at.ChunkID), slog.Any("error", err))
		}
		if !j.asked() {
			// Nothing was tried: the delivery stays as it is, and the sweep brings the chunk again.
			w.settled(j.run)
			return
		}
		a = notice.Answer{Outcome: notice.OutcomeLater, NoDot: true, Text: err.Error()}
	}
	w.count(j, a)
	refused := j.Refused()
	if refused {
		w.stop(j.run)
	}
	o := w.outcome(j.at, j.run.program, j.due.Due, a, refused || err != nil)
	if !o.NoDot {
		o.Digest = j.digest
	}
	w.writer.record(o, j)
}

// Unanswered has the mail count against no limit any more, though it is under way.
func (j *job) Unanswered() { j.giveBack(notice.Answer{}) }

// giveBack gives back the leave to send, with the answer, if it was not given back before.
func (j *job) giveBack(a notice.Answer) {
	j.paced.Do(func() { j.worker.Pacer.Done(j.leave, a) })
}

// acknowledged notes that the outcome is durable.
func (j *job) acknowledged() { j.worker.settled(j.run) }

// mail renders the mail of a delivery: the same bytes each time.
func (w *Worker) mail(r *run, due pending) (notice.Mail, error) {
	if due.wrong != nil {
		return notice.Mail{}, notice.Invalid("address", "%v", due.wrong)
	}
	largest := r.program.largest.Load()
	raw, err := r.program.message(make([]byte, 0, largest), r.mails[due.Mail], due.Due, r.claim.OnlyTo.Mark())
	if err != nil {
		return notice.Mail{}, err
	}
	if size := int64(len(raw)); size > largest {
		r.program.largest.Store(size)
	}
	return notice.Mail{From: w.returnPath, To: due.to.Wire(), Raw: raw}, nil
}

// signed returns a message with its signature, where mails are signed.
func (w *Worker) signed(message []byte, at time.Time) ([]byte, error) {
	if w.Sign == nil {
		return message, nil
	}
	return w.Sign(message, at)
}

// unmade is why a delivery has no mail: a hole in its text, or an address or message that can't be put on the wire.
func unmade(err error) string {
	if e, ok := errors.AsType[*notice.Error](err); ok && e.Field != "address" {
		return notice.ReasonHole
	}
	return notice.ReasonUnsendable
}

// leastTries is how often a delivery is tried before it is given up for having been owed for too long. A pause, a hold
// or a relay that was away is no fault of its mailbox.
const leastTries = 8

// outcome judges an answer: to which state the delivery goes, and when it is tried again. Where no relay or no mark was
// to be had it is due at once.
func (w *Worker) outcome(at ledger.Attempt, p *program, due ledger.Due, a notice.Answer, atOnce bool) ledger.Outcome {
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
		case atOnce || a.Code == 0 && a.OfRelay || (a.Code == 0 || a.OfRelay) && tried == 1:
			// No fault of the mailbox: at once due.
		case !a.OfRelay && p.ExpiresAt == nil && due.Waited > w.GiveUp && tried >= leastTries:
			o.State, o.Reason = notice.DeliveryFailed, notice.ReasonTooLong
		default:
			o.Delay = w.backoff(w.FirstRetry, 15*time.Minute, tried)
		}
	default:
		o.State = notice.DeliveryUncertain
	}
	return o
}

// mark is the permit for one attempt's dot, asked of the writer. The writer's mutex guards the fields that change.
type mark struct {
	w       *writer
	at      ledger.Attempt
	answer  chan error
	asks    int       // how often it was asked for
	given   bool      // the ledger was asked for it once
	until   time.Time // t0 + G, t0 read before it was asked for the last time
	refused bool
	ended   bool // its attempt is over: it is not asked for any more
}

// Ask puts the mark before the writer. The answer to an earlier ask no longer counts.
func (m *mark) Ask() {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	select {
	case <-m.answer:
	default:
	}
	m.asks++
	m.until = time.Now().Add(m.w.grace)
	m.w.marks = append(m.w.marks, ask{mark: m, n: m.asks})
	m.w.came()
}

// Wait returns nil only when a commit that was acknowledged has marked the row.
func (m *mark) Wait(ctx context.Context) (time.Time, error) {
	select {
	case err := <-m.answer:
		m.w.mu.Lock()
		defer m.w.mu.Unlock()
		return m.until, err
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}

// Refused reports whether nothing needs to be begun: the ledger refused the mark, or is being asked to hold the notice.
func (j *job) Refused() bool { return j.mark.Refused() || j.worker.brake.stops(j.at.NoticeID) }

// Refused reports whether the ledger refused the mark.
func (m *mark) Refused() bool {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.refused
}

func (m *mark) asked() bool {
	m.w.mu.Lock()
	defer m.w.mu.Unlock()
	return m.asks > 0
}
