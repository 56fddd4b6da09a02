package local

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
)

// private starts services that end with the test.
func private(t *testing.T, o Options) *Services {
	t.Helper()
	needsServers(t)
	s, err := Start(t.Context(), o)
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

// needsServers skips a test that starts servers when the tests are to do without: make test-short.
func needsServers(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers: make test runs it")
	}
}

// askPostgres returns the text that a query yields.
func askPostgres(t *testing.T, url, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var got string
	if err := conn.QueryRow(t.Context(), query).Scan(&got); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return got
}

// redisAt returns a client that is closed with the test.
func redisAt(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { client.Close() })
	return client
}

func TestServicesAnswerAndAreSetUp(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	s := private(t, Options{Log: &log})

	settings := map[string]string{}
	for _, name := range []string{"max_connections", "server_encoding", "fsync", "synchronous_commit", "listen_addresses"} {
		settings[name] = askPostgres(t, s.DatabaseURL, "SHOW "+name)
	}
	settings["collation"] = askPostgres(t, s.DatabaseURL, "SELECT datcollate FROM pg_database WHERE datname = current_database()")
	for _, name := range []string{"maxmemory-policy", "save", "appendonly", "bind"} {
		values, err := redisAt(t, s.RedisURL).ConfigGet(t.Context(), name).Result()
		if err != nil {
			t.Fatal(err)
		}
		settings[name] = values[name]
	}
	want := map[string]string{
		"max_connections": "300", "server_encoding": "UTF8", "fsync": "on", "synchronous_commit": "on",
		"listen_addresses": "", "collation": "C",
		"maxmemory-policy": "noeviction", "save": "", "appendonly": "no", "bind": "127.0.0.1",
	}
	if diff := cmp.Diff(want, settings); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
	for _, said := range []string{"Postgres ", "Redis "} {
		if !strings.Contains(log.String(), said) {
			t.Errorf("the log does not say where %sis from: %q", said, log.String())
		}
	}
}

func TestRedisWantsItsPassword(t *testing.T) {
	t.Parallel()
	s := private(t, Options{NoPostgres: true})
	options, err := redis.ParseURL(s.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	options.Password = ""
	client := redis.NewClient(options)
	defer client.Close()
	if err := client.Ping(t.Context()).Err(); err == nil || !strings.Contains(err.Error(), "NOAUTH") {
		t.Errorf("ping without the password: %v, want NOAUTH", err)
	}
}

func TestUnsafeSavesTheDiskButKeepsAcknowledgedCommits(t *testing.T) {
	t.Parallel()
	s := private(t, Options{Unsafe: true, NoRedis: true})
	if s.RedisURL != "" || s.RedisPID() != 0 {
		t.Error("Redis runs though it was left out")
	}
	got := askPostgres(t, s.DatabaseURL, "SELECT current_setting('fsync') || current_setting('synchronous_commit')")
	if got != "offon" {
		t.Errorf("fsync and synchronous_commit are %s, want off and on", got)
	}
}

func TestPostgresKeepsDataAndURLThroughStops(t *testing.T) {
	t.Parallel()
	for _, immediate := range []bool{false, true} {
		t.Run(fmt.Sprintf("immediate %v", immediate), func(t *testing.T) {
			t.Parallel()
			s := private(t, Options{NoRedis: true})
			url, before := s.DatabaseURL, s.PostgresPID()
			if err := execute(t.Context(), url, "CREATE TABLE kept AS SELECT 'here'::text AS it"); err != nil {
				t.Fatal(err)
			}
			if err := s.StopPostgres(immediate); err != nil {
				t.Fatal(err)
			}
			if err := pingPostgres(t.Context(), url); err == nil || s.PostgresPID() != 0 {
				t.Fatal("it still runs after the stop")
			}
			if err := s.StopPostgres(immediate); err != nil {
				t.Errorf("a second stop: %v", err)
			}
			if err := s.StartPostgres(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := askPostgres(t, s.DatabaseURL, "SELECT it FROM kept"); got != "here" {
				t.Errorf("the table holds %q", got)
			}
			if after := s.PostgresPID(); after == 0 || after == before || s.DatabaseURL != url {
				t.Errorf("process %d, then %d; URL %s, then %s", before, after, url, s.DatabaseURL)
			}
		})
	}
}

func TestRedisComesBackEmptyAtTheSameURL(t *testing.T) {
	t.Parallel()
	s := private(t, Options{NoPostgres: true})
	url, before := s.RedisURL, s.RedisPID()
	if err := redisAt(t, url).Set(t.Context(), "key", "value", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if err := s.StopRedis(); err != nil {
		t.Fatal(err)
	}
	if err := pingRedis(t.Context(), url); err == nil || s.RedisPID() != 0 {
		t.Fatal("it still runs after the stop")
	}
	if err := s.StartRedis(t.Context()); err != nil {
		t.Fatal(err)
	}
	if size, err := redisAt(t, s.RedisURL).DBSize(t.Context()).Result(); err != nil || size != 0 {
		t.Errorf("it holds %d keys, %v; want none", size, err)
	}
	if after := s.RedisPID(); after == 0 || after == before || s.RedisURL != url {
		t.Errorf("process %d, then %d; URL %s, then %s", before, after, url, s.RedisURL)
	}
}

func TestAServerThatDiedIsStartedAgain(t *testing.T) {
	t.Parallel()
	s := private(t, Options{})
	for _, d := range []*daemon{s.postgres.(*daemon), s.redis.(*daemon)} {
		d.mu.Lock()
		p := d.process
		d.mu.Unlock()
		if err := p.signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-p.done
		if d.pid() != 0 {
			t.Errorf("%s: its process is %d, want none", d.name, d.pid())
		}
		if err := d.start(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	t.Parallel()
	s := private(t, Options{})
	dir := s.home.dir
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s still is there: %v", dir, err)
	}
	for _, p := range s.home.procs {
		if p.running() {
			t.Errorf("process %d still runs", p.pid)
		}
	}
}

func TestCloseCleansUpWithoutItsWatchdog(t *testing.T) {
	t.Parallel()
	needsServers(t)
	s, err := Start(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.home.watch.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.home.watch.done
	if err := s.Close(); err == nil {
		t.Error("nothing is said of the killed watchdog")
	}
	if _, err := os.Stat(s.home.dir); !os.IsNotExist(err) {
		t.Errorf("%s still is there: %v", s.home.dir, err)
	}
}

func TestServersOnTheUsualPortsAreLeftAlone(t *testing.T) {
	t.Parallel()
	for _, port := range []string{"5432", "6379"} {
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue // somebody else's server is there: as good
		}
		defer l.Close()
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				t.Errorf("a connection to port %s, which is not ours", port)
				conn.Close()
			}
		}()
	}
	s := private(t, Options{})
	askPostgres(t, s.DatabaseURL, "SELECT 'up'")
	if err := redisAt(t, s.RedisURL).Ping(t.Context()).Err(); err != nil {
		t.Error(err)
	}
}

func TestAStartThatFailsSaysWhatTheServerSaid(t *testing.T) {
	t.Parallel()
	s := private(t, Options{NoPostgres: true})
	if err := s.StopRedis(); err != nil {
		t.Fatal(err)
	}
	if err := s.home.write("redis.conf", "no-such-setting 1\n"); err != nil {
		t.Fatal(err)
	}
	if err := s.StartRedis(t.Context()); err == nil || !strings.Contains(err.Error(), "no-such-setting") {
		t.Errorf("got %v, want Redis' own words", err)
	}
}

func TestACancelledStartLeavesNothing(t *testing.T) {
	t.Parallel()
	temp, err := os.MkdirTemp("/tmp", "cancelled")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(temp)
	if err := os.Chmod(temp, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	m := thisMachine()
	m.temp = []string{temp}
	// Postgres is up when the line about it is written.
	if _, err := start(ctx, Options{Log: writerFunc(func([]byte) { cancel() })}, m); err == nil {
		t.Fatal("it started")
	}
	left, err := os.ReadDir(temp)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

var _ io.Writer = writerFunc(nil)
