package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Pause stops a notice from being sent until it is resumed. When it returns, no more deliveries are marked; those
// that were, at most the open marks of each worker, may still leave within the dot's grace.
func (db *DB) Pause(ctx context.Context, id int64, who string) error {
	return db.stop(ctx, id, who, "pause", `
		UPDATE notice SET state = 'paused' WHERE id = $1 AND state IN ('scheduled', 'sending')`, notice.Paused)
}

// Cancel stops a notice for good: owed deliveries become cancelled. It returns as Pause does.
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
	// The barrier: a worker that marks holds these rows, and one that comes later sees the new state.
	if err := db.inTx(ctx, func(tx pgx.Tx) error { return barrier(ctx, tx, id, to == notice.Cancelled) }); err != nil {
		return fmt.Errorf("wait until nothing more of notice %d is marked: %w", id, err)
	}
	return nil
}

// barrier waits for the marks of a notice that are under way; with cancel all that no worker has marked is cancelled at
// once, and the rest as its answers come.
func barrier(ctx context.Context, tx pgx.Tx, id int64, cancel bool) error {
	chunks, err := collect[int64](ctx, tx, `
		SELECT id FROM chunk WHERE notice_id = $1 AND (lease_until IS NOT NULL OR open) ORDER BY id FOR UPDATE`, id)
	if err != nil || !cancel {
		return err
	}
	if err := keepList(ctx, tx, id, nil); err != nil {
		return err
	}
	return stopAll(ctx, tx, chunks)
}

// transition makes one change of a notice's state and records who made it. A notice that already stands at its
// goal is left as it is; any other state that the update does not apply to is a conflict.
func (db *DB) transition(ctx context.Context, id int64, who, what, update string, to notice.State) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		n, err := readNotice(ctx, tx, id, "FOR NO KEY UPDATE OF n")
		if err != nil || n.State == to || to == notice.Sending && n.State == notice.Scheduled {
			return err
		}
		tag, err := tx.Exec(ctx, update, id)
		if err != nil {
			return fmt.Errorf("%s notice %d: %w", what, id, err)
		}
		if tag.RowsAffected() == 0 {
			return n.unchanged(what)
		}
		if to == notice.Cancelled {
			ids, err := remindersOf(ctx, tx, n)
			if err == nil {
				err = endReminders(ctx, tx, ids, n.Key)
			}
			if err != nil {
				return err
			}
		}
		if to == notice.Sending {
			if err := db.begin(ctx, tx, id); err != nil {
				return err
			}
		}
		return recordAct(ctx, tx, id, who, what, "")
	})
}
