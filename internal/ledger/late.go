package ledger

import (
	"context"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// recordLate records outcomes of attempts after the end of their lease. An answer that was recorded before, or that a newer
// attempt has overtaken, changes nothing; a late 250 counts in any case.
func (db *DB) recordLate(ctx context.Context, outcomes []Outcome) error {
	chunks := chunksOf(nil, outcomes)
	err := db.inTxAnew(ctx, func(tx pgx.Tx) error {
		if err := lockChunks(ctx, tx, chunks); err != nil {
			return err
		}
		// One by one: two of them may be answers to two attempts of the same delivery.
		for _, o := range outcomes {
			if err := recordOneLate(ctx, tx, o); err != nil {
				return err
			}
		}
		return recountAndReopen(ctx, tx, chunks)
	})
	return wrap(err, "record late outcomes")
}

// sentLateSQL sets the bit of a 250 of any epoch, unless one was heard before.
const sentLateSQL = `
	WITH taken AS (
		UPDATE chunk c SET sent = set_bit(c.sent, $4::int - c.lo, 1), first_sent_at = least(c.first_sent_at, clock_timestamp() - $3::interval),
			last_sent_at = greatest(c.last_sent_at, clock_timestamp() - $3::interval)
		WHERE c.id = $1 AND c.lo <= $4 AND c.hi > $4 AND get_bit(c.sent, $4 - c.lo) = 0
		RETURNING c.id, $2::bigint AS epoch, c.notice_id, c.plan_id, c.lo, c.stopped
	)` + keepAnswersSQL

func recordOneLate(ctx context.Context, tx pgx.Tx, o Outcome) error {
	if o.State == notice.DeliverySent {
		_, err := tx.Exec(ctx, sentLateSQL, append([]any{o.ChunkID, o.Epoch, age(o), o.Seq}, replyArgs([]Outcome{o})...)...)
		return err
	}
	if _, err := tx.Exec(ctx, outcomeLateSQL, outcomeArgs([]Outcome{o})...); err != nil {
		return err
	}
	if o.State != notice.DeliveryDeferred && o.State != notice.DeliveryFailed {
		return nil
	}
	// A definite answer to an attempt that an operator requeued while it was unknown: it is no longer unresolved.
	_, err := tx.Exec(ctx, `UPDATE outcome SET unresolved = 0 WHERE notice_id = $1 AND seq = $2 AND unresolved = $3`,
		o.NoticeID, o.Seq, o.Epoch)
	return err
}
