package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// The canary of a notice are some of its mailboxes, each in a chunk of its own. Until an operator has it go on, no other chunk is claimed
// (notice.trial): nothing depends on when the notice is held.

// waitsSQL is the condition that a chunk is not claimed yet, since the canary of its notice is not over. A cancelled notice has none.
func waitsSQL(chunk, n string) string {
	return `(` + n + `.trial AND NOT ` + chunk + `.canary AND ` + n + `.state <> 'cancelled')`
}

// atCanarySQL is the condition that its canary, and nothing else, holds a notice.
const atCanarySQL = `(state = 'held' AND brake IS NULL AND held_until IS NULL AND (reason = '` + notice.ReasonCanary + `' OR reason LIKE '` + notice.ReasonCanary + `: %'))`

// canaryOf is how many mailboxes a release has as its canary: as it says itself, else as the body says. The draft is locked.
func (p Press) canaryOf(ctx context.Context, tx pgx.Tx, n Notice) (int, error) {
	wanted := p.Canary
	if wanted == 0 {
		wanted = n.Body.Canary
	}
	if wanted > 0 && n.Body.Amends != "" {
		return 0, notice.Invalid("canary", "does not go with an amendment, which stops %q and puts it right at once", n.Body.Amends)
	}
	return wanted, roomForCanary(ctx, tx, wanted, n.SendAt, n.ExpiresAt)
}

// roomForCanary refuses a canary where the notice would expire before somebody can have had a look.
func roomForCanary(ctx context.Context, tx pgx.Tx, canary int, begins, expires *time.Time) error {
	if canary == 0 || expires == nil {
		return nil
	}
	var late bool
	err := tx.QueryRow(ctx, `SELECT greatest($1, clock_timestamp()) + $2::interval > $3`, begins, notice.CanaryRoom, expires).Scan(&late)
	if err == nil && late {
		return notice.Invalid("canary", "needs an hour between the beginning of the notice and its expires_at, %s: nobody could have looked at those mails, "+
			"and the rest would be cancelled. Leave canary out, or let the notice expire later", expires.UTC().Format(time.RFC3339))
	}
	return wrap(err, "compare expires_at with the clock")
}

// draw returns the rows of a canary of so many mailboxes, none where the plan mails no more than these. The plan is locked, and the list of
// suppressions was asked again.
func (p frozenPlan) draw(ctx context.Context, tx pgx.Tx, key string, wanted int) ([]int32, error) {
	if wanted == 0 || p.recipients-p.unmailed() <= wanted {
		return nil, nil
	}
	if p.canaries == nil {
		return nil, &notice.Error{Code: notice.CodePlanChanged, Message: fmt.Sprintf("a version of Tocsin before planned notice %q, without a canary: look at it again", key)}
	}
	seqs, err := collect[int32](ctx, tx, inPlan(p.id, `
		SELECT r.seq FROM unnest($1::int[]) WITH ORDINALITY o(seq, place)
		CROSS JOIN LATERAL (SELECT seq FROM recipient WHERE plan_id = {plan} AND seq = o.seq AND reason = '' OFFSET 0) r ORDER BY o.place LIMIT $2`),
		p.canaries, wanted)
	return seqs, wrap(err, "draw the canary of notice %q", key)
}

// holdAtCanaries holds the notices with a canary that is over. A close does so at once, but its worker may be lost.
func (db *DB) holdAtCanaries(ctx context.Context) error {
	ids, err := collect[int64](ctx, db.pool, `SELECT id FROM notice WHERE state = 'sending' AND trial ORDER BY id`)
	if err != nil {
		return fmt.Errorf("look for canaries: %w", err)
	}
	for _, id := range ids {
		if err := db.holdAtCanary(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// holdAtCanary holds a notice if each of its canary was tried once, or too many of them were not taken.
func (db *DB) holdAtCanary(ctx context.Context, id int64) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		var on bool
		if err := tx.QueryRow(ctx, `SELECT state = 'sending' AND trial FROM notice WHERE id = $1 FOR NO KEY UPDATE`, id).Scan(&on); err != nil || !on {
			return err
		}
		// A leased chunk has the counts of before its lease: one that is tried again was tried.
		var counts []int
		if err := tx.QueryRow(ctx, `SELECT `+sumOfCounts+` FROM chunk WHERE notice_id = $1 AND canary`, id).Scan(&counts); err != nil {
			return err
		}
		reason := notice.CanaryOver(notice.Counts(counts))
		if reason == "" {
			return nil
		}
		if _, err := tx.Exec(ctx, `UPDATE notice SET state = 'held', reason = $2, held_until = NULL WHERE id = $1`, id, reason); err != nil {
			return err
		}
		return recordAct(ctx, tx, id, leaver, "hold", reason)
	})
	return wrap(err, "hold notice %d after its canary", id)
}

// putBackCanary requeues the failed deliveries of a canary that was stopped: the fault is mended.
func (db *DB) putBackCanary(ctx context.Context, tx pgx.Tx, id int64, who string) error {
	n, err := readNotice(ctx, tx, id, "")
	if err != nil || n.State != notice.Held || !notice.StoppedCanary(n.Reason) {
		return err
	}
	seqs, err := collect[int32](ctx, tx, named(`
		SELECT o.seq FROM chunk c CROSS JOIN LATERAL (SELECT seq FROM outcome WHERE notice_id = c.notice_id AND seq = c.lo AND state = {failed} OFFSET 0) o
		WHERE c.notice_id = $1 AND c.canary`), id)
	if err != nil || len(seqs) == 0 {
		return wrap(err, "look for what failed of the canary of notice %d", id)
	}
	failed := notice.DeliveryFailed
	_, _, err = db.settlePicked(ctx, tx, n, notice.Settlement{Requeue: true}, pick{state: &failed, seqs: seqs}, who)
	return err
}
