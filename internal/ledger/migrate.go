package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // goose speaks database/sql
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"tocsin/internal/notice"
	"tocsin/migrations"
)

// Ready reports why the ledger can't be used now. Postgres is away, or the settings only_to of the workers differ. Or, as a
// notice.Unready, it is a standby, too old, behind a pooler that does not fit, or its schema is not this version's.
func (db *DB) Ready(ctx context.Context) error {
	err := checkSchema(ctx, db.pool)
	if errors.Is(err, errSchema) {
		return notice.Unready(err.Error())
	}
	var standby bool
	if err == nil {
		err = db.pool.QueryRow(ctx, `SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'`).Scan(&standby)
	}
	if e, ok := errors.AsType[*pgconn.PgError](err); standby || ok && e.Code == "25006" {
		return notice.Unready("Postgres can only be read: it is a standby, or its transactions are read-only")
	}
	if who := db.disagreement(); who != "" && err == nil {
		return notice.Unready("the settings only_to of the workers differ: " + who)
	}
	return err
}

// checkSchema compares the schema's version with this program's. Later ones say whether this program may go on.
func checkSchema(ctx context.Context, q querier) error {
	have, want, err := schemaVersions(ctx, q)
	if e, ok := errors.AsType[*pgconn.PgError](err); ok && e.Code == "42P01" { // there is no such table
		return fmt.Errorf("%w: the database is not migrated: run `tocsin migrate`", errSchema)
	}
	if err != nil {
		return err
	}
	if have < want {
		return fmt.Errorf("%w: the schema is at version %d and this program needs %d: run `tocsin migrate`", errSchema, have, want)
	}
	if have > want {
		serves, err := schemaServes(ctx, q, want)
		if err != nil {
			return err
		}
		if !serves {
			return fmt.Errorf("%w: the schema is at version %d and this program knows %d: start the newer version of Tocsin", errSchema, have, want)
		}
	}
	return nil
}

// schemaVersions returns the version that the schema has, 0 for one without tables, and that of this program.
func schemaVersions(ctx context.Context, q querier) (have, want int64, err error) {
	if err := q.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&have); err != nil {
		return 0, 0, fmt.Errorf("ask for the schema's version (has `tocsin migrate` run?): %w", err)
	}
	want, err = schemaVersion()
	return have, want, err
}

// schemaServes asks whether programs of a version may work on the schema.
func schemaServes(ctx context.Context, q querier, version int64) (serves bool, err error) {
	if err := q.QueryRow(ctx, `SELECT `+servesSQL("$1"), version).Scan(&serves); err != nil {
		return false, fmt.Errorf("ask which programs the schema serves: %w", err)
	}
	return serves, nil
}

// servesSQL is whether programs of the version that a parameter names may work on the schema.
func servesSQL(version string) string {
	return `EXISTS (SELECT FROM schema_serves WHERE ` + version + `::bigint BETWEEN oldest AND version
		AND version = (SELECT max(version_id) FROM goose_db_version WHERE is_applied))`
}

// errSchema says that this program and the schema can't work together.
var errSchema = errors.New("nothing is marked")

// compareSchema has this process mark nothing on a schema of another version, from a new connection or a sweep on.
func (db *DB) compareSchema(ctx context.Context, q querier) error {
	err := checkSchema(ctx, q)
	foreign := errors.Is(err, errSchema)
	if db.foreign.Swap(foreign) != foreign && foreign {
		db.opts.Logger.Error("the ledger is of another version than this program", slog.Any("error", err))
	}
	return err
}

// leasesEnd is how long a migration waits for the leases of workers that were stopped.
const leasesEnd = 2 * time.Minute

// Migrate brings the schema at a Postgres URL to this program's version. Several may run at once: they take turns. It
// waits for the leases of workers that were stopped; where one is still held after that, nothing is changed.
func Migrate(ctx context.Context, url string) (applied int, err error) {
	conn, err := sql.Open("pgx", url)
	if err != nil {
		return 0, fmt.Errorf("open Postgres: %w", err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return 0, fmt.Errorf("make the migration lock: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectPostgres, conn, migrations.FS, goose.WithSessionLocker(locker))
	if err != nil {
		return 0, fmt.Errorf("read the migrations: %w", err)
	}
	var done []*goose.MigrationResult
	for until := time.Now().Add(leasesEnd); ; {
		results, err := p.Up(ctx)
		done = append(done, results...)
		if err == nil {
			break
		}
		if held, ok := errors.AsType[*pgconn.PgError](err); !ok || held.Code != leaseHeld || time.Now().After(until) {
			return len(done), fmt.Errorf("migrate: %w", err)
		}
		if err := sleep(ctx, time.Second); err != nil {
			return len(done), err
		}
	}
	// Processes that connected before the tables were there have not done this.
	if _, err := conn.ExecContext(ctx, identifySQL); err != nil {
		return len(done), fmt.Errorf("note the database that the ledger stands in: %w", err)
	}
	return len(done), nil
}

// leaseHeld is the SQLSTATE with which a migration refuses while a worker holds a lease.
const leaseHeld = "55006"

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

func schemaVersion() (int64, error) {
	entries, err := migrations.FS.ReadDir(".")
	if err != nil {
		return 0, fmt.Errorf("list the migrations: %w", err)
	}
	var last int64
	for _, e := range entries {
		if v, err := goose.NumericComponent(e.Name()); err == nil {
			last = max(last, v)
		}
	}
	return last, nil
}
