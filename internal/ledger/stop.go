package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
)

// rowSet are deliveries, each with its chunk.
type rowSet struct {
	chunks  []int64 // each once, ascending, of rows that were found
	chunkOf []int64
	seqs    []int32
}

func (s *rowSet) add(chunk int64, seq int32) {
	s.chunkOf, s.seqs = append(s.chunkOf, chunk), append(s.seqs, seq)
}

// findRows looks for the chunks of the deliveries (notice_id, seq) that a query selects. Where there is no chunk, the
// notice is not released or its rows were dropped.
func findRows(ctx context.Context, tx pgx.Tx, query string, args ...any) (found rowSet, err error) {
	rows, _ := tx.Query(ctx, `
		SELECT c.id, d.seq FROM (`+query+`) AS d(notice_id, seq)
		CROSS JOIN LATERAL (SELECT id FROM chunk WHERE notice_id = d.notice_id AND lo <= d.seq AND hi > d.seq ORDER BY lo DESC LIMIT 1) c`, args...)
	var chunk int64
	var seq int32
	_, err = pgx.ForEachRow(rows, []any{&chunk, &seq}, func() error { found.add(chunk, seq); return nil })
	if err != nil {
		return found, fmt.Errorf("look for the chunks of deliveries: %w", err)
	}
	found.chunks = slices.Compact(slices.Sorted(slices.Values(found.chunkOf)))
	return found, nil
}

// stopRows sets the bits that keep deliveries of locked chunks from being marked again.
func stopRows(ctx context.Context, tx pgx.Tx, rows rowSet) error {
	return setStopped(ctx, tx, `c.stopped | x.bits`, rows)
}

// reviveRows takes those bits back.
func reviveRows(ctx context.Context, tx pgx.Tx, rows rowSet) error {
	return setStopped(ctx, tx, `c.stopped & ~x.bits`, rows)
}

func setStopped(ctx context.Context, tx pgx.Tx, stopped string, rows rowSet) error {
	return exec(ctx, tx, "stop deliveries", `
		UPDATE chunk c SET stopped = `+stopped+`, stopped_at = clock_timestamp()
		FROM (SELECT c.id, bit_or(set_bit(c.dots & ~c.dots, m.seq - c.lo, 1))::varbit AS bits
			FROM unnest($1::bigint[], $2::int[]) AS m(chunk_id, seq) JOIN chunk c ON c.id = m.chunk_id GROUP BY c.id) x
		WHERE c.id = x.id`, rows.chunkOf, rows.seqs)
}

// stopAll stops all that some chunks of a notice owe, and has them looked at at once.
func stopAll(ctx context.Context, tx pgx.Tx, chunks []int64) error {
	_, err := tx.Exec(ctx, `
		UPDATE chunk SET stopped = stopped | ~stopped, stopped_at = clock_timestamp(), due_at = clock_timestamp() WHERE id = ANY($1)`, chunks)
	if err != nil {
		return fmt.Errorf("stop what is owed: %w", err)
	}
	if err := cancelStopped(ctx, tx, chunks); err != nil {
		return err
	}
	return recount(ctx, tx, chunks)
}
