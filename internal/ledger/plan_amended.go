package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// amended is a notice that a plan takes the rows of.
type amended struct {
	id, plan int64
	state    notice.State
}

// findAmended returns the notice that an audience amends; the zero value where it amends none.
func findAmended(ctx context.Context, tx pgx.Tx, a Audience) (amended, error) {
	found := amended{id: a.Amends}
	if a.Amends == 0 {
		return found, nil
	}
	n, by, err := readAmended(ctx, tx, a.Body.Amends, "")
	switch {
	case err == nil && by == a.Body.Key: // by another press of the same
		err = errReleased
	case err == nil:
		err = n.Amendable(a.Body, by)
	}
	if err != nil {
		return found, err
	}
	found.state = n.State
	// An erasure locks the plan too. It has either taken a customer off the rows, or waits, and then finds the new plan.
	err = tx.QueryRow(ctx, `SELECT p.id FROM notice n JOIN plan p ON p.id = n.plan_id WHERE n.id = $1 FOR SHARE OF p`, n.ID).Scan(&found.plan)
	return found, wrap(err, "lock the plan of notice %d", n.ID)
}

// readAmended returns the notice of that key, and the key of its amendment, if it has one.
func readAmended(ctx context.Context, tx pgx.Tx, key, lock string) (n Notice, by string, err error) {
	var id int64
	err = tx.QueryRow(ctx, `SELECT id, coalesce((SELECT key FROM notice WHERE amends = n.id), '') FROM notice n WHERE key = $1`, key).Scan(&id, &by)
	if err != nil {
		return n, "", wrap(err, "look up notice %q", key)
	}
	n, err = readNotice(ctx, tx, id, lock)
	return n, by, err
}

// correctsSQL gives for each chunk of notice $1 its bits for the mailboxes where that notice or one that it amends arrived, or may have: sent, marked,
// uncertain, bounced, or with an attempt that is unresolved. A mailbox that got a correction before is one of them, in any state of that. The
// chunks of all have the same bounds.
const correctsSQL = `
	SELECT c.id, c.lo, bit_or(k.sent | coalesce(k.corrects, z) | (k.dots & ~(k.sent | coalesce(o.settled, z))) | coalesce(o.perhaps, z))::varbit AS corrects
	FROM (WITH RECURSIVE chain AS (
			SELECT id, amends FROM notice WHERE id = $1 UNION ALL SELECT n.id, n.amends FROM chain JOIN notice n ON n.id = chain.amends)
		SELECT array_agg(id) AS ids FROM chain) chain
	CROSS JOIN LATERAL (SELECT id, lo FROM chunk WHERE notice_id = $1 OFFSET 0) c
	CROSS JOIN LATERAL (SELECT * FROM chunk WHERE notice_id = ANY(chain.ids) AND lo = c.lo OFFSET 0) k
	CROSS JOIN LATERAL (SELECT (k.dots & ~k.dots)::varbit AS z) z
	CROSS JOIN LATERAL (
		SELECT bit_or(bits) FILTER (WHERE epoch >= k.epoch OR state NOT IN ({queued}, {deferred})) AS settled,
			bit_or(bits) FILTER (WHERE state IN ({sent}, {uncertain}, {bounced}) OR unresolved <> 0) AS perhaps
		FROM (SELECT set_bit(z, seq - k.lo, 1) AS bits, state, epoch, unresolved FROM outcome
			WHERE notice_id = k.notice_id AND seq >= k.lo AND seq < k.hi OFFSET 0) r) o
	GROUP BY c.id, c.lo`

// amendedRowsSQL reads the rows of notice $1 and its plan, {plan}, by seq.
var amendedRowsSQL = named(`
	SELECT r.seq, coalesce(r.address_key, ''), r.address, r.role, r.reason, r.language, r.time_zone, r.newcomer OR u.untold, coalesce(r.owed_old, false) AND n.began_at IS NULL, r.customers::text,
		CASE WHEN d.state = {suppressed} THEN d.reason WHEN r.address_key LIKE 'erased:%' THEN '` + notice.ReasonErased + `' ELSE '' END,
		get_bit(c.corrects, r.seq - c.lo) = 1
	FROM notice n CROSS JOIN (` + correctsSQL + `) c
	CROSS JOIN LATERAL (SELECT seq, state, own_reason AS reason FROM delivery WHERE chunk_id = c.id OFFSET 0) d
	CROSS JOIN LATERAL (SELECT * FROM recipient WHERE plan_id = {plan} AND seq = d.seq OFFSET 0) r
	CROSS JOIN LATERAL (SELECT coalesce((SELECT get_bit(untold, r.seq - c.lo) = 1 FROM chunk WHERE id = c.id), false) AS untold) u
	WHERE n.id = $1 ORDER BY r.seq`)

// readAmended goes through the rows of the notice that is amended: each stays as it was frozen, with its seq.
func (s *survey) readAmended(ctx context.Context, tx pgx.Tx, batches chan<- func(context.Context) error) error {
	if _, err := tx.Exec(ctx, `SET LOCAL work_mem = '32MB'`); err != nil {
		return fmt.Errorf("allow sorting: %w", err)
	}
	rows, err := tx.Query(ctx, inPlan(s.amended.plan, amendedRowsSQL), s.amended.id)
	if err != nil {
		return fmt.Errorf("read the rows of notice %d: %w", s.amended.id, err)
	}
	defer rows.Close()
	s.plan.Amends = &notice.Amending{Key: s.audience.Body.Amends, State: s.amended.state}
	for rows.Next() {
		var r recipient
		var unmailed string
		var corrects bool
		err := rows.Scan(&r.seq, &r.mailbox, &r.Address, &r.role, &r.reason, &r.Language, &r.TimeZone, &r.Newcomer, &r.owedOld, &r.frozen, &unmailed, &corrects)
		if err == nil {
			r.Customers, err = s.known.frozen(r.frozen)
		}
		if err == nil && r.seq != s.plan.Recipients {
			err = fmt.Errorf("row %d is missing", s.plan.Recipients)
		}
		if err != nil {
			return fmt.Errorf("read the rows of notice %d: %w", s.amended.id, err)
		}
		switch {
		case unmailed != "":
		case corrects:
			s.plan.Amends.Corrections++
		default:
			s.plan.Amends.Plain++
		}
		if err := s.add(ctx, &r, unmailed, batches); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the rows of notice %d: %w", s.amended.id, err)
	}
	return s.pass(ctx, batches)
}

// copyAdded notes for which customers rows were added, in the plan that took over the rows of another.
func copyAdded(ctx context.Context, tx pgx.Tx, from, to int64) error {
	return exec(ctx, tx, "take over the rows that were added", inPlan(to, `
		INSERT INTO added (plan_id, seq, customer_id, added_by, added_at)
		SELECT r.plan_id, a.seq, a.customer_id, a.added_by, a.added_at FROM added a JOIN recipient r ON r.plan_id = {plan} AND r.seq = a.seq WHERE a.plan_id = $1`), from)
}
