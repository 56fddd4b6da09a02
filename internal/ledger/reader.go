package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// reader is the reader of a delivery.
type reader struct {
	mailbox string // address key
	notice.Choices
}

// MessageToken returns the random part of the Message-IDs of a notice; a notice.Error of class not_found where there is none.
func (db *DB) MessageToken(ctx context.Context, noticeID int64) (token string, err error) {
	err = db.pool.QueryRow(ctx, `SELECT message_token FROM notice WHERE id = $1`, noticeID).Scan(&token)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", notice.NotFound("there is no such notice")
	}
	return token, wrap(err, "look for the token of a notice")
}

// Choices returns the choices of the reader of a delivery. It is a notice.Error of class not_found where there is no such delivery,
// or its notice is none that readers can stop. So it is where its customers were erased, or its rows dropped: these look alike.
func (db *DB) Choices(ctx context.Context, noticeID int64, seq int) (c notice.Choices, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		r, err := readerOf(ctx, tx, noticeID, seq, false)
		c = r.Choices
		return err
	})
	return c, wrap(err, "read the choices of a reader")
}

// Choose stops a topic for the mailbox of a delivery, or resumes it, as its reader wishes, and returns the choices since. Topic ""
// is that of the mail. Entries of others on the list stay. Its errors are those of Choices.
func (db *DB) Choose(ctx context.Context, noticeID int64, seq int, topic notice.Scope, stop bool) (c notice.Choices, err error) {
	var mailbox string
	changed := false
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		// The row is locked, so that an erasure comes before, and there is nobody any more, or after, and finds the entry.
		r, err := readerOf(ctx, tx, noticeID, seq, true)
		if err != nil {
			return err
		}
		if topic == "" {
			topic = r.Topic
		}
		if mailbox = r.mailbox; stop {
			changed, err = stopFor(ctx, tx, mailbox, topic)
		} else {
			err = exec(ctx, tx, "resume", `DELETE FROM suppression WHERE address_key IN ($1, `+erasedSQL("$1::text")+`) AND scope = $2 AND by_reader`, mailbox, topic)
		}
		if err == nil {
			err = r.look(ctx, tx)
		}
		c = r.Choices
		return err
	})
	if err == nil && changed {
		// Chunks are locked in their order, so this is a transaction of its own. Should the program die before it, a claim asks the list too.
		err = db.inTx(ctx, func(tx pgx.Tx) error {
			return suppressReleased(ctx, tx, `s.address_key = $1 AND s.scope = $2 AND s.by_reader`, mailbox, topic)
		})
	}
	return c, wrap(err, "keep the choice of a reader")
}

// stopFor puts a reader's own entry on the list, and reports whether it is new.
func stopFor(ctx context.Context, tx pgx.Tx, mailbox string, topic notice.Scope) (added bool, err error) {
	if err := unhide(ctx, tx, []string{mailbox}); err != nil {
		return false, err
	}
	tag, err := tx.Exec(ctx, `
		INSERT INTO suppression (address_key, reason, scope, added_by, by_reader) VALUES ($1, $2, $3, $4, true) ON CONFLICT DO NOTHING`,
		mailbox, notice.SuppressedUnsubscribed, topic, notice.Reader)
	return tag.RowsAffected() > 0, err
}

// readerOf reads the reader of a delivery, and locks the row if asked to.
func readerOf(ctx context.Context, tx pgx.Tx, noticeID int64, seq int, lock bool) (r reader, err error) {
	locked := ""
	if lock {
		locked = "FOR SHARE OF r"
	}
	var body notice.Body
	var language, text string
	var plan int64
	err = tx.QueryRow(ctx, `SELECT coalesce(plan_id, 0) FROM notice WHERE id = $1`, noticeID).Scan(&plan)
	if err == nil {
		err = tx.QueryRow(ctx, inPlan(plan, `
		SELECT n.body, r.address_key, r.language, r.text FROM notice n JOIN recipient r ON r.plan_id = {plan}
		WHERE n.id = $1 AND r.seq = $2 AND n.released_at IS NOT NULL AND r.address_key NOT LIKE '`+erasedPrefix+`%' `+locked), noticeID, seq).Scan(&body, &r.mailbox, &language, &text)
	}
	if errors.Is(err, pgx.ErrNoRows) || err == nil && body.Topic() == "" {
		return r, notice.NotFound("there is no such delivery, or its reader has no choice")
	}
	if err != nil {
		return r, fmt.Errorf("look for the reader: %w", err)
	}
	r.Topic, r.Languages = body.Topic(), append(notice.Languages(language), text)
	return r, r.look(ctx, tx)
}

// look reads the topics that are stopped for the reader: by the reader, or by others.
func (r *reader) look(ctx context.Context, tx pgx.Tx) error {
	r.Stopped, r.Barred = nil, nil
	rows, _ := tx.Query(ctx, `SELECT scope, by_reader FROM suppression WHERE address_key IN ($1, `+erasedSQL("$1::text")+`, `+domainSQL("$1::text")+`)`, r.mailbox)
	var scope notice.Scope
	var own bool
	_, err := pgx.ForEachRow(rows, []any{&scope, &own}, func() error {
		for _, topic := range notice.Topics {
			switch {
			case own && scope == topic:
				r.Stopped = append(r.Stopped, topic)
			case !own && (scope == topic || !slices.Contains(notice.Topics, scope)) && !slices.Contains(r.Barred, topic):
				r.Barred = append(r.Barred, topic)
			}
		}
		return nil
	})
	return wrap(err, "ask the list")
}
