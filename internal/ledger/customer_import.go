package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// CustomerRows is a customer file, read row by row in ascending lines. Next returns a good row, or why a row is
// rejected; io.EOF after the last. Any other error ends the import.
type CustomerRows interface {
	Next() (notice.CustomerRow, *notice.Rejection, error)
}

// ImportCustomers keeps the customers of a file in one transaction: a field that a row leaves out stays as it is. Of rows with
// the same id the first good one is kept and the others are rejected. After an error nothing is kept. Neither memory nor
// the report grows with the file.
func (db *DB) ImportCustomers(ctx context.Context, rows CustomerRows, o notice.ImportOptions) (report notice.ImportReport, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		report, err = importCustomers(ctx, tx, rows, o)
		if err != nil {
			return err
		}
		if !report.Kept {
			return errDryRun
		}
		return recordPress(ctx, tx, "import customers", aboutImport(report))
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	return report, err
}

// aboutImport counts the rows of a file by their fate, for the log.
func aboutImport(r notice.ImportReport) string {
	text := fmt.Sprintf("%d rows: %d inserted, %d updated, %d rejected", r.Read, r.Inserted, r.Updated, r.RejectedCount)
	if r.Retired > 0 {
		text += fmt.Sprintf(", %d retired", r.Retired)
	}
	return text
}

func importCustomers(ctx context.Context, tx pgx.Tx, rows CustomerRows, o notice.ImportOptions) (report notice.ImportReport, err error) {
	report = emptyReport()
	in := &incoming{rows: rows, report: &report, names: map[string]string{}}
	good, err := in.copyTo(ctx, tx)
	if err != nil {
		return report, err
	}
	twins, err := rejectTwins(ctx, tx, &report)
	if err != nil {
		return report, err
	}
	sortRejections(&report)
	if o.KeepsNothing(report) {
		return report, nil
	}
	// Other files, and changes of a single customer, wait until this one is in: the fields that it leaves out are read here.
	// Releases and all other readers do not wait.
	if _, err := tx.Exec(ctx, `LOCK TABLE customer IN SHARE ROW EXCLUSIVE MODE`); err != nil {
		return report, fmt.Errorf("wait for other changes of customers: %w", err)
	}
	if err := in.spell(ctx, tx); err != nil {
		return report, err
	}
	if o.Sync {
		if err := retire(ctx, tx, o.MaxRetired, &report); err != nil {
			return report, err
		}
	}
	if err := mergeCustomers(ctx, tx, &report); err != nil {
		return report, err
	}
	report.Unchanged = good - twins - report.Inserted - report.Updated
	report.Kept = !o.DryRun
	return report, nil
}

// emptyReport is a report with lists that are no null in JSON.
func emptyReport() notice.ImportReport {
	return notice.ImportReport{Rejected: []notice.Rejection{}, Reasons: []notice.RejectionReason{}, Cleared: map[string]int{}}
}

func sortRejections(report *notice.ImportReport) {
	slices.SortStableFunc(report.Rejected, func(a, b notice.Rejection) int { return cmp.Compare(a.Line, b.Line) })
	report.Rejected = report.Rejected[:min(len(report.Rejected), notice.MaxRejections)]
	slices.SortStableFunc(report.Reasons, func(a, b notice.RejectionReason) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Line, b.Line))
	})
}

// incoming feeds the good rows of a file to COPY and notes the rejections.
type incoming struct {
	rows   CustomerRows
	row    notice.CustomerRow
	report *notice.ImportReport
	names  map[string]string // of attributes, by lower case
	err    error
}

var errFile = errors.New("the file could not be read to its end")

// copyTo streams the file into the temporary table incoming, and returns how many rows that holds. NULL stands
// for a field that a row leaves out, and a null among the attributes for one that is to be emptied.
func (in *incoming) copyTo(ctx context.Context, tx pgx.Tx) (int, error) {
	_, err := tx.Exec(ctx, `
		CREATE TEMPORARY TABLE incoming (
			line integer, id text COLLATE "C", name text, email text, email_key text, alternate_email text, alternate_email_key text,
			language text, time_zone text, attributes jsonb, whole boolean
		) ON COMMIT DROP`)
	if err != nil {
		return 0, fmt.Errorf("make room for a customer file: %w", err)
	}
	n, err := tx.CopyFrom(ctx, pgx.Identifier{"incoming"}, []string{"line", "id", "name", "email", "email_key",
		"alternate_email", "alternate_email_key", "language", "time_zone", "attributes", "whole"}, in)
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
		in.report.Read++
		if rejection == nil {
			column, reason := unfit(row.Customer)
			if reason == "" {
				if row.Warning != "" {
					in.report.Warn(row.Line, "language", row.Warning)
				}
				in.row = row
				return true
			}
			rejection = &notice.Rejection{Line: row.Line, Column: column, Reason: reason}
		}
		in.report.Reject(*rejection)
	}
}

// Values returns the row, for pgx.CopyFromSource.
func (in *incoming) Values() ([]any, error) {
	c, given := in.row.Customer, in.row.Given
	attributes := make(map[string]*string, len(c.Attributes))
	for name, value := range c.Attributes {
		if folded := strings.ToLower(name); in.names[folded] == "" {
			in.names[folded] = name
		}
		if attributes[name] = nil; value != "" {
			attributes[name] = &value
		}
	}
	return []any{in.row.Line, c.ID, orNull(given, notice.GivenName, c.Name),
		orNull(given, notice.GivenEmail, c.Email), orNull(given, notice.GivenEmail, in.row.EmailKey),
		orNull(given, notice.GivenAlternateEmail, c.AlternateEmail), orNull(given, notice.GivenAlternateEmail, in.row.AlternateEmailKey),
		orNull(given, notice.GivenLanguage, c.Language), orNull(given, notice.GivenTimeZone, c.TimeZone),
		attributes, given&notice.GivenAttributes != 0}, nil
}

func orNull(given, field notice.Fields, value string) *string {
	if given&field == 0 {
		return nil
	}
	return &value
}

// Err tells COPY to give up. It does not say why: the server would log that, and it may quote the file.
func (in *incoming) Err() error {
	if in.err != nil {
		return errFile
	}
	return nil
}

// spell gives the attributes of incoming the spelling that their names had first.
func (in *incoming) spell(ctx context.Context, tx pgx.Tx) error {
	spellings, err := spellings(ctx, tx, in.names)
	if err != nil {
		return err
	}
	for folded, name := range in.names {
		first := spellings[folded]
		if first == name {
			continue
		}
		_, err := tx.Exec(ctx, `
			UPDATE incoming SET attributes = attributes - $1 || jsonb_build_object($2::text, attributes->$1) WHERE attributes ? $1`, name, first)
		if err != nil {
			return fmt.Errorf("spell an attribute as before: %w", err)
		}
	}
	return nil
}

// rejectTwins rejects the rows with an id that stands on an earlier line too, and returns how many they are.
func rejectTwins(ctx context.Context, tx pgx.Tx, report *notice.ImportReport) (n int, err error) {
	rows, _ := tx.Query(ctx, `
		SELECT line, first, count(*) OVER () FROM (SELECT line, min(line) OVER (PARTITION BY id) AS first FROM incoming) i
		WHERE line > first ORDER BY line LIMIT $1`, notice.MaxRejections)
	var line, first int
	var shown []notice.Rejection
	_, err = pgx.ForEachRow(rows, []any{&line, &first, &n}, func() error {
		shown = append(shown, notice.Rejection{Line: line, Column: "id", Reason: fmt.Sprintf("the same id stands on line %d", first)})
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("look for ids that stand twice: %w", err)
	}
	if n > 0 {
		report.RejectAll(shown, n, "the same id stands on an earlier line")
	}
	return n, nil
}

// mergeCustomers moves incoming into customer. The report counts the values that it takes away, by field.
func mergeCustomers(ctx context.Context, tx pgx.Tx, report *notice.ImportReport) error {
	_, err := tx.Exec(ctx, `
		CREATE TEMPORARY TABLE merged ON COMMIT DROP AS
		SELECT i.id, c.id IS NOT NULL AS known, coalesce(i.name, c.name, '') AS name,
			coalesce(i.email, c.email, '') AS email, coalesce(i.email_key, c.email_key, '') AS email_key,
			CASE WHEN i.email IS NULL THEN coalesce(c.email_fault, '') ELSE '' END AS email_fault,
			coalesce(i.alternate_email, c.alternate_email, '') AS alternate_email,
			coalesce(i.alternate_email_key, c.alternate_email_key, '') AS alternate_email_key,
			CASE WHEN i.alternate_email IS NULL THEN coalesce(c.alternate_email_fault, '') ELSE '' END AS alternate_email_fault,
			coalesce(i.language, c.language, '') AS language, coalesce(i.time_zone, c.time_zone, '') AS time_zone,
			jsonb_strip_nulls(CASE WHEN i.whole OR c.id IS NULL THEN '{}' ELSE c.attributes END || i.attributes) AS attributes
		FROM (SELECT DISTINCT ON (id) * FROM incoming ORDER BY id, line) i LEFT JOIN customer c ON c.id = i.id`)
	if err != nil {
		return fmt.Errorf("merge a customer file: %w", err)
	}
	if err := countCleared(ctx, tx, report); err != nil {
		return err
	}
	updated, err := tx.Exec(ctx, `
		UPDATE customer c SET name = m.name, email = m.email, email_key = m.email_key, email_fault = m.email_fault,
			alternate_email = m.alternate_email, alternate_email_key = m.alternate_email_key, alternate_email_fault = m.alternate_email_fault,
			language = m.language, time_zone = m.time_zone, attributes = m.attributes, updated_at = clock_timestamp()
		FROM merged m
		WHERE m.id = c.id AND (c.name, c.email, c.email_key, c.alternate_email, c.alternate_email_key, c.language, c.time_zone, c.attributes)
			IS DISTINCT FROM (m.name, m.email, m.email_key, m.alternate_email, m.alternate_email_key, m.language, m.time_zone, m.attributes)`)
	if err != nil {
		return fmt.Errorf("update the customers of a file: %w", err)
	}
	inserted, err := tx.Exec(ctx, `
		INSERT INTO customer (id, name, email, email_key, alternate_email, alternate_email_key, language, time_zone, attributes)
		SELECT id, name, email, email_key, alternate_email, alternate_email_key, language, time_zone, attributes
		FROM merged WHERE NOT known ORDER BY id`)
	if err != nil {
		return fmt.Errorf("insert the customers of a file: %w", err)
	}
	report.Updated, report.Inserted = int(updated.RowsAffected()), int(inserted.RowsAffected())
	return nil
}

// countCleared counts the values that the file takes away.
func countCleared(ctx context.Context, tx pgx.Tx, report *notice.ImportReport) error {
	rows, _ := tx.Query(ctx, `
		SELECT field, count(*) FROM merged m JOIN customer c ON c.id = m.id CROSS JOIN LATERAL (
			SELECT field FROM (VALUES ('name', c.name, m.name), ('email', c.email, m.email), ('alternate_email', c.alternate_email, m.alternate_email),
				('language', c.language, m.language), ('time_zone', c.time_zone, m.time_zone)) AS f(field, before, after)
			WHERE before <> '' AND after = ''
			UNION ALL
			SELECT 'attributes.' || k FROM jsonb_object_keys(c.attributes) k WHERE NOT m.attributes ? k) cleared
		GROUP BY field`)
	var field string
	var n int
	_, err := pgx.ForEachRow(rows, []any{&field, &n}, func() error {
		report.Cleared[field] = n
		return nil
	})
	return wrap(err, "count what a customer file takes away")
}

// retire deletes the customers who are not in the file; the notices that they were told stay. Its error is a notice.Error where
// that would be more than most percent of all.
func retire(ctx context.Context, tx pgx.Tx, most float64, report *notice.ImportReport) error {
	var all, gone int
	err := tx.QueryRow(ctx, `
		SELECT count(*), count(*) FILTER (WHERE NOT EXISTS (SELECT FROM incoming i WHERE i.id = c.id)) FROM customer c`).Scan(&all, &gone)
	if err != nil {
		return fmt.Errorf("count the customers who are not in the file: %w", err)
	}
	if share := 100 * float64(gone) / float64(max(all, 1)); share > most {
		return notice.Invalid("max_retired", "the file lacks %d of %d customers (%.1f %%), and at most %g %% may be retired; "+
			"nothing was changed. If they are all to go, say --max-retired %.0f (?max_retired=)", gone, all, share, most, share+0.5)
	}
	if _, err := tx.Exec(ctx, `DELETE FROM customer c WHERE NOT EXISTS (SELECT FROM incoming i WHERE i.id = c.id)`); err != nil {
		return fmt.Errorf("retire customers: %w", err)
	}
	report.Retired = gone
	return nil
}
