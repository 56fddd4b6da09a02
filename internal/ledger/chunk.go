package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Claim is a chunk under a lease: one epoch, and the deliveries that were due when it was claimed.
type Claim struct {
	ChunkID  int64
	NoticeID int64
	Token    string // MessageToken of the notice: a ledger that was restored gives a number again
	Epoch    int64
	Due      []Due // empty unless the notice is being sent
	// OnlyTo is the setting under which the deliveries are due; the subjects of their mails are marked by it.
	OnlyTo notice.OnlyTo
	// Rest is set by the holder who gives the claim back with deliveries that were not tried since they may not go
	// yet: the chunk is not due sooner, though it may owe others. Their rows stay as they are.
	Rest time.Duration
}

// Due is a delivery that may be attempted, with the parts of its mail.
type Due struct {
	Seq       int
	Tries     int           // attempts so far
	Waited    time.Duration // since it has been owed
	Text      string        // the language of the mail
	Mail      int           // the number of its compiled mail; 0: none is kept
	Corrects  bool          // its mail is the correction, since an earlier version arrived there, or may have
	Thread    []string      // Message-IDs of the incident's earlier mails to the mailbox, the first one first; the others are the last
	Shuns     string        // the relay that refused it with a 5xx though another may take it; "" = none
	Recipient notice.Recipient
}

// Claim takes the lease of a chunk for holder; ok is false when somebody else has it or nothing in it is open.
// Marks that the previous holder left open become uncertain, and stopped deliveries are cancelled. It leaves out
// mailboxes that were put on the list of suppressions meanwhile, and those that this process does not send to.
func (db *DB) Claim(ctx context.Context, chunkID int64, holder string) (c Claim, ok bool, err error) {
	if !db.mayWork() {
		return c, false, nil
	}
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		c, ok, err = db.claim(ctx, tx, chunkID, holder)
		return err
	})
	return c, ok && err == nil, err
}

func (db *DB) claim(ctx context.Context, tx pgx.Tx, chunkID int64, holder string) (c Claim, ok bool, err error) {
	c.ChunkID = chunkID
	var p claimed
	var marked, differ, serves bool
	var noted []string
	// Locked by a statement of its own: an outcome that is being recorded lets a plain UPDATE pass.
	err = tx.QueryRow(ctx, `
		SELECT c.notice_id, c.plan_id, c.lo, c.hi - c.lo, bit_count(c.dots) > 0, n.incident_id, n.state, greatest(n.released_at, n.send_at),
			scopes(n.body), n.only_to, n.message_token, `+differSQL("$2")+`
		FROM chunk c JOIN notice n ON n.id = c.notice_id
		WHERE c.id = $1 AND c.open AND (c.lease_until IS NULL OR c.lease_until < clock_timestamp()) AND NOT `+waitsSQL("c", "n")+` FOR UPDATE OF c`, chunkID, db.onlyTo()).
		Scan(&c.NoticeID, &p.plan, &p.lo, &p.size, &marked, &p.incident, &p.state, &p.owedAt, &p.scopes, &noted, &c.Token, &differ)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && differ {
		return c, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("lock chunk %d to claim it: %w", chunkID, err)
	}
	if marked {
		if _, err := tx.Exec(ctx, leftMarkedSQL, chunkID); err != nil {
			return c, false, fmt.Errorf("settle what the last holder of chunk %d left: %w", chunkID, err)
		}
	}
	err = tx.QueryRow(ctx, `
		UPDATE chunk SET epoch = greatest(epoch + 1, (extract(epoch FROM clock_timestamp()) * 1e6)::bigint),
			holder = $2, lease_until = clock_timestamp() + $3, dots = dots & ~dots,
			stopped = CASE WHEN s.state = 'cancelled' THEN stopped | ~stopped ELSE stopped END,
			stopped_at = CASE WHEN s.state = 'cancelled' AND bit_count(~stopped) > 0 THEN clock_timestamp() ELSE stopped_at END
		FROM (SELECT (SELECT state FROM notice WHERE id = $4) AS state) s
		WHERE id = $1 RETURNING epoch, sent, stopped, coalesce(corrects, '')::varbit, coalesce(untold, '')::varbit, s.state, `+servesSQL("$5"), chunkID, holder, db.opts.Lease, c.NoticeID, db.schema).
		Scan(&c.Epoch, &p.sent, &p.stopped, &p.corrects, &p.untold, &p.state, &serves)
	if err == nil && !serves { // it was migrated since this process looked
		err = db.compareSchema(ctx, tx)
	}
	if err != nil {
		return c, false, fmt.Errorf("claim chunk %d: %w", chunkID, err)
	}
	db.runs.keep(chunkID, p.run)
	if err := suppressOwed(ctx, tx, chunkID, p.plan, p.scopes); err != nil {
		return c, false, err
	}
	if err := cancelStopped(ctx, tx, []int64{chunkID}); err != nil {
		return c, false, err
	}
	if p.state == notice.Sending {
		if err := db.keepOnlyTo(ctx, tx, c.NoticeID, noted); err != nil {
			return c, false, err
		}
		c.OnlyTo = db.opts.OnlyTo
		var others []int32
		if c.Due, others, err = p.due(ctx, tx, c.NoticeID, c.OnlyTo); err != nil {
			return c, false, fmt.Errorf("read what chunk %d owes: %w", chunkID, err)
		}
		if err := leaveOut(ctx, tx, c.NoticeID, others); err != nil {
			return c, false, err
		}
	}
	return c, true, nil
}

// leftMarkedSQL (C2) makes uncertain the marks of the last holder that nobody has settled.
var leftMarkedSQL = named(`
	INSERT INTO outcome AS o (notice_id, seq, state, tries, epoch, reply)
	SELECT c.notice_id, s, {uncertain}, 1, c.epoch, 'no answer was recorded before the worker was lost'
	FROM chunk c CROSS JOIN generate_series(c.lo, c.hi - 1) s
	WHERE c.id = $1 AND get_bit(c.dots, s - c.lo) = 1 AND get_bit(c.sent, s - c.lo) = 0
		AND NOT EXISTS (SELECT FROM outcome x WHERE x.notice_id = c.notice_id AND x.seq = s
			AND (x.epoch >= c.epoch OR x.state NOT IN ({queued}, {deferred})))
	ON CONFLICT (notice_id, seq) DO UPDATE SET state = {uncertain}, tries = o.tries + 1, epoch = excluded.epoch, at = clock_timestamp(),
		code = 0, enhanced = '', relay = '', reason = '', due_at = NULL, reply = excluded.reply, digest = NULL`)

// claimed is a chunk while it is being claimed.
type claimed struct {
	run
	plan, incident int64
	state          notice.State
	scopes         []notice.Scope
	owedAt         time.Time
	sent, stopped  bitmap
	corrects       bitmap // empty: the notice is no amendment
	untold         bitmap // empty: nobody turned out to be a newcomer
}

// amends reports whether the notice is an amendment.
func (p claimed) amends() bool { return len(p.corrects) > 0 }

// tried describes a delivery that has an outcome.
type tried struct {
	tries  int
	waited time.Duration
	shuns  string
	due    bool
}

// due reads the deliveries that may be attempted. Recipients and outcomes are read each by its key and joined here: no statistics have
// that planned as anything else. Others are those to mailboxes that do not match.
func (p claimed) due(ctx context.Context, tx pgx.Tx, noticeID int64, onlyTo notice.OnlyTo) (all []Due, others []int32, err error) {
	outcomes := map[int]tried{}
	rows, _ := tx.Query(ctx, named(`
		SELECT seq, tries, clock_timestamp() - coalesce(owed_at, $4),
			CASE WHEN state = {deferred} AND code >= 500 AND enhanced NOT LIKE '4%' THEN relay ELSE '' END, coalesce(state IN ({queued}, {deferred}) AND due_at <= clock_timestamp(), false)
		FROM outcome WHERE notice_id = $1 AND seq >= $2 AND seq < $3`), noticeID, p.lo, p.lo+p.size, p.owedAt)
	var seq int
	var t tried
	if _, err = pgx.ForEachRow(rows, []any{&seq, &t.tries, &t.waited, &t.shuns, &t.due}, func() error { outcomes[seq] = t; return nil }); err != nil {
		return nil, nil, err
	}
	rows, _ = tx.Query(ctx, inPlan(p.plan, `
		SELECT seq, text, in_reply_to, coalesce(address_key, ''), address, language, time_zone, newcomer, customers, coalesce(mail, 0), coalesce(correction, 0), clock_timestamp() - $3::timestamptz
		FROM recipient WHERE plan_id = {plan} AND seq >= $1 AND seq < $2 ORDER BY seq`), p.lo, p.lo+p.size, p.owedAt)
	defer rows.Close()
	known, places := interned{}, map[string]int{} // by mailbox, in all
	for rows.Next() {
		var d Due
		var mailbox, thread string
		var correction int
		var customers []byte
		err := rows.Scan(&d.Seq, &d.Text, &thread, &mailbox, &d.Recipient.Address, &d.Recipient.Language, &d.Recipient.TimeZone, &d.Recipient.Newcomer, &customers, &d.Mail, &correction, &d.Waited)
		if err != nil {
			return nil, nil, err
		}
		if t, ok := outcomes[d.Seq]; ok {
			d.Tries, d.Waited, d.Shuns = t.tries, t.waited, t.shuns
			if !t.due {
				continue
			}
		}
		if p.untold.has(d.Seq-p.lo) && !d.Recipient.Newcomer {
			d.Recipient.Newcomer, d.Mail = true, correction
			if p.amends() { // of such a newcomer no mail is kept
				d.Mail, correction = 0, 0
			}
		}
		if p.corrects.has(d.Seq - p.lo) {
			d.Corrects, d.Mail = true, correction
		}
		if p.sent.has(d.Seq-p.lo) || p.stopped.has(d.Seq-p.lo) {
			continue
		}
		if !onlyTo.Matches(mailbox) {
			others = append(others, int32(d.Seq))
			continue
		}
		switch {
		case thread != "": // a version of before kept it with the plan
			d.Thread = []string{thread}
		case mailbox != "":
			places[mailbox] = len(all)
		}
		if d.Recipient.Customers, err = known.frozen(customers); err != nil {
			return nil, nil, err
		}
		all = append(all, d)
	}
	if err := rows.Err(); err != nil {
		return nil, nil, err
	}
	return all, others, p.refer(ctx, tx, noticeID, all, places)
}

// Renew extends the lease of a claim; false means that it was lost, and nothing more may be marked under it.
func (db *DB) Renew(ctx context.Context, chunkID, epoch int64) (bool, error) {
	tag, err := db.pool.Exec(ctx, `
		UPDATE chunk SET lease_until = clock_timestamp() + $3
		WHERE id = $1 AND epoch = $2 AND lease_until > clock_timestamp()`, chunkID, epoch, db.opts.Lease)
	if err != nil {
		return false, fmt.Errorf("renew the lease of chunk %d: %w", chunkID, err)
	}
	return tag.RowsAffected() == 1, nil
}

// CloseChunk gives a claim back when all its outcomes are recorded, and finishes the notice if that was the last of it.
// It returns whether something in the chunk is still owed. It does nothing when the lease has passed to somebody else.
func (db *DB) CloseChunk(ctx context.Context, c Claim) (owed bool, err error) {
	held, canary := true, false
	err = db.inTxAnew(ctx, func(tx pgx.Tx) error {
		err := tx.QueryRow(ctx, `SELECT canary FROM chunk WHERE id = $1 AND epoch = $2 FOR UPDATE`, c.ChunkID, c.Epoch).Scan(&canary)
		if errors.Is(err, pgx.ErrNoRows) {
			held = false
			return nil
		}
		if err != nil {
			return fmt.Errorf("lock chunk %d to close it: %w", c.ChunkID, err)
		}
		if _, err := tx.Exec(ctx, `UPDATE chunk SET lease_until = NULL, holder = '' WHERE id = $1 AND epoch = $2`, c.ChunkID, c.Epoch); err != nil {
			return fmt.Errorf("give up the lease of chunk %d: %w", c.ChunkID, err)
		}
		// An answer under this lease can have come after its notice was finished.
		if err := recountAndReopen(ctx, tx, []int64{c.ChunkID}); err != nil {
			return err
		}
		if c.Rest > 0 {
			_, err := tx.Exec(ctx, `UPDATE chunk SET due_at = greatest(due_at, clock_timestamp() + $2) WHERE id = $1`, c.ChunkID, c.Rest)
			if err != nil {
				return fmt.Errorf("let chunk %d rest: %w", c.ChunkID, err)
			}
		}
		return tx.QueryRow(ctx, `SELECT open FROM chunk WHERE id = $1`, c.ChunkID).Scan(&owed)
	})
	if err != nil {
		return false, fmt.Errorf("close chunk %d: %w", c.ChunkID, err)
	}
	if canary {
		if err := db.holdAtCanary(ctx, c.NoticeID); err != nil {
			return owed, err
		}
	}
	if !held || owed {
		return owed, nil
	}
	return false, db.Finish(ctx, c.NoticeID)
}
