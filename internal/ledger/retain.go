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

// DropOldRows drops the rows of a notice, or a slice of them. It takes finished notices where the last mail left, or was
// to leave, longer ago than keep; more says that there may be more to drop. The sums of a notice are kept first, in the notice itself,
// so that its status stays the same; its key stays taken. Rows that are still uncertain go too: so long afterwards no
// relay's log can tell. Where a part has no other rows, it goes as a whole. Several may drop at once.
func (db *DB) DropOldRows(ctx context.Context, keep time.Duration) (rows int, more bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		rows, more, err = dropOldRows(ctx, tx, keep)
		return err
	})
	if err == nil && !more {
		_, err = db.dropParts(ctx)
	}
	if err != nil {
		return 0, false, fmt.Errorf("drop old rows: %w", err)
	}
	return rows, more, nil
}

func dropOldRows(ctx context.Context, tx pgx.Tx, keep time.Duration) (rows int, more bool, err error) {
	var id, plan int64
	var all int
	err = tx.QueryRow(ctx, `
		SELECT n.id, p.id, n.recipients FROM notice n JOIN plan p ON p.id = n.plan_id AND NOT p.rows_gone WHERE rows_dropped_at IS NOT NULL
		ORDER BY n.id LIMIT 1 FOR NO KEY UPDATE OF n, p SKIP LOCKED`).Scan(&id, &plan, &all)
	if errors.Is(err, pgx.ErrNoRows) {
		return keepSummary(ctx, tx, keep)
	}
	if err != nil {
		return 0, false, err
	}
	tag, err := tx.Exec(ctx, `
		DELETE FROM outcome WHERE notice_id = $1 AND seq <= (SELECT max(seq) FROM (SELECT seq FROM outcome WHERE notice_id = $1 ORDER BY seq LIMIT $2) s)`, id, retainSlice)
	if err != nil || tag.RowsAffected() > 0 {
		return 0, true, err
	}
	rows, gone, err := dropRows(ctx, tx, plan, all)
	if err == nil && gone {
		_, err = tx.Exec(ctx, `UPDATE plan SET rows_gone = true WHERE id = $1`, plan)
	}
	return rows, true, err
}

// dropRows lets the rows of a plan, all of them, go with their part, or deletes a slice of them. It returns how many, and whether they
// are all gone.
func dropRows(ctx context.Context, tx pgx.Tx, plan int64, all int) (rows int, gone bool, err error) {
	if gone, err = letGo(ctx, tx, plan); err != nil {
		return 0, false, err
	}
	if gone {
		rows = all
	} else {
		rows, err = deleteRows(ctx, tx, plan)
		gone = rows == 0
	}
	if err == nil && gone {
		_, err = tx.Exec(ctx, `WITH s AS (DELETE FROM sieve WHERE plan_id = $1) DELETE FROM added WHERE plan_id = $1`, plan)
	}
	return rows, gone, err
}

func deleteRows(ctx context.Context, tx pgx.Tx, plan int64) (rows int, err error) {
	err = tx.QueryRow(ctx, inPlan(plan, `
		WITH slice AS (SELECT seq, customers FROM recipient WHERE plan_id = {plan} ORDER BY seq LIMIT $1),
		members AS (DELETE FROM member m USING slice s, jsonb_array_elements(s.customers) c
			WHERE m.plan_id = {plan} AND m.customer_id = c->>'id'),
		gone AS (DELETE FROM recipient WHERE plan_id = {plan} AND seq <= (SELECT max(seq) FROM slice) RETURNING seq)
		SELECT count(*) FROM gone`), retainSlice).Scan(&rows)
	return rows, err
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
