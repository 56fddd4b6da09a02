package ledger

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// erasedPrefix begins the stand-in for an address key that was erased. No address can: its local part would need quotes.
const erasedPrefix = "erased:"

// domainPrefix begins the key of an entry for a whole domain. A mailbox can have that name too: it is one of the domain.
const domainPrefix = "*@"

// erasedSQL is the stand-in for an address key on the list of suppressions once its customer was erased.
func erasedSQL(key string) string {
	return "('" + erasedPrefix + "' || encode(sha256((SELECT key FROM erasure) || convert_to(" + key + ", 'UTF8')), 'hex'))"
}

// domainSQL is the key of the entry for the domain of a mailbox.
func domainSQL(key string) string {
	return "('" + domainPrefix + "' || split_part(" + key + ", '@', -1))"
}

// suppressedSQL is the condition that an entry of the list covers a mailbox, by its address key, by its domain or by its hash,
// for a notice that is urgent or not. Where no entry is for a domain, or a hash, none is looked up: CASE sees to that.
func suppressedSQL(key string, urgent bool) string {
	scope := ""
	if urgent {
		scope = " AND s.scope = '" + string(notice.ScopeAll) + "'"
	}
	listed := func(key string) string {
		return "EXISTS (SELECT FROM suppression s WHERE s.address_key = " + key + scope + ")"
	}
	ifAny := func(prefix, key string) string {
		return `CASE WHEN (SELECT EXISTS (SELECT FROM suppression WHERE starts_with(address_key, '` + prefix + `'))) THEN ` + listed(key) + ` ELSE false END`
	}
	return "(" + listed(key) + "\n\t\tOR " + ifAny(domainPrefix, domainSQL(key)) + "\n\t\tOR " + ifAny(erasedPrefix, erasedSQL(key)) + ")"
}

// Suppressions returns a page of the list of suppressions by number, beginning after that one; empty, never nil,
// where there is none.
func (db *DB) Suppressions(ctx context.Context, after int64, limit int) ([]notice.Suppression, error) {
	rows, _ := db.pool.Query(ctx, `
		SELECT number, CASE WHEN starts_with(address_key, '`+erasedPrefix+`') THEN '' ELSE address_key END, reason, scope, added_by, added_at
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

// Suppress puts an entry on the list, or gives one that stands there another reason and a wider scope, and returns the entry
// and whether it is new. To narrow one is to mail an address again: that is a notice.Error of class conflict.
func (db *DB) Suppress(ctx context.Context, row notice.SuppressionRow, who string) (s notice.Suppression, created bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		s, created, err = suppressOne(ctx, tx, row, who)
		if errors.Is(err, pgx.ErrNoRows) {
			return notice.Conflict("it is on the list for every notice: take it off first if urgent ones are to reach it")
		}
		return err
	})
	if err != nil {
		return s, false, fmt.Errorf("suppress an address: %w", err)
	}
	s.AddedAt = s.AddedAt.UTC()
	return s, created, nil
}

// suppressOne is Suppress in a transaction; pgx.ErrNoRows: an entry of a wider scope stands there, and is left as it is.
func suppressOne(ctx context.Context, tx pgx.Tx, row notice.SuppressionRow, who string) (s notice.Suppression, created bool, err error) {
	if err := unhide(ctx, tx, []string{row.Key}); err != nil {
		return s, false, err
	}
	err = tx.QueryRow(ctx, `
		INSERT INTO suppression AS s (address_key, reason, scope, added_by) VALUES ($1, $2, $3, $4)
		ON CONFLICT (address_key) DO UPDATE SET reason = excluded.reason, scope = excluded.scope, added_by = excluded.added_by, added_at = clock_timestamp()
		WHERE s.scope = excluded.scope OR excluded.scope = 'all'
		RETURNING number, address_key, reason, scope, added_by, added_at, xmax = 0`, row.Key, row.Reason, row.Scope, who).
		Scan(&s.Number, &s.Address, &s.Reason, &s.Scope, &s.AddedBy, &s.AddedAt, &created)
	if err != nil {
		return s, false, err
	}
	return s, created, suppressReleased(ctx, tx, `s.address_key = $1`, row.Key)
}

// unhide puts the keys themselves in the place of their hashes.
func unhide(ctx context.Context, tx pgx.Tx, keys []string) error {
	_, err := tx.Exec(ctx, `
		UPDATE suppression s SET address_key = k.key FROM (SELECT DISTINCT key FROM unnest($1::text[]) AS key) k
		WHERE s.address_key = `+erasedSQL("k.key"), keys)
	return err
}

// hide puts hashes in the place of those keys that no customer has any more. An entry for a domain names nobody: it stays.
func hide(ctx context.Context, tx pgx.Tx, keys []string) error {
	return exec(ctx, tx, "hide suppressions", `
		UPDATE suppression s SET address_key = `+erasedSQL("s.address_key")+`
		WHERE s.address_key = ANY($1) AND s.address_key <> '' AND NOT starts_with(s.address_key, '`+domainPrefix+`') AND NOT EXISTS (SELECT FROM customer c
			WHERE c.email_key = s.address_key AND c.email_key <> '' OR c.alternate_email_key = s.address_key AND c.alternate_email_key <> '')`, keys)
}

// Unsuppress takes an address key off the list, in clear or as a hash, or an entry for a domain. It is a notice.Error of class
// not_found where it does not stand there, and of class conflict for an address whose whole domain stands there: it would get no
// mail afterwards either.
func (db *DB) Unsuppress(ctx context.Context, key string) error {
	if !strings.HasPrefix(key, domainPrefix) {
		var whole int64
		err := db.pool.QueryRow(ctx, `SELECT number FROM suppression WHERE address_key = `+domainSQL("$1::text"), key).Scan(&whole)
		if err == nil {
			return notice.Conflict("its whole domain is on the list (entry %d), and one address of it can't be excepted: take that entry off; one of the address alone goes by its number", whole)
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("look for the domain of a suppression: %w", err)
		}
	}
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

// ImportSuppressions keeps the suppressions of a file in one transaction; of rows with the same address the last one of the widest
// scope counts, and an entry that stands on the list with a wider one stays as it is. After an error nothing is kept. Neither
// memory nor the report grows with the file.
func (db *DB) ImportSuppressions(ctx context.Context, rows SuppressionRows, who string) (report notice.ImportReport, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		report = emptyReport()
		for done := false; !done; {
			var slice suppressionRows
			if done, err = slice.read(rows, &report); err != nil {
				return fmt.Errorf("read a file of suppressions: %w", err)
			}
			if err := suppressAll(ctx, tx, slice, who, &report); err != nil {
				return fmt.Errorf("keep a file of suppressions: %w", err)
			}
		}
		sortRejections(&report)
		report.Kept = true
		if report.Inserted+report.Updated == 0 {
			return nil
		}
		// All at once, so that chunks are locked in their order.
		return suppressReleased(ctx, tx, `s.added_at >= transaction_timestamp()`)
	})
	return report, err
}

// suppressionRows are the columns of some rows.
type suppressionRows struct {
	keys, reasons []string
	scopes        []notice.Scope
}

// read reads a slice of a file; done at its end.
func (s *suppressionRows) read(rows SuppressionRows, report *notice.ImportReport) (done bool, err error) {
	for len(s.keys) < suppressionSlice {
		row, rejection, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return true, err
		}
		report.Read++
		if rejection != nil {
			report.Reject(*rejection)
			continue
		}
		s.keys, s.reasons, s.scopes = append(s.keys, row.Key), append(s.reasons, row.Reason), append(s.scopes, row.Scope)
	}
	return false, nil
}

func suppressAll(ctx context.Context, tx pgx.Tx, rows suppressionRows, who string, report *notice.ImportReport) error {
	if len(rows.keys) == 0 {
		return nil
	}
	if err := unhide(ctx, tx, rows.keys); err != nil {
		return err
	}
	var inserted, updated int
	err := tx.QueryRow(ctx, `
		WITH merged AS (
			INSERT INTO suppression AS s (address_key, reason, scope, added_by)
			SELECT DISTINCT ON (key COLLATE "C") key, reason, scope, $4
			FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS m(key, reason, scope, i)
			ORDER BY key COLLATE "C", scope = 'all' DESC, i DESC
			ON CONFLICT (address_key) DO UPDATE SET reason = excluded.reason, scope = excluded.scope, added_by = excluded.added_by, added_at = clock_timestamp()
			WHERE s.scope = excluded.scope AND s.reason <> excluded.reason OR s.scope <> 'all' AND excluded.scope = 'all'
			RETURNING xmax = 0 AS inserted)
		SELECT count(*) FILTER (WHERE inserted), count(*) FILTER (WHERE NOT inserted) FROM merged`, rows.keys, rows.reasons, rows.scopes, who).
		Scan(&inserted, &updated)
	if err != nil {
		return err
	}
	report.Inserted += inserted
	report.Updated += updated
	report.Unchanged += len(rows.keys) - inserted - updated
	return nil
}
