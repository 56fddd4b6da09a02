// Package testkit gives each test a fresh database and queue.
//
// A test process starts a private Postgres and Redis the first time that a test asks, as package local does it, and
// they end with the process. TOCSIN_TEST_DATABASE_URL and TOCSIN_TEST_REDIS_URL name servers to use instead.
// DATABASE_URL and REDIS_URL may be somebody's production, so they are the last resort: only where there are no
// programs and no containers to be had. On servers that are not private a test creates databases of its own,
// tocsin_throwaway_…, and takes empty Redis database numbers. It gives both back, and touches nothing else.
package testkit

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/local"
)

// The servers that the tests of this process share, started when first asked for.
var (
	postgres = sync.OnceValues(func() (server, error) {
		return start("DATABASE_URL", local.Options{NoRedis: true, Unsafe: true, Dir: memory()})
	})
	redis = sync.OnceValues(func() (server, error) {
		return start("REDIS_URL", local.Options{NoPostgres: true})
	})
)

// server is a Postgres or a Redis; a private one ends with this process.
type server struct {
	url     string
	private bool
}

// start returns the server that TOCSIN_TEST_<name> names, or a private one. The last resort is the one that name
// names.
func start(name string, o local.Options) (server, error) {
	if url := os.Getenv("TOCSIN_TEST_" + name); url != "" {
		return server{url: url}, nil
	}
	lastResort := os.Getenv(name)
	s, err := local.Start(context.Background(), o)
	switch {
	case errors.Is(err, local.ErrUnavailable) && lastResort != "":
		return server{url: lastResort}, nil
	case err != nil:
		return server{}, err
	}
	return server{s.DatabaseURL + s.RedisURL, true}, nil // one of the URLs is empty
}

// migrated is a database on the private Postgres that only is copied, which is much faster than migrating each one.
var migrated = sync.OnceValues(func() (url string, err error) {
	s, err := postgres()
	if err != nil {
		return "", err
	}
	ctx := context.Background()
	if url, _, err = local.NewDatabase(ctx, s.url); err != nil {
		return "", err
	}
	if _, err := ledger.Migrate(ctx, url); err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return "", err
	}
	// A copied ledger is a restored one, unless it has yet to learn where it stands, from its first connection.
	_, err = conn.Exec(ctx, `DELETE FROM fence`)
	return url, errors.Join(err, conn.Close(ctx))
})

// Postgres returns the URL of a fresh, migrated database, dropped when the test ends. Its server is shared: a
// test that stops Postgres wants OwnServices.
func Postgres(t testing.TB) string {
	t.Helper()
	NeedsServers(t)
	s, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	if !s.private { // a copy's original would stay there
		url := EmptyPostgres(t)
		if _, err := ledger.Migrate(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		return url
	}
	from, err := migrated()
	if err != nil {
		t.Fatal(err)
	}
	return dropped(t)(local.CopyDatabase(t.Context(), s.url, from))
}

// EmptyPostgres returns the URL of a fresh database without any table, dropped when the test ends.
func EmptyPostgres(t testing.TB) string {
	t.Helper()
	NeedsServers(t)
	s, err := postgres()
	if err != nil {
		t.Fatal(err)
	}
	return dropped(t)(local.NewDatabase(t.Context(), s.url))
}

// dropped returns a function for the results of creating a database, which has the database dropped when the test
// ends.
func dropped(t testing.TB) func(url string, drop func(context.Context) error, err error) string {
	return func(url string, drop func(context.Context) error, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := drop(context.Background()); err != nil {
				t.Error(err)
			}
		})
		return url
	}
}

// Redis returns the URL of an empty Redis database, emptied again when the test ends. Its server is shared: a test
// that stops Redis, flushes it or changes its settings wants OwnServices.
func Redis(t testing.TB) string {
	t.Helper()
	NeedsServers(t)
	s, err := redis()
	if err != nil {
		t.Fatal(err)
	}
	url, empty, err := local.NewQueue(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := empty(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return url
}

// OwnServices returns a migrated Postgres and a Redis for this test alone, to stop, start and flush at will. They
// end with the test. Where no private servers are to be had, only servers that somebody named, the test is skipped.
func OwnServices(t testing.TB) *local.Services {
	t.Helper()
	s := own(t, local.Options{Unsafe: true, Dir: memory()}, "DATABASE_URL")
	if _, err := ledger.Migrate(t.Context(), s.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	return s
}

// OwnRedis is OwnServices without a Postgres.
func OwnRedis(t testing.TB) *local.Services {
	t.Helper()
	return own(t, local.Options{NoPostgres: true}, "REDIS_URL")
}

// RedisCluster returns a Cluster of three primaries for this test alone. It ends with the test.
func RedisCluster(t testing.TB, o local.Several) *local.Redises {
	t.Helper()
	return several(t, o, local.StartCluster)
}

// RedisSentinel returns a primary, its replica and three Sentinels for this test alone. They end with the test.
func RedisSentinel(t testing.TB, o local.Several) *local.Redises {
	t.Helper()
	return several(t, o, local.StartSentinel)
}

func several(t testing.TB, o local.Several, start func(context.Context, local.Several) (*local.Redises, error)) *local.Redises {
	t.Helper()
	NeedsServers(t)
	r, err := start(t.Context(), o)
	if errors.Is(err, local.ErrUnavailable) {
		t.Skipf("several Redis servers are started from its programs alone: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func own(t testing.TB, o local.Options, name string) *local.Services {
	t.Helper()
	NeedsServers(t)
	named := os.Getenv("TOCSIN_TEST_"+name) + os.Getenv(name)
	s, err := local.Start(t.Context(), o)
	if errors.Is(err, local.ErrUnavailable) && named != "" {
		t.Skipf("the servers named in the environment are not ours to stop: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
