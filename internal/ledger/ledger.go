// Package ledger keeps in Postgres which mails are owed, and their fate; every SQL statement of Tocsin stands here.
//
// The delivery protocol is that of docs/guarantees.md. Two of its rules hold for all code in this package. Each change of
// a delivery first locks its chunk row in a statement of its own, by ids ascending. The lease holder locks it FOR NO KEY
// UPDATE, or FOR KEY SHARE where it changes no bit; everybody else, for a claim too, FOR UPDATE. And time is the
// database's clock_timestamp(). A notice that begins locks its row and then the chunks of earlier ones: so nobody who has
// chunks of several notices waits for the row of one that may begin. A notice row is locked FOR NO KEY UPDATE: an insert
// may hold a key lock on it already, with which FOR UPDATE would make a deadlock of two.
//
// The error of a query is that of its rows too, so that code which reads them all at once asks for it there.
package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"tocsin/internal/notice"
)

// Options are the times of the protocol, on the database's clock; zero means the default.
type Options struct {
	Lease    time.Duration // L, how long a claim lasts unless it is renewed; 60 s
	DotGrace time.Duration // G, how long after its mark a dot may be written; a third of the lease
	Gate     time.Duration // B, after dot_by, before which nothing uncertain is requeued; 15 min
	OwnRows  int           // a plan that is expected to have so many recipients has tables of its own; 100,000
	MaxConns int32         // connections to Postgres; 8, and 2 at least: planning takes two

	Worker  string        // the worker that marks in this process; empty where none does
	Process string        // its name among the processes that are alive, which no earlier one had
	OnlyTo  notice.OnlyTo // mailboxes that this process sends to alone
	Mirrors []Mirror      // of the marks that workers made, outside of Postgres
	Logger  *slog.Logger  // nil: nothing is logged
}

func (o Options) withDefaults() Options {
	o.Lease = cmp.Or(o.Lease, 60*time.Second)
	o.DotGrace = cmp.Or(o.DotGrace, o.Lease/3)
	o.Gate = cmp.Or(o.Gate, 15*time.Minute)
	o.OwnRows = cmp.Or(o.OwnRows, ownRows)
	o.MaxConns = max(2, cmp.Or(o.MaxConns, 8))
	o.Logger = cmp.Or(o.Logger, slog.New(slog.DiscardHandler))
	return o
}

// DB is the ledger.
type DB struct {
	pool  *pgxpool.Pool
	marks *pgxpool.Pool // for marks and outcomes: a worker's claims and sweeps never take its connection
	opts  Options
	fence *fence
	runs  runs
	// planners are those who plan now: each has two connections, and some are to be free for others.
	planners chan struct{}
	schema   int64 // the version of the schema that this program knows
	// foreign: the schema does not serve programs of this version. suspended: Suspend said so.
	foreign, suspended atomic.Bool
	disagree           atomic.Pointer[string] // as of the last Agree
}

// Open returns the ledger at a Postgres URL. It does not connect: Postgres may be away, now or later,
// and each call then fails until it is back.
func Open(ctx context.Context, url string, opts Options) (*DB, error) {
	opts = opts.withDefaults()
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("read the Postgres URL: %w", err)
	}
	cfg.MaxConns = opts.MaxConns
	cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	cfg.PingTimeout = checkTimeout // of a connection that has rested: its line may carry nothing any more
	if params := cfg.ConnConfig.RuntimeParams; params["application_name"] == "" {
		params["application_name"] = "tocsin"
	}
	cfg.ConnConfig.OnNotice = noteUnsynced
	schema, err := schemaVersion()
	if err != nil {
		return nil, err
	}
	db := &DB{opts: opts, schema: schema, planners: make(chan struct{}, max(1, cfg.MaxConns/4)), fence: &fence{worker: opts.Worker, mirrors: opts.Mirrors, logger: opts.Logger}}
	cfg.AfterConnect, cfg.PrepareConn = db.onConnect, useable
	if db.pool, err = pgxpool.NewWithConfig(ctx, cfg); err != nil {
		return nil, fmt.Errorf("open the ledger: %w", err)
	}
	if db.marks = db.pool; opts.Worker != "" {
		one := cfg.Copy()
		one.MaxConns = 1
		if db.marks, err = pgxpool.NewWithConfig(ctx, one); err != nil {
			db.pool.Close()
			return nil, fmt.Errorf("open the ledger: %w", err)
		}
	}
	return db, nil
}

// Suspend has this process claim and mark nothing, or lets it again: another server that it needs can't be used as it is
// set up.
func (db *DB) Suspend(yes bool) { db.suspended.Store(yes) }

// mayWork reports whether this process may claim and mark.
func (db *DB) mayWork() bool {
	return !db.foreign.Load() && !db.suspended.Load() && db.disagreement() == ""
}

// Close ends all connections.
func (db *DB) Close() {
	db.marks.Close()
	db.pool.Close()
}

// Lease and DotGrace are the L and G that the ledger works with.
func (db *DB) Lease() time.Duration { return db.opts.Lease }

// DotGrace is how long after its mark a dot may be written.
func (db *DB) DotGrace() time.Duration { return db.opts.DotGrace }

// inTx runs f in one transaction.
func (db *DB) inTx(ctx context.Context, f func(pgx.Tx) error) error {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if err := pgx.BeginFunc(ctx, conn, f); err != nil {
		return err
	}
	return synced(conn.Conn())
}

// txTries is how often a transaction is tried where Postgres ends it since two waited for each other.
const txTries = 3

// inTxAnew is inTx for a transaction that holds chunks and then waits for its notice. An amendment does it the other way round, so
// Postgres may end one of the two. That one is tried again: f starts from nothing each time.
func (db *DB) inTxAnew(ctx context.Context, f func(pgx.Tx) error) (err error) {
	for range txTries {
		if err = db.inTx(ctx, f); !deadlocked(err) {
			break
		}
	}
	return err
}

// deadlocked reports whether Postgres ended a transaction because two waited for each other.
func deadlocked(err error) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == "40P01"
}

// exec executes a statement; does names its purpose, for an error.
func exec(ctx context.Context, tx pgx.Tx, does, sql string, args ...any) error {
	_, err := tx.Exec(ctx, sql, args...)
	return wrap(err, "%s", does)
}

// wrap adds to an error, if it is one, the act that failed.
func wrap(err error, does string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(does, args...), err)
}
