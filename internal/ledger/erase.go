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

// delayErasures has erasures wait until the transaction ends. It comes before any lock on a row: an erasure that waits makes
// those wait who ask after it.
func delayErasures(ctx context.Context, tx pgx.Tx) error {
	return exec(ctx, tx, "keep erasures waiting", `SELECT pg_advisory_xact_lock_shared($1)`, erasureLock)
}

// DeleteCustomer erases a customer; a notice.Error of class not_found where nothing is known of them. On the rows of
// released notices the others that share a mailbox stay. A row that was theirs alone stays with its state, without
// address, names, replies and the names of servers; a mail that was still owed is cancelled, and one under way is not tried again.
// It can be repeated when it broke off. The texts of notices are left as they are.
func (db *DB) DeleteCustomer(ctx context.Context, id string) error {
	if !storable(id) {
		return noCustomer()
	}
	known := false
	err := db.inTx(ctx, func(tx pgx.Tx) (err error) {
		if known, err = forget(ctx, tx, id); err != nil {
			return err
		}
		rows, err := rowsOf(ctx, tx, id)
		if err != nil || !known && rows == "" {
			return err
		}
		return recordPress(ctx, tx, "delete customer", rows)
	})
	if err != nil {
		return fmt.Errorf("erase a customer: %w", err)
	}
	// From here on a plan can find them in one place alone: the plan of an amendment, among the rows that it takes over.
	for {
		plans, err := collect[int64](ctx, db.pool, `SELECT plan_id FROM (`+theirRowsSQL+`) s GROUP BY 1 ORDER BY 1`, id)
		if err != nil {
			return fmt.Errorf("look for the rows of a customer: %w", err)
		}
		if len(plans) == 0 {
			break
		}
		for _, p := range plans {
			if err := db.inTx(ctx, func(tx pgx.Tx) error { return eraseFrom(ctx, tx, p, id) }); err != nil {
				return fmt.Errorf("erase a customer from plan %d: %w", p, err)
			}
		}
		known = true
	}
	if !known {
		return noCustomer()
	}
	return nil
}

// theirRowsSQL are the rows (plan_id, seq) of a customer, $1: their own of each plan, and those that were added for them; theirRowsInSQL are those of one plan.
const (
	theirRowsSQL   = `SELECT plan_id, seq FROM members_of($1) UNION ALL SELECT plan_id, seq FROM added WHERE customer_id = $1`
	theirRowsInSQL = `SELECT seq FROM member WHERE customer_id = $1 AND plan_id = {plan} UNION ALL SELECT seq FROM added WHERE customer_id = $1 AND plan_id = {plan}`
)

// rowsOf names the rows of notices on which a customer stands, for the log: the first twenty.
func rowsOf(ctx context.Context, tx pgx.Tx, id string) (text string, err error) {
	err = tx.QueryRow(ctx, `
		SELECT coalesce('rows ' || string_agg(n.key || ' ' || m.seq, ', ' ORDER BY n.id DESC, m.seq) FILTER (WHERE m.nth <= 20), '')
			|| CASE WHEN count(*) > 20 THEN ', and ' || count(*) - 20 || ' more' ELSE '' END
		FROM (SELECT plan_id, seq, row_number() OVER (ORDER BY plan_id DESC, seq) AS nth FROM (`+theirRowsSQL+`) s) m
		JOIN notice n ON n.plan_id = m.plan_id`, id).Scan(&text)
	return text, wrap(err, "look for the rows of a customer")
}

// forget deletes the customer, and reports whether there was one.
func forget(ctx context.Context, tx pgx.Tx, id string) (known bool, err error) {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, erasureLock); err != nil {
		return false, fmt.Errorf("wait for releases: %w", err)
	}
	keys := make([]string, 2)
	addresses := make([]string, 2)
	err = tx.QueryRow(ctx, `DELETE FROM customer WHERE id = $1 RETURNING email_key, alternate_email_key, email, alternate_email`, id).
		Scan(&keys[0], &keys[1], &addresses[0], &addresses[1])
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return false, err
	}
	known = err == nil
	if _, err := tx.Exec(ctx, `DELETE FROM listed WHERE customer_id = $1`, id); err != nil {
		return false, err
	}
	if err := eraseFromSaved(ctx, tx, id, slices.Concat(keys, addresses)); err != nil {
		return false, err
	}
	return known, hide(ctx, tx, keys)
}

// row is a row of a plan that one customer is erased from.
type row struct {
	Notice    int64 // that has taken the plan; 0: none has
	Seq       int
	Key       *string
	Address   string
	Customers []notice.Frozen
}

// eraseFrom takes a customer out of a plan, and where a notice has taken it, out of the outcomes of their rows. The plan is
// locked first: a release that takes it meanwhile either finds the row emptied, or its chunk is found here.
func eraseFrom(ctx context.Context, tx pgx.Tx, plan int64, id string) error {
	var noticeID int64 // 0: none has taken it
	err := tx.QueryRow(ctx, `SELECT CASE WHEN state = 'taken' THEN notice_id ELSE 0 END FROM plan WHERE id = $1 FOR UPDATE`, plan).Scan(&noticeID)
	if errors.Is(err, pgx.ErrNoRows) { // its rows were collected meanwhile
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock the plan: %w", err)
	}
	// The plan that was shown is out of date.
	if _, err := tx.Exec(ctx, `UPDATE plan SET state = 'dropped' WHERE id = $1 AND state = 'frozen'`, plan); err != nil {
		return fmt.Errorf("drop the plan: %w", err)
	}
	found, err := findRows(ctx, tx, inPlan(plan, `SELECT $2::bigint, seq FROM (`+theirRowsInSQL+`) s`), id, noticeID)
	if err != nil {
		return err
	}
	if err := lockChunks(ctx, tx, found.chunks); err != nil {
		return err
	}
	rows, _ := tx.Query(ctx, inPlan(plan, `
		SELECT $2::bigint, r.seq, r.address_key, r.address, r.customers
		FROM (`+theirRowsInSQL+`) s
		CROSS JOIN LATERAL (SELECT * FROM recipient WHERE plan_id = {plan} AND seq = s.seq OFFSET 0 FOR UPDATE) r
		ORDER BY r.seq`), id, noticeID)
	theirs, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
	if err != nil {
		return fmt.Errorf("read the rows: %w", err)
	}
	for _, r := range theirs { // none: retention, or the same erasure, was faster
		if err := eraseFromRow(ctx, tx, plan, r, id, found); err != nil {
			return err
		}
	}
	for _, statement := range []string{`DELETE FROM member`, `UPDATE added SET customer_id = NULL`} {
		if _, err := tx.Exec(ctx, statement+inPlan(plan, ` WHERE customer_id = $1 AND plan_id = {plan}`), id); err != nil {
			return fmt.Errorf("forget where they stood: %w", err)
		}
	}
	if len(found.chunks) == 0 {
		return nil
	}
	return recountAndReopen(ctx, tx, found.chunks)
}

// eraseFromRow takes a customer out of a row; found has its chunk, if there is one.
func eraseFromRow(ctx context.Context, tx pgx.Tx, plan int64, r row, id string, found rowSet) error {
	r.Customers = slices.DeleteFunc(r.Customers, func(c notice.Frozen) bool { return c.ID == id })
	if len(r.Customers) > 0 {
		return keepOthers(ctx, tx, plan, r)
	}
	var alone rowSet
	for i, seq := range found.seqs {
		if seq == int32(r.Seq) {
			alone.add(found.chunkOf[i], seq)
		}
	}
	return anonymise(ctx, tx, plan, r, alone)
}

// keepOthers leaves a row to the others that share it. The spelling of its address was perhaps the erased customer's: that
// of the first of the others takes its place, or the key, which is a spelling too.
func keepOthers(ctx context.Context, tx pgx.Tx, plan int64, r row) error {
	address := ""
	if r.Key != nil {
		err := tx.QueryRow(ctx, `
			SELECT coalesce((SELECT CASE WHEN email_key = $2 THEN email ELSE alternate_email END
				FROM customer WHERE id = $1 AND $2 IN (email_key, alternate_email_key)), $2)`, r.Customers[0].ID, *r.Key).Scan(&address)
		if err != nil {
			return fmt.Errorf("look for another spelling: %w", err)
		}
	}
	// Its compiled mail was for all of them.
	_, err := tx.Exec(ctx, inPlan(plan, `UPDATE recipient SET customers = $2, address = $3, mail = NULL, correction = NULL, erased = erased + 1 WHERE plan_id = {plan} AND seq = $1`),
		r.Seq, r.Customers, address)
	if err != nil {
		return fmt.Errorf("take them off a shared row: %w", err)
	}
	if address == r.Address || r.Address == "" {
		return nil
	}
	return changeReplies(ctx, tx, r, `replace(reply, $3, $4)`, r.Address, address)
}

// anonymise leaves nothing of a row but its state, and has it not sent any more.
func anonymise(ctx context.Context, tx pgx.Tx, plan int64, r row, found rowSet) error {
	if r.Key != nil && !strings.HasPrefix(*r.Key, erasedPrefix) {
		if err := hide(ctx, tx, []string{*r.Key}); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, inPlan(plan, `
		UPDATE recipient SET customers = '[]', address = '', language = '', time_zone = '', erased = erased + 1,
			address_key = `+erasedRowSQL("plan_id", "address_key")+`
		WHERE plan_id = {plan} AND seq = $1`), r.Seq)
	if err != nil {
		return fmt.Errorf("make a row anonymous: %w", err)
	}
	if err := changeReplies(ctx, tx, r, `''`); err != nil {
		return err
	}
	for _, statement := range []string{`UPDATE outcome SET delivered_by = ''`, `UPDATE bounce SET remote = ''`} { // the customer's own server, perhaps
		if err := exec(ctx, tx, "forget the servers of a row", statement+` WHERE notice_id = $1 AND seq = $2`, r.Notice, r.Seq); err != nil {
			return err
		}
	}
	if r.Notice != 0 && r.Key != nil {
		if err := hideDomain(ctx, tx, r.Notice, r.Seq, *r.Key); err != nil {
			return err
		}
	}
	return stopRows(ctx, tx, found)
}

// changeReplies puts something else in the place of the replies that relays gave for a row, and forgets the digests of its
// mails: they can't be made again.
func changeReplies(ctx context.Context, tx pgx.Tx, r row, with string, args ...any) error {
	args = append([]any{r.Notice, r.Seq}, args...)
	for _, statement := range []string{
		`UPDATE outcome SET reply = ` + with + `, digest = NULL WHERE notice_id = $1 AND seq = $2 AND (reply <> '' OR digest IS NOT NULL)`,
		`UPDATE bounce SET diagnostic = ` + strings.ReplaceAll(with, "reply", "diagnostic") + ` WHERE notice_id = $1 AND seq = $2 AND diagnostic <> ''`,
		`UPDATE answer SET (replies, digests) = (SELECT array_agg(CASE WHEN s = $2 THEN ` + with + ` ELSE reply END ORDER BY i),
				array_agg(CASE WHEN s <> $2 THEN digest END ORDER BY i)
			FROM unnest(seqs, replies, digests) WITH ORDINALITY AS u(s, reply, digest, i))
		 WHERE notice_id = $1 AND $2 = ANY (seqs)
			AND chunk_id = (SELECT id FROM chunk WHERE notice_id = $1 AND lo <= $2 ORDER BY lo DESC LIMIT 1)`,
	} {
		if _, err := tx.Exec(ctx, statement, args...); err != nil {
			return fmt.Errorf("take what relays answered out of a row: %w", err)
		}
	}
	return nil
}

// collect returns the one column that a query selects.
func collect[T any](ctx context.Context, q querier, sql string, args ...any) ([]T, error) {
	rows, _ := q.Query(ctx, sql, args...)
	return pgx.CollectRows(rows, pgx.RowTo[T])
}
