package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// begin puts a notice in its place among the news of its incident, in the transaction that first makes it sending: a
// "completed" that is scheduled for tomorrow does not cancel today's reminder. A notice that has begun before, or is not
// sending, is left as it is.
func (db *DB) begin(ctx context.Context, tx pgx.Tx, id int64) error {
	n, err := readNotice(ctx, tx, id, "FOR NO KEY UPDATE OF n")
	if err != nil {
		return err
	}
	// Reminders are locked before their incident, as one that leaves does it.
	if _, err := endedBy(ctx, tx, n); err != nil {
		return err
	}
	// Two that begin at once must see each other.
	if _, err := tx.Exec(ctx, `SELECT 1 FROM incident WHERE key = $1 FOR NO KEY UPDATE`, n.Incident); err != nil {
		return fmt.Errorf("lock incident %q: %w", n.Incident, err)
	}
	tag, err := tx.Exec(ctx, `
		UPDATE notice SET began_at = clock_timestamp(), revision = (
			SELECT greatest(extract(epoch FROM clock_timestamp() - timestamptz '2026-01-01Z')::int, 1 + max(revision)) FROM notice o WHERE o.incident_id = notice.incident_id)
		WHERE id = $1 AND state = 'sending' AND began_at IS NULL`, id)
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
	ended, err := endedBy(ctx, tx, n)
	if err != nil {
		return err
	}
	if err := overtake(ctx, tx, n, ended, db.opts.DotGrace); err != nil {
		return err
	}
	return markUntold(ctx, tx, n)
}

// overtake has a notice that begins supersede earlier ones, and end reminders. It may be late itself: later ones that have begun
// since its release supersede it.
func overtake(ctx context.Context, tx pgx.Tx, n Notice, ended []int64, grace time.Duration) error {
	earlier, err := earlierThan(ctx, tx, n)
	if err != nil {
		return err
	}
	later, err := others(ctx, tx, n, `o.began_at IS NOT NULL AND `+earlierSQL("me", "o"))
	if err != nil {
		return err
	}
	locked := slices.Clone(ended)
	for _, o := range earlier {
		locked = append(locked, o.ID)
	}
	for _, o := range later { // nothing of theirs is requeued meanwhile
		locked = append(locked, o.ID, n.ID)
	}
	if _, err := tx.Exec(ctx, `SELECT id FROM chunk WHERE notice_id = ANY($1) ORDER BY id FOR UPDATE`, locked); err != nil {
		return fmt.Errorf("lock the chunks of other notices: %w", err)
	}
	if err := endReminders(ctx, tx, ended, n.Key); err != nil {
		return err
	}
	by := overtaking{by: other{n.ID, n.Key}, grace: grace}
	if err := by.supersedeEach(ctx, tx, earlier); err != nil {
		return err
	}
	for _, o := range later {
		if err := (overtaking{by: o, grace: grace}).supersede(ctx, tx, n.ID); err != nil {
			return fmt.Errorf("supersede notice %d: %w", n.ID, err)
		}
	}
	return nil
}

// supersedeAnew has rows of a notice that are owed again stop the deliveries of earlier notices to the same mailboxes. The chunks of all
// of them are locked.
func supersedeAnew(ctx context.Context, tx pgx.Tx, n Notice, seqs []int32, grace time.Duration) error {
	earlier, err := earlierThan(ctx, tx, n)
	if err != nil {
		return err
	}
	same, err := sameMailboxes(ctx, tx, n, seqs)
	if err != nil {
		return err
	}
	return overtaking{other{n.ID, n.Key}, seqs, same.chunks, grace}.supersedeEach(ctx, tx, earlier)
}

// other is another notice of an incident.
type other struct {
	ID  int64
	Key string
}

// others are the notices "o" of the incident of n, "me", that have rows and fulfil a condition; one that was cancelled counts
// too: a mark of it may be open.
func others(ctx context.Context, tx pgx.Tx, n Notice, condition string) ([]other, error) {
	rows, _ := tx.Query(ctx, `
		SELECT o.id, o.key FROM notice me JOIN notice o ON o.incident_id = me.incident_id AND o.id <> me.id
		WHERE me.id = $1 AND o.plan_id IS NOT NULL AND o.rows_dropped_at IS NULL AND `+condition+` ORDER BY o.id`,
		n.ID, notice.Phases[n.Body.Kind])
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[other])
	return all, wrap(err, "look for other notices of incident %q", n.Incident)
}

func earlierThan(ctx context.Context, tx pgx.Tx, n Notice) ([]other, error) {
	return others(ctx, tx, n, earlierSQL("o", "me"))
}

// earlierSQL is the condition that notice b, of the same incident, overtakes notice a: its phase is a later one, and a was
// released before b began. An earlier phase that is released after that is no old news but an incident that came back, or a
// date that was moved: neither stops the other. Of two of the same phase the later is the one that was meant to leave
// later. $2 are the phases of the incident's kind.
func earlierSQL(a, b string) string {
	return strings.NewReplacer("{a}", a, "{b}", b).Replace(`CASE sign(array_position($2::text[], {b}.body->>'phase') - array_position($2::text[], {a}.body->>'phase'))
		WHEN 1 THEN coalesce({a}.released_at <= {b}.began_at, true)
		WHEN 0 THEN (greatest({a}.released_at, {a}.send_at), {a}.id) < (greatest({b}.released_at, {b}.send_at), {b}.id) ELSE false END`)
}

// sharedSQL selects deliveries of the earlier notice $1 that may still leave: notice $2 owes one to the same mailbox, or may have
// sent it. It gives columns of their chunk, the row of $2 (later_seq), and whether that one is sent or stopped. $3 are the rows of
// $2 and $4 the chunks of $1 to look at; null is all. {plan} and {by} are the plans of both. It has one hole: a condition on the
// chunk. A delivery that was stopped itself stops no other: nobody would get either.
//
// A chunk that is closed and holds nothing uncertain has none. An uncertain delivery is owed again when a definite answer comes
// late. No other mail follows a 250, but a mark may still be open. So of a notice that is through, the chunks alone are read.
const sharedSQL = `
	SELECT c.id, c.lo, c.epoch, c.dots, c.sent, s.seq, s.later_seq, get_bit(b.done, s.later_seq) = 1 AS later_done
	FROM notice nb JOIN notice na ON na.id = $1
	CROSS JOIN LATERAL (
		SELECT string_agg((((c.stopped & ~(coalesce(o.have, z) | c.dots)) | coalesce(o.over, z)) & ~c.sent)::text, '' ORDER BY c.lo)::varbit AS missed,
			string_agg((c.sent | c.stopped)::text, '' ORDER BY c.lo)::varbit AS done
		FROM chunk c
		CROSS JOIN LATERAL (SELECT (c.dots & ~c.dots)::varbit AS z) z
		CROSS JOIN LATERAL (
			SELECT bit_or(bits) AS have, bit_or(bits) FILTER (WHERE state IN ({failed}, {cancelled}, {suppressed}) AND unresolved = 0) AS over
			FROM (SELECT set_bit(z, seq - c.lo, 1) AS bits, state, unresolved FROM outcome
				WHERE notice_id = nb.id AND seq >= c.lo AND seq < c.hi OFFSET 0) r) o
		WHERE c.notice_id = nb.id OFFSET 0) b
	CROSS JOIN LATERAL (
		SELECT * FROM chunk WHERE notice_id = na.id AND (open OR counts[{uncertain} + 1] > 0) AND ($4::bigint[] IS NULL OR id = ANY($4)) AND %s OFFSET 0) c
	CROSS JOIN LATERAL (
		SELECT array_agg(address_key) AS keys, jsonb_object_agg(address_key, seq) AS seq_of FROM recipient
		WHERE plan_id = {plan} AND seq >= c.lo AND seq < c.hi AND address_key IS NOT NULL
			AND (get_bit(c.sent, seq - c.lo) = 0 OR c.lease_until IS NOT NULL AND get_bit(c.dots, seq - c.lo) = 1) OFFSET 0) a
	CROSS JOIN LATERAL (
		SELECT (a.seq_of->>address_key)::int AS seq, seq AS later_seq FROM recipient
		WHERE plan_id = {by} AND address_key = ANY(a.keys) AND get_bit(b.missed, seq) = 0 AND ($3::int[] IS NULL OR seq = ANY($3)) OFFSET 0) s
	WHERE nb.id = $2`

// sharedBy is sharedSQL for two notices.
func sharedBy(ctx context.Context, tx pgx.Tx, earlier, later int64) (string, error) {
	var plan, by int64
	err := tx.QueryRow(ctx, `SELECT a.plan_id, b.plan_id FROM notice a, notice b WHERE a.id = $1 AND b.id = $2`, earlier, later).Scan(&plan, &by)
	return inPlan(plan, strings.ReplaceAll(sharedSQL, "{by}", strconv.FormatInt(by, 10))), wrap(err, "look for the plans of two notices")
}

// overtaking is a notice that supersedes earlier ones. Old news is not sent after the new. Where a mark of an earlier notice is
// open, the later one waits for its dot.
type overtaking struct {
	by     other
	seqs   []int32 // by these rows alone; nil: by all
	chunks []int64 // those of other notices to the mailboxes of seqs
	grace  time.Duration
}

func (o overtaking) supersedeEach(ctx context.Context, tx pgx.Tx, earlier []other) error {
	for _, e := range earlier {
		if err := o.supersede(ctx, tx, e.ID); err != nil {
			return fmt.Errorf("supersede notice %d: %w", e.ID, err)
		}
	}
	return nil
}

func (o overtaking) supersede(ctx context.Context, tx pgx.Tx, id int64) error {
	const cancelled = `SELECT coalesce(sum(counts[8]), 0) FROM chunk WHERE notice_id = $1`
	var before, after int
	if err := tx.QueryRow(ctx, cancelled, id).Scan(&before); err != nil {
		return err
	}
	shared, err := sharedBy(ctx, tx, id, o.by.ID)
	if err != nil {
		return err
	}
	chunks, err := collect[int64](ctx, tx, named(`
		UPDATE chunk c SET stopped = c.stopped | x.bits, stopped_at = clock_timestamp()
		FROM (SELECT id, bit_or(set_bit(dots & ~dots, seq - lo, 1))::varbit AS bits FROM (`+fmt.Sprintf(shared, "true")+`) s GROUP BY id) x
		WHERE c.id = x.id AND bit_count(x.bits & ~c.stopped) > 0 RETURNING c.id`), id, o.by.ID, o.seqs, o.chunks)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, named(`
		INSERT INTO outcome (notice_id, seq, state, due_at)
		SELECT $2, s.later_seq, {queued}, clock_timestamp() + $5::interval
		FROM (`+fmt.Sprintf(shared, "lease_until IS NOT NULL")+`) s
		LEFT JOIN LATERAL (SELECT * FROM outcome WHERE notice_id = $1 AND seq = s.seq OFFSET 0) o ON true
		WHERE NOT s.later_done AND get_bit(s.dots, s.seq - s.lo) = 1
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

// laterSQL is the key of a later notice of the incident, or an empty text. That notice owes its news to a mailbox of notice $1, or
// may have sent it. $2 are the phases of its kind. The chunk of that later delivery has to be locked.
func laterSQL(address string) string {
	return named(`coalesce((
		SELECT o.key FROM notice me JOIN notice o ON o.incident_id = me.incident_id AND o.id <> me.id AND o.rows_dropped_at IS NULL
		CROSS JOIN LATERAL recipient_of(o.plan_id, ` + address + `) r
		CROSS JOIN LATERAL (SELECT id FROM chunk WHERE notice_id = o.id AND lo <= r.seq ORDER BY lo DESC LIMIT 1) c
		CROSS JOIN LATERAL (SELECT state, unresolved FROM delivery WHERE chunk_id = c.id AND seq = r.seq OFFSET 0) d
		WHERE me.id = $1 AND o.began_at IS NOT NULL AND ` + earlierSQL("me", "o") + `
			AND (d.state NOT IN ({failed}, {cancelled}, {suppressed}) OR d.unresolved <> 0) ORDER BY o.began_at DESC LIMIT 1), '')`)
}

// sameMailboxes are the deliveries of the other notices of the incident to the mailboxes of some rows of a notice: a requeue asks
// about them, and supersedes them.
func sameMailboxes(ctx context.Context, tx pgx.Tx, n Notice, seqs []int32) (rowSet, error) {
	return findRows(ctx, tx, inPlan(n.Plan, `
		WITH k AS MATERIALIZED (SELECT array_agg(r.address_key) AS keys FROM unnest($2::int[]) m(seq)
			CROSS JOIN LATERAL (SELECT address_key FROM recipient WHERE plan_id = {plan} AND seq = m.seq OFFSET 0) r)
		SELECT o.id, r.seq FROM notice me JOIN notice o ON o.incident_id = me.incident_id AND o.id <> me.id AND o.plan_id IS NOT NULL
		CROSS JOIN k CROSS JOIN LATERAL recipients_of(o.plan_id, k.keys) r WHERE me.id = $1`), n.ID, seqs)
}
