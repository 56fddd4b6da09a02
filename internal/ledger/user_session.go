package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// longestSession is how long a session lasts that is used all the time.
const longestSession = 7 * 24 * time.Hour

// BeginSession begins a session of a person, who showed how they are known (such as "password"), under the hash of its secret.
func (db *DB) BeginSession(ctx context.Context, name string, hash [32]byte, how string) (notice.User, error) {
	return db.changeUser(ctx, name, func(tx pgx.Tx, id int64, u notice.User) error {
		return beginSession(ctx, tx, id, u.Name, hash, how)
	})
}

func beginSession(ctx context.Context, tx pgx.Tx, id int64, name string, hash [32]byte, how string) error {
	err := exec(ctx, tx, "begin a session", `INSERT INTO console_session (hash, user_id, origin) VALUES ($1, $2, $3)`, hash[:], id, notice.Origin(ctx))
	if err != nil {
		return err
	}
	err = exec(ctx, tx, "drop old sessions", `DELETE FROM console_session WHERE began_at < clock_timestamp() - $1::interval`, longestSession)
	if err != nil {
		return err
	}
	if err := exec(ctx, tx, "note a sign-in", `UPDATE console_user SET signed_in_at = clock_timestamp() WHERE id = $1`, id); err != nil {
		return err
	}
	return recordOther(ctx, tx, name, "sign in", how)
}

// TakeLink uses up the sign-in link with that hash and begins a session in its place. The error is a notice.Error of class not_found
// where the link was used, has expired, or never was.
func (db *DB) TakeLink(ctx context.Context, link, session [32]byte) (u notice.User, err error) {
	var name string
	err = db.pool.QueryRow(ctx, `
		WITH taken AS (DELETE FROM sign_in_link WHERE hash = $1 AND expires_at > clock_timestamp() RETURNING user_id)
		SELECT u.name FROM taken JOIN console_user u ON u.id = taken.user_id`, link[:]).Scan(&name)
	if errors.Is(err, pgx.ErrNoRows) {
		return u, notice.NotFound("this link was used before, or has expired")
	}
	if err != nil {
		return u, wrap(err, "take a sign-in link")
	}
	return db.BeginSession(ctx, name, session, "link")
}

// Federate begins a session of the person that an OpenID Connect issuer vouches for. At the first one it adds them; at each it
// takes over their role.
func (db *DB) Federate(ctx context.Context, u notice.User, subject string, session [32]byte) (notice.User, error) {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		var known notice.User
		var id int64
		find := func() error {
			return tx.QueryRow(ctx, `SELECT u.id, `+userColumns+` FROM console_user u WHERE u.issuer = $1 AND u.subject = $2 FOR UPDATE`,
				u.Issuer, subject).Scan(append([]any{&id}, userFields(&known)...)...)
		}
		err := find()
		if errors.Is(err, pgx.ErrNoRows) {
			if _, err = addUser(ctx, tx, u, &u.Issuer, &subject, u.Name); err != nil {
				return err
			}
			err = find()
		}
		if err != nil {
			return wrap(err, "look for a person")
		}
		if known.RemovedAt != nil {
			return notice.NotFound("this person was removed")
		}
		if known.Role != u.Role {
			if err := exec(ctx, tx, "take over a role", `UPDATE console_user SET role = $2 WHERE id = $1`, id, u.Role); err != nil {
				return err
			}
			if err := recordOther(ctx, tx, notice.System, "change role", known.Name+", from "+string(known.Role)+" to "+string(u.Role)+", as "+u.Issuer+" says"); err != nil {
				return err
			}
		}
		u.Name = known.Name
		return beginSession(ctx, tx, id, known.Name, session, "OpenID Connect")
	})
	return u, err
}

// Session is the session with that hash, of a person who was not removed, that was used within idle; a notice.Error of class
// not_found where there is none.
func (db *DB) Session(ctx context.Context, hash [32]byte, idle time.Duration) (s notice.Session, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT `+userColumns+`, s.began_at, s.seen_at, s.origin FROM console_session s JOIN console_user u ON u.id = s.user_id
		WHERE s.hash = $1 AND u.removed_at IS NULL AND s.seen_at > clock_timestamp() - $2::interval AND s.began_at > clock_timestamp() - $3::interval`,
		hash[:], idle, longestSession).Scan(append(userFields(&s.User), &s.BeganAt, &s.SeenAt, &s.Origin)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return s, notice.NotFound("there is no such session")
	}
	if err != nil {
		return s, wrap(err, "look for a session")
	}
	userInUTC(&s.User)
	s.BeganAt, s.SeenAt = s.BeganAt.UTC(), s.SeenAt.UTC()
	_, err = db.pool.Exec(ctx, `
		UPDATE console_session SET seen_at = clock_timestamp() WHERE hash = $1 AND seen_at < clock_timestamp() - interval '1 minute'`, hash[:])
	return s, wrap(err, "note the use of a session")
}

// EndSession ends the session with that hash, where there is one.
func (db *DB) EndSession(ctx context.Context, hash [32]byte) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		var name string
		err := tx.QueryRow(ctx, `
			DELETE FROM console_session s USING console_user u WHERE s.hash = $1 AND u.id = s.user_id RETURNING u.name`, hash[:]).Scan(&name)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return wrap(err, "end a session")
		}
		return recordOther(ctx, tx, name, "sign out", "")
	})
}
