package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// lookedAt is how many of an incident's notices Sent returns at most.
const lookedAt = 3 * notice.MostEarlier

// Sent returns the notices of a body's incident that were sent, or begun, before it, the last one first: no reminders, and none that was cancelled but
// the one that the body amends.
func (db *DB) Sent(ctx context.Context, b notice.Body) (all []Notice, err error) {
	rows, _ := db.pool.Query(ctx, `
		SELECT n.id FROM notice n JOIN incident i ON i.id = n.incident_id
		WHERE i.key = $1 AND n.key <> $2 AND n.began_at IS NOT NULL AND coalesce(n.body->>'reminder_of', '') = '' AND (n.state <> 'cancelled' OR n.key = $3)
		ORDER BY n.released_at DESC, n.id DESC LIMIT $4`, b.Incident, b.Key, b.Amends, lookedAt)
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, wrap(err, "look for the earlier notices of incident %q", b.Incident)
	}
	for _, id := range numbers {
		n, err := db.Notice(ctx, id)
		if err != nil {
			return nil, err
		}
		all = append(all, n)
	}
	return all, nil
}
