package ledger

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// UnderWay reports whether the attempt that a report is about is marked, and no answer to it is recorded: a report can be faster
// than the commit of the relay's 250. The answer, or the end of the lease, changes that. Epoch 0 is the last attempt's.
func (db *DB) UnderWay(ctx context.Context, r Returned) (yes bool, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT d.state = $3 AND $4::bigint IN (0, d.epoch) FROM
			(SELECT id FROM chunk WHERE notice_id = $1 AND lo <= $2 ORDER BY lo DESC LIMIT 1) c
			CROSS JOIN LATERAL (SELECT state, epoch FROM delivery WHERE chunk_id = c.id AND seq = $2 OFFSET 0) d`,
		r.NoticeID, r.Seq, notice.DeliverySending, r.Epoch).Scan(&yes)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return yes, wrap(err, "look for the attempt of a report")
}
