package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// standsSQL finds the rows (notice_id, seq) on which customer $1 stands, and those that belong to the mailbox with the
// address key $2; of notice $3 alone, or of all for 0. The mails to a mailbox belong to it. So do the rows of customers
// with this primary mailbox that went to an alternate, to an address that was added, or nowhere: customers ask support
// about the mail that did not come.
//
// members_of and mails_of look into those plans alone that may have the customer or the mailbox. A plan that no notice has taken is
// left out.
const standsSQL = `
	SELECT n.id AS notice_id, m.seq
	FROM (` + theirRowsSQL + ` OFFSET 0) m
	CROSS JOIN LATERAL (SELECT notice.id FROM plan p JOIN notice ON notice.id = p.notice_id AND notice.plan_id = p.id WHERE p.id = m.plan_id) n
	WHERE $3::bigint IN (0, n.id)
	UNION
	SELECT n.id, d.seq
	FROM mails_of($2) d
	CROSS JOIN LATERAL (SELECT notice.id FROM plan p JOIN notice ON notice.id = p.notice_id AND notice.plan_id = p.id WHERE p.id = d.plan_id) n
	WHERE $3 IN (0, n.id)
	UNION
	SELECT n.id, m.seq
	FROM customer c
	CROSS JOIN LATERAL (SELECT plan_id, seq FROM members_of(c.id) UNION ALL SELECT plan_id, seq FROM added WHERE customer_id = c.id OFFSET 0) m
	CROSS JOIN LATERAL (SELECT notice.id FROM plan p JOIN notice ON notice.id = p.notice_id AND notice.plan_id = p.id WHERE p.id = m.plan_id) n
	CROSS JOIN LATERAL recipient_at(m.plan_id, m.seq) r
	WHERE $3 IN (0, n.id) AND c.email_key = $2 AND c.email_key <> '' AND (r.role <> 'primary' OR r.address_key IS NULL)`

// standsTables are the deliveries of "stands", each looked up by its key.
const standsTables = `
	stands JOIN notice n ON n.id = stands.notice_id
	CROSS JOIN LATERAL (SELECT id, lo, corrects, untold FROM chunk WHERE notice_id = n.id AND lo <= stands.seq ORDER BY lo DESC LIMIT 1) c
	CROSS JOIN LATERAL (SELECT * FROM delivery WHERE chunk_id = c.id AND seq = stands.seq OFFSET 0) d
	CROSS JOIN LATERAL recipient_at(n.plan_id, stands.seq) r`

// entriesSQL reads the deliveries of "stands" as a history has them.
const entriesSQL = `
	SELECT n.id, n.key, i.kind, n.body->>'phase', coalesce(CASE WHEN get_bit(c.corrects, r.seq - c.lo) = 1 THEN n.body->'corrections' ELSE n.texts END->r.text->>'subject', ''),
		(SELECT jsonb_agg(jsonb_build_object('kind', kind, 'at', at, 'class', class, 'smtp_code', code, 'enhanced_code', status,
			'diagnostic', diagnostic, 'remote', remote, 'changed', changed) ORDER BY at DESC) FROM bounce WHERE notice_id = n.id AND seq = r.seq), ` + deliveryColumns + `
	FROM ` + standsTables + ` JOIN incident i ON i.id = n.incident_id
	ORDER BY n.released_at DESC, n.id DESC, r.seq`

const historySQL = `WITH stands AS (` + standsSQL + `)` + entriesSQL

// History returns, newest first, every notice on which the customer with that external id stands, or that belongs to
// the mailbox with that address key. The key is "" where idOrAddress is no address. The history is empty, never nil,
// where there is none, and includes customers that have been deleted since.
func (db *DB) History(ctx context.Context, idOrAddress string, addressKey string) ([]notice.HistoryEntry, error) {
	return db.HistoryOf(ctx, 0, idOrAddress, addressKey)
}

// HistoryOf is the part of a History that is about one notice, or for 0 all of it.
func (db *DB) HistoryOf(ctx context.Context, noticeID int64, idOrAddress, addressKey string) ([]notice.HistoryEntry, error) {
	if !storable(idOrAddress) || !storable(addressKey) {
		return []notice.HistoryEntry{}, nil
	}
	rows, _ := db.pool.Query(ctx, historySQL, idOrAddress, addressKey, noticeID)
	all, err := pgx.AppendRows([]notice.HistoryEntry{}, rows, scanEntry)
	return all, wrap(err, "read a history")
}

func scanEntry(row pgx.CollectableRow) (e notice.HistoryEntry, err error) {
	var returned []notice.ReturnedReport
	e.Delivery, err = scanDelivery(row, &e.Number, &e.Key, &e.Kind, &e.Phase, &e.Subject, &returned)
	e.Delivery.Returned = returned
	return e, err
}
