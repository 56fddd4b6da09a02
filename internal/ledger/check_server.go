package ledger

import (
	"context"
	"io/fs"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
	"tocsin/migrations"
)

// How far the clocks of Postgres and of this machine may differ. Leases and due times go by Postgres' alone; mails
// are dated, and certificates judged, by this machine's.
const (
	clockWarning = 2 * time.Second
	clockError   = time.Minute
)

// server is how a Postgres is set up, with the rights of the user in it.
type server struct {
	Replica, ReadOnly  bool
	Fsync              string
	FullPageWrites     string
	SynchronousCommit  string // of this connection
	Encoding           string
	Now                time.Time
	MayCreate          bool // tables in the schema that is used
	MayIdentify        bool // the functions that the fence against restored backups asks
	Hidden             bool // the schema's version may not be read
	ahead, uncertainty time.Duration
	schema, want       int64    // versions; schema 0: no tables yet
	serves             bool     // a newer schema lets this program go on
	foreign            []string // tables that the user does not own
	lacking            []string // rights, such as "INSERT on delivery"
	replication        replication
	mayMonitor         bool // the states of standbys and the settings of replication
}

func askServer(ctx context.Context, conn *pgx.Conn) (s server, err error) {
	if s.want, err = schemaVersion(); err != nil {
		return s, err
	}
	asked := time.Now()
	var migrated bool
	err = conn.QueryRow(ctx, `
		SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', current_setting('fsync'), current_setting('full_page_writes'),
			current_setting('synchronous_commit'), current_setting('server_encoding'), clock_timestamp(),
			coalesce(has_schema_privilege(current_schema(), 'CREATE'), false),
			has_function_privilege('pg_control_system()', 'EXECUTE') AND has_function_privilege('pg_walfile_name(pg_lsn)', 'EXECUTE'),
			to_regclass('goose_db_version') IS NOT NULL, NOT coalesce(has_table_privilege(to_regclass('goose_db_version'), 'SELECT'), true)`).Scan(
		&s.Replica, &s.ReadOnly, &s.Fsync, &s.FullPageWrites, &s.SynchronousCommit, &s.Encoding, &s.Now, &s.MayCreate, &s.MayIdentify, &migrated, &s.Hidden)
	if err != nil {
		return s, err
	}
	s.uncertainty = time.Since(asked) / 2
	s.ahead = s.Now.Sub(asked.Add(s.uncertainty))
	if migrated && !s.Hidden {
		if s.schema, s.want, err = schemaVersions(ctx, conn); err != nil {
			return s, err
		}
		if s.schema > s.want {
			if s.serves, err = schemaServes(ctx, conn, s.want); err != nil {
				return s, err
			}
		}
	}
	if s.replication, err = askReplication(ctx, conn); err != nil {
		return s, err
	}
	if err := conn.QueryRow(ctx, `SELECT pg_has_role('pg_monitor', 'USAGE')`).Scan(&s.mayMonitor); err != nil {
		return s, err
	}
	tables, err := tableNames()
	if err != nil {
		return s, err
	}
	rows, _ := conn.Query(ctx, `
		SELECT c.relname::text, pg_has_role(c.relowner, 'USAGE'), array_remove(ARRAY[
			CASE WHEN NOT has_table_privilege(c.oid, 'SELECT') THEN 'SELECT' END,
			CASE WHEN NOT has_table_privilege(c.oid, 'INSERT') THEN 'INSERT' END,
			CASE WHEN NOT has_table_privilege(c.oid, 'UPDATE') THEN 'UPDATE' END,
			CASE WHEN NOT has_table_privilege(c.oid, 'DELETE') THEN 'DELETE' END], NULL)
		FROM unnest($1::text[]) name JOIN pg_class c ON c.oid = to_regclass(name) ORDER BY 1`, tables)
	var table string
	var owned bool
	var lacking []string
	_, err = pgx.ForEachRow(rows, []any{&table, &owned, &lacking}, func() error {
		if !owned {
			s.foreign = append(s.foreign, table)
		}
		if len(lacking) > 0 {
			s.lacking = append(s.lacking, strings.Join(lacking, ", ")+" on "+table)
		}
		return nil
	})
	return s, err
}

// tableNames lists the tables that the migrations make.
func tableNames() (names []string, err error) {
	files, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		return nil, err
	}
	for _, file := range files {
		text, err := fs.ReadFile(migrations.FS, file)
		if err != nil {
			return nil, err
		}
		for _, m := range regexp.MustCompile(`(?m)^CREATE TABLE (?:IF NOT EXISTS )?(\w+)`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	return names, nil
}

func (s server) judge(f *notice.Findings) {
	switch {
	case s.Replica:
		f.Error("name the primary in DATABASE_URL", "this server is a replica: nothing can be written")
	case s.ReadOnly:
		f.Error("ALTER ROLE or ALTER DATABASE … SET default_transaction_read_only = off", "transactions are read-only here")
	default:
		f.OK("it is a primary that can be written")
	}
	if s.Encoding != "UTF8" {
		f.Error("make a new database with ENCODING 'UTF8'", "the database is in %s: names and texts of other scripts can't be kept", s.Encoding)
	}
	s.judgeDurability(f)
	s.judgeStandbys(f)
	s.judgeSchema(f)
	s.judgeRights(f)
	s.judgeClock(f)
}

// judgeDurability: a mark that the server acknowledges and then forgets would be a second mail.
func (s server) judgeDurability(f *notice.Findings) {
	switch {
	case s.Fsync != "on" || s.FullPageWrites != "on":
		f.Error("set both to on in postgresql.conf and restart: a crash of the machine could otherwise send mails twice",
			"fsync is %s and full_page_writes is %s", s.Fsync, s.FullPageWrites)
	case s.SynchronousCommit != "on":
		f.Error("let the connection pooler in between pass on the startup parameter, or connect without one",
			"synchronous_commit is %s although the connection asks for on", s.SynchronousCommit)
	default:
		f.OK("commits are durable: fsync, full_page_writes and synchronous_commit are on")
	}
}

// judgeStandbys says whether a failover needs a hand. Nothing is wrong with a server that has no standby.
func (s server) judgeStandbys(f *notice.Findings) {
	names, there := s.replication.sure()
	switch {
	case strings.TrimSpace(s.replication.Setting) == "":
	case everyStandby(s.replication.Setting) == nil:
		f.Warning("name as many standbys as commits wait for, and each by its name: synchronous_standby_names = 'ANY 2 (b, c)'",
			"commits wait for some standbys only (%s): after a failover notices are held until a person has looked", s.replication.Setting)
	case !s.mayMonitor:
		f.Warning("GRANT pg_monitor TO this user", "the user can't see whether commits wait for a standby: after a failover notices are held until a person has looked")
	case there:
		f.OK("every commit waits for the standbys %s: a failover to one of them needs no hand", strings.Join(names, ", "))
	default:
		f.Warning("start it, give it the application_name that synchronous_standby_names has, and no other standby the same",
			"of the standbys that commits wait for (%s) not each is there once: after a failover notices may be held until a person has looked", s.replication.Setting)
	}
}

func (s server) judgeSchema(f *notice.Findings) {
	switch {
	case s.Hidden:
		f.Error("GRANT SELECT ON goose_db_version TO this user", "the user can't read the version of the schema")
	case s.schema == 0:
		f.Error("run `tocsin migrate`", "the tables are not there yet")
	case s.schema < s.want:
		f.Error("run `tocsin migrate`", "the schema is at version %d, this program needs %d", s.schema, s.want)
	case s.schema > s.want && s.serves:
		f.OK("the schema is at version %d, newer than this program's %d, which may go on with it", s.schema, s.want)
	case s.schema > s.want:
		f.Warning("replace this program by the newer one", "the schema is at version %d, newer than this program's %d", s.schema, s.want)
	default:
		f.OK("the schema is at version %d, this program's", s.schema)
	}
}

func (s server) judgeRights(f *notice.Findings) {
	if len(s.lacking) > 0 {
		f.Error("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO this user", "the user lacks rights that serve and work need: %s", strings.Join(s.lacking, "; "))
	}
	if !s.MayIdentify {
		f.Error("GRANT EXECUTE ON FUNCTION pg_control_system(), pg_walfile_name(pg_lsn) TO this user",
			"the user can't ask which server this is, by which a restored backup is recognised")
	}
	mayMigrate := s.MayCreate && len(s.foreign) == 0
	switch {
	case mayMigrate && len(s.lacking) == 0 && s.MayIdentify:
		f.OK("the user may do all that migrate, serve and work need")
	case mayMigrate:
	case s.schema < s.want && !s.Hidden:
		f.Error("run it as the owner of the database, or GRANT CREATE ON SCHEMA … TO this user", "the user can't run `tocsin migrate`, which is due")
	default:
		f.Warning("run `tocsin migrate` as the owner of the tables when a new version comes", "the user can't migrate: it may not create tables here, or owns not all of Tocsin's")
	}
}

func (s server) judgeClock(f *notice.Findings) {
	ahead := s.ahead.Round(time.Millisecond)
	direction := "ahead of"
	if ahead < 0 {
		direction = "behind"
	}
	const advice = "let both machines keep time by NTP (timedatectl says whether they do)"
	switch off := ahead.Abs() - s.uncertainty; {
	case off > clockError:
		f.Error(advice, "the clock of Postgres is %s %s this machine's", ahead.Abs(), direction)
	case off > clockWarning:
		f.Warning(advice, "the clock of Postgres is %s %s this machine's", ahead.Abs(), direction)
	default:
		f.OK("the clocks of Postgres and of this machine are %s apart", ahead.Abs())
	}
}
