package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// erasedPrefix begins the stand-in for an address key that was erased. No address can: its local part would need quotes.
const erasedPrefix = "erased:"

// erasedSQL is the stand-in for an address key on the list of suppressions once its customer was erased.
func erasedSQL(key string) string {
	return "('" + erasedPrefix + "' || encode(sha256((SELECT key FROM erasure) || convert_to(" + key + ", 'UTF8')), 'hex'))"
}

// suppressedSQL is the condition that an address key stands on the list of suppressions, in clear or as a hash. Where
// none stands as a hash, none is made: CASE sees to that.
func suppressedSQL(key string) string {
	return `(EXISTS (SELECT FROM suppression s WHERE s.address_key = ` + key + `)
		OR CASE WHEN (SELECT EXISTS (SELECT FROM suppression WHERE starts_with(address_key, '` + erasedPrefix + `')))
			THEN EXISTS (SELECT FROM suppression s WHERE s.address_key = ` + erasedSQL(key) + `) ELSE false END)`
}

// Suppressions returns a page of the list of suppressions by number, beginning after that one; empty, never nil,
// where there is none.
func (db *DB) Suppressions(ctx context.Context, after int64, limit int) ([]notice.Suppression, error) {
	rows, _ := db.pool.Query(ctx, `
		SELECT number, CASE WHEN starts_with(address_key, '`+erasedPrefix+`') THEN '' ELSE address_key END, reason, added_by, added_at
		FROM suppression WHERE number > $1 ORDER BY number LIMIT $2`, after, limit)
	all, err := pgx.AppendRows([]notice.Suppression{}, rows, pgx.RowToStructByPos[notice.Suppression])
	if err != nil {
		return nil, fmt.Errorf("read the suppressions: %w", err)
	}
	for i := range all {
		all[i].AddedAt = all[i].AddedAt.UTC()
	}
	return all, nil
}

// Suppress puts an address key on the list, or gives one that stands there another reason, and returns the entry and
// whether it is new.
func (db *DB) Suppress(ctx context.Context, key, reason, who string) (s notice.Suppression, created bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if err := unhide(ctx, tx, []string{key}); err != nil {
			return err
		}
		err := tx.QueryRow(ctx, `
			INSERT INTO suppression AS s (address_key, reason, added_by) VALUES ($1, $2, $3)
			ON CONFLICT (address_key) DO UPDATE SET reason = excluded.reason, added_by = excluded.added_by, added_at = clock_timestamp()
			RETURNING number, address_key, reason, added_by, added_at, xmax = 0`, key, reason, who).
			Scan(&s.Number, &s.Address, &s.Reason, &s.AddedBy, &s.AddedAt, &created)
		if err != nil {
			return err
		}
		return suppressReleased(ctx, tx, `s.address_key = $1`, key)
	})
	if err != nil {
		return s, false, fmt.Errorf("suppress an address: %w", err)
	}
	s.AddedAt = s.AddedAt.UTC()
	return s, created, nil
}

// unhide puts the keys themselves in the place of their hashes.
func unhide(ctx context.Context, tx pgx.Tx, keys []string) error {
	_, err := tx.Exec(ctx, `
		UPDATE suppression s SET address_key = k.key FROM (SELECT DISTINCT key FROM unnest($1::text[]) AS key) k
		WHERE s.address_key = `+erasedSQL("k.key"), keys)
	return err
}

// hide puts hashes in the place of those keys that no customer has any more.
func hide(ctx context.Context, tx pgx.Tx, keys []string) error {
	return exec(ctx, tx, "hide suppressions", `
		UPDATE suppression s SET address_key = `+erasedSQL("s.address_key")+`
		WHERE s.address_key = ANY($1) AND s.address_key <> '' AND NOT EXISTS (SELECT FROM customer c
			WHERE c.email_key = s.address_key AND c.email_key <> '' OR c.alternate_email_key = s.address_key AND c.alternate_email_key <> '')`, keys)
}

// Unsuppress takes an address key off the list, in clear or as a hash; a notice.Error of class not_found where it
// does not stand there.
func (db *DB) Unsuppress(ctx context.Context, key string) error {
	return db.unsuppress(ctx, `DELETE FROM suppression WHERE address_key IN ($1, `+erasedSQL("$1::text")+`)`, key)
}

// UnsuppressNumber takes an entry off the list by its number.
func (db *DB) UnsuppressNumber(ctx context.Context, number int64) error {
	return db.unsuppress(ctx, `DELETE FROM suppression WHERE number = $1`, number)
}

func (db *DB) unsuppress(ctx context.Context, query string, arg any) error {
	tag, err := db.pool.Exec(ctx, query, arg)
	if err != nil {
		return fmt.Errorf("take an address off the suppressions: %w", err)
	}
	if tag.RowsAffected() == 0 {
		return notice.NotFound("it is not on the list of suppressions")
	}
	return nil
}

// SuppressionRows is a file of suppressions, read row by row. Next returns a good row, or why a row is rejected;
// io.EOF after the last. Any other error ends the import.
type SuppressionRows interface {
	Next() (notice.SuppressionRow, *notice.Rejection, error)
}

// suppressionSlice is how many rows of a file go to Postgres at once.
const suppressionSlice = 5000

// ImportSuppressions keeps the suppressions of a file in one transaction; of rows with the same address the last one
// counts. After an error nothing is kept. Neither memory nor the report grows with the file.
func (db *DB) ImportSuppressions(ctx context.Context, rows SuppressionRows, who string) (report notice.ImportReport, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		report = emptyReport()
		for done := false; !done; {
			var keys, reasons []string
			if keys, reasons, done, err = nextSuppressions(rows, &report); err != nil {
				return fmt.Errorf("read a file of suppressions: %w", err)
			}
			if err := suppressAll(ctx, tx, keys, reasons, who, &report); err != nil {
				return fmt.Errorf("keep a file of suppressions: %w", err)
			}
		}
		sortRejections(&report)
		report.Kept = true
		if report.Inserted == 0 {
			return nil
		}
		// All at once, so that chunks are locked in their order.
		return suppressReleased(ctx, tx, `s.added_at >= transaction_timestamp()`)
	})
	return report, err
}

// nextSuppressions reads a slice of a file; done at its end.
func nextSuppressions(rows SuppressionRows, report *notice.ImportReport) (keys, reasons []string, done bool, err error) {
	for len(keys) < suppressionSlice {
		row, rejection, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return keys, reasons, true, nil
		}
		if err != nil {
			return nil, nil, true, err
		}
		report.Read++
		if rejection != nil {
			report.Reject(*rejection)
			continue
		}
		keys, reasons = append(keys, row.Key), append(reasons, row.Reason)
	}
	return keys, reasons, false, nil
}

func suppressAll(ctx context.Context, tx pgx.Tx, keys, reasons []string, who string, report *notice.ImportReport) error {
	if len(keys) == 0 {
		return nil
	}
	if err := unhide(ctx, tx, keys); err != nil {
		return err
	}
	var inserted, updated int
	err := tx.QueryRow(ctx, `
		WITH merged AS (
			INSERT INTO suppression AS s (address_key, reason, added_by)
			SELECT DISTINCT ON (key COLLATE "C") key, reason, $3 FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS m(key, reason, i)
			ORDER BY key COLLATE "C", i DESC
			ON CONFLICT (address_key) DO UPDATE SET reason = excluded.reason, added_by = excluded.added_by, added_at = clock_timestamp()
			WHERE s.reason <> excluded.reason
			RETURNING xmax = 0 AS inserted)
		SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM merged`, keys, reasons, who).
		Scan(&inserted, &updated)
	if err != nil {
		return err
	}
	report.Inserted += inserted
	report.Updated += updated
	report.Unchanged += len(keys) - inserted - updated
	return nil
}

// suppressOwed leaves mailboxes on the list out of a chunk that is being claimed: they may have been put there while the
// notice was released, or after it was finished. Deliveries that were never tried become suppressed; the rest is stopped, unless
// an operator had it owed again afterwards.
func suppressOwed(ctx context.Context, tx pgx.Tx, chunkID int64) error {
	listed, err := findRows(ctx, tx, named(`
		SELECT c.notice_id, r.seq FROM chunk c
		CROSS JOIN LATERAL (SELECT seq, address_key FROM recipient WHERE plan_id = c.plan_id AND seq >= c.lo AND seq < c.hi AND reason = '' OFFSET 0) r
		CROSS JOIN LATERAL (SELECT added_at FROM suppression WHERE address_key = r.address_key OFFSET 0) s
		LEFT JOIN LATERAL (SELECT state, owed_at FROM outcome WHERE notice_id = c.notice_id AND seq = r.seq OFFSET 0) o ON true
		WHERE c.id = $1 AND (SELECT EXISTS (SELECT FROM suppression)) AND get_bit(c.sent | c.stopped, r.seq - c.lo) = 0
			AND (o.state IS NULL OR o.state IN ({queued}, {deferred}) AND (o.owed_at IS NULL OR o.owed_at <= s.added_at))`), chunkID)
	if err != nil || len(listed.seqs) == 0 {
		return err
	}
	if err := suppressRows(ctx, tx, listed); err != nil {
		return err
	}
	return stopRows(ctx, tx, listed)
}

// suppressRows makes suppressed those of some rows that were never tried, an earlier notice's dot for which they wait
// included. One that an operator requeued has a reason.
func suppressRows(ctx context.Context, tx pgx.Tx, rows rowSet) error {
	return exec(ctx, tx, "suppress what is owed", named(`
		INSERT INTO outcome (notice_id, seq, state, reason)
		SELECT c.notice_id, m.seq, {suppressed}, 'suppression_list'
		FROM unnest($1::bigint[], $2::int[]) AS m(chunk_id, seq) JOIN chunk c ON c.id = m.chunk_id
		WHERE get_bit(c.sent | c.stopped | c.dots, m.seq - c.lo) = 0
		ON CONFLICT (notice_id, seq) DO UPDATE SET state = {suppressed}, due_at = NULL, at = excluded.at, reason = excluded.reason
		WHERE outcome.state = {queued} AND outcome.tries = 0 AND outcome.reason = ''`), rows.chunkOf, rows.seqs)
}

// suppressReleased stops the deliveries of unfinished notices to mailboxes on the list; which is a condition on
// "suppression s". When the caller's transaction has ended no mark for them commits. Those that were never tried become
// suppressed. A mark that is open gets its answer, and no next try.
func suppressReleased(ctx context.Context, tx pgx.Tx, which string, args ...any) error {
	found, err := findRows(ctx, tx, `
		SELECT n.id, r.seq FROM (SELECT id, plan_id FROM notice WHERE state NOT IN ('draft', 'sent', 'cancelled') OFFSET 0) n
		CROSS JOIN LATERAL (SELECT address_key FROM suppression s WHERE `+which+` OFFSET 0) s
		CROSS JOIN LATERAL (SELECT seq FROM recipient WHERE plan_id = n.plan_id AND address_key = s.address_key OFFSET 0) r`, args...)
	if err != nil || len(found.chunks) == 0 {
		return err
	}
	if err := lockChunks(ctx, tx, found.chunks); err != nil {
		return err
	}
	if err := suppressRows(ctx, tx, found); err != nil {
		return err
	}
	if err := stopRows(ctx, tx, found); err != nil {
		return err
	}
	return recountAndReopen(ctx, tx, found.chunks)
}
