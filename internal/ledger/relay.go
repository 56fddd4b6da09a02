package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// relayColumns are those of a notice.Relay. A rest that has ended is none.
const relayColumns = `name, seen_at, CASE WHEN rests_until > clock_timestamp() THEN rests_until END,
	rested_at, coalesce(rested_by, ''), reason`

// knownFor is how long after a worker last had a relay its name is still known.
const knownFor = `interval '30 days'`

func scanRelay(row pgx.CollectableRow) (r notice.Relay, err error) {
	var rest notice.Rest
	var since *time.Time
	if err = row.Scan(&r.Name, &r.SeenAt, &rest.Until, &since, &rest.By, &rest.Reason); err != nil {
		return r, err
	}
	r.SeenAt = r.SeenAt.UTC()
	if rest.Until != nil {
		rest.Relay, rest.Since, rest.Until = r.Name, since.UTC(), endOf(rest.Until)
		r.Rest = &rest
	}
	return r, nil
}

// KeepRelays notes that a worker has relays of these names in its settings, with their quotas, 0 for none.
func (db *DB) KeepRelays(ctx context.Context, quotas map[string]int) error {
	names := slices.Sorted(maps.Keys(quotas)) // in one order: no deadlock
	var all []int
	for _, name := range names {
		all = append(all, quotas[name])
	}
	_, err := db.pool.Exec(ctx, `
		INSERT INTO relay (name, quota, seen_at) SELECT name, nullif(quota, 0), clock_timestamp() FROM unnest($1::text[], $2::bigint[]) AS r(name, quota)
		ON CONFLICT (name) DO UPDATE SET seen_at = excluded.seen_at, quota = excluded.quota`, names, all)
	return wrap(err, "note which relays this worker has")
}

// Relays returns the relays that some worker had in the last weeks, and those that rest, by name; never nil. Their Workers
// are not filled in.
func (db *DB) Relays(ctx context.Context) ([]notice.Relay, error) {
	return relays(ctx, db.pool, `seen_at > clock_timestamp() - `+knownFor+` OR rests_until > clock_timestamp()`)
}

func relays(ctx context.Context, q querier, which string) ([]notice.Relay, error) {
	rows, _ := q.Query(ctx, `SELECT `+relayColumns+` FROM relay WHERE `+which+` ORDER BY name`)
	all, err := pgx.AppendRows([]notice.Relay{}, rows, scanRelay)
	return all, wrap(err, "list the relays")
}

// Rests returns the relays that operators let rest now, by name.
func (db *DB) Rests(ctx context.Context) (rests []notice.Rest, err error) {
	all, err := relays(ctx, db.pool, `rests_until > clock_timestamp()`)
	for _, r := range all {
		rests = append(rests, *r.Rest)
	}
	return rests, err
}

// RestRelay has a relay get no mails from any worker: for a span, or, where that is 0, until it is resumed. It takes the place
// of a rest that was in force. A relay that no worker ever had does not exist.
func (db *DB) RestRelay(ctx context.Context, name string, span time.Duration, reason, who string) (notice.Relay, error) {
	return db.setRelay(ctx, name, who, "rest relay", `
		UPDATE relay SET rests_until = CASE WHEN $2 = interval '0' THEN $3 ELSE clock_timestamp() + $2 END, rested_at = clock_timestamp(),
			rested_by = $4, reason = $5
		WHERE name = $1`, name, span, forGood, who, reason)
}

// ResumeRelay ends the rest of a relay. One that does not rest stays as it is.
func (db *DB) ResumeRelay(ctx context.Context, name, who string) (notice.Relay, error) {
	return db.setRelay(ctx, name, who, "resume relay", `
		UPDATE relay SET rests_until = NULL, rested_at = NULL, rested_by = NULL, reason = ''
		WHERE name = $1 AND rests_until > clock_timestamp()`, name)
}

// setRelay changes a relay, and records who did; an update that changes nothing is not recorded.
func (db *DB) setRelay(ctx context.Context, name, who, what, update string, args ...any) (r notice.Relay, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, update, args...)
		if err != nil {
			return fmt.Errorf("%s %s: %w", what, name, err)
		}
		rows, _ := tx.Query(ctx, `SELECT `+relayColumns+` FROM relay WHERE name = $1`, name)
		r, err = pgx.CollectExactlyOneRow(rows, scanRelay)
		if errors.Is(err, pgx.ErrNoRows) {
			return unknownRelay(ctx, tx, name)
		}
		if err != nil {
			return fmt.Errorf("read relay %s: %w", name, err)
		}
		if tag.RowsAffected() == 0 {
			return nil
		}
		return recordOther(ctx, tx, who, what, aboutRest(r))
	})
	return r, err
}

// unknownRelay is the error that names the relays which there are.
func unknownRelay(ctx context.Context, q querier, name string) error {
	names, err := collect[string](ctx, q, `SELECT name FROM relay WHERE seen_at > clock_timestamp() - `+knownFor+` ORDER BY name LIMIT 50`)
	if err != nil {
		return fmt.Errorf("list the relays: %w", err)
	}
	if len(names) == 0 {
		return notice.NotFound("no worker has told yet which relays it has; start one with: tocsin work")
	}
	return notice.NotFound("there is no relay %q; the workers have: %s", name, strings.Join(names, ", "))
}

func aboutRest(r notice.Relay) string {
	if r.Rest == nil {
		return r.Name
	}
	until := "it is resumed"
	if r.Rest.Until != nil {
		until = r.Rest.Until.UTC().Format(time.RFC3339)
	}
	text := r.Name + ", until " + until
	if r.Rest.Reason != "" {
		text += ": " + r.Rest.Reason
	}
	return text
}
