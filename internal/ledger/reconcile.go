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

// clockSlack is how far the clocks of a relay and of the ledger may be apart.
const clockSlack = 2 * time.Minute

// Uncertain is a delivery of which nobody knows whether the relay took it, and the span that a relay's log must cover to tell.
// Times are the ledger's clock.
type Uncertain struct {
	Seq       int    `json:"seq"`
	Address   string `json:"address"`
	MessageID string `json:"message_id"`
	// Epoch names the attempt. A decision about this one must not hit a later one.
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

// windowColumns are LogFrom, LogUntil, RequeueFrom and GateOpen of delivery d of notice n; slack and gate are parameters.
// A mark is never older than the claim that its epoch was made from, and its dot never younger than its outcome; where
// the database's clock was set back meanwhile the mark can be older by the wait for an answer. A restored ledger
// may know no epoch, but nothing is older than the release.
func windowColumns(slack, gate string) string {
	return strings.NewReplacer("{slack}", slack+"::interval", "{gate}", gate+"::interval").Replace(`
	greatest(n.released_at, CASE WHEN to_timestamp(d.epoch / 1e6) <= d.at THEN to_timestamp(d.epoch / 1e6) ELSE d.at - {gate} END) - {slack},
	d.at + {gate} + {slack}, d.at + {gate}, d.at + {gate} < clock_timestamp()`)
}

// Uncertain returns a page of a notice's uncertain deliveries by seq, beginning after that one; empty, never nil,
// where there is none. ref is the notice's key or number.
func (db *DB) Uncertain(ctx context.Context, ref string, after, limit int) ([]Uncertain, error) {
	id, err := db.Find(ctx, ref)
	if err != nil {
		return nil, err
	}
	// Chunks come in the order of their rows, and only those that may have one.
	rows, _ := db.pool.Query(ctx, named(`
		SELECT n.message_token, n.message_domain, d.seq, d.address, d.epoch, d.tries, `+windowColumns("$1", "$2")+`
		FROM notice n
		CROSS JOIN LATERAL (SELECT id, plan_id FROM chunk
			WHERE notice_id = n.id AND hi > $4 AND (counts[{uncertain} + 1] > 0 OR lease_until IS NOT NULL) ORDER BY lo OFFSET 0) c
		CROSS JOIN LATERAL (
			SELECT d.*, r.address FROM delivery d CROSS JOIN LATERAL recipient_at(c.plan_id, d.seq) r
			WHERE d.chunk_id = c.id AND d.seq > $4 AND d.state = {uncertain} ORDER BY d.seq OFFSET 0) d
		WHERE n.id = $3 LIMIT $5`),
		clockSlack, db.opts.Gate, id, after, limit)
	all, err := pgx.AppendRows([]Uncertain{}, rows, func(row pgx.CollectableRow) (u Uncertain, err error) {
		var n Notice
		err = row.Scan(&n.MessageToken, &n.MessageDomain, &u.Seq, &u.Address, &u.Epoch, &u.Attempts,
			&u.LogFrom, &u.LogUntil, &u.RequeueFrom, &u.GateOpen)
		u.MessageID = n.MessageID(u.Seq)
		u.LogFrom, u.LogUntil, u.RequeueFrom = u.LogFrom.UTC(), u.LogUntil.UTC(), u.RequeueFrom.UTC()
		return u, err
	})
	return all, wrap(err, "read what is uncertain of notice %d", id)
}

// Reconciliation is the finding of a relay's log about uncertain deliveries of a notice.
type Reconciliation struct {
	Evidence []Evidence // of mails that the relay took
	Requeue  []Missing  // to be sent again: the log covers their attempt and does not have it
	// LogFrom and LogUntil are the span over which the log was read; missing means missing in it.
	LogFrom, LogUntil time.Time
}

// Evidence is the proof that a relay took a mail.
type Evidence struct {
	MessageID string
	Epoch     int64
	QueueID   string // "" for a sink's store
	Status    string // the last word of the log about it
	At        time.Time
}

// Missing names an attempt that a relay's log does not have.
type Missing struct {
	MessageID string
	Epoch     int64
}

// Reconciled counts the changes of a Reconciliation.
type Reconciled struct {
	Sent       int        `json:"sent"`                 // uncertain → sent
	Requeued   int        `json:"requeued"`             // uncertain → queued
	TooEarly   int        `json:"too_early"`            // missing, and its gate is not past
	From       *time.Time `json:"possible_from"`        // when the last of those can be requeued
	NotCovered int        `json:"not_covered"`          // missing from a log that does not reach over its attempt
	Changed    int        `json:"changed"`              // not uncertain any more, or by another attempt: left alone
	Overtaken  int        `json:"overtaken,omitempty"`  // missing, and a later notice goes to the mailbox or may have gone: left alone
	By         []string   `json:"by,omitempty"`         // the keys of those notices
	Suppressed int        `json:"suppressed,omitempty"` // missing, and the mailbox is on the list of suppressions: left alone
}

// Reconcile carries out a relay's log. A mail that the relay took becomes sent, without an SMTP code. One that is
// missing is requeued under the same Message-ID, if its gate is past and the log reaches over its attempt. A delivery
// that changed since it was looked at is left alone. One to a mailbox that was suppressed since is not sent again.
func (db *DB) Reconcile(ctx context.Context, id int64, r Reconciliation, who string) (done Reconciled, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		done, err = db.reconcile(ctx, tx, id, r, who)
		return err
	})
	return done, err
}

func (db *DB) reconcile(ctx context.Context, tx pgx.Tx, id int64, r Reconciliation, who string) (done Reconciled, err error) {
	n, err := readNotice(ctx, tx, id, "")
	if err != nil {
		return done, err
	}
	if len(r.Requeue) > 0 && !n.requeues() {
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
	rows, err := findRows(ctx, tx, `SELECT $1::bigint, seq FROM unnest($2::int[]) AS m(seq)`, id, slices.Concat(found.seqs, missing.seqs))
	if err != nil {
		return done, err
	}
	if err := lockWithLater(ctx, tx, n, rows); err != nil {
		return done, err
	}
	if err := settleTaken(ctx, tx, id, found, r.Evidence, who, &done); err != nil {
		return done, err
	}
	if err := db.requeueMissing(ctx, tx, n, missing, r, who, &done); err != nil {
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
	return done, recountAndReopen(ctx, tx, rows.chunks)
}

// attemptSet are attempts by seq and epoch, each once.
type attemptSet struct {
	seqs   []int32
	epochs []int64
	from   []int // where in the list each of them stood
}

// attempted turns Message-IDs of the notice into seqs. field is where they stand in the request.
func attempted[T any](n Notice, field string, list []T, of func(T) (string, int64)) (all attemptSet, err error) {
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
	digits := strings.TrimSuffix(strings.TrimPrefix(messageID, "<"+n.MessageToken+"."), "@"+n.MessageDomain+">")
	seq, err := strconv.ParseInt(digits, 10, 32)
	return int32(seq), err == nil && n.MessageID(int(seq)) == messageID
}

func settleTaken(ctx context.Context, tx pgx.Tx, id int64, found attemptSet, proofs []Evidence, who string, done *Reconciled) error {
	n := len(found.seqs)
	at, reasons, texts := make([]time.Time, n), make([]string, n), make([]string, n)
	for i, from := range found.from {
		p := proofs[from]
		at[i], texts[i], reasons[i] = p.At, p.Status, "sink's store, by "+who
		if p.QueueID != "" {
			reasons[i] = "relay log, queue id " + p.QueueID + ", by " + who
		}
	}
	// The relay's clock says when; but not before the release, nor in the future.
	tag, err := tx.Exec(ctx, named(`
		UPDATE outcome d SET state = {sent}, sent_at = least(greatest(m.taken_at, n.released_at), clock_timestamp()),
			at = clock_timestamp(), code = 0, enhanced = '', reason = m.reason,
			reply = CASE WHEN stop_reason(n.id, n.plan_id, m.seq) = 'erased' THEN '' ELSE m.reply END
		FROM unnest($2::int[], $3::bigint[], $4::timestamptz[], $5::text[], $6::text[]) AS m(seq, epoch, taken_at, reason, reply)
		JOIN notice n ON n.id = $1
		CROSS JOIN LATERAL (SELECT lo, sent FROM chunk WHERE notice_id = n.id AND lo <= m.seq ORDER BY lo DESC LIMIT 1) c
		WHERE d.notice_id = n.id AND d.seq = m.seq AND d.epoch = m.epoch AND d.state = {uncertain} AND get_bit(c.sent, m.seq - c.lo) = 0`),
		id, found.seqs, found.epochs, at, reasons, texts)
	if err != nil {
		return fmt.Errorf("settle what the relay of notice %d took: %w", id, err)
	}
	done.Sent = int(tag.RowsAffected())
	done.Changed += n - done.Sent
	return nil
}

// looked is a missing delivery as it now stands.
type looked struct {
	Seq      int32
	ChunkID  int64
	Same     bool      // uncertain by the attempt that was looked at, and not erased
	From     time.Time // the gate
	GateOpen bool
	Covered  bool
	Later    string // the key of a later notice that goes to its mailbox, or may have gone
	Listed   bool   // its mailbox is on the list of suppressions
}

func (db *DB) requeueMissing(ctx context.Context, tx pgx.Tx, n Notice, missing attemptSet, r Reconciliation, who string, done *Reconciled) error {
	// The future is not in any log, though its reader may say so.
	rows, _ := tx.Query(ctx, named(`
		SELECT seq, chunk_id, same, requeue_from, gate_open, $6 <= log_from AND least($7::timestamptz, clock_timestamp()) >= log_until,
			CASE WHEN same THEN `+laterSQL("address_key")+` ELSE '' END, same AND coalesce(`+suppressedSQL("address_key", n.Body.Scopes())+`, false)
		FROM (SELECT d.seq, d.chunk_id, d.address_key, d.epoch = m.epoch AND d.state = {uncertain} AND d.address_key NOT LIKE 'erased:%', `+windowColumns("$3", "$8")+`
			FROM unnest($4::int[], $5::bigint[]) AS m(seq, epoch) JOIN notice n ON n.id = $1
			CROSS JOIN LATERAL (SELECT id FROM chunk WHERE notice_id = n.id AND lo <= m.seq AND hi > m.seq ORDER BY lo DESC LIMIT 1) c
			CROSS JOIN LATERAL (SELECT * FROM delivery WHERE chunk_id = c.id AND seq = m.seq OFFSET 0) d WHERE d.at IS NOT NULL)
			AS looked(seq, chunk_id, address_key, same, log_from, log_until, requeue_from, gate_open)`),
		n.ID, notice.Phases[n.Body.Kind], clockSlack, missing.seqs, missing.epochs, r.LogFrom, r.LogUntil, db.opts.Gate)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[looked])
	if err != nil {
		return fmt.Errorf("read what notice %d misses: %w", n.ID, err)
	}
	done.Changed += len(missing.seqs) - len(all)
	var again rowSet
	for _, l := range all {
		switch {
		case !l.Same:
			done.Changed++
		case l.Later != "":
			done.Overtaken++
			if !slices.Contains(done.By, l.Later) {
				done.By = append(done.By, l.Later)
			}
		case l.Listed:
			done.Suppressed++
		case !l.GateOpen:
			done.TooEarly++
			if done.From == nil || done.From.Before(l.From) {
				done.From = &l.From
			}
		case !l.Covered:
			done.NotCovered++
		default:
			again.add(l.ChunkID, l.Seq)
		}
	}
	done.Requeued = len(again.seqs)
	return requeue(ctx, tx, n, again, "not in the relay's log, requeued by "+who, db.opts.DotGrace)
}
