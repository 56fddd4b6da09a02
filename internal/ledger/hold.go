package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Hold is a planned time in which nothing leaves; what is due then leaves afterwards.
type Hold struct {
	From, Until time.Time
	Reason      string
}

// SetHolds makes these the planned holds, in the place of all earlier ones. They bind every worker: the mark asks
// for them, on the database's clock, and is refused as soon as its dot could fall into one.
func (db *DB) SetHolds(ctx context.Context, holds []Hold) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		// Two processes that start at once set them one after the other.
		if _, err := tx.Exec(ctx, `LOCK TABLE hold IN SHARE ROW EXCLUSIVE MODE`); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM hold`); err != nil {
			return err
		}
		for _, h := range holds {
			_, err := tx.Exec(ctx, `INSERT INTO hold (from_at, until_at, reason) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, h.From, h.Until, h.Reason)
			if err != nil {
				return err
			}
		}
		return nil
	})
	return wrap(err, "set the planned holds")
}

// holdNow is the planned hold that a dot marked now could fall into; $1 is the dot's grace.
const holdNow = `SELECT from_at, until_at, reason FROM hold WHERE from_at < clock_timestamp() + $1 AND until_at > clock_timestamp()`

// applyHolds shows planned holds in the state of notices: the marks are refused without it.
func (db *DB) applyHolds(ctx context.Context) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE notice SET state = 'held', reason = h.reason, held_until = h.until_at
		FROM (`+holdNow+` ORDER BY until_at DESC LIMIT 1) h WHERE state = 'sending'`, db.opts.DotGrace)
	if err != nil {
		return fmt.Errorf("hold notices: %w", err)
	}
	return db.start(ctx, `state = 'held' AND held_until IS NOT NULL AND NOT EXISTS (
		SELECT FROM hold WHERE from_at < clock_timestamp() + interval '`+fmt.Sprint(db.opts.DotGrace.Microseconds())+` microseconds' AND until_at > clock_timestamp())`)
}
