package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// cancelStoppedSQL (X) cancels stopped deliveries that have an outcome. One with an unresolved attempt can't be said to
// be unsent: it becomes uncertain. A mark that is open is left alone: its answer decides.
//
// Each chunk's outcomes are looked up by their key: joined, those of the whole notice would be compared with every chunk.
var cancelStoppedSQL = named(`
	UPDATE outcome o SET state = CASE WHEN o.unresolved = 0 THEN {cancelled} ELSE {uncertain} END, due_at = NULL, at = clock_timestamp(), reason = x.why
	FROM (SELECT r.place, stop_reason(c.notice_id, c.plan_id, r.seq) AS why
		FROM unnest($1::bigint[]) AS m(id)
		CROSS JOIN LATERAL (SELECT * FROM chunk WHERE id = m.id OFFSET 0) c
		CROSS JOIN LATERAL (SELECT ctid AS place, seq FROM outcome
			WHERE notice_id = c.notice_id AND seq >= c.lo AND seq < c.hi AND state IN ({queued}, {deferred})
				AND get_bit(c.stopped, seq - c.lo) = 1 AND get_bit(c.sent, seq - c.lo) = 0
				AND NOT (get_bit(c.dots, seq - c.lo) = 1 AND epoch < c.epoch) OFFSET 0) r OFFSET 0) x
	WHERE o.ctid = x.place`)

func cancelStopped(ctx context.Context, tx pgx.Tx, chunks []int64) error {
	return exec(ctx, tx, "cancel what was stopped", cancelStoppedSQL, chunks)
}

// countedSQL counts the deliveries of some chunks, from their bits and outcomes: of each chunk its counts by state,
// whether it owes anything, and when the earliest of that is due. It has one hole: the condition on "chunk l". A mark
// is open where its bit is set and nothing has settled it since; only the outcomes of the chunk are read.
const countedSQL = `
	SELECT k.id, ARRAY[k.n - bit_count(k.have | k.s | k.stopped) + bit_count(k.q & ~k.s), bit_count(k.s), k.n2 + bit_count(k.sent & ~k.returned),
			bit_count(k.f & ~k.s), k.n4, k.n5, k.n6, k.n7 + bit_count(k.stopped & ~k.have & ~k.s), k.n8]::int[] AS counts,
		bit_count(k.s | k.q | k.f | ~(k.have | k.dots | k.stopped)) > 0 AS owed,
		CASE WHEN bit_count(~(k.have | k.s | k.stopped)) > 0 THEN least(k.due, k.due_at) ELSE k.due END AS due,
		k.first_sent_at, k.last_sent_at
	FROM (SELECT x.*, x.dots & ~x.settled AS s
		FROM (SELECT l.id, l.hi - l.lo AS n, l.dots, l.stopped, l.sent, l.due_at, o.have, o.settled, o.q, o.f, o.returned, o.n2, o.n4, o.n5, o.n6, o.n7, o.n8, o.due,
				least(l.first_sent_at, o.first_sent_at) AS first_sent_at, greatest(l.last_sent_at, o.last_sent_at) AS last_sent_at
			FROM chunk l
			CROSS JOIN LATERAL (SELECT (l.dots & ~l.dots)::varbit AS z) z
			CROSS JOIN LATERAL (
				SELECT (l.sent | coalesce(bit_or(b), z.z))::varbit AS have,
					(l.sent | coalesce(bit_or(b) FILTER (WHERE epoch >= l.epoch OR state NOT IN ({queued}, {deferred})), z.z))::varbit AS settled,
					coalesce(bit_or(b) FILTER (WHERE state = {queued}), z.z)::varbit AS q,
					coalesce(bit_or(b) FILTER (WHERE state = {deferred}), z.z)::varbit AS f,
					coalesce(bit_or(b) FILTER (WHERE state = {bounced}), z.z)::varbit AS returned,
					count(*) FILTER (WHERE state = {sent}) AS n2, count(*) FILTER (WHERE state = {failed}) AS n4,
					count(*) FILTER (WHERE state = {uncertain}) AS n5, count(*) FILTER (WHERE state = {suppressed}) AS n6,
					count(*) FILTER (WHERE state = {cancelled}) AS n7, count(*) FILTER (WHERE state = {bounced}) AS n8,
					min(due_at) FILTER (WHERE state IN ({queued}, {deferred})) AS due, min(sent_at) AS first_sent_at, max(sent_at) AS last_sent_at
				FROM (SELECT set_bit(z.z, seq - l.lo, 1) AS b, state, epoch, due_at, sent_at FROM outcome
					WHERE notice_id = l.notice_id AND seq >= l.lo AND seq < l.hi AND (get_bit(l.sent, seq - l.lo) = 0 OR state = {bounced}) OFFSET 0) r) o
			WHERE %s) x) k`

var (
	recountSQL = named(`
	UPDATE chunk c SET counts = k.counts, open = k.owed OR c.lease_until IS NOT NULL, due_at = coalesce(k.due, c.due_at),
		first_sent_at = k.first_sent_at, last_sent_at = k.last_sent_at
	FROM (` + fmt.Sprintf(countedSQL, "l.id = ANY($1)") + `) k WHERE c.id = k.id`)
	leasedSQL = named(fmt.Sprintf(countedSQL, "l.notice_id = n.id AND l.lease_until IS NOT NULL"))
)

// recount (K) brings locked chunks in line with their deliveries. It always counts anew, so that a change that comes
// twice is counted once. A leased chunk is open: one that others settle while its holder dies would keep its lease for
// ever.
func recount(ctx context.Context, tx pgx.Tx, chunks []int64) error {
	return exec(ctx, tx, "recount chunks", recountSQL, chunks)
}

// recountAndReopen cancels the stopped deliveries of locked chunks, recounts them, and has their notices sent again where a
// change left something owed.
func recountAndReopen(ctx context.Context, tx pgx.Tx, chunks []int64) error {
	if err := cancelStopped(ctx, tx, chunks); err != nil {
		return err
	}
	if err := recount(ctx, tx, chunks); err != nil {
		return err
	}
	// A Finish under way must see chunks that are open, or be over. It is no lock of the notice's row: a notice that begins
	// has its own, and waits for chunks.
	_, err := tx.Exec(ctx, `
		SELECT pg_advisory_xact_lock($2 + id) FROM (SELECT DISTINCT notice_id AS id FROM chunk WHERE id = ANY($1) AND open ORDER BY 1 OFFSET 0) n`,
		chunks, finishLock)
	if err != nil {
		return fmt.Errorf("lock the end of the notices: %w", err)
	}
	return exec(ctx, tx, "reopen notices", `
		UPDATE notice SET state = 'sending'
		WHERE state = 'sent' AND id IN (SELECT notice_id FROM chunk WHERE id = ANY($1) AND open)`, chunks)
}

// lockChunks locks chunks for a change by somebody other than their holder, in a statement of its own: the next one
// sees them as they then are.
func lockChunks(ctx context.Context, tx pgx.Tx, ids []int64) error {
	return exec(ctx, tx, "lock the chunks", lockSQL+`FOR UPDATE`, ids)
}

// finishLock and a notice's number are the advisory lock under which its end is decided.
const finishLock = int64(0x746f637300000000)

// Finish makes a notice "sent" when no chunk of it is open any more.
func (db *DB) Finish(ctx context.Context, id int64) error {
	err := db.inTxAnew(ctx, func(tx pgx.Tx) error {
		// A statement of its own, so that the next one sees every chunk that was closed or reopened under the lock.
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, finishLock+id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			UPDATE notice SET state = 'sent'
			WHERE id = $1 AND state = 'sending' AND NOT EXISTS (SELECT FROM chunk WHERE notice_id = $1 AND open)`, id)
		return err
	})
	return wrap(err, "finish notice %d", id)
}
