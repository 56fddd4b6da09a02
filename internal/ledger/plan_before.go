package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// before is the incident's notice that was released last before one that is planned.
type before struct {
	id, plan int64
	notice.Difference
}

// previous returns the notice before that of a body; nil where it is the incident's first. One that waits for its time, or was cancelled before it began,
// such as a reminder, has gone to nobody.
func previous(ctx context.Context, tx pgx.Tx, b notice.Body) (*before, error) {
	var o before
	err := tx.QueryRow(ctx, `
		SELECT o.id, coalesce(o.plan_id, 0), o.key, o.rows_dropped_at FROM notice o JOIN incident i ON i.id = o.incident_id
		WHERE i.key = $1 AND o.key <> $2 AND o.released_at IS NOT NULL AND (o.began_at IS NOT NULL OR o.state NOT IN ('scheduled', 'cancelled'))
		ORDER BY o.released_at DESC, o.id DESC LIMIT 1`,
		b.Incident, b.Key).Scan(&o.id, &o.plan, &o.Key, &o.RowsDroppedAt)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for the notice before this one: %w", err)
	}
	return &o, nil
}

// comparable reports whether there is one that still has its rows.
func (o *before) comparable() bool { return o != nil && o.RowsDroppedAt == nil }

// compare returns the difference between it and the planned mailboxes, which a statement selects.
func (o *before) compare(ctx context.Context, tx pgx.Tx, mailboxes string) (*notice.Difference, error) {
	if o == nil {
		return nil, nil
	}
	if !o.comparable() {
		return &o.Difference, nil
	}
	err := tx.QueryRow(ctx, inPlan(o.plan, named(`
		WITH reached AS (
			SELECT r.address_key FROM (SELECT id FROM chunk WHERE notice_id = $1 OFFSET 0) c
			CROSS JOIN LATERAL (SELECT seq, state FROM delivery WHERE chunk_id = c.id OFFSET 0) d
			CROSS JOIN LATERAL (SELECT address_key FROM recipient WHERE plan_id = {plan} AND seq = d.seq OFFSET 0) r
			WHERE r.address_key IS NOT NULL AND d.state NOT IN ({failed}, {suppressed}, {cancelled})
		)
		SELECT count(*) FILTER (WHERE p.mailbox IS NOT NULL AND o.address_key IS NOT NULL),
			count(*) FILTER (WHERE o.address_key IS NULL), count(*) FILTER (WHERE p.mailbox IS NULL)
		FROM (`+mailboxes+`) p FULL JOIN reached o ON o.address_key = p.mailbox`)), o.id).Scan(&o.Same, &o.New, &o.Left)
	if err != nil {
		return nil, fmt.Errorf("compare with the notice before this one: %w", err)
	}
	return &o.Difference, nil
}
