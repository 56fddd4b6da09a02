package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// The marks of customers of a moved maintenance, by the mails with windows of the incident: none went to them, nor may have gone; or
// none did, and one is owed. All others have none.
const (
	markNew  = "new"
	markOwed = "owed"
)

// newcomerSQL marks the customers of "ordered".
const newcomerSQL = `CASE WHEN EXISTS (SELECT FROM told t WHERE t.customer_id = ordered.id AND NOT t.owed) THEN ''
	WHEN EXISTS (SELECT FROM told t WHERE t.customer_id = ordered.id) THEN '` + markOwed + `' ELSE '` + markNew + `' END`

// windowsSQL selects the numbers of the notices of incident $1 that said when the maintenance is, but that of key $2.
const windowsSQL = `
	SELECT n.id, n.rows_dropped_at IS NOT NULL FROM notice n JOIN incident i ON i.id = n.incident_id
	WHERE i.key = $1 AND n.key <> $2 AND n.plan_id IS NOT NULL
		AND n.body->>'phase' IN ('` + notice.PhaseScheduled + `', '` + notice.PhaseRescheduled + `', '` + notice.PhaseReminder + `')`

// layOutTold returns the expression that marks newcomers to a moved maintenance; that of any other notice is empty for everybody.
// It fills "told" with those who were told of the windows before, or are to be. Nobody is a newcomer where the rows of an earlier
// notice were dropped: their customers are not known any more.
func layOutTold(ctx context.Context, tx pgx.Tx, b notice.Body) (newcomer string, err error) {
	const nobody = `''`
	if b.Phase != notice.PhaseRescheduled {
		return nobody, nil
	}
	rows, _ := tx.Query(ctx, windowsSQL, b.Incident, b.Key)
	var ids []int64
	var id int64
	var one, dropped bool
	if _, err = pgx.ForEachRow(rows, []any{&id, &one}, func() error { ids, dropped = append(ids, id), dropped || one; return nil }); err != nil || dropped {
		return nobody, wrap(err, "look for the notices that said when the maintenance is")
	}
	if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE told (customer_id text COLLATE "C" PRIMARY KEY, owed boolean NOT NULL) ON COMMIT DROP`); err != nil {
		return "", fmt.Errorf("make the table of those who know the old windows: %w", err)
	}
	for _, id := range ids {
		plan, err := planOf(ctx, tx, id)
		for _, owed := range []bool{false, true} {
			if err == nil {
				_, err = tx.Exec(ctx, inPlan(plan, named(`
				INSERT INTO told SELECT DISTINCT c->>'id', $2::boolean FROM (SELECT id FROM chunk WHERE notice_id = $1 OFFSET 0) k
				CROSS JOIN LATERAL (SELECT seq, state, unresolved FROM delivery WHERE chunk_id = k.id OFFSET 0) d
				JOIN recipient r ON r.plan_id = {plan} AND r.seq = d.seq, jsonb_array_elements(r.customers) c
				WHERE CASE WHEN $2::boolean THEN d.state IN ({queued}, {deferred}) ELSE d.state IN ({sending}, {sent}, {uncertain}, {bounced}) OR d.unresolved <> 0 END
				ON CONFLICT (customer_id) DO UPDATE SET owed = told.owed AND excluded.owed`)), id, owed)
			}
		}
		if err != nil {
			return "", fmt.Errorf("read who knows the windows of notice %d: %w", id, err)
		}
	}
	return newcomerSQL, nil
}

// asNewcomer is a recipient of a moved maintenance as a newcomer.
func asNewcomer(r notice.Recipient) notice.Recipient {
	r.Newcomer = true
	return r
}

// markUntold finds newcomers among the recipients that earlier notices owed the old windows when the plan was made. A notice has
// superseded these by now. Newcomers have a mailbox where none has arrived, nor may have. The chunks of all of them are locked.
func markUntold(ctx context.Context, tx pgx.Tx, n Notice) error {
	var some bool
	if err := tx.QueryRow(ctx, `SELECT owed_old > 0 FROM notice n JOIN plan p ON p.id = n.plan_id WHERE n.id = $1`, n.ID).Scan(&some); err != nil || !some {
		return wrap(err, "ask whether notice %d may have newcomers", n.ID)
	}
	rows, _ := tx.Query(ctx, `
		WITH RECURSIVE chain AS (SELECT id, amends FROM notice WHERE id = $3 UNION ALL SELECT n.id, n.amends FROM chain JOIN notice n ON n.id = chain.amends)
		SELECT w.id FROM (`+windowsSQL+`) w(id, dropped) WHERE id NOT IN (SELECT id FROM chain)`, n.Incident, n.Key, n.ID)
	earlier, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("look for the notices that said when the maintenance is: %w", err)
	}
	const told = `told_mailbox`
	if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE `+told+` (address_key text COLLATE "C") ON COMMIT DROP`); err != nil {
		return fmt.Errorf("make the table of mailboxes that know the old windows: %w", err)
	}
	for _, id := range earlier {
		plan, err := planOf(ctx, tx, id)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, inPlan(plan, named(`
			INSERT INTO `+told+` SELECT r.address_key FROM (`+correctsSQL+`) c JOIN chunk k ON k.id = c.id
			CROSS JOIN LATERAL (SELECT address_key FROM recipient WHERE plan_id = {plan} AND seq >= k.lo AND seq < k.hi
				AND get_bit(c.corrects, seq - k.lo) = 1 AND address_key IS NOT NULL OFFSET 0) r WHERE bit_count(c.corrects) > 0`)), id)
		if err != nil {
			return fmt.Errorf("read which mailboxes know the windows of notice %d: %w", id, err)
		}
	}
	plan, err := planOf(ctx, tx, n.ID)
	if err != nil {
		return err
	}
	return exec(ctx, tx, "mark newcomers", inPlan(plan, `
		WITH marked AS (
			UPDATE chunk c SET untold = coalesce(c.untold, x.bits) | x.bits
			FROM (SELECT k.id, bit_or(set_bit(k.dots & ~k.dots, r.seq - k.lo, 1))::varbit AS bits FROM (SELECT * FROM chunk WHERE notice_id = $1 OFFSET 0) k
				CROSS JOIN LATERAL (SELECT seq, address_key FROM recipient WHERE plan_id = {plan} AND seq >= k.lo AND seq < k.hi AND owed_old OFFSET 0) r
				WHERE NOT EXISTS (SELECT FROM `+told+` t WHERE t.address_key = r.address_key) GROUP BY k.id) x
			WHERE c.id = x.id RETURNING bit_count(c.untold & ~c.stopped) AS n
		)
		UPDATE notice SET newcomers = newcomers + (SELECT coalesce(sum(n), 0) FROM marked) WHERE id = $1`), n.ID)
}
