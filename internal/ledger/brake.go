package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Brake holds a notice that is being sent, for a row of equal refusals of which the first was heard so long ago. From the last
// resume on they count as that row. A row that is not broad holds a notice only if nothing of it was ever sent.
func (db *DB) Brake(ctx context.Context, id int64, r notice.Refusals, first time.Duration) (held bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE notice SET state = 'held', reason = $2, held_until = NULL, brake = $3, brake_since = greatest(clock_timestamp() - $4::interval,
				(SELECT max(at) FROM act WHERE notice_id = $1 AND what = 'resume'))
			WHERE id = $1 AND state = 'sending' AND ($5 OR NOT EXISTS (SELECT FROM chunk WHERE notice_id = $1 AND bit_count(sent) > 0))`,
			id, notice.ReasonRefused+r.String(), r.RefusedAlike, first, r.Broad)
		if err != nil {
			return fmt.Errorf("hold notice %d: %w", id, err)
		}
		if held = tag.RowsAffected() == 1; !held {
			return nil
		}
		return recordAct(ctx, tx, id, leaver, "hold", fmt.Sprintf("%s%s, %d in a row", notice.ReasonRefused, r, r.N))
	})
	return held && err == nil, err
}

// Resume has a notice sent again that is paused, that the brake holds, or that is held after its canary: that one goes to the rest now. Unless
// leaveFailed, it first puts back the refusals for which the brake, or a canary that was stopped, holds it. A notice that something else holds is a conflict.
func (db *DB) Resume(ctx context.Context, id int64, leaveFailed bool, who string) error {
	if !leaveFailed {
		if err := db.inTx(ctx, func(tx pgx.Tx) error { return db.putBack(ctx, tx, id, who) }); err != nil {
			return err
		}
	}
	err := db.transition(ctx, id, who, "resume", `
		UPDATE notice SET state = `+goesOn+`, reason = '', brake = NULL, brake_since = NULL, trial = trial AND NOT `+atCanarySQL+`
		WHERE id = $1 AND (state = 'paused' OR `+brakedSQL+` OR `+atCanarySQL+`)`, notice.Sending)
	if err != nil {
		return err
	}
	return db.Finish(ctx, id)
}

// brakedSQL is the condition that the brake, and nothing else, holds a notice.
const brakedSQL = `state = 'held' AND brake IS NOT NULL`

// putBack requeues the row of refusals for which the brake holds a notice. As at any requeue, two kinds stay failed: a mailbox that
// a later notice goes to, and a delivery that was stopped while its chunk is being sent.
func (db *DB) putBack(ctx context.Context, tx pgx.Tx, id int64, who string) error {
	if err := db.putBackCanary(ctx, tx, id, who); err != nil {
		return err
	}
	var brake notice.RefusedAlike
	var since time.Time
	err := tx.QueryRow(ctx, `SELECT brake, brake_since FROM notice WHERE id = $1 AND `+brakedSQL, id).Scan(&brake, &since)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read why notice %d is held: %w", id, err)
	}
	seqs, err := refusedAlike(ctx, tx, id, brake, since)
	if err != nil || len(seqs) == 0 {
		return err
	}
	n, err := readNotice(ctx, tx, id, "")
	if err != nil {
		return err
	}
	failed := notice.DeliveryFailed
	_, _, err = db.settlePicked(ctx, tx, n, notice.Settlement{Requeue: true}, pick{state: &failed, code: brake.Code, seqs: seqs}, who)
	return err
}

// refusedAlike are the deliveries that failed by such a refusal since then.
func refusedAlike(ctx context.Context, tx pgx.Tx, id int64, brake notice.RefusedAlike, since time.Time) (seqs []int32, err error) {
	rows, err := tx.Query(ctx, named(`
		SELECT o.seq, o.reply, r.address FROM outcome o JOIN notice n ON n.id = o.notice_id
		CROSS JOIN LATERAL recipient_at(n.plan_id, o.seq) r
		WHERE o.notice_id = $1 AND o.state = {failed} AND o.code = $2 AND o.enhanced = $3 AND o.at >= $4`), id, brake.Code, brake.Enhanced, since)
	if err == nil {
		var seq int32
		var reply, address string
		_, err = pgx.ForEachRow(rows, []any{&seq, &reply, &address}, func() error {
			a := notice.Answer{Command: brake.Command, Code: brake.Code, Enhanced: brake.Enhanced, Text: reply}
			if a.Alike(address) == brake {
				seqs = append(seqs, seq)
			}
			return nil
		})
	}
	if err != nil {
		return nil, fmt.Errorf("look for what notice %d was refused: %w", id, err)
	}
	return seqs, nil
}

// braked reports whether the brake holds the notice.
func (n Notice) braked() bool {
	return n.State == notice.Held && n.HeldUntil == nil && strings.HasPrefix(n.Reason, notice.ReasonRefused)
}

// unchanged is the conflict of a change of state that does not apply; of a resume it says how a held notice goes on.
func (n Notice) unchanged(what string) error {
	switch {
	case n.State != notice.Held || what != "resume":
		return notice.Conflict("notice %d is %s: there is nothing to %s", n.ID, n.State, what)
	case n.HeldUntil != nil:
		return notice.Conflict("notice %d is held by a hold, see `tocsin hold list`, and goes on by itself when that ends or is removed", n.ID)
	case n.Reason == notice.ReasonRestored:
		return notice.Conflict("notice %d is held since the ledger was restored from a backup: it is for unhold to let it go", n.ID)
	}
	return notice.Conflict("notice %d is held since it could not leave: it is for unhold to let it go", n.ID)
}
