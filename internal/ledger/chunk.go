package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Claim is a chunk under a lease: one epoch, and the deliveries that were due when it was claimed.
type Claim struct {
	ChunkID  int64
	NoticeID int64
	Epoch    int64
	Due      []Due // empty unless the notice is being sent
	// Rest is set by the holder who gives the claim back with deliveries that were not tried since they may not go
	// yet: the chunk is not due sooner, whatever else it owes. Their rows stay as they are.
	Rest time.Duration
}

// Due is a delivery that may be attempted, with what its mail is made of.
type Due struct {
	Seq       int
	Tries     int           // attempts so far
	Waited    time.Duration // since it has been owed
	Text      string        // the language of the mail
	InReplyTo string
	Recipient notice.Recipient
}

// Claim takes the lease of a chunk for holder; ok is false when somebody else has it or nothing in it is open.
// What the previous holder left marked becomes uncertain, what a stopped notice still owes is cancelled, and what was
// put on the list of suppressions meanwhile is left out.
func (db *DB) Claim(ctx context.Context, chunkID int64, holder string) (c Claim, ok bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		c, ok, err = db.claim(ctx, tx, chunkID, holder)
		return err
	})
	return c, ok && err == nil, err
}

func (db *DB) claim(ctx context.Context, tx pgx.Tx, chunkID int64, holder string) (c Claim, ok bool, err error) {
	c.ChunkID = chunkID
	var lo, hi int
	err = tx.QueryRow(ctx, `
		UPDATE chunk SET epoch = greatest(epoch + 1, (extract(epoch FROM clock_timestamp()) * 1e6)::bigint),
			holder = $2, lease_until = clock_timestamp() + $3
		WHERE id = $1 AND open AND (lease_until IS NULL OR lease_until < clock_timestamp())
		RETURNING epoch, notice_id, lo, hi`, chunkID, holder, db.opts.Lease).Scan(&c.Epoch, &c.NoticeID, &lo, &hi)
	if errors.Is(err, pgx.ErrNoRows) {
		return c, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("claim chunk %d: %w", chunkID, err)
	}
	_, err = tx.Exec(ctx, `
		UPDATE delivery SET state = 5, at = clock_timestamp(), code = 0, enhanced = '', relay = '', reason = '',
			reply = 'no answer was recorded before the worker was lost'
		WHERE notice_id = $1 AND seq >= $2 AND seq < $3 AND state = 1`, c.NoticeID, lo, hi)
	if err != nil {
		return c, false, fmt.Errorf("settle what the last holder of chunk %d left: %w", chunkID, err)
	}
	if err := cancelOwed(ctx, tx, c.ChunkID); err != nil {
		return c, false, err
	}
	if err := suppressOwed(ctx, tx, c.NoticeID, lo, hi); err != nil {
		return c, false, err
	}
	rows, err := tx.Query(ctx, `
		SELECT d.seq, d.tries, clock_timestamp() - d.owed_at, r.text, r.in_reply_to, r.address, r.language, r.time_zone, r.customers
		FROM notice n JOIN delivery d ON d.notice_id = n.id
		CROSS JOIN LATERAL (SELECT * FROM recipient WHERE notice_id = d.notice_id AND seq = d.seq OFFSET 0) r
		WHERE d.notice_id = $1 AND d.seq >= $2 AND d.seq < $3 AND d.state IN (0, 3) AND d.due_at <= clock_timestamp()
			AND n.state = 'sending'
		ORDER BY d.seq`, c.NoticeID, lo, hi)
	if err == nil {
		c.Due, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d Due, err error) {
			err = row.Scan(&d.Seq, &d.Tries, &d.Waited, &d.Text, &d.InReplyTo, &d.Recipient.Address, &d.Recipient.Language,
				&d.Recipient.TimeZone, &d.Recipient.Customers)
			return d, err
		})
	}
	if err != nil {
		return c, false, fmt.Errorf("read what chunk %d owes: %w", chunkID, err)
	}
	return c, true, nil
}

// cancelOwed cancels what a stopped notice still owes in locked chunks. What carries an unresolved attempt can't be
// said to be unsent: it becomes uncertain.
func cancelOwed(ctx context.Context, tx pgx.Tx, chunks ...int64) error {
	_, err := tx.Exec(ctx, `
		UPDATE delivery d SET state = CASE WHEN d.unresolved = 0 THEN 7 ELSE 5 END, reason = n.reason, at = clock_timestamp()
		FROM chunk c JOIN notice n ON n.id = c.notice_id AND n.state = 'cancelled'
		WHERE c.id = ANY($1) AND d.notice_id = c.notice_id AND d.seq >= c.lo AND d.seq < c.hi AND d.state IN (0, 3)`, chunks)
	if err != nil {
		return fmt.Errorf("cancel what is owed: %w", err)
	}
	return nil
}

// Renew extends the lease of a claim; false means that it was lost, and nothing more may be marked under it.
func (db *DB) Renew(ctx context.Context, chunkID, epoch int64) (bool, error) {
	tag, err := db.pool.Exec(ctx, `
		UPDATE chunk SET lease_until = clock_timestamp() + $3
		WHERE id = $1 AND epoch = $2 AND lease_until > clock_timestamp()`, chunkID, epoch, db.opts.Lease)
	if err != nil {
		return false, fmt.Errorf("renew the lease of chunk %d: %w", chunkID, err)
	}
	return tag.RowsAffected() == 1, nil
}

// CloseChunk gives a claim back when all its outcomes are recorded, and finishes the notice if that was the last of it.
// It returns whether something in the chunk is still owed. It does nothing when the lease has passed to somebody else.
func (db *DB) CloseChunk(ctx context.Context, c Claim) (owed bool, err error) {
	held := true
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT FROM chunk WHERE id = $1 AND epoch = $2 FOR UPDATE`, c.ChunkID, c.Epoch).Scan()
		if errors.Is(err, pgx.ErrNoRows) {
			held = false
			return nil
		}
		if err != nil {
			return fmt.Errorf("lock chunk %d to close it: %w", c.ChunkID, err)
		}
		if err := cancelOwed(ctx, tx, c.ChunkID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE chunk SET lease_until = NULL, holder = '' WHERE id = $1 AND epoch = $2`, c.ChunkID, c.Epoch); err != nil {
			return fmt.Errorf("give up the lease of chunk %d: %w", c.ChunkID, err)
		}
		// An answer under this lease can have come after its notice was finished.
		if err := recountAndReopen(ctx, tx, []int64{c.ChunkID}); err != nil {
			return err
		}
		if c.Rest > 0 {
			_, err := tx.Exec(ctx, `UPDATE chunk SET due_at = greatest(due_at, clock_timestamp() + $2) WHERE id = $1`, c.ChunkID, c.Rest)
			if err != nil {
				return fmt.Errorf("let chunk %d rest: %w", c.ChunkID, err)
			}
		}
		return tx.QueryRow(ctx, `SELECT open FROM chunk WHERE id = $1`, c.ChunkID).Scan(&owed)
	})
	if err != nil {
		return false, fmt.Errorf("close chunk %d: %w", c.ChunkID, err)
	}
	if !held || owed {
		return owed, nil
	}
	return false, db.Finish(ctx, c.NoticeID)
}

// recount brings locked chunks in line with their deliveries: counts, whether anything is open, and when the
// earliest of it is due. It always counts anew, so that a change that comes twice is counted once.
func recount(ctx context.Context, tx pgx.Tx, chunks []int64) error {
	_, err := tx.Exec(ctx, `
		UPDATE chunk c SET counts = k.counts, open = k.open, due_at = coalesce(k.due_at, c.due_at),
			first_sent_at = k.first_sent_at, last_sent_at = k.last_sent_at
		FROM chunk l CROSS JOIN LATERAL (
			SELECT ARRAY[count(*) FILTER (WHERE state = 0), count(*) FILTER (WHERE state = 1), count(*) FILTER (WHERE state = 2),
					count(*) FILTER (WHERE state = 3), count(*) FILTER (WHERE state = 4), count(*) FILTER (WHERE state = 5),
					count(*) FILTER (WHERE state = 6), count(*) FILTER (WHERE state = 7), count(*) FILTER (WHERE state = 8)] AS counts,
				coalesce(bool_or(state IN (0, 1, 3)), false) AS open, min(due_at) FILTER (WHERE state IN (0, 3)) AS due_at,
				min(sent_at) AS first_sent_at, max(sent_at) AS last_sent_at
			FROM delivery d WHERE d.notice_id = l.notice_id AND d.seq >= l.lo AND d.seq < l.hi) k
		WHERE l.id = ANY($1) AND c.id = l.id`, chunks)
	if err != nil {
		return fmt.Errorf("recount chunks: %w", err)
	}
	return nil
}

// Finish makes a notice "sent" when no chunk of it is open any more.
func (db *DB) Finish(ctx context.Context, id int64) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		// A statement of its own, so that the next one sees every chunk that was closed or reopened under the lock.
		if _, err := tx.Exec(ctx, `SELECT 1 FROM notice WHERE id = $1 FOR NO KEY UPDATE`, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			UPDATE notice SET state = 'sent'
			WHERE id = $1 AND state = 'sending' AND expanded = recipients
				AND NOT EXISTS (SELECT FROM chunk WHERE notice_id = $1 AND open)`, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("finish notice %d: %w", id, err)
	}
	return nil
}
