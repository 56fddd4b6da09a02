package ledger

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// SendNow makes a scheduled notice due at once: the next sweep begins it, like any other that is due.
func (db *DB) SendNow(ctx context.Context, id int64, who string) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		n, err := lockWaiting(ctx, tx, id, "send now", notice.Scheduled)
		if err != nil {
			return err
		}
		if err := reschedule(ctx, tx, id, `clock_timestamp()`); err != nil {
			return err
		}
		return recordAct(ctx, tx, id, who, "send now", "instead of at "+n.SendAt.UTC().Format(time.RFC3339))
	})
}

// Move sets another send_at for a notice that waits for its time. allowed are the checks that were overruled for it.
func (db *DB) Move(ctx context.Context, id int64, to time.Time, allowed []string, who string) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		n, err := lockWaiting(ctx, tx, id, "move", notice.Scheduled, notice.Paused)
		if err != nil {
			return err
		}
		if err := roomForCanary(ctx, tx, n.Canary, &to, n.ExpiresAt); err != nil {
			return err
		}
		if err := reschedule(ctx, tx, id, `$2`, to); err != nil {
			return err
		}
		if err := passOver(ctx, tx, n, to); err != nil {
			return err
		}
		detail := fmt.Sprintf("from %s to %s", n.SendAt.UTC().Format(time.RFC3339), to.UTC().Format(time.RFC3339))
		return recordAct(ctx, tx, id, who, "move", detail+overruled(allowed))
	})
}

// reschedule changes the send_at of a locked notice, and makes its chunks due then.
func reschedule(ctx context.Context, tx pgx.Tx, id int64, to string, args ...any) error {
	args = append([]any{id}, args...)
	if _, err := tx.Exec(ctx, `UPDATE notice SET send_at = `+to+` WHERE id = $1`, args...); err != nil {
		return fmt.Errorf("change when notice %d leaves: %w", id, err)
	}
	return exec(ctx, tx, fmt.Sprintf("change when the chunks of notice %d are due", id),
		`UPDATE chunk SET due_at = send_at FROM notice n WHERE n.id = $1 AND notice_id = $1`, id)
}

const takingBack = "take back"

// TakeBack makes a draft of a notice that waits for its time, as it was before its release: nothing of it has left, and it
// can be changed, planned anew and released, or deleted.
func (db *DB) TakeBack(ctx context.Context, id int64, who string) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		n, err := lockWaiting(ctx, tx, id, takingBack, notice.Scheduled, notice.Paused)
		if err != nil {
			return err
		}
		if err := untried(ctx, tx, n); err != nil {
			return err
		}
		if err := takeBackReminders(ctx, tx, n); err != nil {
			return err
		}
		for _, table := range []string{"outcome", "chunk"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE notice_id = $1`, id); err != nil {
				return fmt.Errorf("take back what notice %d owes: %w", id, err)
			}
		}
		if _, err := tx.Exec(ctx, `UPDATE plan SET state = 'dropped' WHERE notice_id = $1 AND state <> 'dropped'`, id); err != nil {
			return fmt.Errorf("drop the plan of notice %d: %w", id, err)
		}
		sendAt, expiresAt, err := n.Body.Schedule()
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE notice SET state = 'draft', reason = '', plan_id = NULL, released_at = NULL, released_by = '', message_domain = '',
				customers = 0, recipients = 0, by_language = '{}', suppressed = '{}', newcomers = 0, fallback = '{}', later_choice = '{}',
				send_at = $2, expires_at = $3, max_recipients = NULL, asked = NULL, approved_by = '', override = '', canary = 0, trial = false
			WHERE id = $1`, id, sendAt, expiresAt)
		if err != nil {
			return fmt.Errorf("take back notice %d: %w", id, err)
		}
		return recordAct(ctx, tx, id, who, takingBack, "")
	})
}

// lockWaiting locks a released notice that waits for its time, with its plan and its chunks: it can't begin meanwhile. One that
// has begun, or is in none of the states, is a conflict.
func lockWaiting(ctx context.Context, tx pgx.Tx, id int64, what string, states ...notice.State) (n Notice, err error) {
	if n, err = readNotice(ctx, tx, id, "FOR NO KEY UPDATE OF n"); err != nil {
		return n, err
	}
	unresolved := n.State == notice.Held && !n.Planned && n.Reason != notice.ReasonRestored
	if !slices.Contains(states, n.State) && !(unresolved && what == takingBack) || n.Began || n.SendAt == nil {
		return n, notice.Conflict("notice %q is %s: there is nothing to %s", n.Key, n.State, what)
	}
	for _, rows := range []string{`plan WHERE notice_id = $1 AND state <> 'dropped'`, `chunk WHERE notice_id = $1`} {
		if _, err := tx.Exec(ctx, `SELECT id FROM `+rows+` ORDER BY id FOR UPDATE`, id); err != nil {
			return n, fmt.Errorf("lock the rows of notice %d: %w", id, err)
		}
	}
	return n, nil
}

// untried refuses a notice if one of its mails may have left, as after a restore of the ledger. It also refuses one if its
// list of customers is not kept any more. Its rows are locked.
func untried(ctx context.Context, tx pgx.Tx, n Notice) error {
	var tried, listed bool
	err := tx.QueryRow(ctx, named(`
		SELECT EXISTS (SELECT FROM chunk WHERE notice_id = $1 AND bit_count(dots | sent) > 0)
			OR EXISTS (SELECT FROM outcome WHERE notice_id = $1 AND state NOT IN ({queued}, {suppressed}, {cancelled})),
			EXISTS (SELECT FROM listed WHERE notice_id = $1)`), n.ID).Scan(&tried, &listed)
	switch {
	case err != nil:
		return fmt.Errorf("ask whether notice %d was tried: %w", n.ID, err)
	case tried:
		return notice.Conflict("mails of notice %q may have left: it can be cancelled, and not taken back", n.Key)
	case n.Body.Audience.Digest != "" && !listed:
		return notice.Conflict("the list of customers of notice %q is not kept any more: cancel it, and send it under another key", n.Key)
	}
	return nil
}
