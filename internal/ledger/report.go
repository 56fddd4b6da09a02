package ledger

import (
	"context"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// deliveryColumns are the columns for scanDelivery, of delivery d with its recipient r of notice n. An erased customer is still
// counted on the row.
const deliveryColumns = `
	n.message_token, n.message_domain, r.seq, r.address,
	jsonb_path_query_array(r.customers, '$[*].id') || coalesce((SELECT jsonb_agg('(erased)'::text) FROM generate_series(1, r.erased)), '[]'), r.text, r.time_zone,
	d.state, coalesce(nullif(CASE WHEN d.stopped THEN stop_reason(n.id, r.address_key) ELSE d.own_reason END, ''), nullif(r.role, 'primary'), ''),
	d.tries, d.relay, d.code, d.enhanced, d.reply, d.sent_at, coalesce(d.at, n.released_at, n.created_at),
	d.delivered_at, d.delivered_by,
	CASE WHEN r.role = 'added' THEN coalesce((SELECT added_by FROM added WHERE plan_id = r.plan_id AND seq = r.seq), '') ELSE '' END`

// reportSQL reads the rows of notice $1, with the plan {plan}, after seq $2, by seq; with a state, $3, those alone. It goes from chunk to chunk
// in their order, and leaves out those with no delivery in that state by their counts; a leased one is looked at.
// Each row's partners are look-ups by key, which OFFSET 0 keeps them: planned as joins on statistics that did not know
// the notice, they read all of it for each row.
var reportSQL = `
	SELECT ` + deliveryColumns + `
	FROM notice n
	CROSS JOIN LATERAL (SELECT id FROM chunk WHERE notice_id = n.id AND hi > $2
		AND ($3::smallint IS NULL OR counts[$3 + 1] > 0 OR lease_until IS NOT NULL) ORDER BY lo OFFSET 0) c
	CROSS JOIN LATERAL (SELECT * FROM delivery WHERE chunk_id = c.id AND seq > $2 AND ($3::smallint IS NULL OR state = $3) ORDER BY seq OFFSET 0) d
	CROSS JOIN LATERAL (SELECT * FROM recipient WHERE plan_id = {plan} AND seq = d.seq OFFSET 0) r
	WHERE n.id = $1`

// spokenSQL is reportSQL for the mails in language $5, the first $4 up to seq $6. It begins with the recipients, which say the language.
const spokenSQL = `
	SELECT ` + deliveryColumns + `
	FROM notice n
	CROSS JOIN LATERAL (SELECT * FROM recipient WHERE plan_id = {plan} AND seq > $2 AND seq <= $6 AND text = $5 ORDER BY seq OFFSET 0) r
	CROSS JOIN LATERAL (SELECT id FROM chunk WHERE notice_id = n.id AND lo <= r.seq ORDER BY lo DESC LIMIT 1) c
	CROSS JOIN LATERAL (SELECT * FROM delivery WHERE chunk_id = c.id AND seq = r.seq AND ($3::smallint IS NULL OR state = $3) OFFSET 0) d
	WHERE n.id = $1 LIMIT $4`

// scanDelivery scans deliveryColumns, after the columns that come before them.
func scanDelivery(row pgx.CollectableRow, before ...any) (d notice.Delivery, err error) {
	var n Notice
	err = row.Scan(append(before, &n.MessageToken, &n.MessageDomain, &d.Seq, &d.Address, &d.Customers, &d.Language, &d.TimeZone,
		&d.State, &d.Reason, &d.Attempts, &d.Relay, &d.SMTPCode, &d.Enhanced, &d.SMTPText, &d.SentAt, &d.UpdatedAt,
		&d.DeliveredAt, &d.DeliveredBy, &d.AddedBy)...)
	if err != nil {
		return d, err
	}
	d.MessageID = n.MessageID(d.Seq)
	d.UpdatedAt = d.UpdatedAt.UTC()
	d.SentAt, d.DeliveredAt = inUTC(d.SentAt), inUTC(d.DeliveredAt)
	return d, nil
}

// Deliveries returns a page of a notice's report, by seq; empty, never nil, where there is nothing more. All of a
// page is of one moment. A search finds the rows that History finds: also that of a mailbox's owner where the mail
// went to an alternate or nowhere.
func (db *DB) Deliveries(ctx context.Context, noticeID int64, p notice.DeliveryPage) ([]notice.Delivery, error) {
	query, args := reportSQL+` LIMIT $4`, []any{noticeID, p.After, p.State, max(p.Limit, 0)}
	if p.Search != "" {
		if !storable(p.Search) {
			return []notice.Delivery{}, nil
		}
		query, args = `
			WITH stands AS (`+standsSQL+`)
			SELECT `+deliveryColumns+` FROM `+standsTables+`
			WHERE r.seq > $4 AND ($5::smallint IS NULL OR d.state = $5) AND $7 IN ('', r.text) ORDER BY r.seq LIMIT $6`,
			[]any{p.Search, strings.ToLower(p.Search), noticeID, p.After, p.State, max(p.Limit, 0), p.Language}
	}
	if p.Language != "" && p.Search == "" {
		within := math.MaxInt32
		if p.Within > 0 {
			within = min(within, p.After+p.Within)
		}
		query, args = spokenSQL, []any{noticeID, p.After, p.State, max(p.Limit, 0), p.Language, within}
	}
	plan, err := planOf(ctx, db.pool, noticeID)
	if err != nil {
		return nil, err
	}
	rows, _ := db.pool.Query(ctx, inPlan(plan, query), args...)
	page, err := pgx.AppendRows([]notice.Delivery{}, rows, func(row pgx.CollectableRow) (notice.Delivery, error) {
		return scanDelivery(row)
	})
	return page, wrap(err, "read the deliveries of notice %d", noticeID)
}

// EachDelivery calls fn with every row of a notice's report, by seq, or with those in one state. All of it is of one
// moment. None of it is kept in memory, but for the rows with the reason that neither notice reached the mailbox. It returns
// the first error of fn as it is, and stops there.
func (db *DB) EachDelivery(ctx context.Context, noticeID int64, state *notice.DeliveryState, fn func(notice.Delivery) error) error {
	// Closing the rows would read on to the last of them; a cancelled context drops the connection instead.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n, err := db.Notice(ctx, noticeID)
	if err != nil {
		return err
	}
	missed, err := missedOf(ctx, db.pool, n)
	if err != nil {
		return err
	}
	rows, _ := db.pool.Query(ctx, inPlan(n.Plan, reportSQL), noticeID, -1, state)
	defer rows.Close()
	for rows.Next() {
		d, err := scanDelivery(rows)
		if err != nil {
			return fmt.Errorf("read the deliveries of notice %d: %w", noticeID, err)
		}
		if missed[d.Seq] {
			d.Reason = strings.TrimPrefix(d.Reason+", "+notice.ReasonReachedByNeither, ", ")
		}
		if err := fn(d); err != nil {
			cancel()
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the deliveries of notice %d: %w", noticeID, err)
	}
	return nil
}
