package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tocsin/internal/notice"
)

// The fence: a ledger that was restored from a backup does not know the mails that left after it, and would send them
// again. It is recognised on every new connection, by the database that it stands in and by the number of marks
// that each worker has made. Then every unfinished notice is held, and every release after it, until an operator
// decides about them.

// Mirror keeps, outside of Postgres, how many marks each worker has made. Package queue keeps it in Redis.
type Mirror interface {
	// Marks returns the numbers by worker that are kept for a ledger.
	Marks(ctx context.Context, ledger string) (map[string]int64, error)
	// KeepMarks keeps numbers for a ledger, and leaves those of other workers.
	KeepMarks(ctx context.Context, ledger string, numbers map[string]int64) error
	// DropMarks forgets the numbers of workers that were pruned.
	DropMarks(ctx context.Context, ledger string, workers []string) error
}

// fence is the knowledge that one process has of it.
type fence struct {
	worker  string // the worker that marks in this process; "" = none
	mirrors []Mirror
	logger  *slog.Logger
	before  atomic.Int64 // marks that the worker had made when it was pruned, as far as it had to know

	mu       sync.Mutex
	known    map[string]int64 // marks by worker: this one's as acknowledged, the others' as last compared
	compared bool             // the mirrors were compared once
	ledger   string           // its name, once it was read
	met      *string          // synchronous_standby_names, as it was last read
	setting  *string          // as the note, and then all mirrors, were last compared with it
	timeline int64            // of a promoted server that was seen
	seen     time.Time        // when that was
}

// identitySQL compares the ledger with the database that it stands in. The timeline is that of the log being
// written: the control file's lags behind a promotion.
const identitySQL = `
	SELECT f.ledger, f.system_identifier, f.timeline, f.database_oid, f.standbys, f.noted_at, s.system_identifier::numeric AS is_system,
		('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::bigint AS is_timeline, d.oid::bigint AS is_oid
	FROM pg_control_system() s, pg_database d LEFT JOIN fence f ON true WHERE d.datname = current_database()`

// identifySQL notes the database that a new ledger stands in; a ledger that knows its own is left as it is.
const identifySQL = `
	INSERT INTO fence (system_identifier, timeline, database_oid)
	SELECT is_system, is_timeline, is_oid FROM (` + identitySQL + `) i WHERE ledger IS NULL ON CONFLICT DO NOTHING`

// checkTimeout bounds the check of a new connection, which the pool does not.
const checkTimeout = 5 * time.Second

// onConnect checks a new connection before anything else uses it.
func (db *DB) onConnect(ctx context.Context, conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := db.fit(ctx, conn); err != nil {
		return err
	}
	if standby, err := inRecovery(ctx, conn); err != nil || standby {
		return err // nothing can be written there; useable looks again when it is not one any more
	}
	raised, promoted := false, int64(0)
	err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) (err error) {
		raised, promoted, err = db.checkFence(ctx, tx)
		return err
	})
	if err == nil && promoted > 0 {
		raised, err = db.follow(ctx, conn, promoted)
	}
	if err == nil && raised {
		db.fence.forget()
	}
	if err == nil {
		_ = db.compareSchema(ctx, conn) // it says so itself; Ready and the sweep do too
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "42P01" {
		return nil // no such table: the schema is older than the fence, and Ready says so
	}
	return wrap(err, "check that the ledger is not a restored one")
}

// checkFence raises the fence where the ledger has gone back. promoted is the timeline of a server for which that is still to be
// decided; 0: it is no such one.
func (db *DB) checkFence(ctx context.Context, tx pgx.Tx) (raised bool, promoted int64, err error) {
	tag, err := tx.Exec(ctx, identifySQL)
	if err != nil || tag.RowsAffected() == 1 {
		return false, 0, err
	}
	i, err := askIdentity(ctx, tx)
	if err != nil {
		return false, 0, err
	}
	if i.Changed && i.mayFollow() {
		return false, i.Timeline, nil
	}
	if i.Changed {
		return true, 0, db.raise(ctx, tx, "the ledger stands in another database than the one it was written in", nil)
	}
	known := db.fence.remembered()
	if len(known) == 0 {
		return false, 0, nil
	}
	inside, err := markNumbers(ctx, tx)
	if err != nil {
		return false, 0, err
	}
	if missing, _, err := lost(ctx, tx, inside, known); err != nil || len(missing) == 0 {
		return false, 0, err
	}
	return true, 0, db.raise(ctx, tx, "the ledger has lost marks that this process knows of", known)
}

// beyond returns the numbers that are above those which are had, by worker.
func beyond(had, numbers map[string]int64) map[string]int64 {
	more := map[string]int64{}
	for worker, number := range numbers {
		if had[worker] < number {
			more[worker] = number
		}
	}
	return more
}

// markNumbers returns how many marks the ledger knows of each worker.
func markNumbers(ctx context.Context, q querier) (map[string]int64, error) {
	numbers := map[string]int64{}
	rows, _ := q.Query(ctx, `SELECT m.worker, m.number + coalesce(p.number, 0) FROM mark_number m
		LEFT JOIN LATERAL (SELECT number FROM mark_pruned WHERE worker = m.worker OFFSET 0) p ON true`)
	var worker string
	var number int64
	_, err := pgx.ForEachRow(rows, []any{&worker, &number}, func() error { numbers[worker] = number; return nil })
	return numbers, wrap(err, "read the numbers of marks")
}

// raise holds unfinished notices, and the releases to come. The ledger's identity becomes that of the database it
// is found in, and numbers of marks that it lacks are noted: the same loss is not found again, after an operator has let
// go of the notices.
func (db *DB) raise(ctx context.Context, tx pgx.Tx, reason string, numbers map[string]int64) error {
	_, err := tx.Exec(ctx, `
		UPDATE fence SET system_identifier = is_system, timeline = is_timeline, database_oid = is_oid, standbys = '{}',
			up = true, reason = $1, changed_at = clock_timestamp()
		FROM (`+identitySQL+`) i`, reason)
	if err != nil {
		return fmt.Errorf("raise the fence: %w", err)
	}
	if _, err := tx.Exec(ctx, `
		SELECT id FROM notice WHERE state IN ('scheduled', 'sending', 'paused', 'held') ORDER BY id FOR NO KEY UPDATE`); err != nil {
		return fmt.Errorf("lock what is unfinished: %w", err)
	}
	held, err := collect[int64](ctx, tx, `
		UPDATE notice SET state = 'held', reason = $1, held_until = NULL, brake = NULL, brake_since = NULL
		WHERE state IN ('scheduled', 'sending', 'paused', 'held') RETURNING id`, notice.ReasonRestored)
	if err != nil {
		return fmt.Errorf("hold what is unfinished: %w", err)
	}
	for _, id := range held {
		if err := recordAct(ctx, tx, id, "tocsin", "hold", reason); err != nil {
			return err
		}
	}
	for worker, number := range numbers {
		_, err := tx.Exec(ctx, `
			INSERT INTO mark_number (worker, number) VALUES ($1, $2)
			ON CONFLICT (worker) DO UPDATE SET number = greatest(mark_number.number, excluded.number)`, worker, number)
		if err != nil {
			return fmt.Errorf("take over the number of marks: %w", err)
		}
	}
	db.fence.logger.Error("the ledger was restored from a backup: unfinished notices and new releases are held; see notice unhold",
		slog.String("reason", reason), slog.Int("held", len(held)))
	return nil
}

// acknowledged notes the number of marks that a commit has brought this worker to; 0 says nothing.
func (f *fence) acknowledged(number int64) {
	if number > 0 {
		f.remember(map[string]int64{f.worker: number})
	}
}

// errLost says that a commit came back with fewer marks than were made before it: no dot of it may be written.
var errLost = errors.New("the ledger has lost marks of this worker")

// lostOwn raises the fence after errLost.
func (db *DB) lostOwn(ctx context.Context) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error { return db.raise(ctx, tx, errLost.Error(), db.fence.remembered()) })
	if err == nil {
		db.fence.forget()
	}
	return err
}

// remember notes numbers that the ledger had: it must never have fewer.
func (f *fence) remember(numbers map[string]int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.known == nil {
		f.known = map[string]int64{}
	}
	for worker, n := range numbers {
		f.known[worker] = max(f.known[worker], n)
	}
}

func (f *fence) remembered() map[string]int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.known)
}

// forget begins anew with the numbers of the ledger, once it is known for a restored one: the others are lost.
func (f *fence) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.known = nil
}

// mayMark reports whether the mirrors were compared since this process began: before that nothing is known.
func (f *fence) mayMark() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.compared || len(f.mirrors) == 0
}

// CompareMarks brings the note of standbys up to date, and compares the workers' mark numbers with the mirrors. It raises the fence
// where the ledger has fewer, and completes a mirror. A worker calls it at least every second; nothing is marked before the first
// comparison. A mirror that is away is an error; the others are compared all the same.
func (db *DB) CompareMarks(ctx context.Context) error {
	ledger, setting, err := db.readFence(ctx)
	if err != nil {
		db.tellOwn(ctx)
		return err
	}
	var errs []error
	for _, m := range db.fence.mirrors {
		errs = append(errs, db.compareMarks(ctx, ledger, m))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	db.fence.mu.Lock()
	db.fence.compared, db.fence.setting = true, &setting
	db.fence.mu.Unlock()
	return nil
}

// readFence reads the ledger's name, and brings the note of standbys up to date. It waits for a bounded time: the mirrors are to
// hear of this process's marks also where Postgres answers nothing.
func (db *DB) readFence(ctx context.Context) (ledger, setting string, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := db.pool.QueryRow(ctx, `SELECT ledger FROM fence`).Scan(&ledger); err != nil {
		return "", "", fmt.Errorf("read the ledger's name: %w", err)
	}
	db.fence.mu.Lock()
	db.fence.ledger = ledger
	db.fence.mu.Unlock()
	setting, err = db.noteStandbys(ctx)
	return ledger, setting, err
}

func (db *DB) compareMarks(ctx context.Context, ledger string, m Mirror) error {
	// Outside first: those numbers are in the ledger by now, unless the ledger went back.
	outside, err := m.Marks(ctx, ledger)
	if err != nil {
		return fmt.Errorf("read the mirror of marks: %w", err)
	}
	inside, err := markNumbers(ctx, db.pool)
	if err != nil {
		return err
	}
	missing, pruned, err := lost(ctx, db.pool, inside, outside)
	if err != nil {
		return err
	}
	if len(missing) > 0 {
		err := db.inTx(ctx, func(tx pgx.Tx) error {
			return db.raise(ctx, tx, "the ledger has fewer marks than its workers have made", missing)
		})
		if err != nil {
			return err
		}
		db.fence.forget()
	} else {
		db.fence.remember(inside)
	}
	if behind := beyond(outside, inside); len(behind) > 0 {
		if err := m.KeepMarks(ctx, ledger, behind); err != nil {
			return fmt.Errorf("write the mirror of marks: %w", err)
		}
	}
	// Not before their sum is in the mirror: a ledger that lacks them lacks a part of that.
	if len(pruned) == 0 {
		return nil
	}
	return wrap(m.DropMarks(ctx, ledger, pruned), "drop pruned workers from the mirror of marks")
}

// Unhold lets go of a notice that the fence holds: its owed deliveries are sent (send), or become uncertain, to be
// settled row by row once it is known which left before. With lift, releases are no longer held either.
func (db *DB) Unhold(ctx context.Context, id int64, send, lift bool, who string) error {
	err := db.inTx(ctx, func(tx pgx.Tx) error {
		// The fence before any notice, as raise and release lock them.
		if _, err := tx.Exec(ctx, `SELECT 1 FROM fence FOR UPDATE`); err != nil {
			return fmt.Errorf("lock the fence: %w", err)
		}
		if !send {
			// Those of its incident too, in their order: it may begin.
			if _, err := tx.Exec(ctx, `
				SELECT id FROM chunk WHERE notice_id IN (SELECT o.id FROM notice o JOIN notice n ON n.id = $1 AND o.incident_id = n.incident_id)
				ORDER BY id FOR UPDATE`, id); err != nil {
				return fmt.Errorf("lock the chunks of notice %d: %w", id, err)
			}
		}
		n, err := readNotice(ctx, tx, id, "FOR NO KEY UPDATE OF n")
		switch {
		case err != nil:
			return err
		case n.State != notice.Held:
			return notice.Conflict("notice %d is %s: nothing holds it", id, n.State)
		case n.HeldUntil != nil:
			return notice.Conflict("notice %d is held by a hold, see `tocsin hold list`; what is due leaves when it ends or is removed", id)
		case n.braked():
			return notice.Conflict("notice %d is held since a relay refuses everybody: mend that, and go on with resume", id)
		case notice.AtCanary(n.State, n.Reason):
			return notice.Conflict("notice %d is held after its canary: look at those mails, and go on with resume", id)
		case !n.Planned && !send:
			return notice.Conflict("notice %d had not left when the backup was made, and whom it may have gone to since is not known: cancel it, or send it if it did not leave", id)
		}
		return db.unhold(ctx, tx, id, send, lift, who)
	})
	if err != nil {
		return err
	}
	return db.Finish(ctx, id)
}

func (db *DB) unhold(ctx context.Context, tx pgx.Tx, id int64, send, lift bool, who string) error {
	what := "unhold and send"
	if !send {
		what = "unhold as uncertain"
		if err := doubt(ctx, tx, id); err != nil {
			return err
		}
	}
	_, err := tx.Exec(ctx, `
		UPDATE notice SET state = `+goesOn+`, reason = '' WHERE id = $1`, id)
	if err != nil {
		return fmt.Errorf("unhold notice %d: %w", id, err)
	}
	if err := db.begin(ctx, tx, id); err != nil {
		return err
	}
	if lift {
		what += ", lift the fence"
		if _, err := tx.Exec(ctx, `UPDATE fence SET up = false, reason = '', changed_at = clock_timestamp()`); err != nil {
			return fmt.Errorf("lift the fence: %w", err)
		}
	}
	return recordAct(ctx, tx, id, who, what, "")
}

// doubt makes uncertain the owed deliveries of a notice, under the locks of all its chunks. A lease of before the backup may still run
// in a worker: it ends, and gives no mark any more.
func doubt(ctx context.Context, tx pgx.Tx, id int64) error {
	chunks, err := collect[int64](ctx, tx, named(`
		WITH owed AS (
			SELECT c.id, d.seq, d.epoch, d.tries FROM (SELECT id FROM chunk WHERE notice_id = $1 AND open OFFSET 0) c
			CROSS JOIN LATERAL (SELECT seq, epoch, tries, state FROM delivery WHERE chunk_id = c.id OFFSET 0) d
			WHERE d.state IN ({queued}, {sending}, {deferred})
		), doubted AS (
			INSERT INTO outcome (notice_id, seq, state, tries, epoch, unresolved, reason, reply)
			SELECT $1, seq, {uncertain}, tries, epoch, -1, $2, 'whether it left before the ledger was restored is not known' FROM owed
			ON CONFLICT (notice_id, seq) DO UPDATE SET state = {uncertain}, tries = excluded.tries, epoch = excluded.epoch, unresolved = -1, due_at = NULL,
				at = clock_timestamp(), reason = excluded.reason, reply = excluded.reply
			RETURNING 1
		)
		UPDATE chunk c SET stopped = c.stopped | x.bits, stopped_at = clock_timestamp(), lease_until = NULL, holder = ''
		FROM (SELECT k.id, bit_or(set_bit(k.dots & ~k.dots, o.seq - k.lo, 1))::varbit AS bits FROM owed o JOIN chunk k ON k.id = o.id GROUP BY k.id) x
		WHERE c.id = x.id RETURNING c.id`), id, notice.ReasonRestored)
	if err != nil {
		return fmt.Errorf("make uncertain what notice %d owes: %w", id, err)
	}
	return recount(ctx, tx, chunks)
}
