package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tocsin/internal/notice"
)

// missedSQL selects the mailboxes of the incident of notice $1 that two notices did not reach. An earlier one was stopped there
// for the sake of a later one; neither that one nor another later one is owed or may have been sent. It gives the rows of both
// notices. $2 are the phases of its kind.
//
// It goes by the bits of the chunks, and from the rows of later notices that reach nobody: as a rule they are few. Those rows are
// looked up by their key in all notices of the incident, many at a time.
var missedSQL = named(`
	WITH n AS MATERIALIZED (
		SELECT o.id, o.plan_id, o.began_at IS NOT NULL AS began, b.* FROM notice me
		JOIN notice o ON o.incident_id = me.incident_id AND o.plan_id IS NOT NULL AND o.rows_dropped_at IS NULL
		CROSS JOIN LATERAL (
			SELECT string_agg(((silent | coalesce(e.over, z)) & ~c.sent)::text, '' ORDER BY c.lo)::varbit AS missed,
				string_agg(((CASE WHEN o.state = 'cancelled' THEN z ELSE silent END | coalesce(e.superseded, z)) & ~c.sent)::text, '' ORDER BY c.lo)::varbit AS superseded
			FROM chunk c
			CROSS JOIN LATERAL (SELECT (c.dots & ~c.dots)::varbit AS z) z
			CROSS JOIN LATERAL (
				SELECT bit_or(bits) AS have, bit_or(bits) FILTER (WHERE state IN ({failed}, {cancelled}, {suppressed}) AND unresolved = 0) AS over,
					bit_or(bits) FILTER (WHERE state = {cancelled} AND reason = '` + notice.ReasonSuperseded + `') AS superseded
				FROM (SELECT set_bit(z, seq - c.lo, 1) AS bits, state, unresolved, reason FROM outcome
					WHERE notice_id = o.id AND seq >= c.lo AND seq < c.hi OFFSET 0) r) e
			CROSS JOIN LATERAL (SELECT (c.stopped & ~(coalesce(e.have, z) | c.dots))::varbit AS silent) s
			WHERE c.notice_id = o.id OFFSET 0) b
		WHERE me.id = $1
	), pair AS MATERIALIZED (
		SELECT a.id AS earlier, b.id AS later FROM notice a JOIN notice b ON b.incident_id = a.incident_id AND b.id <> a.id
		WHERE a.id IN (SELECT id FROM n) AND b.id IN (SELECT id FROM n WHERE began) AND ` + earlierSQL("a", "b") + `
	), row AS MATERIALIZED (
		SELECT DISTINCT x.id, r.seq, r.address_key, get_bit(x.superseded, r.seq) = 1 AS superseded, get_bit(x.missed, r.seq) = 1 AS missed
		FROM (SELECT array_agg(r.address_key) AS keys
			FROM (SELECT n.*, part * 256 AS lo FROM n CROSS JOIN LATERAL generate_series(0, (length(n.missed) - 1) / 256) part
				WHERE n.began AND bit_count(substring(n.missed & ~n.superseded, part * 256 + 1, 256)) > 0 AND EXISTS (SELECT FROM pair WHERE later = n.id) OFFSET 0) n
			CROSS JOIN LATERAL recipients_in(n.plan_id, n.lo, n.lo + 256) r
			WHERE get_bit(n.missed, r.seq) = 1 AND get_bit(n.superseded, r.seq) = 0
			GROUP BY n.id, n.lo) k
		CROSS JOIN n x
		CROSS JOIN LATERAL recipients_of(x.plan_id, k.keys) r
	)
	SELECT p.earlier, (seqs->>p.earlier::text)::int AS earlier_seq, p.later, (seqs->>p.later::text)::int AS later_seq, address_key
	FROM (SELECT address_key, jsonb_object_agg(id, seq) AS seqs, array_agg(id) FILTER (WHERE superseded) AS superseded,
			array_agg(id) FILTER (WHERE missed AND NOT superseded) AS missed, array_agg(id) FILTER (WHERE NOT missed) AS reached
		FROM row GROUP BY address_key) r
	CROSS JOIN pair p
	WHERE p.earlier = ANY(r.superseded) AND p.later = ANY(r.missed)
		AND NOT EXISTS (SELECT FROM pair q WHERE q.earlier = p.earlier AND q.later = ANY(r.reached))`)

// supersededAny reports whether something of an incident was cancelled, or may have been since its lease began. As a rule nothing was, and
// no more is asked.
func supersededAny(ctx context.Context, q querier, id int64) (found bool, err error) {
	err = q.QueryRow(ctx, named(`
		SELECT EXISTS (SELECT FROM notice me JOIN notice o ON o.incident_id = me.incident_id JOIN chunk c ON c.notice_id = o.id
			WHERE me.id = $1 AND (c.counts[{cancelled} + 1] > 0 OR c.lease_until IS NOT NULL))
			AND EXISTS (SELECT FROM notice me JOIN notice o ON o.incident_id = me.incident_id AND o.id <> me.id WHERE me.id = $1)`), id).Scan(&found)
	return found, wrap(err, "ask whether something was superseded")
}

// missed counts, of the incident of a notice, the mailboxes that neither of two notices reached: by notice, and all of them, each once.
func missed(ctx context.Context, q querier, id int64, kind notice.Kind) (by map[int64]int, all int, err error) {
	by = map[int64]int{}
	if found, err := supersededAny(ctx, q, id); err != nil || !found {
		return by, 0, err
	}
	rows, _ := q.Query(ctx, `
		SELECT coalesce(id, 0), count(DISTINCT address_key) FROM (`+missedSQL+`) m CROSS JOIN LATERAL (VALUES (earlier), (later)) n(id)
		GROUP BY GROUPING SETS ((id), ())`, id, notice.Phases[kind])
	var n int
	_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error { by[id] = n; return nil })
	return by, by[0], wrap(err, "count the mailboxes that no notice reached")
}

// missedTimeout bounds the count for a status, which is asked for often: a report counts whatever time it takes.
const missedTimeout = time.Second

// missedSoon counts the mailboxes of a notice that neither it nor another one reached; nil if that takes too long.
func (db *DB) missedSoon(ctx context.Context, id int64, kind notice.Kind) (n *int, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf(`SET LOCAL statement_timeout = %d`, missedTimeout.Milliseconds())); err != nil {
			return err
		}
		by, _, err := missed(ctx, tx, id, kind)
		neither := by[id]
		n = &neither
		return err
	})
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "57014" { // it was cancelled
		return nil, nil
	}
	return n, err
}

// missedOf are the rows of a notice to mailboxes that neither it nor another notice of the incident reached.
func missedOf(ctx context.Context, q querier, n Notice) (map[int]bool, error) {
	all := map[int]bool{}
	if found, err := supersededAny(ctx, q, n.ID); err != nil || !found {
		return all, err
	}
	rows, _ := q.Query(ctx, `
		SELECT DISTINCT seq FROM (`+missedSQL+`) m CROSS JOIN LATERAL (VALUES (earlier, earlier_seq), (later, later_seq)) r(id, seq)
		WHERE id = $1`, n.ID, notice.Phases[n.Body.Kind])
	var seq int
	_, err := pgx.ForEachRow(rows, []any{&seq}, func() error { all[seq] = true; return nil })
	return all, wrap(err, "look for the mailboxes that no notice reached")
}
