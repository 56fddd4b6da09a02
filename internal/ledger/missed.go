package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// missedSQL selects the mailboxes of the incident of notice $1 that two notices did not reach: an earlier one was stopped there for
// the sake of a later one, and neither that one nor another later one is owed or may have been sent. It gives the rows of both
// notices. $2 are the phases of its kind.
//
// Only of incidents in which something was cancelled more than the chunks is read. A bit alone says that a delivery was
// superseded, or that all of its notice was cancelled: other ends have an outcome.
var missedSQL = named(`
	SELECT a.id AS earlier, ra.seq AS earlier_seq, b.id AS later, t.seq AS later_seq, rb.address_key
	FROM notice me
	CROSS JOIN LATERAL (SELECT * FROM notice WHERE incident_id = me.incident_id AND plan_id IS NOT NULL AND rows_dropped_at IS NULL
		AND EXISTS (SELECT FROM chunk WHERE notice_id = notice.id AND (counts[{cancelled} + 1] > 0 OR lease_until IS NOT NULL)) OFFSET 0) a
	JOIN notice b ON b.incident_id = me.incident_id AND b.id <> a.id AND b.began_at IS NOT NULL AND b.rows_dropped_at IS NULL AND ` + earlierSQL("a", "b") + `
	CROSS JOIN LATERAL (
		SELECT seq FROM outcome WHERE notice_id = b.id AND state IN ({failed}, {cancelled}, {suppressed}) AND unresolved = 0 AND reason <> '` + notice.ReasonSuperseded + `'
		UNION
		SELECT seq FROM chunk k CROSS JOIN LATERAL (SELECT seq, state FROM delivery WHERE chunk_id = k.id OFFSET 0) d
		WHERE k.notice_id = b.id AND b.state = 'cancelled' AND d.state = {cancelled}) t
	CROSS JOIN LATERAL (SELECT address_key FROM recipient WHERE plan_id = b.plan_id AND seq = t.seq OFFSET 0) rb
	CROSS JOIN LATERAL (SELECT seq FROM recipient WHERE plan_id = a.plan_id AND address_key = rb.address_key OFFSET 0) ra
	CROSS JOIN LATERAL (SELECT id FROM chunk WHERE notice_id = a.id AND lo <= ra.seq ORDER BY lo DESC LIMIT 1) c
	CROSS JOIN LATERAL (SELECT state, reason FROM delivery WHERE chunk_id = c.id AND seq = ra.seq OFFSET 0) d
	WHERE me.id = $1 AND d.state = {cancelled} AND d.reason = '` + notice.ReasonSuperseded + `' AND ` + laterSQL("a.id", "rb.address_key") + ` = ''`)

// missed counts, of the incident of a notice, the mailboxes that neither of two notices reached: by notice, and all of them, each once.
func missed(ctx context.Context, q querier, id int64, kind notice.Kind) (by map[int64]int, all int, err error) {
	rows, _ := q.Query(ctx, `
		SELECT coalesce(id, 0), count(DISTINCT address_key) FROM (`+missedSQL+`) m CROSS JOIN LATERAL (VALUES (earlier), (later)) n(id)
		GROUP BY GROUPING SETS ((id), ())`, id, notice.Phases[kind])
	by = map[int64]int{}
	var n int
	_, err = pgx.ForEachRow(rows, []any{&id, &n}, func() error { by[id] = n; return nil })
	return by, by[0], wrap(err, "count the mailboxes that no notice reached")
}

// missedOf are the rows of a notice whose mailbox neither it nor another notice of the incident reached.
func missedOf(ctx context.Context, q querier, n Notice) (map[int]bool, error) {
	rows, _ := q.Query(ctx, `
		SELECT DISTINCT seq FROM (`+missedSQL+`) m CROSS JOIN LATERAL (VALUES (earlier, earlier_seq), (later, later_seq)) r(id, seq)
		WHERE id = $1`, n.ID, notice.Phases[n.Body.Kind])
	var seq int
	all := map[int]bool{}
	_, err := pgx.ForEachRow(rows, []any{&seq}, func() error { all[seq] = true; return nil })
	return all, wrap(err, "look for the mailboxes that no notice reached")
}
