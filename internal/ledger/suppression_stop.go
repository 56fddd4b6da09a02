package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// suppressOwed leaves mailboxes on the list out of a chunk that is being claimed: they may have been put there while the
// notice was released, or after it was finished. Deliveries that were never tried become suppressed; the rest is stopped, unless
// an operator had it owed again afterwards.
func suppressOwed(ctx context.Context, tx pgx.Tx, chunkID, plan int64, scopes []notice.Scope) error {
	listed, err := findRows(ctx, tx, inPlan(plan, named(`
		SELECT c.notice_id, r.seq FROM chunk c
		CROSS JOIN LATERAL (SELECT seq, address_key FROM recipient WHERE plan_id = {plan} AND seq >= c.lo AND seq < c.hi AND reason = '' OFFSET 0) r
		CROSS JOIN LATERAL (SELECT max(added_at) AS added_at FROM suppression
			WHERE address_key IN (r.address_key, `+domainSQL("r.address_key")+`) AND scope = ANY ($2) HAVING count(*) > 0 OFFSET 0) s
		LEFT JOIN LATERAL (SELECT state, owed_at FROM outcome WHERE notice_id = c.notice_id AND seq = r.seq OFFSET 0) o ON true
		WHERE c.id = $1 AND (SELECT EXISTS (SELECT FROM suppression)) AND get_bit(c.sent | c.stopped, r.seq - c.lo) = 0
			AND (o.state IS NULL OR o.state IN ({queued}, {deferred}) AND (o.owed_at IS NULL OR o.owed_at <= s.added_at))`)), chunkID, scopes)
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

// coveredSQL finds the rows (id, seq) that entries of the list cover: plans is a query for (id, plan_id, scopes), which a
// condition on "suppression s". Mailboxes are looked up by their keys. Where entries are for domains, each plan is read through, once
// for all of them: no index knows the domain of a row.
func coveredSQL(plans, which string) string {
	return `
		WITH n AS MATERIALIZED (` + plans + `), entry AS MATERIALIZED (SELECT address_key, scope FROM suppression s WHERE ` + which + `)
		SELECT n.id, r.seq FROM n
		CROSS JOIN LATERAL (SELECT array_agg(address_key) AS keys, array_agg(address_key) FILTER (WHERE starts_with(address_key, '` + domainPrefix + `')) AS domains
			FROM entry WHERE scope = ANY (n.scopes) OFFSET 0) e
		CROSS JOIN LATERAL (SELECT seq FROM recipients_of(n.plan_id, e.keys) UNION SELECT seq FROM recipients_at(n.plan_id, e.domains)) r`
}

// suppressReleased stops the deliveries of unfinished notices that entries of the list cover; which is a condition on
// "suppression s". When the caller's transaction has ended no mark for them commits. Those that were never tried become
// suppressed. A mark that is open gets its answer, and no next try.
func suppressReleased(ctx context.Context, tx pgx.Tx, which string, args ...any) error {
	found, err := findRows(ctx, tx, coveredSQL(
		`SELECT id, plan_id, scopes(body) AS scopes FROM notice WHERE state NOT IN ('draft', 'sent', 'cancelled')`, which), args...)
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
