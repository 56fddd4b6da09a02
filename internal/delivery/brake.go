package delivery

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
)

// How many equal refusals in a row hold a notice. Lists have dead mailboxes: refusals of those need more. So do
// refusals by few domains, which hold a notice only if nothing of it was ever sent.
const (
	brakeAfter  = 20
	brakeLate   = 100
	brakeBroad  = 3 // domains
	brakePauses = time.Second
)

// brake counts, for each notice, the equal refusals in a row that this worker hears, with no 250 between them.
type brake struct {
	after, late, broad int // brakeAfter, brakeLate and brakeBroad; the simulation's are small

	mu   sync.Mutex
	rows map[int64]*refusals
}

// refusals are a row of one notice.
type refusals struct {
	notice.RefusedAlike
	n       int
	domains map[string]bool // the first few
	first   time.Time       // when the first was heard
	asked   time.Time       // when the ledger was last asked to hold the notice
	asking  bool            // it has not answered: nothing more of the notice is begun
}

// heard takes an answer to a mail into account. It returns a row that is to hold the notice, once in a while.
func (b *brake) heard(id int64, to audience.Address, a notice.Answer, now time.Time) (r notice.Refusals, first time.Time, hold bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if a.Outcome == notice.OutcomeSent {
		delete(b.rows, id)
		return r, first, false
	}
	if a.Outcome != notice.OutcomeNever || a.Code == 0 {
		return r, first, false
	}
	alike, row := a.Alike(to.Wire()), b.rows[id]
	if row == nil || row.RefusedAlike != alike {
		row = &refusals{RefusedAlike: alike, domains: map[string]bool{}, first: now}
		b.rows[id] = row
	}
	row.n++
	if len(row.domains) < b.broad {
		row.domains[to.Domain] = true
	}
	broad, after := len(row.domains) >= b.broad, b.after
	if alike.OfMailbox() || !broad {
		after = b.late
	}
	if row.asking || row.n < after || now.Sub(row.asked) < brakePauses {
		return r, first, false
	}
	row.asked, row.asking = now, true
	return notice.Refusals{RefusedAlike: alike, N: row.n, Broad: broad}, row.first, true
}

// stops reports whether the ledger is being asked to hold a notice.
func (b *brake) stops(id int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	row := b.rows[id]
	return row != nil && row.asking
}

// goOn notes that the ledger could not be asked to hold a notice.
func (b *brake) goOn(id int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if row := b.rows[id]; row != nil {
		row.asking = false
	}
}

// forget begins a notice's row anew.
func (b *brake) forget(id int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.rows, id)
}

// count takes an answer into account, and holds the notice where it is the last of too many refusals in a row.
func (w *Worker) count(j *job, a notice.Answer) {
	id := j.at.NoticeID
	row, first, hold := w.brake.heard(id, j.due.to, a, time.Now())
	if !hold {
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), askTimeout)
		defer cancel()
		held, err := w.ledger.Brake(ctx, id, row, time.Since(first))
		switch {
		case err != nil:
			w.Logger.Warn("hold a notice that is refused to everybody", slog.Int64("notice_id", id), slog.Any("error", err))
			w.brake.goOn(id)
			return
		case held:
			w.Logger.Error("a relay refuses everybody: the notice is held until it is resumed", slog.Int64("notice_id", id),
				slog.Int("refused", row.N), slog.Int("code", row.Code), slog.String("enhanced", row.Enhanced), slog.String("reply", row.Text))
		}
		w.brake.forget(id)
	}()
}
