package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tocsin/internal/notice"
)

// Addition is a further row of a released notice, for another mailbox of a customer who stands on it.
type Addition struct {
	Customer string // external id
	Address  string // as the mail's To has it
	Key      string // its address key
	// ApproveFrom is as of Press.
	ApproveFrom int
}

// roleAdded is the role of a row that was added.
const roleAdded = "added"

// Added is the result of an Addition.
type Added struct {
	Seq     int  // of the row to the mailbox
	Of      int  // of the customer's own row
	Created bool // false: the row was there
	Taken   bool // and it is not one that was added for the customer: nothing was done
}

// AddRecipient adds a row to a released notice. It has a chunk of its own, takes the language and the values of the customer's own
// row, and stands for nobody in the sums. A mailbox that has a row gets no second one, in any state of the first. It is refused
// where a later notice of the incident goes to the mailbox, or may have gone. An address on the list of suppressions is refused, too.
func (db *DB) AddRecipient(ctx context.Context, id int64, a Addition, who string) (added Added, err error) {
	if !storable(a.Customer) {
		return added, noCustomer()
	}
	for range addTries {
		err = db.inTx(ctx, func(tx pgx.Tx) error {
			added, err = db.addRecipient(ctx, tx, id, a, who)
			return err
		})
		if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code != "40P01" {
			break
		}
	}
	return added, err
}

// addTries is how often an addition is tried that Postgres ends as one of two that wait for each other. It holds its
// notice's row while it waits for chunks of other notices. A requeue of a finished notice holds those while it waits for
// the row.
const addTries = 5

func (db *DB) addRecipient(ctx context.Context, tx pgx.Tx, id int64, a Addition, who string) (added Added, err error) {
	n, fenced, err := lockToAdd(ctx, tx, id)
	if err != nil {
		return added, err
	}
	if !n.Planned {
		return added, notice.Conflict("notice %q is %s and has no recipients yet: change the customer's address", n.Key, n.State)
	}
	if n.RowsDroppedAt != nil {
		return added, rowsDropped(id, *n.RowsDroppedAt)
	}
	if added.Of, err = ownRow(ctx, tx, n, a.Customer); err != nil {
		return added, err
	}
	seq, theirs, err := rowTo(ctx, tx, n, a)
	if err != nil {
		return added, err
	}
	if theirs { // also where nothing can be added any more
		added.Seq = seq
		return added, nil
	}
	if err := goesOut(ctx, tx, n, fenced); err != nil {
		return added, err
	}
	if seq >= 0 {
		added.Seq, added.Taken = seq, true
		return added, nil
	}
	if err := grows(ctx, tx, n, a.ApproveFrom); err != nil {
		return added, err
	}
	if err := mayBeAdded(ctx, tx, n, a.Key); err != nil {
		return added, err
	}
	added.Created = true
	if added.Seq, err = db.insertAdded(ctx, tx, n, a, added.Of, who); err != nil {
		return added, fmt.Errorf("add a row to notice %d: %w", id, err)
	}
	return added, recordAct(ctx, tx, id, who, "add address",
		fmt.Sprintf("recipient %d, another address of a customer of recipient %d", added.Seq, added.Of))
}

// lockToAdd takes the locks of an addition. The end of the notice is locked before its row, as by all who finish or reopen one;
// additions to notices of one incident see each other, and those that begin.
func lockToAdd(ctx context.Context, tx pgx.Tx, id int64) (n Notice, fenced bool, err error) {
	if err := delayErasures(ctx, tx); err != nil {
		return n, false, err
	}
	if err := tx.QueryRow(ctx, `SELECT up FROM fence FOR SHARE`).Scan(&fenced); err != nil {
		return n, false, fmt.Errorf("lock the fence: %w", err)
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, finishLock+id); err != nil {
		return n, false, fmt.Errorf("lock the end of notice %d: %w", id, err)
	}
	if n, err = readNotice(ctx, tx, id, "FOR NO KEY UPDATE OF n"); err != nil {
		return n, false, err
	}
	_, err = tx.Exec(ctx, `SELECT 1 FROM incident WHERE key = $1 FOR NO KEY UPDATE`, n.Incident)
	return n, fenced, wrap(err, "lock incident %q", n.Incident)
}

// ownRow is the row on which a customer stands, who was not erased.
func ownRow(ctx context.Context, tx pgx.Tx, n Notice, customer string) (seq int, err error) {
	var known bool
	err = tx.QueryRow(ctx, inPlan(n.Plan, `
		SELECT EXISTS (SELECT FROM customer WHERE id = $1),
			coalesce((SELECT seq FROM member WHERE plan_id = {plan} AND customer_id = $1), -1)`),
		customer).Scan(&known, &seq)
	switch {
	case err != nil:
		return 0, fmt.Errorf("look for a customer's row: %w", err)
	case !known:
		return 0, noCustomer()
	case seq < 0:
		return 0, notice.Conflict("the customer does not stand on notice %q: it has no text for them", n.Key)
	}
	return seq, nil
}

// rowTo is the row of a mailbox, -1 where it has none, and whether it was added for the customer. An erased row counts: its hash
// tells, which an amendment takes over from the plan that it was made in. The rows that a program of before erased have none.
func rowTo(ctx context.Context, tx pgx.Tx, n Notice, a Addition) (seq int, theirs bool, err error) {
	var nameless bool
	err = tx.QueryRow(ctx, inPlan(n.Plan, `
		SELECT coalesce(r.seq, -1), coalesce(r.customer_id = $3, false), EXISTS (SELECT FROM recipient
			WHERE plan_id = {plan} AND address_key >= '`+erasedPrefix+`' AND address_key < 'erased;' AND length(address_key) < 64)
		FROM notice n
		LEFT JOIN LATERAL (SELECT r.seq, a.customer_id FROM recipient r LEFT JOIN added a ON a.plan_id = r.plan_id AND a.seq = r.seq
			WHERE r.plan_id = {plan} AND r.address_key = ANY (ARRAY(
				WITH RECURSIVE chain AS (SELECT n.plan_id, n.amends UNION ALL SELECT a.plan_id, a.amends FROM chain JOIN notice a ON a.id = chain.amends)
				SELECT $2 UNION ALL SELECT `+erasedRowSQL("plan_id", "$2::text")+` FROM chain)) OFFSET 0) r ON true
		WHERE n.id = $1`), n.ID, a.Key, a.Customer).Scan(&seq, &theirs, &nameless)
	switch {
	case err != nil:
		return 0, false, fmt.Errorf("look for the row of a mailbox: %w", err)
	case seq < 0 && nameless:
		return 0, false, notice.Conflict("a version of Tocsin before erased mailboxes of notice %q without a trace: this may be one that has its mail", n.Key)
	}
	return seq, theirs, nil
}

// goesOut refuses a notice of which nothing more is sent. It also refuses one that may have gone to mailboxes which a restored ledger
// does not know.
func goesOut(ctx context.Context, tx pgx.Tx, n Notice, fenced bool) error {
	var late bool
	if err := tx.QueryRow(ctx, `SELECT coalesce($1 <= clock_timestamp(), false)`, n.ExpiresAt).Scan(&late); err != nil {
		return fmt.Errorf("compare expires_at with the clock: %w", err)
	}
	switch {
	case n.State == notice.Cancelled:
		return notice.Conflict("notice %q was cancelled (%s): nothing more of it is sent", n.Key, n.Reason)
	case late:
		return notice.Conflict("notice %q has expired: nothing more of it is sent", n.Key)
	case fenced || n.State == notice.Held && n.Reason == notice.ReasonRestored:
		return notice.Conflict("the ledger was restored from a backup, and may not know all mailboxes that have notice %q: "+
			"nothing is added until that is settled (notice unhold %s --lift-fence)", n.Key, n.Key)
	}
	return nil
}

// mayBeAdded refuses a mailbox that is on the list of suppressions, or that has the later news. It leaves the chunks of other
// notices to the mailbox locked.
func mayBeAdded(ctx context.Context, tx pgx.Tx, n Notice, key string) error {
	others, err := findRows(ctx, tx, `
		SELECT o.id, r.seq FROM notice me JOIN notice o ON o.incident_id = me.incident_id AND o.id <> me.id AND o.plan_id IS NOT NULL
		CROSS JOIN LATERAL recipient_of(o.plan_id, $2) r WHERE me.id = $1`, n.ID, key)
	if err != nil {
		return err
	}
	if err := lockChunks(ctx, tx, others.chunks); err != nil {
		return err
	}
	var listed bool
	var later string
	err = tx.QueryRow(ctx, `SELECT `+suppressedSQL("$3::text", n.Body.Scopes())+`, `+laterSQL("$3::text"), n.ID, notice.Phases[n.Body.Kind], key).
		Scan(&listed, &later)
	switch {
	case err != nil:
		return fmt.Errorf("ask whether a mailbox may be mailed: %w", err)
	case listed:
		return notice.Conflict("that address is on the list of suppressions: take it off first, if its reader agrees")
	case later != "":
		return notice.Conflict("notice %s, a later one of the incident, goes to that mailbox or may have gone: no old news follows it", later)
	}
	return nil
}

// insertAdded writes the row, its chunk and the sums. Where customers share their own row, it names the one alone, and a worker
// compiles their mail.
func (db *DB) insertAdded(ctx context.Context, tx pgx.Tx, n Notice, a Addition, own int, who string) (seq int, err error) {
	var chunk int64
	err = tx.QueryRow(ctx, inPlan(n.Plan, `
		WITH row AS (
			INSERT INTO recipient (plan_id, seq, address_key, address, role, text, language, time_zone, newcomer, customers, mail)
			SELECT r.plan_id, c.hi, $3, $4, 'added', r.text, r.language, r.time_zone, r.newcomer OR k.untold,
				jsonb_path_query_array(r.customers, '$[*] ? (@.id == $id)', jsonb_build_object('id', $5::text)),
				CASE WHEN jsonb_array_length(r.customers) = 1 AND NOT k.untold THEN r.mail END
			FROM notice n JOIN recipient r ON r.plan_id = {plan} AND r.seq = $2
			CROSS JOIN LATERAL (SELECT hi FROM chunk WHERE notice_id = n.id ORDER BY lo DESC LIMIT 1) c
			CROSS JOIN LATERAL (SELECT coalesce(get_bit(untold, r.seq - lo) = 1, false) AS untold FROM chunk WHERE notice_id = n.id AND lo <= r.seq ORDER BY lo DESC LIMIT 1) k
			WHERE n.id = $1 RETURNING plan_id, seq, text
		), added AS (
			INSERT INTO added (plan_id, seq, customer_id, added_by) SELECT plan_id, seq, $5, $6 FROM row
		), sums AS (
			UPDATE notice SET recipients = recipients + 1,
				by_language = by_language || jsonb_build_object(row.text, coalesce((by_language->>row.text)::int, 0) + 1)
			FROM row WHERE id = $1
		)
		INSERT INTO chunk (notice_id, plan_id, lo, hi, open, due_at, dots, sent, stopped, counts)
		SELECT id, row.plan_id, seq, seq + 1, true, greatest(send_at, clock_timestamp()), B'0', B'0', B'0', '{1, 0, 0, 0, 0, 0, 0, 0, 0}'
		FROM notice, row WHERE id = $1 RETURNING id, lo`), n.ID, own, a.Key, a.Address, a.Customer, who).Scan(&chunk, &seq)
	if err != nil {
		return 0, err
	}
	if err := addToSieve(ctx, tx, n.Plan, mailboxKey(a.Key)); err != nil {
		return 0, err
	}
	if n.Began {
		err = db.owe(ctx, tx, n, seq)
	}
	if err != nil {
		return 0, err
	}
	return seq, recountAndReopen(ctx, tx, []int64{chunk})
}

// owe has an added row owed from now on, as a requeue does, though its notice may be days old: it is tried for as long as any other,
// and supersedes earlier news to its mailbox. An entry of the list of suppressions that is being written comes after it.
func (db *DB) owe(ctx context.Context, tx pgx.Tx, n Notice, seq int) error {
	_, err := tx.Exec(ctx, named(`
		INSERT INTO outcome (notice_id, seq, state, due_at, owed_at)
		VALUES ($1, $2, {queued}, clock_timestamp(), clock_timestamp() - $3::interval)`), n.ID, seq, listMargin)
	if err != nil {
		return fmt.Errorf("have it owed: %w", err)
	}
	return supersedeAnew(ctx, tx, n, []int32{int32(seq)}, db.opts.DotGrace)
}
