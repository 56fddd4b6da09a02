package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Settle carries out the decision of an operator about deliveries of a notice; key is the address key where the
// settlement names an address. An uncertain delivery is requeued only when its attempt can't reach a mailbox any more
// (the gate): before that it is counted as too early, with the time from which it can be. Nothing is requeued, unless by force, to a
// mailbox to which a later notice of the incident owes its news, or may have sent it.
func (db *DB) Settle(ctx context.Context, id int64, s notice.Settlement, key, who string) (done notice.Settled, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		done, err = db.settle(ctx, tx, id, s, key, who)
		return err
	})
	return done, err
}

func (db *DB) settle(ctx context.Context, tx pgx.Tx, id int64, s notice.Settlement, key, who string) (done notice.Settled, err error) {
	n, err := readNotice(ctx, tx, id, "")
	if err != nil {
		return done, err
	}
	if n.RowsDroppedAt != nil {
		return done, rowsDropped(id, *n.RowsDroppedAt)
	}
	if s.Requeue && !n.requeues() {
		return done, notice.Conflict("notice %d is %s: nothing of it can be requeued", id, n.State)
	}
	p := pick{key: key, code: s.Code, relay: s.Relay}
	if state, ok := s.Bulk(); ok {
		p.state = &state
	}
	done, found, err := db.settlePicked(ctx, tx, n, s, p, who)
	if err == nil && found == 0 && s.Address != "" {
		err = notice.NotFound("notice %d owes nothing to that address", id)
	}
	return done, err
}

// pick says which deliveries of a notice are settled: that to a mailbox, or all in a state.
type pick struct {
	key   string
	state *notice.DeliveryState
	code  int     // 0: any
	relay string  // "": any
	seqs  []int32 // among these alone; nil: among all
}

// settlePicked settles deliveries of a notice, and records who did. found is how many were picked.
func (db *DB) settlePicked(ctx context.Context, tx pgx.Tx, n Notice, s notice.Settlement, p pick, who string) (done notice.Settled, found int, err error) {
	rows, chunks, err := db.lockUnsettled(ctx, tx, n, s.Requeue, p)
	if err != nil {
		return done, 0, err
	}
	var sent, again rowSet
	forced := map[string]int{}
	for _, r := range rows {
		why := r.refused(s)
		switch {
		case why != "":
			done.Skipped++
			if !slices.Contains(done.Reasons, why) {
				done.Reasons = append(done.Reasons, why)
			}
		case s.Sent:
			sent.add(r.ChunkID, r.Seq)
		case r.TooEarly:
			done.TooEarly++
			if done.From == nil || done.From.Before(*r.From) {
				done.From = r.From
			}
		default:
			again.add(r.ChunkID, r.Seq)
			if r.Later != "" {
				forced[r.Later]++
			}
		}
	}
	done.Changed = len(sent.seqs) + len(again.seqs)
	if done.Changed == 0 {
		return done, len(rows), nil
	}
	if err := settleSent(ctx, tx, n.ID, sent, who); err != nil {
		return done, 0, err
	}
	if err := requeue(ctx, tx, n, again, "requeued by "+who, db.opts.DotGrace); err != nil {
		return done, 0, err
	}
	what := map[bool]string{true: "requeue", false: "settle as sent"}[s.Requeue]
	if err := recordAct(ctx, tx, n.ID, who, what, p.told(done.Changed)+byForce(forced)); err != nil {
		return done, 0, err
	}
	return done, len(rows), recountAndReopen(ctx, tx, chunks)
}

// requeues reports whether a notice still sends its mails, so that something can be requeued.
func (n Notice) requeues() bool {
	return n.State == notice.Sending || n.State == notice.Paused || n.State == notice.Sent
}

// unsettled is a delivery that a settlement names, as it stood when it was looked at.
type unsettled struct {
	Seq      int32
	ChunkID  int64
	State    notice.DeliveryState
	Reason   string
	From     *time.Time // when an uncertain one can be requeued
	TooEarly bool
	Erased   bool // it has no address any more
	Stopped  bool
	Leased   bool
	Later    string // the key of a later notice that goes to its mailbox, or may have gone; "": none does
	Listed   bool   // it is to be requeued with others, and its mailbox is on the list of suppressions
}

// told says for the log of acts how many deliveries were settled, and which.
func (p pick) told(n int) string {
	text := fmt.Sprintf("%d deliveries", n)
	if p.state != nil {
		text += ", " + p.state.String()
	}
	if p.code != 0 {
		text += fmt.Sprintf(" with %d", p.code)
	}
	if p.relay != "" {
		text += " at " + p.relay
	}
	return text
}

// byForce says for the log of acts how many deliveries were requeued although a later notice went to their mailboxes, by its key.
func byForce(later map[string]int) (text string) {
	for _, key := range slices.Sorted(maps.Keys(later)) {
		text += fmt.Sprintf(", by force %d after notice %s", later[key], key)
	}
	return text
}

// pickedSQL is the condition that "delivery d" is picked by state, code and relay, the parameters from the first on. Of the
// suppressed ones together only those are picked that a worker's setting left out: others can't be mailed, or wish not to be.
func pickedSQL(first int) string {
	return fmt.Sprintf(named(`($%[1]d::smallint IS NULL OR d.state = $%[1]d AND (d.state <> {suppressed} OR d.reason = '`+notice.ReasonOnlyTo+`'))
		AND ($%[2]d::int = 0 OR d.code = $%[2]d) AND ($%[3]d::text = '' OR d.relay = $%[3]d)`), first, first+1, first+2)
}

// lockUnsettled locks the chunks of the picked deliveries, and those of the same mailboxes in other notices of the
// incident. Then it reads the picked ones as they now stand. It returns the chunks of the notice.
func (db *DB) lockUnsettled(ctx context.Context, tx pgx.Tx, n Notice, requeue bool, p pick) ([]unsettled, []int64, error) {
	var found rowSet
	var err error
	if p.state != nil {
		found, err = findRows(ctx, tx, `
			SELECT d.notice_id, d.seq FROM chunk k
			CROSS JOIN LATERAL (SELECT notice_id, seq, state, code, relay, reason FROM delivery WHERE chunk_id = k.id OFFSET 0) d
			WHERE k.notice_id = $1 AND (k.counts[$2::smallint + 1] > 0 OR k.lease_until IS NOT NULL) AND `+pickedSQL(2)+`
				AND ($5::int[] IS NULL OR d.seq = ANY($5))`, n.ID, p.state, p.code, p.relay, p.seqs)
	} else {
		found, err = findRows(ctx, tx, `SELECT n.id, r.seq FROM notice n
			CROSS JOIN LATERAL recipient_of(n.plan_id, $2) r WHERE n.id = $1`, n.ID, p.key)
	}
	if err != nil || len(found.seqs) == 0 {
		return nil, nil, err
	}
	if err := lockWithLater(ctx, tx, n, found); err != nil {
		return nil, nil, err
	}
	rows, _ := tx.Query(ctx, named(`
		SELECT d.seq, c.id, d.state, d.reason, d.at + $5::interval, d.state = {uncertain} AND d.at + $5 >= clock_timestamp(),
			coalesce(d.address_key LIKE 'erased:%', false), get_bit(c.stopped, d.seq - c.lo) = 1, coalesce(c.lease_until > clock_timestamp(), false),
			CASE WHEN $6 THEN `+laterSQL("d.address_key")+` ELSE '' END,
			CASE WHEN $6 AND $7::smallint IS NOT NULL THEN coalesce(`+suppressedSQL("d.address_key", n.Body.Scopes())+`, false) ELSE false END
		FROM unnest($3::bigint[], $4::int[]) AS m(chunk_id, seq)
		CROSS JOIN LATERAL (SELECT * FROM chunk WHERE id = m.chunk_id OFFSET 0) c
		CROSS JOIN LATERAL (SELECT * FROM delivery WHERE chunk_id = m.chunk_id AND seq = m.seq OFFSET 0) d
		WHERE `+pickedSQL(7)+` ORDER BY d.seq`),
		n.ID, notice.Phases[n.Body.Kind], found.chunkOf, found.seqs, db.opts.Gate, requeue, p.state, p.code, p.relay)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[unsettled])
	return all, found.chunks, wrap(err, "read what is to be settled")
}

// lockWithLater locks the chunks of some deliveries, and of those to the same mailboxes in the other notices of the
// incident: whether a later phase owes must not change before the caller's transaction has ended.
func lockWithLater(ctx context.Context, tx pgx.Tx, n Notice, found rowSet) error {
	later, err := sameMailboxes(ctx, tx, n, found.seqs)
	if err != nil {
		return err
	}
	return lockChunks(ctx, tx, slices.Concat(found.chunks, later.chunks))
}

// refused says why a settlement leaves a delivery as it is; "": it does not, but for the gate.
func (r unsettled) refused(s notice.Settlement) string {
	uncertain := r.State == notice.DeliveryUncertain
	superseded := r.State == notice.DeliveryCancelled && r.Reason == notice.ReasonSuperseded
	switch {
	case uncertain && s.Sent:
		return ""
	case r.Erased:
		return "its customers were erased, so there is no address to send it to"
	case !uncertain && !(s.Requeue && (r.State == notice.DeliveryFailed || r.State == notice.DeliverySuppressed || superseded)):
		return "it is " + r.State.String()
	case !uncertain && r.Stopped && r.Leased:
		return "its chunk is being sent: try again in a moment" // a mark that is under way in that lease would mark it
	case r.Listed:
		return "its mailbox is on the list of suppressions: to mail it all the same, requeue it by its address"
	case r.Later != "" && !s.Force:
		return "notice " + r.Later + ", a later one of the incident, goes to that mailbox or may have gone: only by force does old news follow it"
	}
	return ""
}

// settleSent makes locked uncertain deliveries sent, as an operator says that they are.
func settleSent(ctx context.Context, tx pgx.Tx, id int64, rows rowSet, who string) error {
	return exec(ctx, tx, fmt.Sprintf("settle deliveries of notice %d", id), named(`
		UPDATE outcome SET state = {sent}, sent_at = coalesce(sent_at, at), at = clock_timestamp(), code = 0, enhanced = '', reply = '',
			reason = 'settled by ' || $3::text
		WHERE notice_id = $1 AND seq = ANY($2) AND state = {uncertain}`), id, rows.seqs, who)
}

// requeue has locked deliveries owed again: they can be marked again, and supersede those of earlier notices, anew. An
// attempt that is not resolved stays known.
func requeue(ctx context.Context, tx pgx.Tx, n Notice, rows rowSet, reason string, grace time.Duration) error {
	if len(rows.seqs) == 0 {
		return nil
	}
	_, err := tx.Exec(ctx, named(`
		INSERT INTO outcome AS o (notice_id, seq, state, owed_at, due_at, reason)
		SELECT $1, seq, {queued}, clock_timestamp(), clock_timestamp(), $3 FROM unnest($2::int[]) AS m(seq)
		ON CONFLICT (notice_id, seq) DO UPDATE SET state = {queued}, owed_at = excluded.owed_at, due_at = excluded.due_at, at = excluded.at,
			reason = excluded.reason,
			unresolved = CASE WHEN o.state <> {uncertain} THEN o.unresolved WHEN o.unresolved = 0 AND o.epoch <> 0 THEN o.epoch ELSE -1 END`),
		n.ID, rows.seqs, reason)
	if err != nil {
		return fmt.Errorf("requeue deliveries of notice %d: %w", n.ID, err)
	}
	if err := reviveRows(ctx, tx, rows); err != nil {
		return err
	}
	var began bool
	if err := tx.QueryRow(ctx, `SELECT began_at IS NOT NULL FROM notice WHERE id = $1`, n.ID).Scan(&began); err != nil || !began {
		return err
	}
	return supersedeAnew(ctx, tx, n, rows.seqs, grace)
}
