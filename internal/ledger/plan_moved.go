package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// newcomerSQL marks the customers of "ordered" to whom no mail with windows of the incident went, or may have gone or go.
const newcomerSQL = `CASE WHEN EXISTS (SELECT FROM told t WHERE t.customer_id = ordered.id) THEN '' ELSE 'new' END`

// toldStates are those of a delivery that arrived, may have, or may yet: it may do so after the plan was made.
var toldStates = []notice.DeliveryState{notice.DeliveryQueued, notice.DeliverySending, notice.DeliverySent, notice.DeliveryDeferred, notice.DeliveryUncertain, notice.DeliveryBounced}

// layOutTold returns the expression that marks newcomers to a moved maintenance; that of any other notice is empty for everybody. It fills "told" with
// those who were told of the windows before. Nobody is a newcomer where the rows of an earlier notice were dropped: who stood on them is not known any more.
func layOutTold(ctx context.Context, tx pgx.Tx, b notice.Body) (newcomer string, err error) {
	const nobody = `''`
	if b.Phase != notice.PhaseRescheduled {
		return nobody, nil
	}
	rows, _ := tx.Query(ctx, `
		SELECT n.id, n.rows_dropped_at IS NOT NULL FROM notice n JOIN incident i ON i.id = n.incident_id
		WHERE i.key = $1 AND n.key <> $2 AND n.plan_id IS NOT NULL
			AND n.body->>'phase' IN ('`+notice.PhaseScheduled+`', '`+notice.PhaseRescheduled+`', '`+notice.PhaseReminder+`')`, b.Incident, b.Key)
	var ids []int64
	var id int64
	var one, dropped bool
	if _, err = pgx.ForEachRow(rows, []any{&id, &one}, func() error { ids, dropped = append(ids, id), dropped || one; return nil }); err != nil || dropped {
		return nobody, wrap(err, "look for the notices that said when the maintenance is")
	}
	if _, err := tx.Exec(ctx, `CREATE TEMPORARY TABLE told (customer_id text COLLATE "C" PRIMARY KEY) ON COMMIT DROP`); err != nil {
		return "", fmt.Errorf("make the table of those who know the old windows: %w", err)
	}
	for _, id := range ids {
		plan, err := planOf(ctx, tx, id)
		if err != nil {
			return "", err
		}
		_, err = tx.Exec(ctx, inPlan(plan, `
			INSERT INTO told SELECT DISTINCT c->>'id' FROM recipient r, jsonb_array_elements(r.customers) c
			WHERE r.plan_id = {plan} AND `+stoodSQL("$1", "$2")+` ON CONFLICT DO NOTHING`), id, toldStates)
		if err != nil {
			return "", fmt.Errorf("read who knows the windows of notice %d: %w", id, err)
		}
	}
	return newcomerSQL, nil
}
