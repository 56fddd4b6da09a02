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

const userColumns = `u.name, u.role, u.password IS NOT NULL, coalesce(u.issuer, ''), u.created_by, u.created_at, u.signed_in_at, coalesce(u.removed_by, ''), u.removed_at`

// userFields are where a row of userColumns goes.
func userFields(u *notice.User) []any {
	return []any{&u.Name, &u.Role, &u.Password, &u.Issuer, &u.CreatedBy, &u.CreatedAt, &u.SignedInAt, &u.RemovedBy, &u.RemovedAt}
}

func userInUTC(u *notice.User) {
	u.CreatedAt, u.SignedInAt, u.RemovedAt = u.CreatedAt.UTC(), inUTC(u.SignedInAt), inUTC(u.RemovedAt)
}

func scanUser(row pgx.CollectableRow) (u notice.User, err error) {
	err = row.Scan(userFields(&u)...)
	userInUTC(&u)
	return u, err
}

// Users returns every person who ever could use the console, by the order in which they were added.
func (db *DB) Users(ctx context.Context) ([]notice.User, error) {
	rows, _ := db.pool.Query(ctx, `SELECT `+userColumns+` FROM console_user u ORDER BY u.id`)
	all, err := pgx.CollectRows(rows, scanUser)
	return all, wrap(err, "list the people")
}

// AddUser adds a person. A name that a person or a token has or had is a conflict.
func (db *DB) AddUser(ctx context.Context, u notice.User, who string) (kept notice.User, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		kept, err = addUser(ctx, tx, u, nil, nil, who)
		return err
	})
	return kept, err
}

func addUser(ctx context.Context, tx pgx.Tx, u notice.User, issuer, subject *string, who string) (notice.User, error) {
	rows, _ := tx.Query(ctx, `
		INSERT INTO console_user AS u (name, role, issuer, subject, created_by) VALUES ($1, $2, $3, $4, $5) RETURNING `+userColumns,
		u.Name, u.Role, issuer, subject, who)
	kept, err := pgx.CollectExactlyOneRow(rows, scanUser)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "23505" {
		return kept, nameTaken(u.Name)
	}
	if err != nil {
		return kept, fmt.Errorf("add %s: %w", u.Name, err)
	}
	return kept, recordOther(ctx, tx, who, "add user", fmt.Sprintf("%s, %s", kept.Name, kept.Role))
}

func nameTaken(name string) error {
	return notice.Conflict("there is a person or a token %s, or was: a name is not used twice, as the log tells them apart by it", name)
}

// changeUser runs change on the number of a person who was not removed, in a transaction, and returns the person afterwards.
func (db *DB) changeUser(ctx context.Context, name string, change func(tx pgx.Tx, id int64, u notice.User) error) (u notice.User, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		var id int64
		row := tx.QueryRow(ctx, `SELECT u.id, `+userColumns+` FROM console_user u WHERE lower(u.name) = lower($1) FOR UPDATE`, name)
		err := row.Scan(append([]any{&id}, userFields(&u)...)...)
		if errors.Is(err, pgx.ErrNoRows) || err == nil && u.RemovedAt != nil {
			return notice.NotFound("there is no person of that name")
		}
		if err != nil {
			return fmt.Errorf("look for a person: %w", err)
		}
		if err := change(tx, id, u); err != nil {
			return err
		}
		rows, _ := tx.Query(ctx, `SELECT `+userColumns+` FROM console_user u WHERE u.id = $1`, id)
		u, err = pgx.CollectExactlyOneRow(rows, scanUser)
		return wrap(err, "read a person again")
	})
	return u, err
}

// SetUserRole gives a person another role, at once in all their sessions.
func (db *DB) SetUserRole(ctx context.Context, name string, role notice.TokenRole, who string) (notice.User, error) {
	return db.changeUser(ctx, name, func(tx pgx.Tx, id int64, u notice.User) error {
		switch {
		case u.Issuer != "":
			return notice.Conflict("the role of %s comes from %s at each sign-in", u.Name, u.Issuer)
		case u.Role == role:
			return nil
		}
		if err := exec(ctx, tx, "change a role", `UPDATE console_user SET role = $2 WHERE id = $1`, id, role); err != nil {
			return err
		}
		return recordOther(ctx, tx, who, "change role", fmt.Sprintf("%s, from %s to %s", u.Name, u.Role, role))
	})
}

// RemoveUser ends a person's sessions and links, and lets them in no more. Their name stays theirs.
func (db *DB) RemoveUser(ctx context.Context, name, who string) (notice.User, error) {
	return db.changeUser(ctx, name, func(tx pgx.Tx, id int64, u notice.User) error {
		if err := endSessions(ctx, tx, id); err != nil {
			return err
		}
		err := exec(ctx, tx, "remove a person", `
			UPDATE console_user SET removed_at = clock_timestamp(), removed_by = $2, password = NULL WHERE id = $1`, id, who)
		if err != nil {
			return err
		}
		return recordOther(ctx, tx, who, "remove user", u.Name)
	})
}

// endSessions ends all sessions of a person, and the links that would begin one.
func endSessions(ctx context.Context, tx pgx.Tx, id int64) error {
	if err := exec(ctx, tx, "end sessions", `DELETE FROM console_session WHERE user_id = $1`, id); err != nil {
		return err
	}
	return exec(ctx, tx, "end links", `DELETE FROM sign_in_link WHERE user_id = $1`, id)
}

// AddLink keeps the SHA-256 of a link that lets a person in once, within span. It takes the place of an earlier one.
func (db *DB) AddLink(ctx context.Context, name string, hash [32]byte, span time.Duration, who string) (notice.User, error) {
	return db.changeUser(ctx, name, func(tx pgx.Tx, id int64, u notice.User) error {
		if u.Issuer != "" {
			return notice.Conflict("%s signs in at %s", u.Name, u.Issuer)
		}
		err := exec(ctx, tx, "end earlier links", `DELETE FROM sign_in_link WHERE user_id = $1 OR expires_at < clock_timestamp()`, id)
		if err != nil {
			return err
		}
		err = exec(ctx, tx, "keep a link", `INSERT INTO sign_in_link VALUES ($1, $2, clock_timestamp() + $3)`, hash[:], id, span)
		if err != nil {
			return err
		}
		return recordOther(ctx, tx, who, "add sign-in link", u.Name)
	})
}

// SetPassword keeps the hash of a person's password, and ends their other sessions than that with keep's hash.
func (db *DB) SetPassword(ctx context.Context, name, password string, keep [32]byte) (notice.User, error) {
	return db.changeUser(ctx, name, func(tx pgx.Tx, id int64, u notice.User) error {
		if u.Issuer != "" {
			return notice.Conflict("%s signs in at %s", u.Name, u.Issuer)
		}
		if err := exec(ctx, tx, "set a password", `UPDATE console_user SET password = $2 WHERE id = $1`, id, password); err != nil {
			return err
		}
		if err := exec(ctx, tx, "end sessions", `DELETE FROM console_session WHERE user_id = $1 AND hash <> $2`, id, keep[:]); err != nil {
			return err
		}
		return recordOther(ctx, tx, u.Name, "set password", "")
	})
}

// Password is the hash of a person's password, "" where they have none or there is no such person.
func (db *DB) Password(ctx context.Context, name string) (hash string, err error) {
	err = db.pool.QueryRow(ctx, `SELECT password FROM console_user WHERE lower(name) = lower($1) AND password IS NOT NULL`, name).Scan(&hash)
	if errors.Is(err, pgx.ErrNoRows) {
		return "", nil
	}
	return hash, wrap(err, "read a password")
}
