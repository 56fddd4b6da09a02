package ledger

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	"github.com/jackc/pgx/v5"
)

// Work is to be done now, as Postgres says; the queue may know of it or not.
type Work struct {
	Chunks  []DueChunk
	NextDue time.Duration // until there is more to be done; below zero when nothing is known to be
}

// DueChunk is a chunk to be claimed.
type DueChunk struct {
	ID      int64
	Epoch   int64         // of its last claim
	Overdue time.Duration // how long it has waited to be claimed
	Urgent  bool
}

// Queue takes tasks; package queue implements it. Its tasks carry the generation in their names: while one of a chunk and
// generation exists, another is not added.
type Queue interface {
	EnqueueChunk(ctx context.Context, id int64, generation string, urgent bool) error
}

// Enqueue puts all that is due into the queue.
func (w Work) Enqueue(ctx context.Context, q Queue) error {
	for _, c := range w.Chunks {
		if err := q.EnqueueChunk(ctx, c.ID, c.Generation(), c.Urgent); err != nil {
			return err
		}
	}
	return nil
}

// Generation names a task of a chunk. So no sweep puts a second task next to one in the queue. A task that a lost worker
// or Redis took away is replaced all the same. The name changes with each claim. While nobody claims, it changes after half
// a minute, then each time that the wait has doubled. From a quarter of an hour on it changes at each quarter.
func (c DueChunk) Generation() string {
	doubled := bits.Len(uint(min(c.Overdue, 15*time.Minute) / (30 * time.Second)))
	return fmt.Sprintf("%d.%d", c.Epoch, doubled+int(c.Overdue/(15*time.Minute)))
}

// sweepTurns is how many chunks of one notice a sweep brings. The queue is first in, first out: with so few in it, a
// notice that is released during a large mailing has its turn within a second or two.
const sweepTurns = 64

// sweepLimit is how many urgent chunks a sweep brings, and how many others.
const sweepLimit = 1000

// Sweep brings the notices' states up to date with the clock (started, expired, finished), and returns the work that is
// due. Chunks with a lease that ran out are due, in any state of their notice. So are unleased ones that are due in a notice
// that is sending, or that were stopped and still owe something. Urgent ones come first; among these, and among the others,
// the notices take turns. Each has its longest overdue and at most a few, so that a large one starves no other.
func (db *DB) Sweep(ctx context.Context) (w Work, err error) {
	if err := db.compareSchema(ctx, db.pool); err != nil {
		return w, err
	}
	if err := db.advanceNotices(ctx); err != nil {
		return w, err
	}
	rows, _ := db.pool.Query(ctx, `
		WITH due AS (
			SELECT c.*, n.urgent FROM (
				SELECT id, state, trial, urgent(body) AS urgent FROM notice WHERE state <> 'draft' OFFSET 0) n
			CROSS JOIN LATERAL (
				SELECT id, epoch, due_at, overdue, row_number() OVER (ORDER BY due_at, lo) AS turn
				FROM (SELECT id, epoch, due_at, lo, clock_timestamp() - coalesce(lease_until, least(due_at, clock_timestamp())) AS overdue FROM chunk
					WHERE notice_id = n.id AND open AND (lease_until < clock_timestamp()
						OR lease_until IS NULL AND (n.state = 'sending' AND due_at <= clock_timestamp() AND NOT `+waitsSQL("chunk", "n")+` OR n.state = 'cancelled'))
					ORDER BY due_at, lo LIMIT $1 + 1) k) c)
		(SELECT id, epoch, overdue, urgent, turn FROM due WHERE urgent ORDER BY turn, due_at, id LIMIT $2)
		UNION ALL
		(SELECT id, epoch, overdue, urgent, turn FROM due WHERE NOT urgent ORDER BY turn, due_at, id LIMIT $2)`, sweepTurns, sweepLimit)
	var c DueChunk
	var turn int
	more := false
	_, err = pgx.ForEachRow(rows, []any{&c.ID, &c.Epoch, &c.Overdue, &c.Urgent, &turn}, func() error {
		if turn > sweepTurns {
			more = true
		} else {
			w.Chunks = append(w.Chunks, c)
		}
		return nil
	})
	if err != nil {
		return w, fmt.Errorf("look for chunks that are due: %w", err)
	}
	if more || len(w.Chunks) >= sweepLimit {
		w.NextDue = moreAfter
		return w, nil
	}
	w.NextDue, err = db.nextDue(ctx)
	return w, err
}

// moreAfter is when a sweep that left something out is to be repeated: workers have taken the chunks that it brought by then.
const moreAfter = 200 * time.Millisecond

// nextDue is how long it takes until something more falls due; below zero when nothing is known to.
func (db *DB) nextDue(ctx context.Context) (time.Duration, error) {
	// Chunks that are due already are in w.Chunks, or wait for a notice that is paused or held.
	var next *time.Duration
	err := db.pool.QueryRow(ctx, `
		SELECT least((SELECT min(due_at) FROM chunk WHERE open AND due_at > clock_timestamp()),
			(SELECT min(lease_until) FROM chunk WHERE open AND lease_until > clock_timestamp()),
			(SELECT min(send_at) FROM notice WHERE state = 'scheduled' AND plan_id IS NOT NULL),
			(SELECT min(until_at) FROM hold WHERE removed_at IS NULL AND until_at > clock_timestamp())) - clock_timestamp()`).Scan(&next)
	if err != nil {
		return -1, fmt.Errorf("look for what falls due next: %w", err)
	}
	if next == nil {
		return -1, nil
	}
	return max(0, *next), nil
}

// advanceNotices starts scheduled notices, expires late ones, and applies planned holds. It holds those with a canary that is over,
// and finishes those that have nothing open.
func (db *DB) advanceNotices(ctx context.Context) error {
	late, err := collect[int64](ctx, db.pool, `
		UPDATE notice SET state = 'cancelled', reason = 'expired'
		WHERE state IN ('scheduled', 'sending', 'paused', 'held') AND `+tooLate+` RETURNING id`)
	if err != nil {
		return fmt.Errorf("look for notices that are too late: %w", err)
	}
	for _, id := range late {
		if err := db.inTx(ctx, func(tx pgx.Tx) error { return barrier(ctx, tx, id, true) }); err != nil {
			return fmt.Errorf("cancel what notice %d owes: %w", id, err)
		}
	}
	err = db.start(ctx, `state = 'scheduled' AND send_at <= clock_timestamp() AND plan_id IS NOT NULL`)
	if err != nil {
		return err
	}
	if err := db.applyHolds(ctx); err != nil {
		return err
	}
	if err := db.holdAtCanaries(ctx); err != nil {
		return err
	}
	done, err := collect[int64](ctx, db.pool, `
		SELECT id FROM notice n WHERE state = 'sending' AND NOT EXISTS (SELECT FROM chunk WHERE notice_id = n.id AND open)`)
	if err != nil {
		return fmt.Errorf("look for finished notices: %w", err)
	}
	for _, id := range done {
		if err := db.Finish(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// tooLate is the condition that a notice still owes something, and has expired.
const tooLate = `expires_at <= clock_timestamp() AND (plan_id IS NULL OR EXISTS (SELECT FROM chunk WHERE notice_id = notice.id AND open))`

// goesOn is the state of a notice that nothing stops any more. A notice without a plan waits for it as scheduled.
const goesOn = `CASE WHEN send_at > clock_timestamp() OR plan_id IS NULL THEN 'scheduled' ELSE 'sending' END`

// start makes sending the notices that fulfil a condition, each in a transaction of its own.
func (db *DB) start(ctx context.Context, condition string) error {
	// One that is too late ends at the next sweep: begun, it would stop an earlier one in vain.
	condition = `(` + condition + `) AND (` + tooLate + `) IS NOT true`
	// One that ends reminders goes before them.
	ids, err := collect[int64](ctx, db.pool, `SELECT id FROM notice WHERE `+condition+` ORDER BY body->>'reminder_of' IS NOT NULL, id`)
	if err != nil {
		return fmt.Errorf("look for notices to be sent: %w", err)
	}
	for _, id := range ids {
		err := db.inTx(ctx, func(tx pgx.Tx) error {
			tag, err := tx.Exec(ctx, `
				UPDATE notice SET state = `+goesOn+`, reason = '', held_until = NULL
				WHERE id = $1 AND `+condition, id)
			if err != nil || tag.RowsAffected() == 0 { // an operator was faster
				return err
			}
			return db.begin(ctx, tx, id)
		})
		if err != nil {
			return fmt.Errorf("have notice %d sent: %w", id, err)
		}
	}
	return nil
}
