package ledger

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// deliveryColumns and deliveryTables read what scanDelivery scans. They start from recipient, because a row of that
// is a row of the report from the release on: until the expansion has come to it, it shows what it will be born as.
// An erased customer is still counted on the row.
//
// OFFSET 0 makes each row's partner a look-up by its key. As a join it was planned, where the statistics did not know the
// notice, as if the notice had one row: for each row all others were read.
const (
	deliveryColumns = `
		n.message_token, n.message_domain, r.seq, r.address,
		jsonb_path_query_array(r.customers, '$[*].id') || coalesce((SELECT jsonb_agg('(erased)'::text) FROM generate_series(1, r.erased)), '[]'), r.text, r.time_zone,
		s.state, CASE WHEN coalesce(d.reason, '') <> '' THEN d.reason WHEN s.state = 6 THEN r.reason
			WHEN r.role = 'alternate' THEN 'alternate' ELSE '' END,
		coalesce(d.tries, 0), coalesce(d.relay, ''), coalesce(d.code, 0), coalesce(d.enhanced, ''), coalesce(d.reply, ''),
		d.sent_at, coalesce(d.at, n.released_at, n.created_at)`
	deliveryTables = `
		notice n JOIN recipient r ON r.notice_id = n.id
		LEFT JOIN LATERAL (SELECT * FROM delivery WHERE notice_id = r.notice_id AND seq = r.seq OFFSET 0) d ON true` + deliveryState
	deliveryState = `
		CROSS JOIN LATERAL (SELECT coalesce(d.state, CASE WHEN r.reason = '' THEN 0 ELSE 6 END) AS state) s`
)

// scanDelivery scans deliveryColumns, after the columns that come before them.
func scanDelivery(row pgx.CollectableRow, before ...any) (d notice.Delivery, err error) {
	var n Notice
	err = row.Scan(append(before, &n.MessageToken, &n.MessageDomain, &d.Seq, &d.Address, &d.Customers, &d.Language, &d.TimeZone,
		&d.State, &d.Reason, &d.Attempts, &d.Relay, &d.SMTPCode, &d.Enhanced, &d.SMTPText, &d.SentAt, &d.UpdatedAt)...)
	if err != nil {
		return d, err
	}
	d.MessageID = n.MessageID(d.Seq)
	d.UpdatedAt = d.UpdatedAt.UTC()
	if d.SentAt != nil {
		at := d.SentAt.UTC()
		d.SentAt = &at
	}
	return d, nil
}

// Deliveries returns a page of a notice's report, by seq; empty, never nil, where there is nothing more. All of a
// page is of one moment. A search finds what History finds: also the row of a mailbox's owner whose mail went to an
// alternate or nowhere.
func (db *DB) Deliveries(ctx context.Context, noticeID int64, p notice.DeliveryPage) ([]notice.Delivery, error) {
	query, args := `
		SELECT `+deliveryColumns+` FROM `+deliveryTables+`
		WHERE n.id = $1 AND r.seq > $2 AND ($3::smallint IS NULL OR s.state = $3) ORDER BY r.seq LIMIT $4`,
		[]any{noticeID, p.After, p.State, max(p.Limit, 0)}
	if p.Search != "" {
		if !storable(p.Search) {
			return []notice.Delivery{}, nil
		}
		query, args = `
			WITH stands AS (`+standsSQL+`)
			SELECT `+deliveryColumns+` FROM `+standsTables+`
			WHERE r.seq > $4 AND ($5::smallint IS NULL OR s.state = $5) ORDER BY r.seq LIMIT $6`,
			[]any{p.Search, strings.ToLower(p.Search), noticeID, p.After, p.State, max(p.Limit, 0)}
	}
	rows, err := db.pool.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("read the deliveries of notice %d: %w", noticeID, err)
	}
	page, err := pgx.AppendRows([]notice.Delivery{}, rows, func(row pgx.CollectableRow) (notice.Delivery, error) {
		return scanDelivery(row)
	})
	if err != nil {
		return nil, fmt.Errorf("read the deliveries of notice %d: %w", noticeID, err)
	}
	return page, nil
}

// EachDelivery calls fn with every row of a notice's report, by seq, or with those in one state. All of it is of one
// moment, and none of it is kept in memory. It returns the first error of fn as it is, and stops there.
func (db *DB) EachDelivery(ctx context.Context, noticeID int64, state *notice.DeliveryState, fn func(notice.Delivery) error) error {
	// Closing the rows would read on to the last of them; a cancelled context drops the connection instead.
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := db.pool.Query(ctx, `
		SELECT `+deliveryColumns+` FROM `+deliveryTables+`
		WHERE n.id = $1 AND ($2::smallint IS NULL OR s.state = $2) ORDER BY r.seq`, noticeID, state)
	if err != nil {
		return fmt.Errorf("read the deliveries of notice %d: %w", noticeID, err)
	}
	defer rows.Close()
	for rows.Next() {
		d, err := scanDelivery(rows)
		if err != nil {
			return fmt.Errorf("read the deliveries of notice %d: %w", noticeID, err)
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
