package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tocsin/internal/notice"
)

// The fence: a ledger that was restored from a backup knows nothing of what left after it, and would send that
// again. It is recognised on every new connection, by the database that it stands in and by the number of marks
// that each worker has made; then every unfinished notice is held, and every release after it, until an operator
// says what is to become of them.

// Mirror keeps, outside of Postgres, how many marks each worker has made. Package queue keeps it in Redis.
type Mirror interface {
	// Marks returns the numbers by worker that are kept for a ledger.
	Marks(ctx context.Context, ledger string) (map[string]int64, error)
	// KeepMarks keeps numbers for a ledger, beside those of other workers.
	KeepMarks(ctx context.Context, ledger string, numbers map[string]int64) error
}

// fence is what one process knows of it.
type fence struct {
	worker  string // who marks in this process; "" = nobody
	mirrors []Mirror
	logger  *slog.Logger

	mu       sync.Mutex
	number   int64 // marks of this worker whose commit was acknowledged
	compared bool  // the mirrors were compared once
}

// identitySQL compares the ledger with the database that it stands in. The timeline is that of the log being
// written: the control file's lags behind a promotion.
const identitySQL = `
	SELECT f.ledger, f.system_identifier, f.timeline, f.database_oid, s.system_identifier::numeric AS is_system,
		('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint AS is_timeline, d.oid::bigint AS is_oid
	FROM pg_control_system() s, pg_database d LEFT JOIN fence f ON true WHERE d.datname = current_database()`

// onConnect checks a new connection before anything else uses it.
func (db *DB) onConnect(ctx context.Context, conn *pgx.Conn) error {
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return db.checkFence(ctx, tx) })
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "42P01" {
		return nil // no such table: the schema is older than the fence, and Ready says so
	}
	if err != nil {
		return fmt.Errorf("check that the ledger is not a restored one: %w", err)
	}
	return nil
}

func (db *DB) checkFence(ctx context.Context, tx pgx.Tx) error {
	tag, err := tx.Exec(ctx, `
		INSERT INTO fence (system_identifier, timeline, database_oid)
		SELECT is_system, is_timeline, is_oid FROM (`+identitySQL+`) i WHERE ledger IS NULL ON CONFLICT DO NOTHING`)
	if err != nil || tag.RowsAffected() == 1 {
		return err
	}
	var changed bool
	err = tx.QueryRow(ctx, `
		SELECT (system_identifier, timeline, database_oid) IS DISTINCT FROM (is_system, is_timeline, is_oid)
		FROM (`+identitySQL+`) i`).Scan(&changed)
	if err != nil {
		return err
	}
	if changed {
		return db.raise(ctx, tx, "the ledger stands in another database than the one it was written in")
	}
	db.fence.mu.Lock()
	known := db.fence.number
	db.fence.mu.Unlock()
	if known == 0 {
		return nil
	}
	var number int64
	err = tx.QueryRow(ctx, `SELECT coalesce((SELECT number FROM mark_number WHERE worker = $1), 0)`, db.fence.worker).Scan(&number)
	if err == nil && number < known {
		err = db.raise(ctx, tx, "the ledger has lost marks of a worker that is still running")
	}
	return err
}

// raise holds what is unfinished, and the releases to come. The ledger's identity becomes that of the database it
// is found in, so that this happens once.
func (db *DB) raise(ctx context.Context, tx pgx.Tx, reason string) error {
	_, err := tx.Exec(ctx, `
		UPDATE fence SET system_identifier = is_system, timeline = is_timeline, database_oid = is_oid,
			up = true, reason = $1, changed_at = clock_timestamp()
		FROM (`+identitySQL+`) i`, reason)
	if err != nil {
		return fmt.Errorf("raise the fence: %w", err)
	}
	rows, err := tx.Query(ctx, `
		UPDATE notice SET state = 'held', reason = $1, held_until = NULL
		WHERE state IN ('scheduled', 'sending', 'paused', 'held') RETURNING id`, notice.ReasonRestored)
	if err != nil {
		return fmt.Errorf("hold what is unfinished: %w", err)
	}
	held, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return fmt.Errorf("hold what is unfinished: %w", err)
	}
	for _, id := range held {
		if err := recordAct(ctx, tx, id, "tocsin", "hold", reason); err != nil {
			return err
		}
	}
	// Each process has its own count; what was lost is gone from the ledger, so counting starts from what it has.
	db.fence.mu.Lock()
	db.fence.number = 0
	db.fence.mu.Unlock()
	db.fence.logger.Error("the ledger was restored from a backup: unfinished notices and new releases are held; see notice unhold",
		slog.String("reason", reason), slog.Int("held", len(held)))
	return nil
}

// acknowledged notes the number of marks that a commit has brought this worker to.
func (f *fence) acknowledged(number int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.number = max(f.number, number)
}

// mayMark reports whether the mirrors were compared since this process began: before that nothing is known.
func (f *fence) mayMark() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.compared || len(f.mirrors) == 0
}

// CompareMarks compares the workers' mark numbers with the mirrors, raises the fence where the ledger has fewer,
// and puts back what a mirror lacks. A worker calls it at least every second; nothing is marked before the first
// comparison. A mirror that is away is an error; the others are compared all the same.
func (db *DB) CompareMarks(ctx context.Context) error {
	var ledger string
	if err := db.pool.QueryRow(ctx, `SELECT ledger FROM fence`).Scan(&ledger); err != nil {
		return fmt.Errorf("read the ledger's name: %w", err)
	}
	var errs []error
	for _, m := range db.fence.mirrors {
		errs = append(errs, db.compareMarks(ctx, ledger, m))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	db.fence.mu.Lock()
	db.fence.compared = true
	db.fence.mu.Unlock()
	return nil
}

func (db *DB) compareMarks(ctx context.Context, ledger string, m Mirror) error {
	// Outside first: what was kept there before is in the ledger by now, unless the ledger went back.
	outside, err := m.Marks(ctx, ledger)
	if err != nil {
		return fmt.Errorf("read the mirror of marks: %w", err)
	}
	inside := map[string]int64{}
	rows, err := db.pool.Query(ctx, `SELECT worker, number FROM mark_number`)
	if err != nil {
		return fmt.Errorf("read the numbers of marks: %w", err)
	}
	var worker string
	var number int64
	if _, err := pgx.ForEachRow(rows, []any{&worker, &number}, func() error { inside[worker] = number; return nil }); err != nil {
		return fmt.Errorf("read the numbers of marks: %w", err)
	}
	behind := map[string]int64{}
	for worker, number := range inside {
		if outside[worker] < number {
			behind[worker] = number
		}
	}
	lost := map[string]int64{}
	for worker, number := range outside {
		if inside[worker] < number {
			lost[worker] = number
		}
	}
	if len(lost) > 0 {
		if err := db.raiseForLost(ctx, lost); err != nil {
			return err
		}
	}
	if len(behind) == 0 {
		return nil
	}
	if err := m.KeepMarks(ctx, ledger, behind); err != nil {
		return fmt.Errorf("write the mirror of marks: %w", err)
	}
	return nil
}

// raiseForLost raises the fence and takes the numbers over, so that the same loss is not found again.
func (db *DB) raiseForLost(ctx context.Context, lost map[string]int64) error {
	return db.inTx(ctx, func(tx pgx.Tx) error {
		if err := db.raise(ctx, tx, "the ledger has fewer marks than its workers have made"); err != nil {
			return err
		}
		for worker, number := range lost {
			_, err := tx.Exec(ctx, `
				INSERT INTO mark_number (worker, number) VALUES ($1, $2)
				ON CONFLICT (worker) DO UPDATE SET number = greatest(mark_number.number, excluded.number)`, worker, number)
			if err != nil {
				return fmt.Errorf("take over the number of marks: %w", err)
			}
		}
		return nil
	})
}

// Unhold lets go of a notice that the fence holds: what it still owes is sent (send), or becomes uncertain, to be
// settled row by row once it is known what left before. With lift, releases are no longer held either.
func (db *DB) Unhold(ctx context.Context, id int64, send, lift bool, who string) error {
	// All of it must be there to become uncertain.
	for done := send; !done; {
		var err error
		if _, done, err = db.Expand(ctx, id); err != nil {
			return err
		}
	}
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		if !send {
			if _, err := tx.Exec(ctx, `SELECT id FROM chunk WHERE notice_id = $1 ORDER BY id FOR UPDATE`, id); err != nil {
				return fmt.Errorf("lock the chunks of notice %d: %w", id, err)
			}
		}
		var state notice.State
		var until *time.Time
		err := tx.QueryRow(ctx, `SELECT state, held_until FROM notice WHERE id = $1 FOR UPDATE`, id).Scan(&state, &until)
		if err != nil {
			return fmt.Errorf("lock notice %d: %w", id, err)
		}
		switch {
		case state != notice.Held:
			return notice.Conflict("notice %d is %s: nothing holds it", id, state)
		case until != nil:
			return notice.Conflict("notice %d is held until %s by a planned hold; what is due leaves then", id, until.Format(time.RFC3339))
		}
		return unhold(ctx, tx, id, send, lift, who)
	})
	if err != nil {
		return err
	}
	return db.Finish(ctx, id)
}

func unhold(ctx context.Context, tx pgx.Tx, id int64, send, lift bool, who string) error {
	what := "unhold and send"
	if !send {
		what = "unhold as uncertain"
		_, err := tx.Exec(ctx, `
			UPDATE delivery SET state = 5, at = clock_timestamp(), dot_by = clock_timestamp(), reason = $2,
				reply = 'whether it left before the ledger was restored is not known'
			WHERE notice_id = $1 AND state IN (0, 1, 3)`, id, notice.ReasonRestored)
		if err != nil {
			return fmt.Errorf("make uncertain what notice %d owes: %w", id, err)
		}
		rows, err := tx.Query(ctx, `SELECT id FROM chunk WHERE notice_id = $1 AND open`, id)
		if err != nil {
			return fmt.Errorf("list the chunks of notice %d: %w", id, err)
		}
		open, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil {
			return fmt.Errorf("list the chunks of notice %d: %w", id, err)
		}
		if err := recount(ctx, tx, open); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `
		UPDATE notice SET state = CASE WHEN send_at > clock_timestamp() THEN 'scheduled' ELSE 'sending' END, reason = '' WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("unhold notice %d: %w", id, err)
	}
	if lift {
		what += ", lift the fence"
		if _, err := tx.Exec(ctx, `UPDATE fence SET up = false, reason = '', changed_at = clock_timestamp()`); err != nil {
			return fmt.Errorf("lift the fence: %w", err)
		}
	}
	return recordAct(ctx, tx, id, who, what, "")
}
