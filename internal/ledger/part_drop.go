package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ownsPartsSQL is the condition that the user may detach tables and drop them. For one who may not, rows are deleted.
const ownsPartsSQL = `(SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = 'recipient'::regclass)`

// letGo has the part of a plan dropped, if nothing else in it has rows: they all go at once, soon. Otherwise, or where a plan is being
// written there, it returns false, and the rows of the plan have to be deleted.
func letGo(ctx context.Context, tx pgx.Tx, plan int64) (going bool, err error) {
	var lo, hi int64
	var alone bool
	err = tx.QueryRow(ctx, `SELECT lo, hi, pg_try_advisory_xact_lock($2 + lo) FROM part WHERE lo <= $1 AND $1 < hi AND `+ownsPartsSQL, plan, partLock).Scan(&lo, &hi, &alone)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && !alone {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the part of plan %d: %w", plan, err)
	}
	tag, err := tx.Exec(ctx, `
		UPDATE part SET going = true WHERE lo = $1 AND NOT EXISTS (SELECT FROM plan WHERE id >= $1 AND id < $2 AND id <> $3 AND NOT rows_gone)`, lo, hi, plan)
	return err == nil && tag.RowsAffected() == 1, wrap(err, "let the part of plan %d go", plan)
}

// dropParts drops the parts that go: their tables are detached, which no reader or writer of others waits for, and dropped. It can be
// repeated after a break. A part that somebody still reads is left to a later call, and so is all of it while another process does it.
func (db *DB) dropParts(ctx context.Context) (dropped int, err error) {
	// The last part says where the next one begins.
	if err := db.inTx(ctx, func(tx pgx.Tx) error { return followLastPart(ctx, tx) }); err != nil {
		return 0, fmt.Errorf("make a part after the last one: %w", err)
	}
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	var mine bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, partsGone).Scan(&mine); err != nil || !mine {
		return 0, err
	}
	defer releaseLocks(ctx, conn)
	defer func() { _, _ = conn.Exec(context.WithoutCancel(ctx), `RESET lock_timeout`) }()
	parts, err := collect[int64](ctx, conn, `
		SELECT lo FROM part p WHERE lo < (SELECT max(lo) FROM part) AND `+ownsPartsSQL+`
			AND (going OR NOT EXISTS (SELECT FROM plan WHERE id >= p.lo AND id < p.hi AND NOT rows_gone))
		ORDER BY EXISTS (SELECT FROM pg_inherits WHERE inhdetachpending
			AND inhrelid IN (to_regclass('recipient_' || lo), to_regclass('member_' || lo))) DESC, lo`) // only one can be pending
	if err != nil {
		return 0, err
	}
	for _, lo := range parts {
		switch err := dropPart(ctx, conn, lo); {
		case isTimeout(err):
			return dropped, nil
		case err != nil:
			return dropped, fmt.Errorf("drop part %d: %w", lo, err)
		}
		dropped++
	}
	return dropped, nil
}

// releaseLocks lets go of all locks of a session, or ends the session.
func releaseLocks(ctx context.Context, conn *pgxpool.Conn) {
	if _, err := conn.Exec(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock_all()`); err != nil {
		_ = conn.Conn().Close(context.WithoutCancel(ctx))
	}
}

// detachTimeout bounds the wait for those who read the rows of a part that is being dropped.
const detachTimeout = "5s"

func isTimeout(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "55P03" // lock_not_available
}

func followLastPart(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock($1)`, partsMade); err != nil {
		return err
	}
	var hi int64
	err := tx.QueryRow(ctx, `SELECT hi FROM part WHERE going AND lo = (SELECT max(lo) FROM part)`).Scan(&hi)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return makePart(ctx, tx, hi, hi+partPlans)
}

// dropPart drops a part unless a plan is being written there. Each statement is a transaction of its own: to detach a table
// concurrently takes two.
func dropPart(ctx context.Context, conn *pgxpool.Conn, lo int64) error {
	var mine bool
	if err := conn.QueryRow(ctx, `SELECT pg_try_advisory_lock($1)`, partLock+lo).Scan(&mine); err != nil || !mine {
		return err
	}
	tag, err := conn.Exec(ctx, `
		UPDATE part p SET going = true WHERE lo = $1 AND (going OR NOT EXISTS (SELECT FROM plan WHERE id >= p.lo AND id < p.hi AND NOT rows_gone))`, lo)
	if err != nil || tag.RowsAffected() == 0 {
		return err
	}
	if _, err := conn.Exec(ctx, `SELECT set_config('lock_timeout', $1, false)`, detachTimeout); err != nil {
		return err
	}
	for _, table := range partTables {
		name := partName(table, lo)
		var pending bool
		err := conn.QueryRow(ctx, `SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass($1)`, name).Scan(&pending)
		how := "CONCURRENTLY"
		if pending { // a detachment that broke off
			how = "FINALIZE"
		}
		if err == nil {
			_, err = conn.Exec(ctx, fmt.Sprintf(`ALTER TABLE %s DETACH PARTITION %s %s`, table, name, how), simply)
		}
		if err == nil || errors.Is(err, pgx.ErrNoRows) {
			_, err = conn.Exec(ctx, `DROP TABLE IF EXISTS `+name)
		}
		if err != nil {
			return err
		}
	}
	_, err = conn.Exec(ctx, `DELETE FROM part WHERE lo = $1`, lo)
	return err
}
