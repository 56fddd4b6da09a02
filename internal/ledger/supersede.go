package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// begin supersedes the owed deliveries of earlier notices of the incident, in the transaction that first makes a notice
// sending: a "completed" that is scheduled for tomorrow does not cancel today's reminder. A notice that has begun
// before, or is not sending, is left as it is.
func (db *DB) begin(ctx context.Context, tx pgx.Tx, id int64) error {
	n, err := readNotice(ctx, tx, id, "FOR NO KEY UPDATE OF n")
	if err != nil {
		return err
	}
	// Two that begin at once must see each other.
	if _, err := tx.Exec(ctx, `SELECT 1 FROM incident WHERE key = $1 FOR NO KEY UPDATE`, n.Incident); err != nil {
		return fmt.Errorf("lock incident %q: %w", n.Incident, err)
	}
	tag, err := tx.Exec(ctx, `UPDATE notice SET began_at = clock_timestamp() WHERE id = $1 AND state = 'sending' AND began_at IS NULL`, id)
	if err != nil {
		return fmt.Errorf("begin notice %d: %w", id, err)
	}
	if tag.RowsAffected() == 0 {
		return nil
	}
	// Until now it could have been taken back.
	if err := keepList(ctx, tx, id, nil); err != nil {
		return err
	}
	return supersede(ctx, tx, n, nil, db.opts.DotGrace)
}

// supersede stops deliveries of earlier notices to the mailboxes to which n owes one: to all of those, or to those of
// some rows alone, with their chunks and those of the same mailboxes locked. Old news is not sent after the new. Where a
// mark of an earlier notice is open, n waits for its dot.
func supersede(ctx context.Context, tx pgx.Tx, n Notice, seqs []int32, grace time.Duration) error {
	// One that was cancelled counts too: a mark of it may be open.
	earlier, err := collect[int64](ctx, tx, `
		SELECT o.id FROM notice me JOIN notice o ON o.incident_id = me.incident_id AND o.id <> me.id
		WHERE me.id = $1 AND o.plan_id IS NOT NULL AND o.rows_dropped_at IS NULL AND `+earlierSQL("o", "me")+` ORDER BY o.id`,
		n.ID, notice.Phases[n.Body.Kind])
	if err != nil {
		return fmt.Errorf("look for earlier notices of incident %q: %w", n.Incident, err)
	}
	o := overtaking{by: n, seqs: seqs, grace: grace}
	if seqs != nil {
		var same rowSet
		same, err = laterRows(ctx, tx, n.ID, seqs)
		o.chunks = same.chunks
	} else if _, err = tx.Exec(ctx, `SELECT id FROM chunk WHERE notice_id = ANY($1) ORDER BY id FOR UPDATE`, earlier); err != nil {
		err = fmt.Errorf("lock the chunks of earlier notices: %w", err)
	}
	if err != nil {
		return err
	}
	for _, id := range earlier {
		if err := o.supersede(ctx, tx, id); err != nil {
			return fmt.Errorf("supersede notice %d: %w", id, err)
		}
	}
	return nil
}

// earlierSQL is the condition that notice b overtakes notice a of the same incident: a's phase does not come after b's. Of
// two of the same phase the one that began last is the later; one that has not begun is none of the other's business.
// $2 are the phases of the incident's kind.
func earlierSQL(a, b string) string {
	place := func(n string) string { return "array_position($2::text[], " + n + ".body->>'phase')" }
	return "(" + place(a) + " < " + place(b) + " OR " + place(a) + " = " + place(b) + " AND " + a + ".began_at < " + b + ".began_at)"
}

// sharedSQL selects the deliveries of the earlier notice $1 that may still leave, where notice $2 owes one to the same mailbox.
// It gives columns of their chunk, and the row of $2 (later_seq). $3 are the rows of $2 and $4 the chunks of $1 to look at; null
// is all. It has one hole: a condition on the chunk. A delivery that was stopped itself stops no other: nobody would get
// either.
//
// A chunk that is closed and holds nothing uncertain has none. An uncertain delivery is owed again when a definite answer comes
// late. No other mail follows a 250, but a mark may still be open. So of a notice that is through, the chunks alone are read.
const sharedSQL = `
	SELECT c.id, c.lo, c.epoch, c.dots, c.sent, s.seq, s.later_seq
	FROM notice nb JOIN notice na ON na.id = $1
	CROSS JOIN LATERAL (
		SELECT string_agg((c.stopped | c.sent | coalesce(o.bits, c.sent))::text, '' ORDER BY c.lo)::varbit AS bits
		FROM chunk c CROSS JOIN LATERAL (
			SELECT bit_or(set_bit(c.dots & ~c.dots, seq - c.lo, 1)) AS bits FROM outcome
			WHERE notice_id = nb.id AND seq >= c.lo AND seq < c.hi AND state NOT IN ({queued}, {deferred}) OFFSET 0) o
		WHERE c.notice_id = nb.id OFFSET 0) done
	CROSS JOIN LATERAL (
		SELECT * FROM chunk WHERE notice_id = na.id AND (open OR counts[{uncertain} + 1] > 0) AND ($4::bigint[] IS NULL OR id = ANY($4)) AND %s OFFSET 0) c
	CROSS JOIN LATERAL (
		SELECT array_agg(address_key) AS keys, jsonb_object_agg(address_key, seq) AS seq_of FROM recipient
		WHERE plan_id = na.plan_id AND seq >= c.lo AND seq < c.hi AND address_key IS NOT NULL
			AND (get_bit(c.sent, seq - c.lo) = 0 OR c.lease_until IS NOT NULL AND get_bit(c.dots, seq - c.lo) = 1) OFFSET 0) a
	CROSS JOIN LATERAL (
		SELECT (a.seq_of->>address_key)::int AS seq, seq AS later_seq FROM recipient
		WHERE plan_id = nb.plan_id AND address_key = ANY(a.keys) AND get_bit(done.bits, seq) = 0 AND ($3::int[] IS NULL OR seq = ANY($3)) OFFSET 0) s
	WHERE nb.id = $2`

// overtaking is a notice that supersedes earlier ones.
type overtaking struct {
	by     Notice
	seqs   []int32 // by these rows alone; nil: by all
	chunks []int64 // those of other notices to the mailboxes of seqs
	grace  time.Duration
}

func (o overtaking) supersede(ctx context.Context, tx pgx.Tx, id int64) error {
	const cancelled = `SELECT coalesce(sum(counts[8]), 0) FROM chunk WHERE notice_id = $1`
	var before, after int
	if err := tx.QueryRow(ctx, cancelled, id).Scan(&before); err != nil {
		return err
	}
	chunks, err := collect[int64](ctx, tx, named(`
		UPDATE chunk c SET stopped = c.stopped | x.bits, stopped_at = clock_timestamp()
		FROM (SELECT id, bit_or(set_bit(dots & ~dots, seq - lo, 1))::varbit AS bits FROM (`+fmt.Sprintf(sharedSQL, "true")+`) s GROUP BY id) x
		WHERE c.id = x.id AND bit_count(x.bits & ~c.stopped) > 0 RETURNING c.id`), id, o.by.ID, o.seqs, o.chunks)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, named(`
		INSERT INTO outcome (notice_id, seq, state, due_at)
		SELECT $2, s.later_seq, {queued}, clock_timestamp() + $5::interval
		FROM (`+fmt.Sprintf(sharedSQL, "lease_until IS NOT NULL")+`) s
		LEFT JOIN LATERAL (SELECT * FROM outcome WHERE notice_id = $1 AND seq = s.seq OFFSET 0) o ON true
		WHERE get_bit(s.dots, s.seq - s.lo) = 1
			AND CASE WHEN o.seq IS NULL THEN get_bit(s.sent, s.seq - s.lo) = 0 ELSE o.epoch < s.epoch END
		ON CONFLICT (notice_id, seq) DO UPDATE SET due_at = greatest(outcome.due_at, excluded.due_at) WHERE outcome.state IN ({queued}, {deferred})`),
		id, o.by.ID, o.seqs, o.chunks, o.grace)
	if err != nil {
		return err
	}
	if err := cancelStopped(ctx, tx, chunks); err != nil {
		return err
	}
	if err := recount(ctx, tx, chunks); err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, cancelled, id).Scan(&after); err != nil || after == before {
		return err
	}
	return recordAct(ctx, tx, id, "tocsin", "supersede", fmt.Sprintf("%d deliveries, by notice %s", after-before, o.by.Key))
}

// owedLaterSQL is the condition that a later phase of the incident owes its news, or may have sent it, to a mailbox of
// notice $1; $2 are the phases of its kind. The chunk of that later delivery has to be locked.
func owedLaterSQL(key string) string {
	return named(`EXISTS (
		SELECT FROM notice me JOIN notice o ON o.incident_id = me.incident_id AND o.id <> me.id AND o.rows_dropped_at IS NULL
		CROSS JOIN LATERAL (SELECT seq FROM recipient WHERE plan_id = o.plan_id AND address_key = ` + key + ` OFFSET 0) r
		CROSS JOIN LATERAL (SELECT id FROM chunk WHERE notice_id = o.id AND lo <= r.seq ORDER BY lo DESC LIMIT 1) c
		CROSS JOIN LATERAL (SELECT state, unresolved FROM delivery WHERE chunk_id = c.id AND seq = r.seq OFFSET 0) d
		WHERE me.id = $1 AND o.began_at IS NOT NULL AND ` + earlierSQL("me", "o") + `
			AND (d.state NOT IN ({failed}, {cancelled}, {suppressed}) OR d.unresolved <> 0))`)
}

// laterRows are the deliveries of the other notices of the incident to the mailboxes of some rows of a notice: a requeue asks
// about them, and supersedes them.
func laterRows(ctx context.Context, tx pgx.Tx, id int64, seqs []int32) (rowSet, error) {
	return findRows(ctx, tx, `
		SELECT o.id, r.seq FROM notice me JOIN notice o ON o.incident_id = me.incident_id AND o.id <> me.id AND o.plan_id IS NOT NULL
		CROSS JOIN LATERAL unnest($2::int[]) m(seq)
		CROSS JOIN LATERAL (SELECT address_key FROM recipient WHERE plan_id = me.plan_id AND seq = m.seq OFFSET 0) k
		CROSS JOIN LATERAL (SELECT seq FROM recipient WHERE plan_id = o.plan_id AND address_key = k.address_key OFFSET 0) r WHERE me.id = $1`, id, seqs)
}
