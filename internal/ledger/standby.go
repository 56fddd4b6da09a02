package ledger

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// standbyKey is a key of a connection's custom data: it was made to a server in recovery, and is not checked yet.
const standbyKey = "standby"

// inRecovery reports whether a connection goes to a standby, and notes it.
func inRecovery(ctx context.Context, conn *pgx.Conn) (yes bool, err error) {
	if err := conn.QueryRow(ctx, `SELECT pg_is_in_recovery()`).Scan(&yes); err != nil {
		return false, fmt.Errorf("ask whether the server is a standby: %w", err)
	}
	conn.PgConn().CustomData()[standbyKey] = yes
	return yes, nil
}

// useable reports whether a connection may be used as it is. One to a standby that was promoted is made anew, and checked: the
// standby may lack the last commits.
func useable(ctx context.Context, conn *pgx.Conn) (bool, error) {
	if was, _ := conn.PgConn().CustomData()[standbyKey].(bool); !was {
		return true, nil
	}
	still, err := inRecovery(ctx, conn)
	return err == nil && still, nil
}
