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

// erasedRowSQL is the stand-in for the address key of a plan's row once all its customers were erased: it tells one mailbox of the plan
// from another, and nothing between plans.
func erasedRowSQL(plan, key string) string {
	return erasedSQL(plan + "::text || ' ' || " + key)
}

// domainSQL is the key of the entry for the domain of a mailbox.
func domainSQL(key string) string {
	return "('" + domainPrefix + "' || split_part(" + key + ", '@', -1))"
}

// suppressedSQL is the condition that an entry of one of the scopes covers a mailbox. The entry has its address key, its domain or
// its hash. Where no entry is for a domain, or a hash, none is looked up: CASE sees to that.
func suppressedSQL(key string, scopes []notice.Scope) string {
	var names []string
	for _, s := range scopes {
		names = append(names, "'"+string(s)+"'")
	}
	listed := func(key string) string {
		return "EXISTS (SELECT FROM suppression s WHERE s.address_key = " + key + " AND s.scope IN (" + strings.Join(names, ", ") + "))"
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

// SuppressionsOf returns the entries that stop an address key, in clear or as a hash, that for its whole domain too; of *@ and a domain that entry.
func (db *DB) SuppressionsOf(ctx context.Context, key string) ([]notice.Suppression, error) {
	rows, _ := db.pool.Query(ctx, `
		SELECT number, CASE WHEN starts_with(address_key, '`+erasedPrefix+`') THEN '' ELSE address_key END, reason, scope, added_by, added_at
		FROM suppression WHERE address_key IN ($1, `+erasedSQL("$1::text")+`, `+domainSQL("$1::text")+`) ORDER BY number LIMIT 100`, key)
	all, err := pgx.AppendRows([]notice.Suppression{}, rows, pgx.RowToStructByPos[notice.Suppression])
	for i := range all {
		all[i].AddedAt = all[i].AddedAt.UTC()
	}
	return all, wrap(err, "look for an address on the list of suppressions")
}

// Suppress puts an entry on the list, or gives the one of its scope another reason, and returns the entry and whether it is new.
// One for every notice takes the place of those that are narrower, and none can join it: to narrow it is to mail an address
// again, so that is a notice.Error of class conflict. The entries of readers stay.
func (db *DB) Suppress(ctx context.Context, row notice.SuppressionRow, who string) (s notice.Suppression, created bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		s, created, err = suppressOne(ctx, tx, row, who)
		if errors.Is(err, pgx.ErrNoRows) {
			return notice.Conflict("it is on the list for every notice: take it off first if some are to reach it")
		}
		if err != nil {
			return err
		}
		return recordOther(ctx, tx, who, "suppress", fmt.Sprintf("entry %d, %s", s.Number, s.Scope))
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
		INSERT INTO suppression AS s (address_key, reason, scope, added_by)
		SELECT $1, $2, $3, $4 WHERE $3 = 'all' OR NOT EXISTS (SELECT FROM suppression WHERE address_key = $1 AND scope = 'all' AND NOT by_reader)
		ON CONFLICT (address_key, scope, by_reader) DO UPDATE SET reason = excluded.reason, added_by = excluded.added_by, added_at = clock_timestamp()
		RETURNING number, address_key, reason, scope, added_by, added_at, xmax = 0`, row.Key, row.Reason, row.Scope, who).
		Scan(&s.Number, &s.Address, &s.Reason, &s.Scope, &s.AddedBy, &s.AddedAt, &created)
	if err != nil {
		return s, false, err
	}
	if row.Scope == notice.ScopeAll {
		tag, err := tx.Exec(ctx, `DELETE FROM suppression WHERE address_key = $1 AND scope <> 'all' AND NOT by_reader`, row.Key)
		if err != nil {
			return s, false, err
		}
		created = created && tag.RowsAffected() == 0
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

// Unsuppress takes an address key off the list, in clear or as a hash, or an entry for a domain. An entry of the reader's own stays.
// It is a notice.Error of class not_found where the key does not stand there, and of class conflict where only its reader put it
// there. An address is a conflict, too, where its whole domain stands there: it would get no mail afterwards either.
func (db *DB) Unsuppress(ctx context.Context, key string) error {
	if !strings.HasPrefix(key, domainPrefix) {
		var whole int64
		err := db.pool.QueryRow(ctx, `SELECT number FROM suppression WHERE address_key = `+domainSQL("$1::text")+` LIMIT 1`, key).Scan(&whole)
		if err == nil {
			return notice.Conflict("its whole domain is on the list (entry %d), and one address of it can't be excepted: take that entry off; one of the address alone goes by its number", whole)
		}
		if !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("look for the domain of a suppression: %w", err)
		}
	}
	own := `FROM suppression WHERE address_key IN ($1, ` + erasedSQL("$1::text") + `)`
	err := db.unsuppress(ctx, `DELETE `+own+` AND NOT by_reader`, key)
	if notice.CodeOf(err) != notice.CodeNotFound {
		return err
	}
	numbers, failed := collect[string](ctx, db.pool, `SELECT number::text `+own+` ORDER BY number`, key)
	if failed != nil {
		return fmt.Errorf("look for a reader's own suppressions: %w", failed)
	}
	if len(numbers) > 0 {
		return notice.Conflict("its reader has stopped these mails (%s): where the reader wants them again, take the entry off by its number", strings.Join(numbers, ", "))
	}
	return err
}

// UnsuppressNumber takes an entry off the list by its number.
func (db *DB) UnsuppressNumber(ctx context.Context, number int64) error {
	return db.unsuppress(ctx, `DELETE FROM suppression WHERE number = $1`, number)
}

func (db *DB) unsuppress(ctx context.Context, query string, arg any) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		numbers, err := collect[string](ctx, tx, query+` RETURNING number::text`, arg)
		if err != nil {
			return fmt.Errorf("take an address off the suppressions: %w", err)
		}
		if len(numbers) == 0 {
			return notice.NotFound("it is not on the list of suppressions")
		}
		return recordPress(ctx, tx, "unsuppress", "entry "+strings.Join(numbers, ", "))
	})
}

// SuppressionRows is a file of suppressions, read row by row. Next returns a good row, or why a row is rejected;
// io.EOF after the last. Any other error ends the import.
type SuppressionRows interface {
	Next() (notice.SuppressionRow, *notice.Rejection, error)
}

// suppressionSlice is how many rows of a file go to Postgres at once.
const suppressionSlice = 5000

// ImportSuppressions keeps the suppressions of a file in one transaction. Of rows with the same address and scope the last
// one counts; one for every notice takes the place of the others, on the list too. After an error nothing is kept. Neither
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
		if report.Inserted+report.Updated > 0 {
			// All at once, so that chunks are locked in their order.
			if err := suppressReleased(ctx, tx, `s.added_at >= transaction_timestamp()`); err != nil {
				return err
			}
		}
		return recordOther(ctx, tx, who, "import suppressions", aboutImport(report))
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
		WITH row AS MATERIALIZED (
			SELECT DISTINCT ON (key COLLATE "C", scope) key, reason, scope
			FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS m(key, reason, scope, i) ORDER BY key COLLATE "C", scope, i DESC
		), whole AS MATERIALIZED (
			SELECT key FROM row WHERE scope = 'all'
			UNION SELECT s.address_key FROM row JOIN suppression s ON s.address_key = row.key WHERE s.scope = 'all' AND NOT s.by_reader
		), narrower AS (
			DELETE FROM suppression s USING row WHERE row.scope = 'all' AND s.address_key = row.key AND s.scope <> 'all' AND NOT s.by_reader
			RETURNING s.address_key
		), merged AS (
			INSERT INTO suppression AS s (address_key, reason, scope, added_by)
			SELECT key, reason, scope, $4 FROM row WHERE scope = 'all' OR key NOT IN (SELECT key FROM whole)
			ON CONFLICT (address_key, scope, by_reader) DO UPDATE SET reason = excluded.reason, added_by = excluded.added_by, added_at = clock_timestamp()
			WHERE s.reason <> excluded.reason
			RETURNING xmax = 0 AND address_key NOT IN (SELECT address_key FROM narrower) AS inserted)
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
