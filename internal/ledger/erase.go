package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// erasureLock is the advisory lock under which customers are erased; releases and drafts share it.
const erasureLock = 0x746f6373696e01

// DeleteCustomer erases a customer; a notice.Error of class not_found where nothing is known of them. On the rows of
// released notices the others who share a mailbox stay. A row that was theirs alone stays with its state, without
// address, names and replies; what it still owed is cancelled, and what is being sent just now is not tried again.
// It can be repeated when it broke off. What an operator wrote into a notice is left as it is.
func (db *DB) DeleteCustomer(ctx context.Context, id string) error {
	if !storable(id) {
		return noCustomer()
	}
	known := false
	err := db.inTx(ctx, func(tx pgx.Tx) (err error) {
		known, err = forget(ctx, tx, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("erase a customer: %w", err)
	}
	// From here on no release can find them. Rows that are not born yet are born first: they are erased like the others.
	if err := db.expandRowsOf(ctx, id); err != nil {
		return fmt.Errorf("erase a customer: %w", err)
	}
	notices, err := collect[int64](ctx, db.pool, `SELECT notice_id FROM member WHERE customer_id = $1 ORDER BY notice_id`, id)
	if err != nil {
		return fmt.Errorf("look for the rows of a customer: %w", err)
	}
	for _, n := range notices {
		if err := db.inTx(ctx, func(tx pgx.Tx) error { return eraseFrom(ctx, tx, n, id) }); err != nil {
			return fmt.Errorf("erase a customer from notice %d: %w", n, err)
		}
	}
	if !known && len(notices) == 0 {
		return noCustomer()
	}
	return nil
}

// forget deletes the customer, and reports whether there was one.
func forget(ctx context.Context, tx pgx.Tx, id string) (known bool, err error) {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, erasureLock); err != nil {
		return false, fmt.Errorf("wait for releases: %w", err)
	}
	keys := make([]string, 2)
	err = tx.QueryRow(ctx, `DELETE FROM customer WHERE id = $1 RETURNING email_key, alternate_email_key`, id).Scan(&keys[0], &keys[1])
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, err
	}
	known = err == nil
	if _, err := tx.Exec(ctx, `DELETE FROM listed WHERE customer_id = $1`, id); err != nil {
		return false, err
	}
	return known, hide(ctx, tx, keys)
}

func (db *DB) expandRowsOf(ctx context.Context, id string) error {
	notices, err := collect[int64](ctx, db.pool, `
		SELECT id FROM notice n WHERE expanded < recipients AND EXISTS (SELECT FROM recipient WHERE notice_id = n.id AND seq >= n.expanded
			AND customers @> jsonb_build_array(jsonb_build_object('id', $1::text)))`, id)
	if err != nil {
		return fmt.Errorf("look for rows that are not born: %w", err)
	}
	for _, n := range notices {
		for done := false; !done; {
			if _, done, err = db.Expand(ctx, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// row is a row of a notice that one customer is erased from.
type row struct {
	Seq       int
	Key       *string
	Address   string
	Customers []notice.Frozen
}

func eraseFrom(ctx context.Context, tx pgx.Tx, noticeID int64, id string) error {
	// A statement of its own: what changes a delivery holds its chunk.
	chunks, err := collect[int64](ctx, tx, `
		SELECT c.id FROM chunk c JOIN member m ON m.notice_id = c.notice_id AND m.seq >= c.lo AND m.seq < c.hi
		WHERE m.customer_id = $1 AND m.notice_id = $2 ORDER BY c.id FOR UPDATE OF c`, id, noticeID)
	if err != nil {
		return fmt.Errorf("lock the chunk: %w", err)
	}
	var r row
	err = tx.QueryRow(ctx, `
		SELECT r.seq, r.address_key, r.address, r.customers FROM member m JOIN recipient r ON r.notice_id = m.notice_id AND r.seq = m.seq
		WHERE m.customer_id = $1 AND m.notice_id = $2 FOR UPDATE`, id, noticeID).Scan(&r.Seq, &r.Key, &r.Address, &r.Customers)
	if errors.Is(err, pgx.ErrNoRows) { // retention, or the same erasure, was faster
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the row: %w", err)
	}
	r.Customers = slices.DeleteFunc(r.Customers, func(c notice.Frozen) bool { return c.ID == id })
	if len(r.Customers) > 0 {
		err = keepOthers(ctx, tx, noticeID, r)
	} else {
		err = anonymise(ctx, tx, noticeID, r)
	}
	if err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `DELETE FROM member WHERE customer_id = $1 AND notice_id = $2`, id, noticeID); err != nil {
		return fmt.Errorf("forget where they stood: %w", err)
	}
	return recountAndReopen(ctx, tx, chunks)
}

// keepOthers leaves a row to those who share it. The spelling of its address was perhaps the erased customer's: that
// of the first of the others takes its place, or the key, which is a spelling too.
func keepOthers(ctx context.Context, tx pgx.Tx, noticeID int64, r row) error {
	address := ""
	if r.Key != nil {
		err := tx.QueryRow(ctx, `
			SELECT coalesce((SELECT CASE WHEN email_key = $2 THEN email ELSE alternate_email END
				FROM customer WHERE id = $1 AND $2 IN (email_key, alternate_email_key)), $2)`, r.Customers[0].ID, *r.Key).Scan(&address)
		if err != nil {
			return fmt.Errorf("look for another spelling: %w", err)
		}
	}
	_, err := tx.Exec(ctx, `UPDATE recipient SET customers = $3, address = $4, erased = erased + 1 WHERE notice_id = $1 AND seq = $2`,
		noticeID, r.Seq, r.Customers, address)
	if err != nil {
		return fmt.Errorf("take them off a shared row: %w", err)
	}
	if address == r.Address || r.Address == "" {
		return nil
	}
	_, err = tx.Exec(ctx, `UPDATE delivery SET reply = replace(reply, $3, $4) WHERE notice_id = $1 AND seq = $2 AND strpos(reply, $3) > 0`,
		noticeID, r.Seq, r.Address, address)
	if err != nil {
		return fmt.Errorf("take their spelling out of a reply: %w", err)
	}
	return nil
}

// anonymise leaves nothing of a row but what it came to.
func anonymise(ctx context.Context, tx pgx.Tx, noticeID int64, r row) error {
	if r.Key != nil && !strings.HasPrefix(*r.Key, erasedPrefix) {
		if err := hide(ctx, tx, []string{*r.Key}); err != nil {
			return err
		}
	}
	for _, statement := range []string{
		`UPDATE recipient SET customers = '[]', address = '', language = '', time_zone = '', erased = erased + 1,
			address_key = CASE WHEN address_key IS NOT NULL THEN 'erased:' || seq END
		 WHERE notice_id = $1 AND seq = $2`,
		`UPDATE delivery SET reply = '', address_key = CASE WHEN address_key IS NOT NULL THEN 'erased:' || seq END,
			state = CASE WHEN state NOT IN (0, 3) THEN state WHEN unresolved = 0 THEN 7 ELSE 5 END,
			reason = CASE WHEN state IN (0, 3) THEN 'erased' ELSE reason END,
			at = CASE WHEN state IN (0, 3) THEN clock_timestamp() ELSE at END
		 WHERE notice_id = $1 AND seq = $2`,
	} {
		if _, err := tx.Exec(ctx, statement, noticeID, r.Seq); err != nil {
			return fmt.Errorf("make a row anonymous: %w", err)
		}
	}
	return nil
}

// collect returns the one column that a query selects.
func collect[T any](ctx context.Context, q querier, sql string, args ...any) ([]T, error) {
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[T])
}
