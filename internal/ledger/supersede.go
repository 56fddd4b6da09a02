package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// supersede cancels what earlier notices of an incident still owe to mailboxes that a notice being released owes a
// delivery to: old news is not sent after the new. Earlier is one whose phase does not come after this one's: a
// scheduled "completed" is not overtaken by today's "reminder". It runs in the release's transaction, when the new
// notice's recipients are frozen.
func supersede(ctx context.Context, tx pgx.Tx, n Notice) error {
	earlier, owing, err := earlierNotices(ctx, tx, n)
	if err != nil {
		return err
	}
	if len(owing) > 0 {
		return errUnexpanded
	}
	if _, err := tx.Exec(ctx, `SELECT id FROM chunk WHERE notice_id = ANY($1) ORDER BY id FOR UPDATE`, earlier); err != nil {
		return fmt.Errorf("lock the chunks of earlier notices: %w", err)
	}
	for _, id := range earlier {
		if err := supersedeOne(ctx, tx, id, n); err != nil {
			return fmt.Errorf("supersede notice %d: %w", id, err)
		}
	}
	return nil
}

// errUnexpanded says that an earlier notice is still being expanded: what is not born yet would be born queued, and
// its chunks can't be locked.
var errUnexpanded = errors.New("an earlier notice of the incident is still being expanded")

// expandEarlier completes the expansion of the notices that a release supersedes, each slice in its own transaction.
func (db *DB) expandEarlier(ctx context.Context, id int64) error {
	n, err := db.Notice(ctx, id)
	if err != nil || n.State.Released() {
		return err
	}
	_, owing, err := earlierNotices(ctx, db.pool, n)
	if err != nil {
		return err
	}
	for _, id := range owing {
		for done := false; !done; {
			if _, done, err = db.Expand(ctx, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// earlierNotices returns the notices that n's release supersedes, and those of them that are not expanded yet.
func earlierNotices(ctx context.Context, q querier, n Notice) (all, unexpanded []int64, err error) {
	rows, err := q.Query(ctx, `
		SELECT o.id, o.expanded < o.recipients FROM notice me JOIN notice o ON o.incident_id = me.incident_id AND o.id <> me.id
		WHERE me.id = $1 AND o.state IN ('scheduled', 'sending', 'paused', 'held') AND o.body->>'phase' = ANY($2) ORDER BY o.id`,
		n.ID, upTo(n.Body))
	if err == nil {
		var id int64
		var some bool
		_, err = pgx.ForEachRow(rows, []any{&id, &some}, func() error {
			all = append(all, id)
			if some {
				unexpanded = append(unexpanded, id)
			}
			return nil
		})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("look for earlier notices of incident %q: %w", n.Incident, err)
	}
	return all, unexpanded, nil
}

// upTo returns the phases up to a body's own.
func upTo(b notice.Body) []string {
	phases := notice.Phases[b.Kind]
	return phases[:slices.Index(phases, b.Phase)+1]
}

func supersedeOne(ctx context.Context, tx pgx.Tx, id int64, by Notice) error {
	tag, err := tx.Exec(ctx, `
		UPDATE delivery d SET state = CASE WHEN d.unresolved = 0 THEN 7 ELSE 5 END, reason = $3, at = clock_timestamp()
		WHERE d.notice_id = $1 AND d.state IN (0, 3) AND d.seq = ANY (ARRAY(
			SELECT o.seq FROM recipient r
			CROSS JOIN LATERAL (SELECT seq FROM delivery WHERE notice_id = $1 AND address_key = r.address_key OFFSET 0) o
			WHERE r.notice_id = $2 AND r.reason = ''))`,
		id, by.ID, notice.ReasonSuperseded)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	rows, err := tx.Query(ctx, `SELECT id FROM chunk WHERE notice_id = $1 AND open ORDER BY id`, id)
	if err != nil {
		return fmt.Errorf("list its chunks: %w", err)
	}
	open, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("list its chunks: %w", err)
	}
	if err := recount(ctx, tx, open); err != nil {
		return err
	}
	return recordAct(ctx, tx, id, "tocsin", "supersede", fmt.Sprintf("%d deliveries, by notice %s", tag.RowsAffected(), by.Key))
}
