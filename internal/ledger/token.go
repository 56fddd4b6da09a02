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

// Key is a token as the API recognises it.
type Key struct {
	notice.Token
	Hash [32]byte // SHA-256 of the token
}

const tokenColumns = `name, role, created_by, created_at, expires_at, coalesce(revoked_by, ''), revoked_at`

func scanToken(row pgx.CollectableRow) (t notice.Token, err error) {
	err = row.Scan(&t.Name, &t.Role, &t.CreatedBy, &t.CreatedAt, &t.ExpiresAt, &t.RevokedBy, &t.RevokedAt)
	t.CreatedAt, t.ExpiresAt, t.RevokedAt = t.CreatedAt.UTC(), inUTC(t.ExpiresAt), inUTC(t.RevokedAt)
	return t, err
}

// Keys returns every token that there ever was, revoked ones too; none where the database is not migrated.
func (db *DB) Keys(ctx context.Context) ([]Key, error) {
	rows, _ := db.pool.Query(ctx, `SELECT `+tokenColumns+`, hash FROM token`)
	keys, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (k Key, err error) {
		var hash []byte
		t := &k.Token
		err = row.Scan(&t.Name, &t.Role, &t.CreatedBy, &t.CreatedAt, &t.ExpiresAt, &t.RevokedBy, &t.RevokedAt, &hash)
		copy(k.Hash[:], hash)
		return k, err
	})
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "42P01" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the tokens: %w", err)
	}
	return keys, nil
}

// Tokens returns every token that there ever was, by number.
func (db *DB) Tokens(ctx context.Context) ([]notice.Token, error) {
	rows, _ := db.pool.Query(ctx, `SELECT `+tokenColumns+` FROM token ORDER BY number`)
	all, err := pgx.CollectRows(rows, scanToken)
	if err != nil {
		return nil, fmt.Errorf("list the tokens: %w", err)
	}
	return all, nil
}

// AddToken keeps a token with the SHA-256 of its text. A name that a token has or had is a conflict.
func (db *DB) AddToken(ctx context.Context, t notice.Token, hash [32]byte, who string) (kept notice.Token, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `
			INSERT INTO token (name, role, hash, created_by, expires_at) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (lower(name)) DO NOTHING RETURNING `+tokenColumns, t.Name, t.Role, hash[:], who, t.ExpiresAt)
		kept, err = pgx.CollectExactlyOneRow(rows, scanToken)
		if e, ok := errors.AsType[*pgconn.PgError](err); errors.Is(err, pgx.ErrNoRows) || ok && e.ConstraintName == "own_name" {
			return nameTaken(t.Name)
		}
		if err != nil {
			return fmt.Errorf("add token %s: %w", t.Name, err)
		}
		detail := fmt.Sprintf("%s, %s", t.Name, t.Role)
		if t.ExpiresAt != nil {
			detail += ", until " + t.ExpiresAt.UTC().Format(time.RFC3339)
		}
		return recordOther(ctx, tx, who, "add token", detail)
	})
	return kept, err
}

// RevokeToken ends a token for ever. One that was revoked before stays as it is.
func (db *DB) RevokeToken(ctx context.Context, name, who string) (t notice.Token, err error) {
	err = db.inTx(ctx, func(tx pgx.Tx) error {
		rows, _ := tx.Query(ctx, `SELECT `+tokenColumns+` FROM token WHERE lower(name) = lower($1) FOR UPDATE`, name)
		t, err = pgx.CollectExactlyOneRow(rows, scanToken)
		if errors.Is(err, pgx.ErrNoRows) {
			return notice.NotFound("there is no token of that name")
		}
		if err != nil || t.RevokedAt != nil {
			return err
		}
		rows, _ = tx.Query(ctx, `
			UPDATE token SET revoked_at = clock_timestamp(), revoked_by = $2 WHERE name = $1 RETURNING `+tokenColumns, t.Name, who)
		if t, err = pgx.CollectExactlyOneRow(rows, scanToken); err != nil {
			return fmt.Errorf("revoke token %s: %w", t.Name, err)
		}
		return recordOther(ctx, tx, who, "revoke token", t.Name)
	})
	return t, err
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	utc := t.UTC()
	return &utc
}
