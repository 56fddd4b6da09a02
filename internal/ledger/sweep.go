package ledger

import (
	"context"
	"fmt"
	"math/bits"
	"time"

	"github.com/jackc/pgx/v5"
)

// Work is what Postgres says is to be done now, whatever the queue still knows of it.
type Work struct {
	Chunks  []DueChunk
	Expand  []int64       // notices whose expansion is not complete
	NextDue time.Duration // until something more falls due; below zero when nothing is known to
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
	EnqueueExpand(ctx context.Context, id int64, generation string) error
}

// Enqueue puts all that is due into the queue.
func (w Work) Enqueue(ctx context.Context, q Queue) error {
	for _, id := range w.Expand {
		if err := q.EnqueueExpand(ctx, id, ExpandGeneration()); err != nil {
			return err
		}
	}
	for _, c := range w.Chunks {
		if err := q.EnqueueChunk(ctx, c.ID, c.Generation(), c.Urgent); err != nil {
			return err
		}
	}
	return nil
}

// Generation names a task of a chunk, so that one in the queue is not joined by a second at each sweep, and yet one
// that a lost worker or Redis took away is replaced: it changes with each claim, and, while nobody claims, after half a
// minute, then each time that the wait has doubled, and from a quarter of an hour on at each quarter.
func (c DueChunk) Generation() string {
	doubled := bits.Len(uint(min(c.Overdue, 15*time.Minute) / (30 * time.Second)))
	return fmt.Sprintf("%d.%d", c.Epoch, doubled+int(c.Overdue/(15*time.Minute)))
}

// ExpandGeneration changes twice a minute.
func ExpandGeneration() string {
	return fmt.Sprint(time.Now().Unix() / 30)
}

// Sweep brings the notices' states up to date with the clock (started, expired, finished), and returns what is due:
// chunks whose lease ran out, whatever their notice's state, and unleased ones that are due in a notice that is
// sending, or that were stopped and still owe something. At most a thousand urgent chunks a call, and then as many
// others; among either the notices take turns, each with what is longest overdue, so that a large one starves no other.
func (db *DB) Sweep(ctx context.Context) (w Work, err error) {
	if err := db.advanceNotices(ctx); err != nil {
		return w, err
	}
	rows, err := db.pool.Query(ctx, `
		WITH due AS (
			SELECT c.id, c.epoch, c.due_at, clock_timestamp() - coalesce(c.lease_until, least(c.due_at, clock_timestamp())) AS overdue,
				n.urgent, row_number() OVER (PARTITION BY c.notice_id ORDER BY c.due_at, c.id) AS turn
			FROM chunk c JOIN (
				-- as notice.Body.Urgent has it
				SELECT id, state, body->>'kind' = 'outage' AND body->>'phase' IS DISTINCT FROM 'postmortem'
					OR body->>'severity' IS NOT DISTINCT FROM 'critical' AS urgent
				FROM notice) n ON n.id = c.notice_id
			WHERE c.open AND (c.lease_until < clock_timestamp()
				OR c.lease_until IS NULL AND (n.state = 'sending' AND c.due_at <= clock_timestamp() OR n.state = 'cancelled')))
		(SELECT id, epoch, overdue, urgent FROM due WHERE urgent ORDER BY turn, due_at, id LIMIT 1000)
		UNION ALL
		(SELECT id, epoch, overdue, urgent FROM due WHERE NOT urgent ORDER BY turn, due_at, id LIMIT 1000)`)
	if err == nil {
		w.Chunks, err = pgx.CollectRows(rows, pgx.RowToStructByPos[DueChunk])
	}
	if err != nil {
		return w, fmt.Errorf("look for chunks that are due: %w", err)
	}
	rows, err = db.pool.Query(ctx, `SELECT id FROM notice WHERE expanded < recipients ORDER BY id`)
	if err == nil {
		w.Expand, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	if err != nil {
		return w, fmt.Errorf("look for notices to be expanded: %w", err)
	}
	// Chunks that are due already are in w.Chunks, or wait for a notice that is paused or held.
	var next *time.Duration
	err = db.pool.QueryRow(ctx, `
		SELECT least((SELECT min(due_at) FROM chunk WHERE open AND due_at > clock_timestamp()),
			(SELECT min(lease_until) FROM chunk WHERE open AND lease_until > clock_timestamp()),
			(SELECT min(send_at) FROM notice WHERE state = 'scheduled'),
			(SELECT min(until_at) FROM hold WHERE until_at > clock_timestamp())) - clock_timestamp()`).Scan(&next)
	if err != nil {
		return w, fmt.Errorf("look for what falls due next: %w", err)
	}
	w.NextDue = -1
	if next != nil {
		w.NextDue = max(0, *next)
	}
	return w, nil
}

// advanceNotices starts what was scheduled, expires what is too late, applies planned holds, and finishes what has
// nothing open.
func (db *DB) advanceNotices(ctx context.Context) error {
	for _, statement := range []string{
		`UPDATE notice SET state = 'cancelled', reason = 'expired'
		 WHERE state IN ('scheduled', 'sending', 'paused', 'held') AND expires_at <= clock_timestamp()
			AND (expanded < recipients OR EXISTS (SELECT FROM chunk WHERE notice_id = notice.id AND open))`,
		`UPDATE notice SET state = 'sending' WHERE state = 'scheduled' AND send_at <= clock_timestamp()`,
	} {
		if _, err := db.pool.Exec(ctx, statement); err != nil {
			return fmt.Errorf("bring notices up to date with the clock: %w", err)
		}
	}
	if err := db.applyHolds(ctx); err != nil {
		return err
	}
	rows, err := db.pool.Query(ctx, `
		SELECT id FROM notice n WHERE state = 'sending' AND expanded = recipients
			AND NOT EXISTS (SELECT FROM chunk WHERE notice_id = n.id AND open)`)
	if err != nil {
		return fmt.Errorf("look for finished notices: %w", err)
	}
	done, err := pgx.CollectRows(rows, pgx.RowTo[int64])
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
