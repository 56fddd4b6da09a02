package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// A reminder is a notice that the release of another one makes, and that waits for its time: its audience is resolved when it leaves,
// and it expires when its window begins. Its body names the other notice (reminder_of).

// remind makes the reminders of a notice that is being released, in that transaction. A reminder is not made where its time
// is past, or comes before the notice itself leaves. mailed is how many recipients the notice has.
func remind(ctx context.Context, tx pgx.Tx, n Notice, press Press, mailed int) error {
	most := notice.MostReminded(mailed)
	if press.approvedBy == "" && press.ApproveFrom > mailed { // a release that wanted no approval has no reminder that would
		most = min(most, press.ApproveFrom-1)
	}
	for _, d := range press.Reminders {
		d.Who, d.Body.MaxRecipients = press.Who, most
		if err := d.encode(); err != nil {
			return err
		}
		var late, taken bool
		err := tx.QueryRow(ctx, `SELECT $1 <= greatest(clock_timestamp(), $2), EXISTS (SELECT FROM notice WHERE key = $3)`, d.sendAt, n.SendAt, d.Body.Key).
			Scan(&late, &taken)
		switch {
		case err != nil:
			return fmt.Errorf("look for reminder %q: %w", d.Body.Key, err)
		case late:
			continue
		case taken:
			return notice.Conflict("there is a notice %q, which is the key of a reminder of %q: release it under another key, or without that reminder", d.Body.Key, n.Key)
		}
		id, _, err := insertDraft(ctx, tx, d)
		if err != nil {
			return err
		}
		reminding := press
		reminding.Canary = 0 // nobody may be there to have it go on
		if err := schedule(ctx, tx, id, reminding, d.Body.MaxRecipients); err != nil {
			return err
		}
		if err := recordAct(ctx, tx, id, press.Who, "release", "reminder of "+n.Key); err != nil {
			return err
		}
	}
	return nil
}

// waitingReminder is the condition on "notice" r that it is a reminder of a release, which still owes something.
const waitingReminder = `coalesce(r.body->>'reminder_of', '') <> '' AND r.state IN ('scheduled', 'sending', 'paused', 'held')`

// remindersOf locks the reminders of a notice that still owe something.
func remindersOf(ctx context.Context, tx pgx.Tx, n Notice) ([]int64, error) {
	ids, err := collect[int64](ctx, tx, `
		SELECT r.id FROM notice r JOIN notice n ON n.incident_id = r.incident_id
		WHERE n.id = $1 AND r.body->>'reminder_of' = n.key AND `+waitingReminder+` ORDER BY r.id FOR NO KEY UPDATE OF r`, n.ID)
	return ids, wrap(err, "look for the reminders of notice %d", n.ID)
}

// endedBy locks the reminders that a notice cancels when it begins: all of its maintenance, but for those of windows that were moved
// by this notice, or by one that is later still.
func endedBy(ctx context.Context, tx pgx.Tx, n Notice) ([]int64, error) {
	if !notice.EndsReminders(n.Body.Phase) {
		return nil, nil
	}
	ids, err := collect[int64](ctx, tx, `
		SELECT r.id FROM notice n JOIN notice r ON r.incident_id = n.incident_id
		LEFT JOIN notice of ON of.key = r.body->>'reminder_of'
		WHERE n.id = $1 AND `+waitingReminder+` AND of.id IS DISTINCT FROM n.id
			AND NOT coalesce(of.body->>'phase' = n.body->>'phase' AND n.body->>'phase' = '`+notice.PhaseRescheduled+`'
				AND (greatest(of.released_at, of.send_at), of.id) > (greatest(n.released_at, n.send_at), n.id), false)
		ORDER BY r.id FOR NO KEY UPDATE OF r`, n.ID)
	return ids, wrap(err, "look for reminders that notice %d ends", n.ID)
}

// endReminders cancels locked reminders for good; their chunks are locked, too.
func endReminders(ctx context.Context, tx pgx.Tx, ids []int64, by string) error {
	if len(ids) == 0 {
		return nil
	}
	if _, err := tx.Exec(ctx, `UPDATE notice SET state = 'cancelled', reason = '`+notice.ReasonSuperseded+`', held_until = NULL WHERE id = ANY($1)`, ids); err != nil {
		return fmt.Errorf("cancel reminders: %w", err)
	}
	for _, id := range ids {
		if err := recordAct(ctx, tx, id, leaver, "cancel", "by notice "+by); err != nil {
			return err
		}
	}
	chunks, err := collect[int64](ctx, tx, `SELECT id FROM chunk WHERE notice_id = ANY($1) AND (lease_until IS NOT NULL OR open) ORDER BY id FOR UPDATE`, ids)
	if err != nil {
		return fmt.Errorf("lock what reminders owe: %w", err)
	}
	return stopAll(ctx, tx, chunks)
}

// takeBackReminders deletes the reminders of a notice that is taken back: its next release makes them again.
func takeBackReminders(ctx context.Context, tx pgx.Tx, n Notice) error {
	ids, err := collect[int64](ctx, tx, `
		SELECT r.id FROM notice n JOIN notice r ON r.incident_id = n.incident_id
		WHERE n.id = $1 AND r.body->>'reminder_of' = n.key ORDER BY r.id FOR UPDATE OF r`, n.ID)
	if err != nil {
		return fmt.Errorf("look for the reminders of notice %d: %w", n.ID, err)
	}
	for _, id := range ids {
		r, err := readNotice(ctx, tx, id, "")
		switch {
		case err != nil:
			return err
		case r.Planned:
			return notice.Conflict("reminder %q of notice %q has left: the notice can be cancelled, and not taken back", r.Key, n.Key)
		}
		if err := dropPlan(ctx, tx, id, 0); err != nil {
			return err
		}
		if err := recordAct(ctx, tx, id, leaver, "delete", "reminder "+r.Key); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM notice WHERE id = $1`, id); err != nil {
			return fmt.Errorf("delete reminder %q: %w", r.Key, err)
		}
	}
	return nil
}

// passOver cancels the reminders of a notice that would leave before it does, now that it leaves at another time.
func passOver(ctx context.Context, tx pgx.Tx, n Notice, to time.Time) error {
	ids, err := remindersOf(ctx, tx, n)
	if err != nil {
		return err
	}
	ids, err = collect[int64](ctx, tx, `SELECT id FROM notice WHERE id = ANY($1) AND send_at <= $2 ORDER BY id`, ids, to)
	if err != nil {
		return fmt.Errorf("look for reminders that are too early: %w", err)
	}
	return endReminders(ctx, tx, ids, n.Key)
}

// Begun returns the phases that an incident has come to by notices but that of a key. Reminders say nothing new.
func (db *DB) Begun(ctx context.Context, incident, but string) (all []notice.Step, err error) {
	rows, _ := db.pool.Query(ctx, `
		SELECT n.key, n.body->>'phase' FROM notice n JOIN incident i ON i.id = n.incident_id
		WHERE i.key = $1 AND n.key <> $2 AND n.began_at IS NOT NULL AND coalesce(n.body->>'reminder_of', '') = '' ORDER BY n.began_at DESC`, incident, but)
	all, err = pgx.CollectRows(rows, pgx.RowToStructByPos[notice.Step])
	return all, wrap(err, "look for what incident %q has come to", incident)
}

// Announced returns the notice that was released last of those that say when a maintenance is, but that of a key.
func (db *DB) Announced(ctx context.Context, incident, but string) (n Notice, err error) {
	var id int64
	err = db.pool.QueryRow(ctx, `
		SELECT n.id FROM notice n JOIN incident i ON i.id = n.incident_id
		WHERE i.key = $1 AND n.key <> $2 AND n.state <> 'draft' AND n.body->>'phase' IN ('`+notice.PhaseScheduled+`', '`+notice.PhaseRescheduled+`')
			AND jsonb_array_length(coalesce(n.body->'windows', '[]')) > 0
		ORDER BY n.released_at DESC, n.id DESC LIMIT 1`, incident, but).Scan(&id)
	if errors.Is(err, pgx.ErrNoRows) {
		return n, notice.NotFound("no notice of incident %q has windows", incident)
	}
	if err != nil {
		return n, fmt.Errorf("look for the announcement of incident %q: %w", incident, err)
	}
	return db.Notice(ctx, id)
}
