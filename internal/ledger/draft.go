package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// DeleteDraft deletes a draft, its list and its plan; the incident too, where no other notice hangs on it. Nothing of it has left,
// so its key is free again. Its log stays. A notice that was released is a conflict.
func (db *DB) DeleteDraft(ctx context.Context, id int64, who string) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		n, err := readNotice(ctx, tx, id, "FOR UPDATE OF n")
		if err != nil {
			return err
		}
		if n.State.Released() {
			return notice.Conflict("notice %q is %s: only a draft can be deleted", n.Key, n.State)
		}
		// The rows of the plan go later, by DropOldPlans.
		if err := dropPlan(ctx, tx, id, 0); err != nil {
			return err
		}
		if err := keepList(ctx, tx, id, nil); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM notice WHERE id = $1`, id); err != nil {
			return fmt.Errorf("delete draft %q: %w", n.Key, err)
		}
		if err := dropIncident(ctx, tx, n.Incident); err != nil {
			return err
		}
		return recordAct(ctx, tx, id, who, "delete", "draft "+n.Key)
	})
}

// dropIncident deletes an incident without notices: when it is drafted anew, it may be of another kind. It locks the incident
// first, so that it sees a draft that is being made.
func dropIncident(ctx context.Context, tx pgx.Tx, key string) error {
	var id int64
	err := tx.QueryRow(ctx, `SELECT id FROM incident WHERE key = $1 FOR UPDATE`, key).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock incident %q: %w", key, err)
	}
	return exec(ctx, tx, fmt.Sprintf("delete incident %q", key),
		`DELETE FROM incident WHERE id = $1 AND NOT EXISTS (SELECT FROM notice WHERE incident_id = $1)`, id)
}
