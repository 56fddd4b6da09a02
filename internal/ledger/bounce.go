package ledger

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// BounceKeys returns the secrets that sign the tokens of attempts, the one that signs first. Package bounce uses them.
func (db *DB) BounceKeys(ctx context.Context) ([][]byte, error) {
	keys, err := collect[[]byte](ctx, db.pool, `SELECT key FROM bounce_key ORDER BY id DESC`)
	return keys, wrap(err, "read the keys of bounces")
}

// FindMessage returns the delivery of the mails with that Message-ID, in angle brackets, and the key of its mailbox; 0 for
// one that is not known.
func (db *DB) FindMessage(ctx context.Context, messageID string) (noticeID int64, seq int, addressKey string, err error) {
	token, number, domain, ok := cutMessageID(messageID)
	if !ok {
		return 0, 0, "", nil
	}
	seq = int(number)
	err = db.pool.QueryRow(ctx, `
		SELECT n.id, r.address_key FROM notice n
		CROSS JOIN LATERAL recipient_at(n.plan_id, $3) r
		WHERE n.message_token = $1 AND n.message_domain = $2 AND r.address_key IS NOT NULL`, token, domain, seq).Scan(&noticeID, &addressKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, "", nil
	}
	return noticeID, seq, addressKey, wrap(err, "look for a Message-ID")
}

// cutMessageID cuts a Message-ID of ours into its parts.
func cutMessageID(id string) (token string, seq int32, domain string, ok bool) {
	token, rest, _ := strings.Cut(strings.TrimPrefix(id, "<"), ".")
	number, domain, _ := strings.Cut(strings.TrimSuffix(rest, ">"), "@")
	n, err := strconv.ParseInt(number, 10, 32)
	return token, int32(n), domain, err == nil && n >= 0 && n <= math.MaxInt32 && storable(token) && storable(domain)
}

// Returned is a report that came back about an attempt.
type Returned struct {
	NoticeID   int64
	Seq        int
	Epoch      int64 // of the attempt; 0: it is not told, and the only attempt is meant
	Kind       notice.BounceKind
	Class      notice.BounceClass
	Code       int    // of the SMTP reply, 0 for none
	Status     string // RFC 3463
	Diagnostic string
	Remote     string    // the server that said so
	At         time.Time // when it was delivered
	Complains  bool      // with a complaint: a reader does, which is not so of every report of that form
}

// Return records a report about an attempt. A bounce of the attempt that was sent last, or of one that is uncertain, has its
// delivery bounced: it proves that the relay took the mail. One of an older attempt changes nothing that is owed or was sent
// since, and nothing makes a bounced delivery owed again. A report that came before does nothing.
//
// Where too many mails of a notice come back while it is being sent, it is held, as by the brake. A mailbox is put on the
// list of suppressions where its last notices all came back. One is enough if there is no such mailbox; hardBounces are if
// it failed for another reason that lies with it. Where a domain refuses too many by policy, the log says so. The mailbox of
// a reader who complains is suppressed for notices that are not urgent. A notice.Error of class not_found says that there is
// no such attempt.
func (db *DB) Return(ctx context.Context, r Returned) (e notice.BounceEffect, err error) {
	var key string
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		e, key, err = recordReturn(ctx, tx, r)
		return err
	})
	if err != nil {
		return e, fmt.Errorf("record a report that came back: %w", err)
	}
	if r.Complains {
		err = db.heed(ctx, r, key, &e)
		return e, err
	}
	if !e.Changed {
		return e, nil
	}
	// Chunks are locked in their order, so this is a transaction of its own.
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if key != "" && !strings.HasPrefix(key, erasedPrefix) {
			if e.Suppressed, err = suppressBounced(ctx, tx, key); err != nil {
				return err
			}
		}
		e.Held, err = holdBouncing(ctx, tx, r)
		return err
	})
	if err == nil && r.Class == notice.BouncePolicy {
		e.Warned, err = db.warnOfPolicy(ctx, r.NoticeID, domainOf(key))
	}
	return e, wrap(err, "draw the consequences of a bounce")
}

// heed suppresses the mailbox of a reader who complains for all but urgent notices, and says so in the log of the notice. A report that
// came before is heeded again: the program can have died in between.
func (db *DB) heed(ctx context.Context, r Returned, key string, e *notice.BounceEffect) error {
	err := db.inTx(ctx, func(tx pgx.Tx) (err error) {
		if key != "" && !strings.HasPrefix(key, erasedPrefix) {
			e.Suppressed, err = suppressBy(ctx, tx, notice.SuppressionRow{Key: key, Reason: notice.SuppressedComplaint, Scope: notice.ScopeNotUrgent})
		}
		if err != nil || e.Repeated && !e.Suppressed {
			return err
		}
		return recordAct(ctx, tx, r.NoticeID, notice.System, "complaint", fmt.Sprintf("by a reader of delivery %d", r.Seq))
	})
	return wrap(err, "heed a complaint")
}

func recordReturn(ctx context.Context, tx pgx.Tx, r Returned) (e notice.BounceEffect, key string, err error) {
	found, err := findRows(ctx, tx, `SELECT $1::bigint, $2::int`, r.NoticeID, r.Seq)
	if err != nil {
		return e, "", err
	}
	if len(found.seqs) == 0 {
		return e, "", notice.NotFound("there is no such delivery: its notice is not known, or its rows were dropped")
	}
	if err := lockChunks(ctx, tx, found.chunks); err != nil {
		return e, "", err
	}
	var epoch int64
	var tries int
	err = tx.QueryRow(ctx, `
		SELECT n.key, d.state, `+lastAttemptSQL+`, d.tries, coalesce(d.address_key, '')
		FROM delivery d JOIN notice n ON n.id = d.notice_id JOIN chunk c ON c.id = d.chunk_id WHERE d.chunk_id = $1 AND d.seq = $2`,
		found.chunks[0], r.Seq).Scan(&e.Notice, &e.State, &epoch, &tries, &key)
	if errors.Is(err, pgx.ErrNoRows) {
		return e, "", notice.NotFound("there is no such delivery")
	}
	if err != nil {
		return e, "", fmt.Errorf("read the delivery: %w", err)
	}
	e.Seq = r.Seq
	if strings.HasPrefix(key, erasedPrefix) { // they may repeat the address
		r.Diagnostic, r.Remote = "", ""
	}
	if r.Epoch == 0 && tries == 1 { // of several it may be any: it is kept, and changes nothing
		r.Epoch = epoch
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO bounce (notice_id, seq, epoch, kind, class, code, status, diagnostic, remote, complains)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING`,
		r.NoticeID, r.Seq, r.Epoch, r.Kind, r.Class, r.Code, r.Status, r.Diagnostic, r.Remote, r.Complains)
	if err != nil {
		return e, "", fmt.Errorf("keep the report: %w", err)
	}
	if e.Repeated = tag.RowsAffected() == 0; e.Repeated {
		return e, key, nil
	}
	switch {
	case r.Kind == notice.KindDelivery && e.State == notice.DeliverySent && r.Epoch >= epoch:
		return e, key, delivered(ctx, tx, r, found)
	case r.Complains:
		return e, key, countReturn(ctx, tx, r.NoticeID, key, string(r.Kind))
	case r.Kind != notice.KindBounce || !bounces(e.State, r.Epoch, epoch):
		return e, key, nil
	}
	if err := bounced(ctx, tx, r, found); err != nil {
		return e, "", err
	}
	e.State, e.Changed = notice.DeliveryBounced, true
	if err := recount(ctx, tx, found.chunks); err != nil {
		return e, "", err
	}
	return e, key, countReturn(ctx, tx, r.NoticeID, key, string(r.Class))
}

// lastAttemptSQL is the epoch of the last attempt of delivery d of chunk c, as far as a trace of it is left: also one that was
// marked, or answered, after the 250 to an earlier one was heard.
const lastAttemptSQL = `greatest(d.epoch, CASE WHEN get_bit(c.dots, d.seq - c.lo) = 1 THEN c.epoch END,
			(SELECT max(epoch) FROM answer WHERE notice_id = c.notice_id AND chunk_id = c.id AND d.seq = ANY (seqs)))`

// bounces reports whether a bounce of one attempt ends a delivery with that last attempt.
func bounces(s notice.DeliveryState, of, last int64) bool {
	return s == notice.DeliverySent && of >= last || s == notice.DeliveryUncertain && of == last
}

// bounced has a delivery of a locked chunk bounced. Its 250 stays.
func bounced(ctx context.Context, tx pgx.Tx, r Returned, found rowSet) error {
	err := exec(ctx, tx, "record a bounce", named(`
		INSERT INTO outcome AS o (notice_id, seq, state, tries, epoch, code, enhanced, relay, reply, bounce, sent_at)
		SELECT notice_id, seq, {bounced}, tries, greatest(epoch, $3), $4, $5, relay, $6, $7, coalesce(sent_at, at)
		FROM delivery WHERE chunk_id = $1 AND seq = $2
		ON CONFLICT (notice_id, seq) DO UPDATE SET state = excluded.state, tries = excluded.tries, epoch = excluded.epoch, code = excluded.code,
			enhanced = excluded.enhanced, relay = excluded.relay, reply = excluded.reply, bounce = excluded.bounce, sent_at = excluded.sent_at,
			at = excluded.at, reason = '', due_at = NULL, delivered_at = NULL, delivered_by = NULL`),
		found.chunks[0], r.Seq, r.Epoch, r.Code, r.Status, r.Diagnostic, r.Class)
	if err != nil {
		return err
	}
	return exec(ctx, tx, "note that the report changed the delivery",
		`UPDATE bounce SET changed = true WHERE notice_id = $1 AND seq = $2 AND epoch = $3 AND kind = $4`, r.NoticeID, r.Seq, r.Epoch, r.Kind)
}

// delivered notes when the recipient's server took a mail that was sent, and which server that was. The row that it makes is of the
// attempt that was answered, so that its mark stays settled.
func delivered(ctx context.Context, tx pgx.Tx, r Returned, found rowSet) error {
	at := &r.At
	if at.IsZero() {
		at = nil
	}
	return exec(ctx, tx, "note a delivery", named(`
		INSERT INTO outcome AS o (notice_id, seq, state, tries, epoch, delivered_at, delivered_by)
		SELECT notice_id, seq, {sent}, tries, epoch, coalesce($3, clock_timestamp()), $4 FROM delivery WHERE chunk_id = $1 AND seq = $2
		ON CONFLICT (notice_id, seq) DO UPDATE SET delivered_at = excluded.delivered_at, delivered_by = excluded.delivered_by`),
		found.chunks[0], r.Seq, at, r.Remote)
}

// hardBounces is the number of notices in a row after which a mailbox is suppressed: each came back for a reason that lies with it.
const hardBounces = 3

// suppressBounced puts a mailbox on the list of suppressions if its last notices all came back. A refusal by policy is the
// sender's fault, and a passing trouble nobody's: they count for nothing.
func suppressBounced(ctx context.Context, tx pgx.Tx, key string) (suppressed bool, err error) {
	var last []string
	err = tx.QueryRow(ctx, named(`
		SELECT coalesce(array_agg(CASE WHEN d.state = {bounced} THEN d.reason ELSE '' END ORDER BY n.released_at DESC, n.id DESC), '{}')
		FROM (SELECT n.id, n.released_at, r.seq FROM mails_of($1) r
			CROSS JOIN LATERAL (SELECT notice.* FROM plan p JOIN notice ON notice.id = p.notice_id AND notice.plan_id = p.id WHERE p.id = r.plan_id) n
			WHERE n.rows_dropped_at IS NULL OFFSET 0) n
		CROSS JOIN LATERAL (SELECT id FROM chunk WHERE notice_id = n.id AND lo <= n.seq ORDER BY lo DESC LIMIT 1) c
		CROSS JOIN LATERAL (SELECT state, reason FROM delivery WHERE chunk_id = c.id AND seq = n.seq OFFSET 0) d
		WHERE d.state IN ({sent}, {bounced})`), key).Scan(&last)
	if err != nil || !isDead(last) {
		return false, err
	}
	return suppressBy(ctx, tx, notice.SuppressionRow{Key: key, Reason: notice.SuppressedBounced, Scope: notice.ScopeAll})
}

// suppressBy puts a mailbox on the list of suppressions because of its bounces or complaints, unless it is covered already.
func suppressBy(ctx context.Context, tx pgx.Tx, row notice.SuppressionRow) (suppressed bool, err error) {
	err = tx.QueryRow(ctx, `SELECT `+suppressedSQL("$1::text", []notice.Scope{notice.ScopeAll, row.Scope}), row.Key).Scan(&suppressed)
	if err != nil || suppressed {
		return false, err
	}
	_, _, err = suppressOne(ctx, tx, row, notice.System)
	return err == nil, err
}

// isDead judges a mailbox by the fates of its notices, the newest first: the class of a bounce, "" for a mail that did
// not come back.
func isDead(last []string) bool {
	n := 0
	for _, class := range last {
		switch notice.BounceClass(class) {
		case notice.BounceNoMailbox:
			return true
		case notice.BounceFull, notice.BounceOther:
			if n++; n == hardBounces {
				return true
			}
		default:
			return false
		}
	}
	return false
}

// A notice is held once bouncesMin of its mails came back since it was released or resumed, and one of bouncesPart that were sent.
const (
	bouncesMin  = 50
	bouncesPart = 10
)

// holdBouncing holds the notice of a bounce if too many of its mails came back. The reports are counted one by one, as since the last
// resume, only where there may be enough of them.
func holdBouncing(ctx context.Context, tx pgx.Tx, r Returned) (held bool, err error) {
	var back, sent int
	err = tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM bounce WHERE notice_id = $1 AND changed
				AND at > coalesce((SELECT max(at) FROM act WHERE notice_id = $1 AND what = 'resume'), '-infinity')), k.sent
		FROM notice n
		CROSS JOIN LATERAL (SELECT sum(mails) AS back FROM bounce_count WHERE notice_id = n.id AND class <> 'complaint' OFFSET 0) b
		CROSS JOIN LATERAL (SELECT sum(bit_count(sent)) AS sent FROM chunk WHERE notice_id = n.id AND b.back >= $2 OFFSET 0) k
		WHERE n.id = $1 AND n.state = 'sending' AND b.back * $3 >= k.sent`, r.NoticeID, bouncesMin, bouncesPart).Scan(&back, &sent)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && (back < bouncesMin || back*bouncesPart < sent) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	why := fmt.Sprintf("%d of %d mails came back, the last one with class %s", back, sent, r.Class)
	tag, err := tx.Exec(ctx, `
		UPDATE notice SET state = 'held', reason = $2, held_until = NULL, brake = $3, brake_since = clock_timestamp() WHERE id = $1 AND state = 'sending'`,
		r.NoticeID, notice.ReasonRefused+why, notice.RefusedAlike{Command: "bounce", Text: why})
	if err != nil || tag.RowsAffected() == 0 {
		return false, err
	}
	return true, recordAct(ctx, tx, r.NoticeID, leaver, "hold", notice.ReasonRefused+why)
}
