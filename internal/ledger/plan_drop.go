package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// DropOldPlans drops plans that were made longer ago than keep and that no notice has taken. It also drops a slice of the
// rows of dropped plans; more says that there may be more of these. The last that was dropped of a draft is kept as
// long, unless the draft was deleted: so a release of it can name the changes. Several may do it at once.
func (db *DB) DropOldPlans(ctx context.Context, keep time.Duration) (rows int, more bool, err error) {
	// A release that takes one of them is faster, or finds it dropped: its rows are there until that is committed.
	_, err = db.pool.Exec(ctx, `UPDATE plan SET state = 'dropped' WHERE state = 'frozen' AND made_at < clock_timestamp() - $1::interval`, keep)
	if err != nil {
		return 0, false, fmt.Errorf("drop old plans: %w", err)
	}
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		rows, more, err = collectPlan(ctx, tx, keep)
		return err
	})
	if err == nil && !more {
		_, err = db.dropParts(ctx)
	}
	if err != nil {
		return 0, false, fmt.Errorf("collect the rows of a dropped plan: %w", err)
	}
	return rows, more, nil
}

// collectPlan drops a slice of the rows of a plan that was dropped, and the plan after the last of them.
func collectPlan(ctx context.Context, tx pgx.Tx, keep time.Duration) (rows int, more bool, err error) {
	var plan int64
	var all int
	err = tx.QueryRow(ctx, `
		SELECT id, recipients FROM plan p WHERE state = 'dropped' AND (made_at < clock_timestamp() - $1::interval
			OR NOT EXISTS (SELECT FROM notice WHERE id = p.notice_id)
			OR EXISTS (SELECT FROM plan WHERE notice_id = p.notice_id AND (state = 'taken' OR state = 'dropped' AND id > p.id)))
		ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED`, keep).Scan(&plan, &all)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	rows, gone, err := dropRows(ctx, tx, plan, all)
	if err != nil || !gone {
		return rows, true, err
	}
	if err := dropPins(ctx, tx, plan); err != nil {
		return 0, false, err
	}
	_, err = tx.Exec(ctx, `DELETE FROM plan WHERE id = $1`, plan)
	return rows, true, err
}
