package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// clockSlack is how far the clocks of a relay and of the ledger may be apart.
const clockSlack = 2 * time.Minute

// Uncertain is a delivery of which nobody knows whether the relay took it, and what a relay's log must show to tell.
// Times are the ledger's clock.
type Uncertain struct {
	Seq       int    `json:"seq"`
	Address   string `json:"address"`
	MessageID string `json:"message_id"`
	// Epoch names the attempt. What is decided about this one must not hit a later one.
	Epoch    int64 `json:"epoch"`
	Attempts int   `json:"attempts"`
	// LogFrom and LogUntil are the time in which the attempt can have reached the relay, and two minutes at each end
	// for two clocks: a log over less than that can't show that it did not.
	LogFrom  time.Time `json:"log_from"`
	LogUntil time.Time `json:"log_until"`
	// RequeueFrom is the gate: the delivery can be requeued after it. GateOpen says that it is past.
	RequeueFrom time.Time `json:"requeue_from"`
	GateOpen    bool      `json:"gate_open"`
}

// windowColumns are LogFrom, LogUntil, RequeueFrom and GateOpen of delivery d of notice n; $1 is the slack, $2 the gate,
// $3 the grace of a dot. A mark is never older than the claim that its epoch was made from, nor than its dot's grace;
// where the database's clock was set back meanwhile the earlier of the two holds. A restored ledger may know no epoch,
// but nothing is older than the release.
const windowColumns = `
	greatest(n.released_at, least(to_timestamp(d.epoch / 1e6), d.dot_by - $3::interval)) - $1::interval,
	d.dot_by + $2::interval + $1::interval, d.dot_by + $2::interval, coalesce(d.dot_by + $2::interval < clock_timestamp(), false)`

// Uncertain returns a page of a notice's uncertain deliveries by seq, beginning after that one; empty, never nil,
// where there is none. ref is the notice's key or number.
func (db *DB) Uncertain(ctx context.Context, ref string, after, limit int) ([]Uncertain, error) {
	id, err := db.Find(ctx, ref)
	if err != nil {
		return nil, err
	}
	rows, err := db.pool.Query(ctx, `
		SELECT n.message_token, n.message_domain, d.seq, r.address, d.epoch, d.tries, `+windowColumns+`
		FROM notice n
		JOIN delivery d ON d.notice_id = n.id
		JOIN recipient r ON r.notice_id = d.notice_id AND r.seq = d.seq
		WHERE n.id = $4 AND d.state = 5 AND d.dot_by IS NOT NULL AND d.seq > $5 ORDER BY d.seq LIMIT $6`,
		clockSlack, db.opts.Gate, db.opts.DotGrace, id, after, limit)
	if err != nil {
		return nil, fmt.Errorf("read what is uncertain of notice %d: %w", id, err)
	}
	all, err := pgx.AppendRows([]Uncertain{}, rows, func(row pgx.CollectableRow) (u Uncertain, err error) {
		var n Notice
		err = row.Scan(&n.MessageToken, &n.MessageDomain, &u.Seq, &u.Address, &u.Epoch, &u.Attempts,
			&u.LogFrom, &u.LogUntil, &u.RequeueFrom, &u.GateOpen)
		u.MessageID = n.MessageID(u.Seq)
		u.LogFrom, u.LogUntil, u.RequeueFrom = u.LogFrom.UTC(), u.LogUntil.UTC(), u.RequeueFrom.UTC()
		return u, err
	})
	if err != nil {
		return nil, fmt.Errorf("read what is uncertain of notice %d: %w", id, err)
	}
	return all, nil
}

// Reconciliation is what a relay's log shows about uncertain deliveries of a notice.
type Reconciliation struct {
	Evidence []Evidence // what the relay took
	Requeue  []Missing  // to be sent again: the log covers their attempt and does not have it
	// LogFrom and LogUntil are the span over which the log was read. What is missing is missing in it.
	LogFrom, LogUntil time.Time
}

// Evidence is the proof that a relay took a mail.
type Evidence struct {
	MessageID string
	Epoch     int64
	QueueID   string // "" for a sink's store
	Status    string // what the log says last about it
	At        time.Time
}

// Missing names an attempt that a relay's log does not have.
type Missing struct {
	MessageID string
	Epoch     int64
}

// Reconciled says what a Reconciliation did.
type Reconciled struct {
	Sent       int        `json:"sent"`          // uncertain → sent
	Requeued   int        `json:"requeued"`      // uncertain → queued
	TooEarly   int        `json:"too_early"`     // missing, and its gate is not past
	From       *time.Time `json:"possible_from"` // when the last of those can be requeued
	NotCovered int        `json:"not_covered"`   // missing from a log that does not reach over its attempt
	Changed    int        `json:"changed"`       // not uncertain any more, or by another attempt: left alone
}

// Reconcile carries out what a relay's log shows: what the relay took becomes sent, without an SMTP code; what is
// missing is requeued under the same Message-ID, if its gate is past and the log reaches over its attempt. A delivery
// that changed since it was looked at is left alone.
func (db *DB) Reconcile(ctx context.Context, id int64, r Reconciliation, who string) (done Reconciled, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		done, err = db.reconcile(ctx, tx, id, r, who)
		return err
	})
	return done, err
}

func (db *DB) reconcile(ctx context.Context, tx pgx.Tx, id int64, r Reconciliation, who string) (done Reconciled, err error) {
	n, err := readNotice(ctx, tx, id, "")
	if errors.Is(err, pgx.ErrNoRows) {
		return done, notice.NotFound("there is no notice %d", id)
	}
	if err != nil {
		return done, err
	}
	if len(r.Requeue) > 0 && n.State != notice.Sending && n.State != notice.Paused && n.State != notice.Sent {
		return done, notice.Conflict("notice %d is %s: nothing of it can be requeued", id, n.State)
	}
	found, err := attempted(n, "evidence", r.Evidence, func(e Evidence) (string, int64) { return e.MessageID, e.Epoch })
	if err != nil {
		return done, err
	}
	missing, err := attempted(n, "requeue", r.Requeue, func(m Missing) (string, int64) { return m.MessageID, m.Epoch })
	if err != nil {
		return done, err
	}
	chunks, err := lockChunksOf(ctx, tx, id, append(found.seqs, missing.seqs...))
	if err != nil {
		return done, err
	}
	if err := settleTaken(ctx, tx, id, found, r.Evidence, who, &done); err != nil {
		return done, err
	}
	if err := db.requeueMissing(ctx, tx, id, missing, r, who, &done); err != nil {
		return done, err
	}
	if done.Sent+done.Requeued == 0 {
		return done, nil
	}
	detail := fmt.Sprintf("%d taken, %d missing and requeued; log from %s to %s", done.Sent, done.Requeued,
		r.LogFrom.UTC().Format(time.RFC3339), r.LogUntil.UTC().Format(time.RFC3339))
	if err := recordAct(ctx, tx, id, who, "reconcile", detail); err != nil {
		return done, err
	}
	return done, recountAndReopen(ctx, tx, chunks)
}

// named are attempts by seq and epoch, each once.
type named struct {
	seqs   []int32
	epochs []int64
	from   []int // where in the list each of them stood
}

// attempted turns Message-IDs of the notice into seqs. field is where they stand in the request.
func attempted[T any](n Notice, field string, list []T, of func(T) (string, int64)) (all named, err error) {
	seen := map[int32]bool{}
	for i, item := range list {
		id, epoch := of(item)
		seq, ok := n.seqOf(id)
		if !ok {
			return all, notice.Invalid(fmt.Sprintf("%s[%d].message_id", field, i), "is not of this notice")
		}
		if seen[seq] {
			continue
		}
		seen[seq] = true
		all.seqs, all.epochs, all.from = append(all.seqs, seq), append(all.epochs, epoch), append(all.from, i)
	}
	return all, nil
}

// seqOf is the inverse of MessageID.
func (n Notice) seqOf(messageID string) (int32, bool) {
	inner, ok := strings.CutPrefix(messageID, "<"+n.MessageToken+".")
	if !ok {
		return 0, false
	}
	digits, ok := strings.CutSuffix(inner, "@"+n.MessageDomain+">")
	if !ok {
		return 0, false
	}
	seq, err := strconv.ParseInt(digits, 10, 32)
	return int32(seq), err == nil && n.MessageID(int(seq)) == messageID
}

func lockChunksOf(ctx context.Context, tx pgx.Tx, id int64, seqs []int32) ([]int64, error) {
	rows, err := tx.Query(ctx, `
		SELECT id FROM chunk c WHERE notice_id = $1 AND EXISTS (SELECT FROM unnest($2::int[]) s WHERE s >= c.lo AND s < c.hi)
		ORDER BY id FOR UPDATE`, id, seqs)
	var chunks []int64
	if err == nil {
		chunks, err = pgx.CollectRows(rows, pgx.RowTo[int64])
	}
	if err != nil {
		return nil, fmt.Errorf("lock the chunks to reconcile: %w", err)
	}
	return chunks, nil
}

func settleTaken(ctx context.Context, tx pgx.Tx, id int64, found named, proofs []Evidence, who string, done *Reconciled) error {
	n := len(found.seqs)
	at, reasons, texts := make([]time.Time, n), make([]string, n), make([]string, n)
	for i, from := range found.from {
		p := proofs[from]
		at[i], texts[i], reasons[i] = p.At, p.Status, "sink's store, by "+who
		if p.QueueID != "" {
			reasons[i] = "relay log, queue id " + p.QueueID + ", by " + who
		}
	}
	// The relay's clock says when; what it can't be is before the release or in the future.
	tag, err := tx.Exec(ctx, `
		UPDATE delivery d SET state = 2, sent_at = least(greatest(m.taken_at, n.released_at), clock_timestamp()),
			at = clock_timestamp(), code = 0, enhanced = '', reason = m.reason,
			reply = CASE WHEN d.address_key LIKE 'erased:%' THEN '' ELSE m.reply END
		FROM unnest($2::int[], $3::bigint[], $4::timestamptz[], $5::text[], $6::text[]) AS m(seq, epoch, taken_at, reason, reply)
		JOIN notice n ON n.id = $1
		WHERE d.notice_id = $1 AND d.seq = m.seq AND d.epoch = m.epoch AND d.state = 5`,
		id, found.seqs, found.epochs, at, reasons, texts)
	if err != nil {
		return fmt.Errorf("settle what the relay of notice %d took: %w", id, err)
	}
	done.Sent = int(tag.RowsAffected())
	done.Changed += n - done.Sent
	return nil
}

func (db *DB) requeueMissing(ctx context.Context, tx pgx.Tx, id int64, missing named, r Reconciliation, who string, done *Reconciled) error {
	// What is still to come is not in any log, whatever its reader says.
	rows, err := tx.Query(ctx, `
		SELECT seq, m_epoch, same, requeue_from, gate_open, $7::timestamptz <= log_from AND least($8::timestamptz, clock_timestamp()) >= log_until
		FROM (SELECT d.seq, m.epoch, d.epoch = m.epoch AND d.state = 5 AND d.dot_by IS NOT NULL AND d.address_key NOT LIKE 'erased:%', `+windowColumns+`
			FROM unnest($5::int[], $6::bigint[]) AS m(seq, epoch)
			JOIN delivery d ON d.notice_id = $4 AND d.seq = m.seq JOIN notice n ON n.id = d.notice_id)
			AS looked(seq, m_epoch, same, log_from, log_until, requeue_from, gate_open)`,
		clockSlack, db.opts.Gate, db.opts.DotGrace, id, missing.seqs, missing.epochs, r.LogFrom, r.LogUntil)
	if err != nil {
		return fmt.Errorf("read what notice %d misses: %w", id, err)
	}
	type looked struct {
		Seq      int32
		Epoch    int64
		Same     bool
		From     *time.Time // the gate
		GateOpen bool
		Covered  *bool
	}
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[looked])
	if err != nil {
		return fmt.Errorf("read what notice %d misses: %w", id, err)
	}
	done.Changed += len(missing.seqs) - len(all)
	var again named
	for _, l := range all {
		switch {
		case !l.Same:
			done.Changed++
		case !l.GateOpen:
			done.TooEarly++
			if done.From == nil || done.From.Before(*l.From) {
				done.From = l.From
			}
		case !*l.Covered:
			done.NotCovered++
		default:
			again.seqs, again.epochs = append(again.seqs, l.Seq), append(again.epochs, l.Epoch)
		}
	}
	tag, err := tx.Exec(ctx, `
		UPDATE delivery d SET state = 0, unresolved = CASE WHEN unresolved = 0 AND d.epoch <> 0 THEN d.epoch ELSE -1 END,
			owed_at = clock_timestamp(), due_at = clock_timestamp(), at = clock_timestamp(),
			reason = 'not in the relay''s log, requeued by ' || $4
		FROM unnest($2::int[], $3::bigint[]) AS m(seq, epoch)
		WHERE d.notice_id = $1 AND d.seq = m.seq AND d.epoch = m.epoch AND d.state = 5 AND d.dot_by + $5 < clock_timestamp()`,
		id, again.seqs, again.epochs, who, db.opts.Gate)
	if err != nil {
		return fmt.Errorf("requeue what the relay of notice %d never had: %w", id, err)
	}
	done.Requeued = int(tag.RowsAffected())
	return nil
}
