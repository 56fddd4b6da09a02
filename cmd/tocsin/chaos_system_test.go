package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/mail"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"tocsin/internal/audience"
	"tocsin/internal/local"
	"tocsin/internal/redisurl"
	"tocsin/internal/sink"
	"tocsin/internal/testkit"
)

// chaos is a system that is being broken.
type chaos struct {
	*system
	chaosPlan
	random   *rand.Rand
	wire     *wire
	line     *testkit.Line  // to Postgres, of all programs
	redises  *local.Redises // in place of the services' Redis, where Sentinels watch it
	api      *program
	workers  []*program
	keys     []string // of the notices that were released
	harmed   int      // workers that were killed, or stopped for longer than their lease
	table    *chaosTable
	began    time.Time
	took     time.Duration // from the release to the last answer
	toFinish time.Duration // from the end of the last fault

	mu    sync.Mutex
	mails map[string][]arrival // by Message-ID, as the sink took them
}

// arrival is a mail in the sink.
type arrival struct{ notice, mailbox string }

// chaosBuild builds the program with a version of its own.
func chaosBuild(t *testing.T, version string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "tocsin-"+version)
	build := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-X main.buildVersion="+version, "-o", binary, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// newChaos starts servers, sink, relays, API and workers, and imports the customers.
func newChaos(t *testing.T, p chaosPlan) *chaos {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d failed; to run its faults again: %s", p.seed, p.replay())
		}
	})
	c := &chaos{chaosPlan: p, random: rand.New(rand.NewPCG(p.seed, 0)), table: newChaosTable(), mails: map[string][]arrival{}}
	s := &system{t: t, services: testkit.OwnServices(t)}
	c.system = s
	if p.sentinel {
		c.redises = testkit.RedisSentinel(t, local.Several{})
		s.services.RedisURL = c.redises.URL
	}
	for _, k := range p.every() {
		c.table.names = append(c.table.names, k.name)
	}
	s.sink = startSink(t, "127.0.0.1:0", sink.Options{Keep: 1, OnMail: c.arrived})
	c.wire = newWire(t, s.sink.Addr().String(), p.seed)
	c.line = testkit.NewLine(t, s.services.DatabaseURL)
	listen := freeAddress(t)
	s.env = []string{
		"PATH=/usr/bin:/bin", "HOME=" + t.TempDir(), "SSL_CERT_FILE=" + c.wire.certificates.authority,
		"DATABASE_URL=" + c.line.URL, "REDIS_URL=" + s.services.RedisURL,
		"TOCSIN_SMTP_URL=" + c.wire.url(), "TOCSIN_FROM=Example Status <status@example.net>",
		"TOCSIN_LISTEN=" + listen, "TOCSIN_URL=http://" + listen, "TOCSIN_TOKEN=s3cret",
		"TOCSIN_LEASE=" + p.lease.String(), "TOCSIN_FIRST_RETRY=1s", "TOCSIN_DRAIN=20s", "TOCSIN_RELAY_SILENCE=3s",
	}
	c.serve()
	s.customers(p.recipients)
	for i := range p.workers {
		c.workers = append(c.workers, c.worker(p.builds[i%len(p.builds)]))
	}
	return c
}

// serve starts the API and returns once it answers.
func (c *chaos) serve() {
	c.t.Helper()
	c.api = c.launchBinary(c.anyBuild(), "serve")
	c.must(nil, "notice", "list", "--json")
}

func (c *chaos) anyBuild() string { return c.builds[c.random.IntN(len(c.builds))] }

func (c *chaos) worker(build string) *program { return c.launchBinary(build, "work") }

// arrived is told of every mail by the sink.
func (c *chaos) arrived(m sink.Mail) {
	key := "?"
	if parsed, err := mail.ReadMessage(strings.NewReader(m.Raw)); err == nil {
		key = parsed.Header.Get("X-Notice")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, to := range m.RcptTo {
		mailbox := to
		if a, err := audience.ParseAddress(to); err == nil {
			mailbox = a.Key()
		}
		c.mails[m.MessageID] = append(c.mails[m.MessageID], arrival{key, mailbox})
	}
}

// release releases the notice to everybody while the API breaks, and returns once its deliveries stand in the ledger.
func (c *chaos) release() {
	kinds := c.apiKinds()
	k := kinds[c.random.IntN(len(kinds))]
	c.play(step{kinds: []kind{k}, holds: k.holds(c.random)})
	limit := time.Now().Add(2 * time.Minute)
	for n := 0; n < c.recipients; <-time.After(50 * time.Millisecond) {
		if err := c.ledger(c.t.Context(), `SELECT count(*) FROM delivery`, &n); err != nil || time.Now().After(limit) {
			c.t.Fatalf("%d deliveries of %d stand in the ledger: %v", n, c.recipients, err)
		}
	}
}

func (c *chaos) signal(s syscall.Signal, to ...*program) {
	c.t.Helper()
	for _, p := range to {
		if err := p.Process.Signal(s); err != nil {
			c.t.Fatalf("%v for %s: %v", s, p, err)
		}
	}
}

// ledger reads one row from Postgres over a connection of its own.
func (c *chaos) ledger(ctx context.Context, sql string, into ...any) error {
	return c.withLedger(ctx, func(ctx context.Context, conn *pgx.Conn) error { return conn.QueryRow(ctx, sql).Scan(into...) })
}

func (c *chaos) withLedger(ctx context.Context, do func(context.Context, *pgx.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.services.DatabaseURL)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	return do(ctx, conn)
}

// redis runs commands on the queue's server.
func (c *chaos) redis(do func(context.Context, redis.UniversalClient) error) {
	c.t.Helper()
	client, _, err := redisurl.Open(c.services.RedisURL, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	defer client.Close()
	if err := do(c.t.Context(), client); err != nil {
		c.t.Fatal(err)
	}
}

// freeze stops processes that are not ours to reap, and returns the function that lets them go on. Should this process
// die before that, a shell does it.
func (c *chaos) freeze(pids ...int) (thaw func()) {
	c.t.Helper()
	args := []string{"-c", `cat >/dev/null; kill -CONT "$@"`, "thaw"}
	for _, pid := range pids {
		args = append(args, fmt.Sprint(pid))
	}
	guard := exec.Command("/bin/sh", args...)
	guard.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	alive, err := guard.StdinPipe()
	if err == nil {
		err = guard.Start()
	}
	if err != nil {
		c.t.Fatal(err)
	}
	thaw = sync.OnceFunc(func() { alive.Close(); guard.Wait() })
	c.t.Cleanup(thaw)
	for _, pid := range pids {
		// One that has ended meanwhile needs no stopping.
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil && err != syscall.ESRCH {
			c.t.Fatal(err)
		}
	}
	return thaw
}

// postgresPIDs are the processes of Postgres, the one that starts the others first.
func (c *chaos) postgresPIDs() []int {
	c.t.Helper()
	pids := []int{c.services.PostgresPID()}
	err := c.withLedger(c.t.Context(), func(ctx context.Context, conn *pgx.Conn) error {
		rows, err := conn.Query(ctx, `SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()`)
		if err != nil {
			return err
		}
		more, err := pgx.CollectRows(rows, pgx.RowTo[int])
		pids = append(pids, more...)
		return err
	})
	if err != nil {
		c.t.Fatalf("list the processes of Postgres: %v", err)
	}
	return pids
}
