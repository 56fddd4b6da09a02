package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

const limitColumns = `domain, coalesce(rate, 0), coalesce(connections, 0), set_at, until_at, set_by`

func scanLimit(row pgx.CollectableRow) (l notice.DomainLimit, err error) {
	var since time.Time
	err = row.Scan(&l.Domain, &l.RatePerS, &l.Connections, &since, &l.Until, &l.By)
	l.Of, l.Since, l.Until = notice.LimitSet, inUTC(&since), endOf(l.Until)
	return l, err
}

// Limits returns the limits of domains that operators have set and that have not ended, by domain.
func (db *DB) Limits(ctx context.Context) ([]notice.DomainLimit, error) {
	rows, _ := db.pool.Query(ctx, `SELECT `+limitColumns+` FROM domain_limit WHERE until_at > clock_timestamp() ORDER BY domain`)
	all, err := pgx.CollectRows(rows, scanLimit)
	return all, wrap(err, "list the limits")
}

// SetLimit sets the limit of a domain in all workers: for a span, or, where that is 0, until it is cleared. It takes the place
// of one that was set before.
func (db *DB) SetLimit(ctx context.Context, l notice.DomainLimit, span time.Duration, who string) (kept notice.DomainLimit, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			INSERT INTO domain_limit (domain, rate, connections, until_at, set_by)
			VALUES ($1, nullif($2::double precision, 0), nullif($3::int, 0), CASE WHEN $4 = interval '0' THEN $5 ELSE clock_timestamp() + $4 END, $6)
			ON CONFLICT (domain) DO UPDATE SET rate = excluded.rate, connections = excluded.connections, until_at = excluded.until_at,
				set_by = excluded.set_by, set_at = clock_timestamp()
			RETURNING `+limitColumns, l.Domain, l.RatePerS, l.Connections, span, forGood, who)
		if kept, err = pgx.CollectExactlyOneRow(rows, scanLimit); err != nil {
			return fmt.Errorf("set the limit of %s: %w", l.Domain, err)
		}
		if err := lookAgain(ctx, tx); err != nil {
			return err
		}
		return recordOther(ctx, tx, who, "set limit", aboutLimit(kept))
	})
	return kept, err
}

// ClearLimit has a domain be limited by the workers' files again. A domain for which nothing is set is an error that names
// those that there are.
func (db *DB) ClearLimit(ctx context.Context, domain, who string) (l notice.DomainLimit, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `DELETE FROM domain_limit WHERE domain = $1 AND until_at > clock_timestamp() RETURNING `+limitColumns, domain)
		l, err = pgx.CollectExactlyOneRow(rows, scanLimit)
		if errors.Is(err, pgx.ErrNoRows) {
			return noLimit(ctx, tx, domain)
		}
		if err != nil {
			return fmt.Errorf("clear the limit of %s: %w", domain, err)
		}
		if err := lookAgain(ctx, tx); err != nil {
			return err
		}
		return recordOther(ctx, tx, who, "clear limit", aboutLimit(l))
	})
	return l, err
}

func noLimit(ctx context.Context, q querier, domain string) error {
	names, err := collect[string](ctx, q, `SELECT domain FROM domain_limit WHERE until_at > clock_timestamp() ORDER BY domain LIMIT 50`)
	if err != nil {
		return fmt.Errorf("list the limits: %w", err)
	}
	if len(names) == 0 {
		return notice.NotFound("no limit of %s is set, nor of any other domain", domain)
	}
	return notice.NotFound("no limit of %s is set; there are those of: %s", domain, strings.Join(names, ", "))
}

// lookAgain has the chunks that rest for a domain's limit looked at again at once: workers give them back for half a minute at most.
func lookAgain(ctx context.Context, tx pgx.Tx) error {
	return exec(ctx, tx, "have chunks that rest looked at again", `
		UPDATE chunk SET due_at = clock_timestamp() WHERE id IN (
			SELECT id FROM chunk WHERE open AND lease_until IS NULL AND due_at > clock_timestamp()
				AND due_at < clock_timestamp() + interval '30 seconds' ORDER BY id FOR UPDATE)`)
}

func aboutLimit(l notice.DomainLimit) string {
	until := "it is cleared"
	if l.Until != nil {
		until = l.Until.Format(time.RFC3339)
	}
	return fmt.Sprintf("%s, %s until %s", l.Domain, l.Says(), until)
}
