package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// session holds the settings of every connection of Tocsin. They are set once it stands: a pooler refuses, or drops, startup
// parameters that it does not know.
var session = map[string]string{
	// A mark that the server acknowledges and then forgets would be a second mail.
	"synchronous_commit": "on",
	// Statements here touch few rows through indexes; compiling one costs more than running it.
	"jit": "off",
	// A plan that was made while a table was empty reads all of it once it is full.
	"enable_seqscan": "off",
	"timezone":       "UTC",
	// Ends the locks of a process that can't be heard any more: its connection may seem to stand for hours. Of planning, which is
	// the longest, one of its two connections is idle for seconds.
	"idle_in_transaction_session_timeout": "2min",
}

// planOnce has each statement planned once a connection: a worker repeats a dozen of them, by keys, and planning them
// costs as much as running them. Such a plan outlives the sizes that it was made for, so it only follows indexes.
var planOnce = map[string]string{"plan_cache_mode": "force_generic_plan", "enable_hashjoin": "off", "enable_mergejoin": "off"}

// simply has a statement sent as a text: one that is prepared may be gone with the next one, behind a pooler.
const simply = pgx.QueryExecModeSimpleProtocol

// fit sets up a new connection, and returns a notice.Unready where the ledger can't be kept over it.
func (db *DB) fit(ctx context.Context, conn *pgx.Conn) error {
	if version := conn.PgConn().ParameterStatus("server_version"); tooOld(version) {
		return notice.Unready(fmt.Sprintf("Postgres %s is too old: upgrade it to %d or newer", version, leastVersion))
	}
	if err := refusePooling(ctx, conn); err != nil {
		return err
	}
	settings := maps.Clone(session)
	if db.opts.Worker != "" {
		maps.Copy(settings, planOnce)
	}
	return setSession(ctx, conn, settings)
}

// tooOld reports whether a version such as "14.2 (Debian 14.2-1)" is below the least.
func tooOld(version string) bool {
	major, err := majorVersion(version)
	return err == nil && major < leastVersion
}

func setSession(ctx context.Context, conn *pgx.Conn, settings map[string]string) error {
	var set []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		set = append(set, fmt.Sprintf("set_config('%s', '%s', false)", name, settings[name]))
	}
	if _, err := conn.Exec(ctx, `SELECT `+strings.Join(set, ", "), simply); err != nil {
		return fmt.Errorf("set up a session: %w", err)
	}
	var durable string
	if err := conn.QueryRow(ctx, `SELECT current_setting('synchronous_commit')`, simply).Scan(&durable); err != nil {
		return fmt.Errorf("read a session's settings: %w", err)
	}
	if durable != session["synchronous_commit"] {
		return notice.Unready("synchronous_commit is " + durable + " although it was set to on: connect without the pooler in between, or let it pool by session")
	}
	return nil
}

// refusePooling returns a notice.Unready behind a pooler that lends its connections for a transaction at a time: the settings of a
// session, and locks, would be another client's. A server tells its clients the number of its process; a pooler tells another.
func refusePooling(ctx context.Context, conn *pgx.Conn) error {
	pid, err := serverPID(ctx, conn)
	if err != nil || pid == conn.PgConn().PID() {
		return err
	}
	// The first one has no transaction open: where it keeps its server connection all the same, the second one gets another.
	other, err := pgx.ConnectConfig(ctx, conn.Config())
	if err != nil {
		return nil // the pooler has none to spare, as the first one keeps its own
	}
	defer other.Close(context.WithoutCancel(ctx))
	if _, err := other.Exec(ctx, `BEGIN`, simply); err != nil {
		return fmt.Errorf("ask a pooler how it pools: %w", err)
	}
	second, err := serverPID(ctx, other)
	if err != nil {
		return err
	}
	again, err := serverPID(ctx, conn)
	if err != nil {
		return err
	}
	if second == pid || again != pid {
		return notice.Unready("a pooler in between lends its connections for a transaction at a time: let it pool by session (pool_mode = session), or connect without it")
	}
	return nil
}

func serverPID(ctx context.Context, conn *pgx.Conn) (pid uint32, err error) {
	err = conn.QueryRow(ctx, `SELECT pg_backend_pid()`, simply).Scan(&pid)
	return pid, wrap(err, "ask for the server's process")
}
