package ledger

import (
	"bytes"
	"context"
	"crypto/sha256"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Kept is a delivery with all that its mail can be made of again.
type Kept struct {
	NoticeID int64
	Delivery notice.Delivery
	Due      Due      // its recipient has no customers where all of them were erased
	Erased   int      // customers that were taken off the row
	Encoded  []byte   // its compiled mail; nil: none is kept
	Digest   int64    // of the mail that was sent, without its signature; 0: none is kept
	Marked   bool     // the notice was sent last under the setting only_to
	Earlier  []string // Message-IDs of the incident's earlier mails to the mailbox, the oldest first, whether they left or not; of Message alone
}

// keptSQL reads the deliveries of "stands".
const keptSQL = `
	SELECT n.id, r.text, coalesce(a.mail, 0), a.corrects, r.in_reply_to, r.address, r.language, r.time_zone, r.newcomer OR a.untold, r.customers, r.erased,
		coalesce((SELECT u.digest FROM answer a, unnest(a.seqs, a.digests) AS u(seq, digest)
			WHERE a.notice_id = n.id AND a.chunk_id = c.id AND r.seq = ANY (a.seqs) AND u.seq = r.seq AND u.digest IS NOT NULL ORDER BY a.at LIMIT 1),
			(SELECT digest FROM outcome WHERE notice_id = n.id AND seq = r.seq), 0),
		cardinality(n.only_to) > 0, m.digest, m.encoded, ` + deliveryColumns + `
	FROM ` + standsTables + `
	CROSS JOIN LATERAL (SELECT coalesce(get_bit(c.corrects, r.seq - c.lo) = 1, false) AS corrects, coalesce(get_bit(c.untold, r.seq - c.lo) = 1 AND NOT r.newcomer, false) AS untold) b
	CROSS JOIN LATERAL (SELECT b.*, CASE WHEN b.untold AND c.corrects IS NOT NULL THEN NULL WHEN b.untold OR b.corrects THEN r.correction ELSE r.mail END AS mail) a
	LEFT JOIN LATERAL (SELECT mail.* FROM pin JOIN mail ON mail.digest = pin.digest WHERE pin.plan_id = n.plan_id AND pin.number = a.mail OFFSET 0) m ON true
	ORDER BY n.id, r.seq`

// scanKept scans a row of keptSQL. A compiled mail that does not fit its digest is left out.
func scanKept(row pgx.CollectableRow) (k Kept, err error) {
	var sum, customers []byte
	var thread string
	r := &k.Due.Recipient
	k.Delivery, err = scanDelivery(row, &k.NoticeID, &k.Due.Text, &k.Due.Mail, &k.Due.Corrects, &thread, &r.Address, &r.Language, &r.TimeZone, &r.Newcomer, &customers,
		&k.Erased, &k.Digest, &k.Marked, &sum, &k.Encoded)
	if err != nil {
		return k, err
	}
	k.Due.Seq = k.Delivery.Seq
	if thread != "" {
		k.Due.Thread = []string{thread}
	}
	if actual := sha256.Sum256(k.Encoded); !bytes.Equal(actual[:], sum) {
		k.Encoded = nil
	}
	r.Customers, err = interned{}.frozen(customers)
	return k, err
}

// Kept returns deliveries with all that their mails can be made of again, those of noticeIDs[i] and seqs[i]. One that is not
// there is left out.
func (db *DB) Kept(ctx context.Context, noticeIDs []int64, seqs []int) ([]Kept, error) {
	rows, _ := db.pool.Query(ctx, `WITH stands AS (SELECT * FROM unnest($1::bigint[], $2::int[]) AS s(notice_id, seq))`+keptSQL, noticeIDs, seqs)
	all, err := pgx.CollectRows(rows, scanKept)
	return all, wrap(err, "read what mails were made of")
}

// Message returns a delivery with all that its mail can be made of again, the Message-IDs that it may refer to among that.
func (db *DB) Message(ctx context.Context, noticeID int64, seq int) (k Kept, err error) {
	all, err := db.Kept(ctx, []int64{noticeID}, []int{seq})
	if err != nil {
		return k, err
	}
	if len(all) == 0 {
		n, err := db.Notice(ctx, noticeID)
		switch {
		case err != nil:
			return k, err
		case n.RowsDroppedAt != nil:
			return k, rowsDropped(noticeID, *n.RowsDroppedAt)
		}
		return k, notice.NotFound("notice %s has no delivery %d", n.Key, seq)
	}
	k = all[0]
	err = pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		return k.refer(ctx, tx)
	})
	return k, err
}

// refer finds the mails of earlier notices to the same mailbox: those that a claim refers to today, and all. Which of them
// had arrived at the time of the attempt is not kept.
func (k *Kept) refer(ctx context.Context, tx pgx.Tx) error {
	var p claimed
	var mailbox *string
	err := tx.QueryRow(ctx, `
		SELECT n.plan_id, n.incident_id, r.address_key FROM notice n CROSS JOIN LATERAL recipient_at(n.plan_id, $2) r WHERE n.id = $1`,
		k.NoticeID, k.Due.Seq).Scan(&p.plan, &p.incident, &mailbox)
	if err != nil || mailbox == nil || len(k.Due.Thread) > 0 {
		return wrap(err, "look for the mailbox of a delivery")
	}
	now := []Due{k.Due}
	if err := p.refer(ctx, tx, k.NoticeID, now, map[string]int{*mailbox: 0}); err != nil {
		return err
	}
	k.Due.Thread = now[0].Thread
	k.Earlier, err = collect[string](ctx, tx, `
		SELECT '<' || o.message_token || '.' || r.seq || '@' || o.message_domain || '>'
		FROM notice o JOIN notice me ON me.id = $1
		CROSS JOIN LATERAL recipient_of(o.plan_id, $2) r
		WHERE o.incident_id = $3 AND (o.released_at, o.id) < (me.released_at, me.id) ORDER BY o.released_at, o.id`, k.NoticeID, *mailbox, p.incident)
	return wrap(err, "look for the incident's earlier mails to a mailbox")
}
