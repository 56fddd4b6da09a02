package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// CustomerRows is a customer file, read row by row in ascending lines. Next returns a good row, or why a row is
// rejected; io.EOF after the last. Any other error ends the import.
type CustomerRows interface {
	Next() (notice.CustomerRow, *notice.Rejection, error)
}

// ImportCustomers keeps the customers of a file in one transaction. Of rows with the same id the first good one is
// kept and the others are rejected. When strict, one rejection keeps all of the file out, and the report counts what
// was read and rejected alone. After an error nothing is kept. Memory grows with the rejections, not with the file.
func (db *DB) ImportCustomers(ctx context.Context, rows CustomerRows, strict bool) (report notice.ImportReport, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		report, err = importCustomers(ctx, tx, rows, strict)
		return err
	})
	return report, err
}

func importCustomers(ctx context.Context, tx pgx.Tx, rows CustomerRows, strict bool) (report notice.ImportReport, err error) {
	in := &incoming{rows: rows, rejected: []notice.Rejection{}}
	kept, err := in.copyTo(ctx, tx)
	if err != nil {
		return report, err
	}
	twice, err := rejectTwins(ctx, tx)
	if err != nil {
		return report, err
	}
	report.Read = in.read
	report.Rejected = append(in.rejected, twice...)
	slices.SortStableFunc(report.Rejected, func(a, b notice.Rejection) int { return cmp.Compare(a.Line, b.Line) })
	if strict && len(report.Rejected) > 0 {
		return report, nil
	}
	report.Inserted, report.Updated, err = mergeCustomers(ctx, tx)
	if err != nil {
		return report, err
	}
	report.Unchanged = kept - len(twice) - report.Inserted - report.Updated
	return report, nil
}

// incoming feeds the good rows of a file to COPY and keeps the rejections.
type incoming struct {
	rows     CustomerRows
	row      notice.CustomerRow
	read     int
	rejected []notice.Rejection
	err      error
}

var errFile = errors.New("the file could not be read to its end")

// copyTo streams the file into the temporary table incoming, and returns how many rows that holds.
func (in *incoming) copyTo(ctx context.Context, tx pgx.Tx) (int, error) {
	_, err := tx.Exec(ctx, `
		CREATE TEMP TABLE incoming ON COMMIT DROP AS
		SELECT 0 AS line, id, name, email, email_key, alternate_email, alternate_email_key, language, time_zone, attributes
		FROM customer WITH NO DATA`)
	if err != nil {
		return 0, fmt.Errorf("make room for a customer file: %w", err)
	}
	n, err := tx.CopyFrom(ctx, pgx.Identifier{"incoming"}, []string{"line", "id", "name", "email", "email_key",
		"alternate_email", "alternate_email_key", "language", "time_zone", "attributes"}, in)
	if in.err != nil {
		return 0, fmt.Errorf("read a customer file: %w", in.err)
	}
	if err != nil {
		return 0, fmt.Errorf("copy a customer file: %w", err)
	}
	return int(n), nil
}

// Next goes to the next good row, for pgx.CopyFromSource.
func (in *incoming) Next() bool {
	for {
		row, rejection, err := in.rows.Next()
		if errors.Is(err, io.EOF) {
			return false
		}
		if err != nil {
			in.err = err
			return false
		}
		in.read++
		if rejection == nil {
			column, reason := unfit(row.Customer)
			if reason == "" {
				in.row = row
				return true
			}
			rejection = &notice.Rejection{Line: row.Line, Column: column, Reason: reason}
		}
		in.rejected = append(in.rejected, *rejection)
	}
}

// Values returns the row, for pgx.CopyFromSource.
func (in *incoming) Values() ([]any, error) {
	c := in.row.Customer
	return []any{in.row.Line, c.ID, c.Name, c.Email, in.row.EmailKey, c.AlternateEmail, in.row.AlternateEmailKey,
		c.Language, c.TimeZone, present(c.Attributes)}, nil
}

// Err tells COPY to give up. It does not say why: the server would log that, and it may quote the file.
func (in *incoming) Err() error {
	if in.err != nil {
		return errFile
	}
	return nil
}

// rejectTwins lists the rows whose id stands on an earlier line too.
func rejectTwins(ctx context.Context, tx pgx.Tx) ([]notice.Rejection, error) {
	rows, err := tx.Query(ctx, `
		SELECT line, first FROM (SELECT line, min(line) OVER (PARTITION BY id) AS first FROM incoming) i
		WHERE line > first ORDER BY line`)
	if err != nil {
		return nil, fmt.Errorf("look for ids that stand twice: %w", err)
	}
	twice, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (notice.Rejection, error) {
		r := notice.Rejection{Column: "id"}
		var first int
		err := row.Scan(&r.Line, &first)
		r.Reason = fmt.Sprintf("the same id stands on line %d", first)
		return r, err
	})
	if err != nil {
		return nil, fmt.Errorf("look for ids that stand twice: %w", err)
	}
	return twice, nil
}

// mergeCustomers moves incoming into customer, by id: of two files that are merged at once, the one that comes to the
// first shared id later waits there for the other to commit. So they never wait for each other, and what both hold
// ends as the later one has it, all of it.
func mergeCustomers(ctx context.Context, tx pgx.Tx) (inserted, updated int, err error) {
	err = tx.QueryRow(ctx, `
		WITH merged AS (
			INSERT INTO customer AS c (id, name, email, email_key, alternate_email, alternate_email_key, language, time_zone, attributes)
			SELECT DISTINCT ON (id) id, name, email, email_key, alternate_email, alternate_email_key, language, time_zone, attributes
			FROM incoming ORDER BY id, line
			ON CONFLICT (id) DO UPDATE SET name = excluded.name, email = excluded.email, email_key = excluded.email_key,
				alternate_email = excluded.alternate_email, alternate_email_key = excluded.alternate_email_key,
				language = excluded.language, time_zone = excluded.time_zone, attributes = excluded.attributes,
				updated_at = clock_timestamp()
			WHERE (c.name, c.email, c.email_key, c.alternate_email, c.alternate_email_key, c.language, c.time_zone, c.attributes)
				IS DISTINCT FROM (excluded.name, excluded.email, excluded.email_key, excluded.alternate_email,
					excluded.alternate_email_key, excluded.language, excluded.time_zone, excluded.attributes)
			RETURNING xmax = 0 AS inserted)
		SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM merged`).Scan(&inserted, &updated)
	if err != nil {
		return 0, 0, fmt.Errorf("merge a customer file: %w", err)
	}
	return inserted, updated, nil
}
