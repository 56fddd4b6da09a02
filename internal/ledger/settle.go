package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Settle carries out what an operator decided about deliveries of a notice; key is the address key where the
// settlement names an address. What is uncertain is requeued only when its attempt can't reach a mailbox any more
// (the gate): before that it is counted as too early, with the time from which it can be. Nothing is requeued to a
// mailbox to which a later phase of the incident owes its news, or may have sent it.
func (db *DB) Settle(ctx context.Context, id int64, s notice.Settlement, key, who string) (done notice.Settled, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		done, err = db.settle(ctx, tx, id, s, key, who)
		return err
	})
	return done, err
}

func (db *DB) settle(ctx context.Context, tx pgx.Tx, id int64, s notice.Settlement, key, who string) (done notice.Settled, err error) {
	n, err := readNotice(ctx, tx, id, "")
	if errors.Is(err, pgx.ErrNoRows) {
		return done, notice.NotFound("there is no notice %d", id)
	}
	if err != nil {
		return done, err
	}
	if n.RowsDroppedAt != nil {
		return done, rowsDropped(id, *n.RowsDroppedAt)
	}
	if s.Requeue && !n.requeues() {
		return done, notice.Conflict("notice %d is %s: nothing of it can be requeued", id, n.State)
	}
	rows, chunks, err := db.lockUnsettled(ctx, tx, n, s, key)
	if err != nil {
		return done, err
	}
	if len(rows) == 0 && s.Address != "" {
		return done, notice.NotFound("notice %d owes nothing to that address", id)
	}
	var again requeue
	for _, r := range rows {
		if err := db.settleOne(ctx, tx, n, r, s, who, &again, &done); err != nil {
			return done, err
		}
	}
	if done.Changed == 0 {
		return done, nil
	}
	if err := again.finish(ctx, tx, n, db.opts.DotGrace); err != nil {
		return done, err
	}
	what := map[bool]string{true: "requeue", false: "settle as sent"}[s.Requeue]
	if err := recordAct(ctx, tx, id, who, what, fmt.Sprintf("%d deliveries", done.Changed)); err != nil {
		return done, err
	}
	return done, recountAndReopen(ctx, tx, chunks)
}

// requeues reports whether what a notice still owes is sent, so that something can be requeued.
func (n Notice) requeues() bool {
	return n.State == notice.Sending || n.State == notice.Paused || n.State == notice.Sent
}

// unsettled is a delivery that a settlement names, as it stood when it was looked at.
type unsettled struct {
	Seq      int32
	ChunkID  int64
	State    notice.DeliveryState
	Reason   string
	Epoch    int64
	Key      *string
	From     *time.Time // when an uncertain one can be requeued
	TooEarly bool
	Erased   bool // it has no address any more
	Stopped  bool
	Leased   bool
}

// lockUnsettled locks the chunks of the deliveries that a settlement names, and those of the same mailboxes in other
// notices of the incident, then reads the former as they now stand. It returns the chunks of the notice.
func (db *DB) lockUnsettled(ctx context.Context, tx pgx.Tx, n Notice, s notice.Settlement, key string) ([]unsettled, []int64, error) {
	var found rowSet
	var err error
	if s.AllUncertain {
		found, err = findRows(ctx, tx, named(`
			SELECT d.notice_id, d.seq FROM chunk k CROSS JOIN LATERAL (SELECT notice_id, seq, state FROM delivery WHERE chunk_id = k.id OFFSET 0) d
			WHERE k.notice_id = $1 AND (k.counts[{uncertain} + 1] > 0 OR k.lease_until IS NOT NULL) AND d.state = {uncertain}`), n.ID)
	} else {
		found, err = findRows(ctx, tx, `SELECT n.id, r.seq FROM notice n
			CROSS JOIN LATERAL (SELECT seq FROM recipient WHERE plan_id = n.plan_id AND address_key = $2 OFFSET 0) r WHERE n.id = $1`, n.ID, key)
	}
	if err != nil || len(found.seqs) == 0 {
		return nil, nil, err
	}
	if err := lockWithLater(ctx, tx, n, found); err != nil {
		return nil, nil, err
	}
	rows, err := tx.Query(ctx, named(`
		SELECT d.seq, c.id, d.state, d.reason, d.epoch, d.address_key, d.at + $3::interval, d.state = {uncertain} AND d.at + $3 >= clock_timestamp(),
			coalesce(d.address_key LIKE 'erased:%', false), get_bit(c.stopped, d.seq - c.lo) = 1, coalesce(c.lease_until > clock_timestamp(), false)
		FROM unnest($1::bigint[], $2::int[]) AS m(chunk_id, seq)
		CROSS JOIN LATERAL (SELECT * FROM chunk WHERE id = m.chunk_id OFFSET 0) c
		CROSS JOIN LATERAL (SELECT * FROM delivery WHERE chunk_id = m.chunk_id AND seq = m.seq OFFSET 0) d
		WHERE NOT $4 OR d.state = {uncertain} ORDER BY d.seq`), found.chunkOf, found.seqs, db.opts.Gate, s.AllUncertain)
	if err != nil {
		return nil, nil, fmt.Errorf("read what is to be settled: %w", err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[unsettled])
	if err != nil {
		return nil, nil, fmt.Errorf("read what is to be settled: %w", err)
	}
	return all, found.chunks, nil
}

// lockWithLater locks the chunks of some deliveries, and of those to the same mailboxes in the other notices of the
// incident: whether a later phase owes must not change before the caller's transaction has ended.
func lockWithLater(ctx context.Context, tx pgx.Tx, n Notice, found rowSet) error {
	keys, err := collect[string](ctx, tx, `
		SELECT r.address_key FROM unnest($2::int[]) AS m(seq)
		CROSS JOIN LATERAL (SELECT address_key FROM recipient WHERE plan_id = (SELECT plan_id FROM notice WHERE id = $1) AND seq = m.seq OFFSET 0) r
		WHERE r.address_key IS NOT NULL`, n.ID, found.seqs)
	if err != nil {
		return fmt.Errorf("read the mailboxes: %w", err)
	}
	later, err := laterRows(ctx, tx, n.ID, keys)
	if err != nil {
		return err
	}
	return lockChunks(ctx, tx, slices.Concat(found.chunks, later.chunks))
}

// requeue are deliveries that are owed again.
type requeue struct{ rowSet }

func (q *requeue) add(r unsettled) {
	q.chunks, q.chunkOf, q.seqs = append(q.chunks, r.ChunkID), append(q.chunkOf, r.ChunkID), append(q.seqs, r.Seq)
}

// finish lets the deliveries be marked again, and has them supersede what earlier notices owe, anew.
func (q *requeue) finish(ctx context.Context, tx pgx.Tx, n Notice, grace time.Duration) error {
	if len(q.seqs) == 0 {
		return nil
	}
	if err := reviveRows(ctx, tx, q.rowSet); err != nil {
		return err
	}
	var began bool
	if err := tx.QueryRow(ctx, `SELECT began_at IS NOT NULL FROM notice WHERE id = $1`, n.ID).Scan(&began); err != nil || !began {
		return err
	}
	return supersede(ctx, tx, n, q.seqs, grace)
}

// settleOne settles one delivery under its chunk's lock; what it can't settle it counts in done.
func (db *DB) settleOne(ctx context.Context, tx pgx.Tx, n Notice, r unsettled, s notice.Settlement, who string, again *requeue, done *notice.Settled) error {
	skip := func(why string) error {
		done.Skipped++
		done.Reasons = append(done.Reasons, why)
		return nil
	}
	uncertain := r.State == notice.DeliveryUncertain
	superseded := r.State == notice.DeliveryCancelled && r.Reason == notice.ReasonSuperseded
	switch {
	case uncertain && s.Sent:
		tag, err := tx.Exec(ctx, named(`
			UPDATE outcome SET state = {sent}, sent_at = coalesce(sent_at, at), at = clock_timestamp(), code = 0, enhanced = '', reply = '',
				reason = 'settled by ' || $4::text
			WHERE notice_id = $1 AND seq = $2 AND epoch = $3 AND state = {uncertain}`), n.ID, r.Seq, r.Epoch, who)
		if err != nil {
			return fmt.Errorf("settle delivery %d of notice %d: %w", r.Seq, n.ID, err)
		}
		done.Changed += int(tag.RowsAffected())
		return nil
	case r.Erased:
		return skip("its customers were erased, so there is no address to send it to")
	case !uncertain && !(s.Requeue && (r.State == notice.DeliveryFailed || r.State == notice.DeliverySuppressed || superseded)):
		return skip("it is " + r.State.String())
	case uncertain && r.TooEarly:
		done.TooEarly++
		if done.From == nil || done.From.Before(*r.From) {
			done.From = r.From
		}
		return nil
	case !uncertain && r.Stopped && r.Leased:
		// A mark that is under way in that lease would mark it.
		return skip("its chunk is being sent: try again in a moment")
	}
	if r.Key != nil {
		owed, err := owedLater(ctx, tx, n, *r.Key)
		if err != nil {
			return err
		}
		if owed {
			return skip("a later notice of the incident goes to that mailbox, or may have gone")
		}
	}
	if err := requeueOne(ctx, tx, n.ID, r, "requeued by "+who); err != nil {
		return err
	}
	again.add(r)
	done.Changed++
	return nil
}

// requeueOne has a delivery owed again. An attempt that is not resolved stays known.
func requeueOne(ctx context.Context, tx pgx.Tx, id int64, r unsettled, reason string) error {
	_, err := tx.Exec(ctx, named(`
		INSERT INTO outcome AS o (notice_id, seq, state, owed_at, due_at, reason) VALUES ($1, $2, {queued}, clock_timestamp(), clock_timestamp(), $3)
		ON CONFLICT (notice_id, seq) DO UPDATE SET state = {queued}, owed_at = clock_timestamp(), due_at = clock_timestamp(), at = clock_timestamp(),
			reason = excluded.reason,
			unresolved = CASE WHEN o.state <> {uncertain} THEN o.unresolved WHEN o.unresolved = 0 AND o.epoch <> 0 THEN o.epoch ELSE -1 END`),
		id, r.Seq, reason)
	if err != nil {
		return fmt.Errorf("requeue delivery %d of notice %d: %w", r.Seq, id, err)
	}
	return nil
}
