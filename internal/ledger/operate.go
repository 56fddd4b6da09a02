package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Pause stops a notice from being sent until it is resumed. When it returns, no more deliveries are marked; those
// that were, at most the open marks of each worker, may still leave within the dot's grace.
func (db *DB) Pause(ctx context.Context, id int64, who string) error {
	return db.stop(ctx, id, who, "pause", `
		UPDATE notice SET state = 'paused' WHERE id = $1 AND state IN ('scheduled', 'sending')`, notice.Paused)
}

// Cancel stops a notice for good: what is still owed becomes cancelled. It returns as Pause does.
func (db *DB) Cancel(ctx context.Context, id int64, who string) error {
	return db.stop(ctx, id, who, "cancel", `
		UPDATE notice SET state = 'cancelled', reason = 'cancelled'
		WHERE id = $1 AND state IN ('scheduled', 'sending', 'paused', 'held')`, notice.Cancelled)
}

func (db *DB) stop(ctx context.Context, id int64, who, what, update string, to notice.State) error {
	err := db.transition(ctx, id, who, what, update, to)
	if err != nil {
		return err
	}
	// The barrier: whoever marks holds these rows, and who comes after it sees the new state.
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `
			SELECT id FROM chunk WHERE notice_id = $1 AND (lease_until IS NOT NULL OR open) ORDER BY id FOR UPDATE`, id)
		if err != nil {
			return err
		}
		chunks, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil || to != notice.Cancelled {
			return err
		}
		// What no worker has marked is cancelled at once; the rest as its answers come.
		if err := cancelOwed(ctx, tx, chunks...); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE chunk SET due_at = clock_timestamp() WHERE id = ANY($1) AND open`, chunks); err != nil {
			return err
		}
		return recount(ctx, tx, chunks)
	})
	if err != nil {
		return fmt.Errorf("wait until nothing more of notice %d is marked: %w", id, err)
	}
	return nil
}

// Resume has a paused notice sent again.
func (db *DB) Resume(ctx context.Context, id int64, who string) error {
	err := db.transition(ctx, id, who, "resume", `
		UPDATE notice SET state = CASE WHEN send_at > clock_timestamp() THEN 'scheduled' ELSE 'sending' END
		WHERE id = $1 AND state = 'paused'`, notice.Sending)
	if err != nil {
		return err
	}
	return db.Finish(ctx, id)
}

// transition makes one change of a notice's state and records who made it. A notice that already stands at its
// goal is left as it is; any other state that the update does not apply to is a conflict.
func (db *DB) transition(ctx context.Context, id int64, who, what, update string, to notice.State) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		var state notice.State
		err := tx.QueryRow(ctx, `SELECT state FROM notice WHERE id = $1 FOR NO KEY UPDATE`, id).Scan(&state)
		if errors.Is(err, pgx.ErrNoRows) {
			return notice.NotFound("there is no notice %d", id)
		}
		if err != nil {
			return fmt.Errorf("lock notice %d: %w", id, err)
		}
		if state == to || to == notice.Sending && state == notice.Scheduled {
			return nil
		}
		tag, err := tx.Exec(ctx, update, id)
		if err != nil {
			return fmt.Errorf("%s notice %d: %w", what, id, err)
		}
		if tag.RowsAffected() == 0 {
			return notice.Conflict("notice %d is %s: there is nothing to %s", id, state, what)
		}
		return recordAct(ctx, tx, id, who, what, "")
	})
}

// Settle carries out what an operator decided about deliveries of a notice; key is the address key where the
// settlement names an address. What is uncertain is requeued only when its attempt can't reach a mailbox any more
// (the gate): before that it is counted as too early, with the time from which it can be.
func (db *DB) Settle(ctx context.Context, id int64, s notice.Settlement, key, who string) (done notice.Settled, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		done, err = db.settle(ctx, tx, id, s, key, who)
		return err
	})
	return done, err
}

// unsettled is a delivery that a settlement names, as it stood when it was looked at.
type unsettled struct {
	Seq      int
	State    notice.DeliveryState
	Epoch    int64
	From     *time.Time // when an uncertain one can be requeued
	TooEarly bool
	Erased   bool // it has no address any more
}

func (db *DB) settle(ctx context.Context, tx pgx.Tx, id int64, s notice.Settlement, key, who string) (done notice.Settled, err error) {
	var state notice.State
	var dropped *time.Time
	err = tx.QueryRow(ctx, `SELECT state, rows_dropped_at FROM notice WHERE id = $1`, id).Scan(&state, &dropped)
	if errors.Is(err, pgx.ErrNoRows) {
		return done, notice.NotFound("there is no notice %d", id)
	}
	if err != nil {
		return done, fmt.Errorf("read notice %d: %w", id, err)
	}
	if dropped != nil {
		return done, rowsDropped(id, *dropped)
	}
	if s.Requeue && state != notice.Sending && state != notice.Paused && state != notice.Sent {
		return done, notice.Conflict("notice %d is %s: nothing of it can be requeued", id, state)
	}
	rows, chunks, err := db.lockUnsettled(ctx, tx, id, s, key)
	if err != nil {
		return done, err
	}
	if len(rows) == 0 && s.Address != "" {
		return done, notice.NotFound("notice %d owes nothing to that address", id)
	}
	for _, r := range rows {
		changed, err := db.settleOne(ctx, tx, id, r, s, who, &done)
		if err != nil {
			return done, err
		}
		if changed {
			done.Changed++
		}
	}
	if done.Changed == 0 {
		return done, nil
	}
	what := map[bool]string{true: "requeue", false: "settle as sent"}[s.Requeue]
	if err := recordAct(ctx, tx, id, who, what, fmt.Sprintf("%d deliveries", done.Changed)); err != nil {
		return done, err
	}
	return done, recountAndReopen(ctx, tx, chunks)
}

// lockUnsettled locks the chunks of the deliveries that a settlement names, then reads those as they now stand.
func (db *DB) lockUnsettled(ctx context.Context, tx pgx.Tx, id int64, s notice.Settlement, key string) ([]unsettled, []int64, error) {
	rows, err := tx.Query(ctx, `
		SELECT id FROM chunk c WHERE notice_id = $1 AND EXISTS (
			SELECT FROM delivery d WHERE d.notice_id = $1 AND d.seq >= c.lo AND d.seq < c.hi
				AND CASE WHEN $2 THEN d.state = 5 ELSE d.address_key = $3 END)
		ORDER BY id FOR UPDATE`, id, s.AllUncertain, key)
	var chunks []int64
	if err == nil {
		chunks, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	if err != nil {
		return nil, nil, fmt.Errorf("lock the chunks to settle: %w", err)
	}
	rows, err = tx.Query(ctx, `
		SELECT d.seq, d.state, d.epoch, d.dot_by + $4, coalesce(d.dot_by + $4 >= clock_timestamp(), false),
			coalesce(d.address_key LIKE 'erased:%', false)
		FROM chunk c JOIN delivery d ON d.notice_id = c.notice_id AND d.seq >= c.lo AND d.seq < c.hi
		WHERE c.id = ANY($1) AND CASE WHEN $2 THEN d.state = 5 ELSE d.address_key = $3 END ORDER BY d.seq`,
		chunks, s.AllUncertain, key, db.opts.Gate)
	if err != nil {
		return nil, nil, fmt.Errorf("read what is to be settled: %w", err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[unsettled])
	if err != nil {
		return nil, nil, fmt.Errorf("read what is to be settled: %w", err)
	}
	return found, chunks, nil
}

// settleOne settles one delivery under its chunk's lock; what it can't settle it counts in done.
func (db *DB) settleOne(ctx context.Context, tx pgx.Tx, id int64, r unsettled, s notice.Settlement, who string, done *notice.Settled) (bool, error) {
	var update string
	switch {
	case r.State == notice.DeliveryUncertain && s.Sent:
		update = `
			UPDATE delivery SET state = 2, sent_at = coalesce(sent_at, at), at = clock_timestamp(), code = 0, enhanced = '',
				reply = '', reason = 'settled by ' || $4
			WHERE notice_id = $1 AND seq = $2 AND epoch = $3 AND state = 5`
	case r.Erased:
		done.Skipped++
		done.Reasons = append(done.Reasons, "its customers were erased, so there is no address to send it to")
		return false, nil
	case r.State == notice.DeliveryUncertain && r.TooEarly:
		done.TooEarly++
		if done.From == nil || done.From.Before(*r.From) {
			done.From = r.From
		}
		return false, nil
	case r.State == notice.DeliveryUncertain:
		update = `
			UPDATE delivery SET state = 0, unresolved = CASE WHEN unresolved = 0 AND epoch <> 0 THEN epoch ELSE -1 END,
				owed_at = clock_timestamp(), due_at = clock_timestamp(), at = clock_timestamp(), reason = 'requeued by ' || $4
			WHERE notice_id = $1 AND seq = $2 AND epoch = $3 AND state = 5`
	case s.Requeue && (r.State == notice.DeliveryFailed || r.State == notice.DeliverySuppressed):
		update = `
			UPDATE delivery SET state = 0, owed_at = clock_timestamp(), due_at = clock_timestamp(), at = clock_timestamp(),
				reason = 'requeued by ' || $4
			WHERE notice_id = $1 AND seq = $2 AND epoch = $3 AND state IN (4, 6)`
	default:
		done.Skipped++
		done.Reasons = append(done.Reasons, "it is "+r.State.String())
		return false, nil
	}
	tag, err := tx.Exec(ctx, update, id, r.Seq, r.Epoch, who)
	if err != nil {
		return false, fmt.Errorf("settle delivery %d of notice %d: %w", r.Seq, id, err)
	}
	return tag.RowsAffected() == 1, nil
}
