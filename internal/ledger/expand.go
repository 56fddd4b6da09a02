package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// ChunkSize is how many deliveries a chunk covers: one queue task, one lease.
const ChunkSize = 256

// sliceSize is how many deliveries one transaction of the expansion makes; whole chunks.
const sliceSize = 40 * ChunkSize

// Expand makes the next slice of a released notice's deliveries, with their chunks, from its frozen recipients.
// It returns the chunks to be worked now (none before send_at), and whether the expansion is complete. Any number
// of expanders may run at once and be killed: the notice's row is locked while a slice is made, and remembers how
// far the expansion has come.
func (db *DB) Expand(ctx context.Context, id int64) (due []int64, done bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		due, done, err = expand(ctx, tx, id)
		return err
	})
	return due, done, err
}

func expand(ctx context.Context, tx pgx.Tx, id int64) (due []int64, done bool, err error) {
	var state notice.State
	var lo, recipients int
	var at time.Time
	err = tx.QueryRow(ctx, `
		SELECT state, expanded, recipients, CASE WHEN state = 'cancelled' THEN clock_timestamp() ELSE greatest(send_at, clock_timestamp()) END
		FROM notice WHERE id = $1 FOR NO KEY UPDATE`, id).Scan(&state, &lo, &recipients, &at)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, true, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("lock notice %d to expand it: %w", id, err)
	}
	if lo >= recipients {
		return nil, true, nil
	}
	hi := min(lo+sliceSize, recipients)
	_, err = tx.Exec(ctx, `
		INSERT INTO delivery (notice_id, seq, address_key, state, owed_at, due_at, at, reason)
		SELECT notice_id, seq, address_key, CASE WHEN reason = '' THEN 0 ELSE 6 END, $4, $4, clock_timestamp(), reason
		FROM recipient WHERE notice_id = $1 AND seq >= $2 AND seq < $3 ORDER BY seq
		ON CONFLICT DO NOTHING`, id, lo, hi, at)
	if err != nil {
		return nil, false, fmt.Errorf("insert deliveries %d to %d of notice %d: %w", lo, hi, id, err)
	}
	_, err = tx.Exec(ctx, `
		INSERT INTO member (customer_id, notice_id, seq)
		SELECT c->>'id', notice_id, seq FROM recipient, jsonb_array_elements(customers) c
		WHERE notice_id = $1 AND seq >= $2 AND seq < $3
		ON CONFLICT DO NOTHING`, id, lo, hi)
	if err != nil {
		return nil, false, fmt.Errorf("insert members %d to %d of notice %d: %w", lo, hi, id, err)
	}
	rows, err := tx.Query(ctx, `
		INSERT INTO chunk (notice_id, lo, hi, open, due_at, counts)
		SELECT $1, min(seq), max(seq) + 1, bool_or(state = 0), $4,
			ARRAY[count(*) FILTER (WHERE state = 0), 0, 0, 0, 0, 0, count(*) FILTER (WHERE state = 6), 0, 0]
		FROM delivery WHERE notice_id = $1 AND seq >= $2 AND seq < $3 GROUP BY seq / $5 ORDER BY 2
		RETURNING CASE WHEN open AND due_at <= clock_timestamp() THEN id ELSE 0 END`, id, lo, hi, at, ChunkSize)
	if err != nil {
		return nil, false, fmt.Errorf("insert the chunks of deliveries %d to %d of notice %d: %w", lo, hi, id, err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, false, fmt.Errorf("insert the chunks of deliveries %d to %d of notice %d: %w", lo, hi, id, err)
	}
	for _, c := range ids {
		if c != 0 {
			due = append(due, c)
		}
	}
	if _, err := tx.Exec(ctx, `UPDATE notice SET expanded = $2 WHERE id = $1`, id, hi); err != nil {
		return nil, false, fmt.Errorf("advance the expansion of notice %d: %w", id, err)
	}
	return due, hi == recipients, nil
}
