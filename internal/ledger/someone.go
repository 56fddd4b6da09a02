package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tocsin/internal/notice"
)

// glanceTimeout bounds a statement that looks at an audience while somebody writes a notice.
const glanceTimeout = 400 * time.Millisecond

// Someone returns a customer of a choice who reads a language, or any where language is "", after skip others by id; class not_found where there
// is none, or none is found soon.
func (db *DB) Someone(ctx context.Context, c Choice, language string, skip int) (who notice.Customer, err error) {
	found := false
	_, err = db.soon(ctx, c, func(tx pgx.Tx) error {
		var args []any
		if language != "" {
			reads := notice.Filter{Op: notice.FilterEq, Field: "language", Value: language}
			c.Filter = notice.Filter{Op: notice.FilterAnd, Args: []notice.Filter{reads, c.Filter}}
		}
		where, err := c.sql(&args)
		if err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, `
			SELECT id, name, email, alternate_email, language, time_zone, attributes FROM customer c
			WHERE `+where+` ORDER BY id OFFSET `+bind(&args, skip)+` LIMIT 1`, args...)
		who, err = pgx.CollectOneRow(rows, pgx.RowToStructByPos[notice.Customer])
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		found = err == nil
		return err
	})
	if err == nil && !found {
		err = notice.NotFound("there is no such customer on the audience")
	}
	return who, wrap(err, "look for a customer of an audience")
}

// soon reads the customers of a choice, and gives up where a statement takes too long.
func (db *DB) soon(ctx context.Context, c Choice, read func(pgx.Tx) error) (late bool, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf(`SET LOCAL statement_timeout = %d`, glanceTimeout.Milliseconds())); err != nil {
			return err
		}
		if err := layOutStood(ctx, tx, c); err != nil {
			return err
		}
		return read(tx)
	})
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "57014" { // it was cancelled
		return true, nil
	}
	return false, err
}
