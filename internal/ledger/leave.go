package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// leaver is named in the log where no operator acted: a notice left, or was held.
const leaver = "tocsin"

// releaseUnresolved releases a notice with an audience that is resolved at sending. By the plan that was shown, it would not go to more
// than the maximum today.
func (db *DB) releaseUnresolved(ctx context.Context, tx pgx.Tx, n Notice, p frozenPlan, press Press) error {
	if mailed := p.recipients - p.unmailed(); mailed > press.MaxRecipients {
		return tooMany(mailed, press.MaxRecipients)
	}
	if err := dropPlan(ctx, tx, n.ID, 0); err != nil {
		return err
	}
	if err := schedule(ctx, tx, n.ID, press, press.MaxRecipients); err != nil {
		return err
	}
	detail := fmt.Sprintf("at most %d recipients, resolved when it leaves", press.MaxRecipients)
	return recordAct(ctx, tx, n.ID, press.Who, "release", detail+overruled(press.Allowed))
}

// schedule has a notice wait for its time, at which its audience is resolved, of so many recipients at most.
func schedule(ctx context.Context, tx pgx.Tx, id int64, press Press, most int) error {
	tag, err := tx.Exec(ctx, `
		UPDATE notice SET state = CASE WHEN f.up THEN 'held' ELSE 'scheduled' END, reason = CASE WHEN f.up THEN 'restored' ELSE '' END,
			released_at = clock_timestamp(), released_by = $2, message_domain = $3, max_recipients = $4, approved_by = $5, override = $6, canary = $7
		FROM fence f WHERE notice.id = $1`, id, press.releasedBy, press.Domain, most, press.approvedBy, press.override, press.Canary)
	if err != nil {
		return fmt.Errorf("release notice %d: %w", id, err)
	}
	if tag.RowsAffected() != 1 {
		return fmt.Errorf("release notice %d: the ledger has no fence: run `tocsin migrate`", id)
	}
	return nil
}

func tooMany(mailed, most int) *notice.Error {
	return notice.Conflict("it would go to %d recipients, and max_recipients is %d", mailed, most)
}

// Leaving returns the notices that are due and have an audience to be resolved now.
func (db *DB) Leaving(ctx context.Context) ([]int64, error) {
	ids, err := collect[int64](ctx, db.pool, `
		SELECT id FROM notice WHERE state = 'scheduled' AND plan_id IS NULL AND send_at <= clock_timestamp()
			AND (expires_at IS NULL OR expires_at > clock_timestamp()) ORDER BY id`)
	return ids, wrap(err, "look for notices that are to leave")
}

// Leave plans a notice that is due, as Freeze does, and takes that plan. It is a conflict where nobody is on the audience,
// where Judge refuses, or where more than the maximum would be mailed; nothing is done then. It leaves
// alone a notice that was stopped or has left meanwhile, and one that another process is planning.
func (db *DB) Leave(ctx context.Context, id int64, a Audience) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		var mine bool
		if err := tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock(2, $1::int)`, id).Scan(&mine); err != nil || !mine {
			return err
		}
		err := db.planAndTake(ctx, id, a, notice.Conflict("nobody matches its audience"), func(digest string) error {
			return db.takeToLeave(ctx, id, Press{Digest: digest, Who: leaver})
		})
		if errors.Is(err, errReleased) || errors.Is(err, errReplanned) { // customers on it are being erased: again
			return nil
		}
		return err
	})
}

// takeToLeave takes the plan under the locks of a release. It does nothing if an
// operator stopped, moved or took back the notice first.
func (db *DB) takeToLeave(ctx context.Context, id int64, p Press) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT 1 FROM fence FOR SHARE`); err != nil {
			return fmt.Errorf("lock the fence: %w", err)
		}
		n, due, err := lockLeaving(ctx, tx, id)
		if err != nil || !due {
			return err
		}
		plan, err := lockPlan(ctx, tx, n, p.Digest)
		if err != nil {
			return err
		}
		if mailed := plan.recipients - plan.unmailed(); mailed > n.MaxRecipients {
			return tooMany(mailed, n.MaxRecipients)
		}
		p.Canary = n.Canary
		return db.take(ctx, tx, n, plan, p)
	})
}

// lockLeaving locks a notice, and reports whether it still is to leave now.
func lockLeaving(ctx context.Context, tx pgx.Tx, id int64) (n Notice, due bool, err error) {
	if n, err = readNotice(ctx, tx, id, "FOR NO KEY UPDATE OF n"); err != nil {
		return n, false, err
	}
	err = tx.QueryRow(ctx, `SELECT $1 <= clock_timestamp() AND ($2::timestamptz IS NULL OR $2 > clock_timestamp())`, n.SendAt, n.ExpiresAt).Scan(&due)
	if err != nil {
		return n, false, fmt.Errorf("compare send_at with the clock: %w", err)
	}
	return n, due && n.State == notice.Scheduled && !n.Planned, nil
}

// HoldLeaving holds a notice that is due and can't leave, until an operator decides.
func (db *DB) HoldLeaving(ctx context.Context, id int64, reason string) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		_, due, err := lockLeaving(ctx, tx, id)
		if err != nil || !due {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE notice SET state = 'held', reason = $2 WHERE id = $1`, id, reason); err != nil {
			return fmt.Errorf("hold notice %d: %w", id, err)
		}
		if err := dropPlan(ctx, tx, id, 0); err != nil {
			return err
		}
		return recordAct(ctx, tx, id, leaver, "hold", reason)
	})
}

// LetLeave lets a notice that could not leave try again, with another maximum of recipients unless most is 0. One that would have wanted
// an approval is for another person than its authors to set.
func (db *DB) LetLeave(ctx context.Context, id int64, most int, a Allowance, who string) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		n, err := readNotice(ctx, tx, id, "FOR NO KEY UPDATE OF n")
		if err != nil {
			return err
		}
		if n.State != notice.Held || n.Planned || n.Reason == notice.ReasonRestored {
			return notice.Conflict("notice %q is %s, and not held because it could not leave", n.Key, n.State)
		}
		if err := widen(ctx, tx, n, most, a, who); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE notice SET state = 'scheduled', reason = '', max_recipients = coalesce(nullif($2, 0), max_recipients) WHERE id = $1`, id, most)
		if err != nil {
			return fmt.Errorf("have notice %d leave: %w", id, err)
		}
		detail := ""
		if most > 0 {
			detail = fmt.Sprintf("at most %d recipients, no longer %d", most, n.MaxRecipients)
		}
		return recordAct(ctx, tx, id, who, "unhold", detail)
	})
}
