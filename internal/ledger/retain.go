package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// retainSlice is how many rows one transaction drops.
const retainSlice = 5000

// DropOldRows drops a slice of the rows of notices that are finished and whose last mail left, or was to leave, longer
// ago than keep; more says that there may be more to drop. The sums of a notice are kept first, in the notice itself,
// so that its status stays the same; its key stays taken. Rows that are still uncertain go too: so long afterwards no
// relay's log can tell. Several may drop at once.
func (db *DB) DropOldRows(ctx context.Context, keep time.Duration) (rows int, more bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		rows, more, err = dropOldRows(ctx, tx, keep)
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("drop old rows: %w", err)
	}
	return rows, more, nil
}

func dropOldRows(ctx context.Context, tx pgx.Tx, keep time.Duration) (rows int, more bool, err error) {
	var id, plan int64
	err = tx.QueryRow(ctx, `
		SELECT id, plan_id FROM notice n WHERE rows_dropped_at IS NOT NULL AND EXISTS (SELECT FROM recipient WHERE plan_id = n.plan_id)
		ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED`).Scan(&id, &plan)
	if errors.Is(err, pgx.ErrNoRows) {
		return keepSummary(ctx, tx, keep)
	}
	if err != nil {
		return 0, false, err
	}
	last, rows, err := dropRows(ctx, tx, plan)
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM outcome WHERE notice_id = $1 AND seq <= $2`, id, last)
	}
	return rows, true, err
}

// dropRows drops a slice of the rows of a plan, and returns the seq of the last and how many there were.
func dropRows(ctx context.Context, tx pgx.Tx, plan int64) (last, rows int, err error) {
	err = tx.QueryRow(ctx, `
		WITH slice AS (SELECT seq, customers FROM recipient WHERE plan_id = $1 ORDER BY seq LIMIT $2),
		members AS (DELETE FROM member m USING slice s, jsonb_array_elements(s.customers) c
			WHERE m.plan_id = $1 AND m.customer_id = c->>'id'),
		added AS (DELETE FROM added a USING slice s WHERE a.plan_id = $1 AND a.seq = s.seq),
		gone AS (DELETE FROM recipient WHERE plan_id = $1 AND seq <= (SELECT max(seq) FROM slice) RETURNING seq)
		SELECT coalesce(max(seq), -1), count(*) FROM gone`, plan, retainSlice).Scan(&last, &rows)
	return last, rows, err
}

// keepSummary writes the sums of the next old notice into the notice, and drops its chunks: from then on nothing of it
// can change.
func keepSummary(ctx context.Context, tx pgx.Tx, keep time.Duration) (rows int, more bool, err error) {
	var id, plan int64
	err = tx.QueryRow(ctx, `
		SELECT id, coalesce(plan_id, 0) FROM notice n
		WHERE rows_dropped_at IS NULL AND state IN ('sent', 'cancelled') AND greatest(released_at, send_at) < clock_timestamp() - $1::interval
			AND NOT EXISTS (SELECT FROM chunk WHERE notice_id = n.id
				AND (open OR lease_until > clock_timestamp() OR last_sent_at >= clock_timestamp() - $1::interval))
		ORDER BY id LIMIT 1`, keep).Scan(&id, &plan)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	// Chunks are locked before their notice. One that was reopened meanwhile is left to a later call.
	chunks, err := collect[int64](ctx, tx, `SELECT id FROM chunk WHERE notice_id = $1 ORDER BY id FOR UPDATE`, id)
	if err != nil {
		return 0, false, err
	}
	// The counts of a chunk that was never given back are not exact.
	if err := recount(ctx, tx, chunks); err != nil {
		return 0, false, err
	}
	dropped, err := tx.Exec(ctx, `
		UPDATE notice n SET rows_dropped_at = clock_timestamp(), kept_first_sent_at = k.first, kept_last_sent_at = k.last,
			kept_counts = k.counts
		FROM (SELECT min(first_sent_at) AS first, max(last_sent_at) AS last, bool_or(open OR coalesce(lease_until > clock_timestamp(), false)) AS busy,
			`+sumOfCounts+` AS counts
			FROM chunk WHERE notice_id = $1) k
		WHERE n.id = $1 AND n.rows_dropped_at IS NULL AND n.state IN ('sent', 'cancelled') AND NOT k.busy`, id)
	if err != nil {
		return 0, false, err
	}
	if dropped.RowsAffected() == 0 {
		return 0, true, nil
	}
	for _, table := range []string{"answer", "bounce", "chunk"} {
		if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE notice_id = $1`, id); err != nil {
			return 0, false, err
		}
	}
	if err := hideDomains(ctx, tx, id); err != nil {
		return 0, false, err
	}
	return 0, true, dropPins(ctx, tx, plan)
}

// rowsDropped says that a notice is too old for a request.
func rowsDropped(id int64, at time.Time) error {
	return notice.Conflict("the rows of notice %d were dropped on %s, because they were old: only its counts are kept",
		id, at.UTC().Format(time.DateOnly))
}
