package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pair is a Postgres primary with a standby that streams from it, made with Postgres' own programs.
type Pair struct {
	URL string // of both: clients reach the one that can be written

	home    *home
	program program
	members [2]*member
	primary int // which of them is
}

type member struct {
	*daemon
	name, dir string
	port      int
}

// StartPair returns a primary "a" with a standby "b". Their commits survive a crash of Postgres, not one of the
// machine. The error is ErrUnavailable where Postgres is not installed.
func StartPair(ctx context.Context, dir string) (p *Pair, err error) {
	m, want := thisMachine(), plan{wantPostgres: true}
	if lacking, old := want.look(ctx, m); len(lacking) > 0 {
		return nil, unavailable(lacking, old, nil)
	}
	if dir != "" {
		m.temp = append([]string{dir}, m.temp...)
	}
	home, err := newHome(m)
	if err != nil {
		return nil, err
	}
	p = &Pair{home: home, program: want.postgres}
	if err := p.set(ctx); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Pair) set(ctx context.Context) error {
	for i, name := range []string{"a", "b"} {
		p.members[i] = p.member(name, 5432+i)
	}
	p.URL = fmt.Sprintf("postgres://tocsin@/postgres?host=%s,%[1]s&port=5432,5433&sslmode=disable&target_session_attrs=read-write", p.home.dir)
	if err := p.home.initPostgres(p.program, true); err != nil {
		return err
	}
	a, b := p.members[0], p.members[1]
	if err := os.Rename(filepath.Join(p.home.dir, "data"), a.dir); err != nil {
		return err
	}
	if err := a.start(ctx); err != nil {
		return err
	}
	backup := p.home.command(p.tool("pg_basebackup"), "-D", b.dir, "-R", "-X", "stream", "-c", "fast", "--no-sync", "-d", p.conninfo(a, b))
	if out, err := backup.CombinedOutput(); err != nil {
		return fmt.Errorf("copy a Postgres: %w\n%s", err, tail(out))
	}
	if err := appendTo(filepath.Join(b.dir, "postgresql.conf"), "port = 5433\n"); err != nil {
		return err
	}
	if err := b.start(ctx); err != nil {
		return err
	}
	return p.await(ctx, `SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming')`)
}

func (p *Pair) member(name string, port int) *member {
	m := &member{name: name, dir: filepath.Join(p.home.dir, name), port: port}
	m.daemon = &daemon{
		home: p.home, name: "postgres-" + name, argv: []string{p.program.path, "-D", m.dir}, polite: syscall.SIGINT, headlong: syscall.SIGQUIT,
		answers: func(ctx context.Context) error { return pingPostgres(ctx, p.urlOf(m)) },
	}
	return m
}

func (p *Pair) urlOf(m *member) string {
	return fmt.Sprintf("postgres://tocsin@/postgres?host=%s&port=%d&sslmode=disable", p.home.dir, m.port)
}

func (p *Pair) conninfo(from, to *member) string {
	return fmt.Sprintf("host=%s port=%d user=tocsin application_name=%s", p.home.dir, from.port, to.name)
}

func (p *Pair) tool(name string) string { return filepath.Join(filepath.Dir(p.program.path), name) }

// StandbyURL is that of the standby, which can be read.
func (p *Pair) StandbyURL() string { return p.urlOf(p.members[1-p.primary]) }

// Do has the primary execute statements, each by itself.
func (p *Pair) Do(ctx context.Context, statements ...string) error {
	conn, err := pgx.Connect(ctx, p.urlOf(p.members[p.primary]))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range statements {
		if _, err := conn.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// await waits until the primary answers a question with yes.
func (p *Pair) await(ctx context.Context, question string) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	conn, err := pgx.Connect(ctx, p.urlOf(p.members[p.primary]))
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var yes bool
		if err := conn.QueryRow(ctx, question).Scan(&yes); err != nil || yes {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", question, ctx.Err())
		case <-tick.C:
		}
	}
}

// WaitFor has every commit wait for the standby, or for none, and returns once that is so.
func (p *Pair) WaitFor(ctx context.Context, standby bool) error {
	name, question := "", `SELECT NOT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')`
	if standby {
		name, question = p.members[1-p.primary].name, `SELECT EXISTS (SELECT FROM pg_stat_replication WHERE sync_state = 'sync')`
	}
	if err := p.Do(ctx, `ALTER SYSTEM SET synchronous_standby_names = '`+name+`'`, `SELECT pg_reload_conf()`); err != nil {
		return err
	}
	return p.await(ctx, question)
}

// CutOff keeps the standby from following the primary; the standby keeps the data that it has.
func (p *Pair) CutOff(ctx context.Context) error {
	hba := filepath.Join(p.members[p.primary].dir, "pg_hba.conf")
	if err := os.WriteFile(hba, []byte("local postgres all trust\n"), 0o600); err != nil {
		return err
	}
	if err := p.Do(ctx, `SELECT pg_reload_conf()`, `SELECT pg_terminate_backend(pid) FROM pg_stat_replication`); err != nil {
		return err
	}
	return p.await(ctx, `SELECT NOT EXISTS (SELECT FROM pg_stat_replication)`)
}

// Kill has the primary crash.
func (p *Pair) Kill() error { return p.members[p.primary].stop(context.Background(), true) }

// Stop shuts the primary down, as for a planned switchover.
func (p *Pair) Stop() error { return p.members[p.primary].stop(context.Background(), false) }

// Promote makes a primary of the standby.
func (p *Pair) Promote() error {
	p.primary = 1 - p.primary
	promote := p.home.command(p.tool("pg_ctl"), "promote", "-w", "-D", p.members[p.primary].dir)
	if out, err := promote.CombinedOutput(); err != nil {
		return fmt.Errorf("promote a standby: %w\n%s", err, tail(out))
	}
	return nil
}

// Rejoin starts the former primary, which was stopped, as the standby of the new one.
func (p *Pair) Rejoin(ctx context.Context) error {
	now, was := p.members[p.primary], p.members[1-p.primary]
	if err := os.WriteFile(filepath.Join(was.dir, "standby.signal"), nil, 0o600); err != nil {
		return err
	}
	conf := fmt.Sprintf("primary_conninfo = '%s'\nsynchronous_standby_names = ''\n", p.conninfo(now, was))
	if err := appendTo(filepath.Join(was.dir, "postgresql.auto.conf"), conf); err != nil {
		return err
	}
	if err := was.start(ctx); err != nil {
		return err
	}
	return p.await(ctx, `SELECT EXISTS (SELECT FROM pg_stat_replication WHERE state = 'streaming')`)
}

// Close ends both servers and removes everything they kept.
func (p *Pair) Close() error { return p.home.close() }

func appendTo(path, text string) error {
	now, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(strings.TrimRight(string(now), "\n")+"\n"+text), 0o600)
}
