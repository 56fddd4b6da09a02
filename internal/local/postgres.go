package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// startPostgres starts a private Postgres as planned.
func (s *Services) startPostgres(ctx context.Context, p plan, o Options) error {
	if p.postgres.path == "" {
		return s.startPostgresContainer(ctx, p.docker, o)
	}
	if err := s.home.initPostgres(p.postgres, o.Unsafe); err != nil {
		return err
	}
	// Everything is in the URL, so that no PG… variable of the environment counts.
	query := url.Values{"host": {s.home.dir}, "port": {"5432"}, "sslmode": {"disable"}}
	s.DatabaseURL = "postgres://tocsin@/postgres?" + query.Encode()
	s.postgres = &daemon{
		home:     s.home,
		name:     "postgres",
		argv:     []string{p.postgres.path, "-D", filepath.Join(s.home.dir, "data")},
		polite:   syscall.SIGINT,  // "fast": clients are cut off
		headlong: syscall.SIGQUIT, // "immediate": as in a crash
		answers:  func(ctx context.Context) error { return pingPostgres(ctx, s.DatabaseURL) },
	}
	if err := s.postgres.start(ctx); err != nil {
		return err
	}
	fmt.Fprintf(o.Log, "%s, on a private socket\n", p.postgres)
	return nil
}

// initPostgres makes the cluster. It trusts every user who gets through the directory's 0700.
func (h *home) initPostgres(program program, unsafe bool) error {
	initdb := h.command(filepath.Join(filepath.Dir(program.path), "initdb"), "-D", "data", "--username=tocsin",
		"--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if out, err := initdb.CombinedOutput(); err != nil {
		return fmt.Errorf("make a Postgres cluster: %w\n%s", err, tail(out))
	}
	conf, err := os.OpenFile(filepath.Join(h.dir, "data", "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("set up Postgres: %w", err)
	}
	_, err = io.WriteString(conf, postgresConf(h.dir, unsafe))
	if err := errors.Join(err, conf.Close()); err != nil {
		return fmt.Errorf("set up Postgres: %w", err)
	}
	return nil
}

func postgresConf(dir string, unsafe bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "listen_addresses = ''\nport = 5432\nunix_socket_directories = '\"%s\"'\n", dir)
	// A file in the data directory rather than /dev/shm, which containers keep small.
	b.WriteString("max_connections = 300\ndynamic_shared_memory_type = mmap\n")
	for _, setting := range unsafeSettings(unsafe) {
		b.WriteString(setting + "\n")
	}
	return b.String()
}

// unsafeSettings leave synchronous_commit on: with it a commit that was acknowledged survives a killed Postgres. Tests
// of faults are about that, and without fsync it costs next to nothing.
func unsafeSettings(unsafe bool) []string {
	if !unsafe {
		return nil
	}
	return []string{"fsync=off", "full_page_writes=off", "max_wal_size=256MB"}
}

func pingPostgres(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	return errors.Join(conn.Ping(ctx), conn.Close(ctx))
}
