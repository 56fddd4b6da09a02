package ledger

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"tocsin/internal/notice"
)

// leastVersion is the oldest major version of Postgres that the protocol was proven on.
const leastVersion = 15

// Check tries a Postgres as migrate, serve and work need it. It changes nothing.
func Check(ctx context.Context, url string) (f notice.Findings) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		// Not repeated: it may hold the password.
		f.Error("write it like postgres://tocsin:password@db.example.net/tocsin, special characters of the password as %XX", "DATABASE_URL can't be read")
		return f
	}
	cfg.ConnectTimeout = 5 * time.Second
	began := time.Now()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		refused(&f, cfg, err)
		return f
	}
	defer conn.Close(context.WithoutCancel(ctx))
	f.OK("reached %s as user %q in %s", place(cfg), cfg.User, time.Since(began).Round(time.Millisecond))
	if !checkVersion(&f, conn.PgConn().ParameterStatus("server_version")) {
		return f // the other questions may not exist there
	}
	if err := refusePooling(ctx, conn); err != nil {
		f.Error("name Postgres itself in DATABASE_URL, or another port of the pooler", "%v", err)
		return f
	}
	_ = setSession(ctx, conn, session) // whether it did is asked next
	s, err := askServer(ctx, conn)
	if err != nil {
		f.Error("see whether the database is in order; psql with the same URL shows more", "Postgres does not say how it is set up: %v", err)
		return f
	}
	s.judge(&f)
	return f
}

func place(cfg *pgx.ConnConfig) string {
	return fmt.Sprintf("database %q at %s", cfg.Database, net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))))
}

// refused says why there is no connection.
func refused(f *notice.Findings, cfg *pgx.ConnConfig, err error) {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch e.Code {
		case "28P01":
			f.Error("mend the password in DATABASE_URL, or set it with ALTER ROLE … PASSWORD", "Postgres refuses the password of user %q for %s", cfg.User, place(cfg))
		case "28000":
			f.Error("create the user, or admit it in the server's pg_hba.conf", "Postgres does not let user %q into %s: %s", cfg.User, place(cfg), e.Message)
		case "3D000":
			f.Error("create it: CREATE DATABASE … OWNER …, and then run `tocsin migrate`", "there is no %s", place(cfg))
		case "53300":
			f.Error("raise max_connections, or end other clients: each process of Tocsin holds up to 8 connections", "Postgres has no connection left")
		case "57P03":
			f.Error("wait until it is up; its log says more", "Postgres is not taking connections now: %s", e.Message)
		default:
			f.Error("the server's log says more", "Postgres refuses the connection: %s (SQLSTATE %s)", e.Message, e.Code)
		}
		return
	}
	dns, isDNS := errors.AsType[*net.DNSError](err)
	_, isTLS := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case isDNS && dns.IsNotFound:
		f.Error("mend the host name in DATABASE_URL, or the DNS", "the name %s is not known", cfg.Host)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		f.Error("start Postgres, or mend host and port in DATABASE_URL", "nothing listens at %s", net.JoinHostPort(cfg.Host, strconv.Itoa(int(cfg.Port))))
	case isTLS:
		f.Error("renew the server's certificate, or name its authority: sslrootcert=… in DATABASE_URL", "the certificate of Postgres does not verify: %s", cause(err))
	default:
		f.Error("see that Postgres runs, and that no firewall is in between", "%s can't be reached: %s", place(cfg), cause(err))
	}
}

// cause is the innermost error: those around it repeat where the connection was to go.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
			inner = joined.Unwrap()[0]
		}
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// checkVersion judges the version that a server gives: "15.8 (Debian 15.8-1)", "9.6.24", "18beta1".
func checkVersion(f *notice.Findings, version string) bool {
	major, err := majorVersion(version)
	version, _, _ = strings.Cut(version, " ")
	switch {
	case err != nil:
		f.Error(fmt.Sprintf("use PostgreSQL %d or newer", leastVersion), "the server does not say which version of Postgres it is")
	case major < leastVersion:
		f.Error(fmt.Sprintf("upgrade it to %d or newer (pg_upgrade, or dump and restore)", leastVersion),
			"Postgres %s is too old", version)
	default:
		f.OK("Postgres %s", version)
		return true
	}
	return false
}

// majorVersion is the first number of a version.
func majorVersion(version string) (int, error) {
	return strconv.Atoi(regexp.MustCompile(`^\d+`).FindString(version))
}
