package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// holdNow is the hold that a dot marked now could fall into; $1 is the dot's grace. The mark asks for it, on the database's clock,
// and so binds every worker.
const holdNow = `SELECT from_at, until_at, reason FROM hold
	WHERE removed_at IS NULL AND from_at < clock_timestamp() + $1 AND until_at > clock_timestamp()`

// forGood is the end of a hold that lasts until it is removed.
var forGood = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

const holdColumns = `number, from_at, until_at, reason, coalesce(added_by, '` + notice.HoldOfFile + `'), added_at`

func scanHold(row pgx.CollectableRow) (h notice.Hold, err error) {
	err = row.Scan(&h.Number, &h.From, &h.Until, &h.Reason, &h.Owner, &h.AddedAt)
	h.From, h.Until, h.AddedAt = h.From.UTC(), endOf(h.Until), h.AddedAt.UTC()
	return h, err
}

// endOf is the end of a hold, nil where it lasts until it is removed.
func endOf(until *time.Time) *time.Time {
	if until == nil || until.Equal(forGood) {
		return nil
	}
	return inUTC(until)
}

// Holds returns the holds that have not ended and were not removed, by number; never nil.
func (db *DB) Holds(ctx context.Context) ([]notice.Hold, error) { return holds(ctx, db.pool) }

func holds(ctx context.Context, q querier) ([]notice.Hold, error) {
	rows, _ := q.Query(ctx, `SELECT `+holdColumns+` FROM hold WHERE removed_at IS NULL AND until_at > clock_timestamp() ORDER BY number`)
	all, err := pgx.AppendRows([]notice.Hold{}, rows, scanHold)
	if err != nil {
		return nil, fmt.Errorf("list the holds: %w", err)
	}
	return all, nil
}

// KeepFileHolds adds the holds of a file that the ledger lacks, and returns how many those are. It ends none and brings none back
// that was removed: a worker with an old file must not lift today's hold.
func (db *DB) KeepFileHolds(ctx context.Context, file []notice.Hold) (added int64, err error) {
	for _, h := range file {
		tag, err := db.pool.Exec(ctx, `
			INSERT INTO hold (from_at, until_at, reason) SELECT $1, $2, $3
			WHERE $2 > clock_timestamp() AND NOT EXISTS (SELECT FROM hold WHERE added_by IS NULL AND from_at = $1 AND until_at = $2)
			ON CONFLICT (from_at, until_at) WHERE added_by IS NULL DO NOTHING`, h.From, h.Until, h.Reason)
		if err != nil {
			return added, fmt.Errorf("keep the holds of the file: %w", err)
		}
		added += tag.RowsAffected()
	}
	return added, nil
}

// AddHold adds a hold for who, from now on where it does not say from when. When it returns, no mail is marked any more that could leave in it; those that were marked
// before it began may still leave.
func (db *DB) AddHold(ctx context.Context, h notice.Hold, who string) (kept notice.Hold, err error) {
	until, from := forGood, &h.From
	if h.Until != nil {
		until = *h.Until
	}
	if h.From.IsZero() {
		from = nil
	}
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			INSERT INTO hold (from_at, until_at, reason, added_by) VALUES (coalesce($1, clock_timestamp()), $2, $3, $4)
			RETURNING `+holdColumns, from, until, h.Reason, who)
		if kept, err = pgx.CollectExactlyOneRow(rows, scanHold); err != nil {
			return fmt.Errorf("add a hold: %w", err)
		}
		return recordOther(ctx, tx, who, "add hold", aboutHold(kept))
	})
	if err != nil {
		return kept, err
	}
	// The barrier: a worker that marks holds these rows, and one that comes later sees the hold.
	if _, err := db.pool.Exec(ctx, `SELECT id FROM chunk WHERE lease_until IS NOT NULL ORDER BY id FOR UPDATE`); err != nil {
		return kept, wrap(err, "wait until nothing more is marked")
	}
	return kept, db.applyHolds(ctx)
}

// RemoveHold ends a hold for who, and has the notices that it held go on.
func (db *DB) RemoveHold(ctx context.Context, number int64, who string) (h notice.Hold, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			UPDATE hold SET removed_at = clock_timestamp(), removed_by = $2
			WHERE number = $1 AND removed_at IS NULL AND until_at > clock_timestamp() RETURNING `+holdColumns, number, who)
		h, err = pgx.CollectExactlyOneRow(rows, scanHold)
		if errors.Is(err, pgx.ErrNoRows) {
			return notice.NotFound("there is no hold %d, or it has ended", number)
		}
		if err != nil {
			return fmt.Errorf("remove hold %d: %w", number, err)
		}
		return recordOther(ctx, tx, who, "remove hold", aboutHold(h))
	})
	if err != nil {
		return h, err
	}
	return h, db.applyHolds(ctx)
}

func aboutHold(h notice.Hold) string {
	until := "it is removed"
	if h.Until != nil {
		until = h.Until.Format(time.RFC3339)
	}
	text := fmt.Sprintf("%d, from %s until %s", h.Number, h.From.Format(time.RFC3339), until)
	if h.Reason != "" {
		text += ": " + h.Reason
	}
	return text
}

// applyHolds shows holds in the state of notices: the marks are refused without it.
func (db *DB) applyHolds(ctx context.Context) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE notice SET state = 'held', reason = h.reason, held_until = h.until_at
		FROM (`+holdNow+` ORDER BY until_at DESC LIMIT 1) h
		WHERE state = 'sending' OR state = 'held' AND held_until IS NOT NULL AND (notice.reason, held_until) <> (h.reason, h.until_at)`, db.opts.DotGrace)
	if err != nil {
		return fmt.Errorf("hold notices: %w", err)
	}
	return db.start(ctx, `state = 'held' AND held_until IS NOT NULL AND NOT EXISTS (SELECT FROM hold
		WHERE removed_at IS NULL AND from_at < clock_timestamp() + interval '`+fmt.Sprint(db.opts.DotGrace.Microseconds())+` microseconds'
			AND until_at > clock_timestamp())`)
}

// CheckHolds compares the holds of a file with those of the ledger at a Postgres URL. Where that can't be asked it finds nothing:
// Check says why.
func CheckHolds(ctx context.Context, url string, file []notice.Hold) (f notice.Findings) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil
	}
	defer conn.Close(context.WithoutCancel(ctx))
	all, err := holds(ctx, conn)
	if err != nil {
		return nil
	}
	for _, h := range all {
		if h.Owner == notice.HoldOfFile && !h.In(file) {
			f.Warning(fmt.Sprintf("remove it with `tocsin hold remove %d`, unless another file has it", h.Number),
				"a hold of a file is in force that this file does not have: %s", aboutHold(h))
		}
	}
	return f
}
