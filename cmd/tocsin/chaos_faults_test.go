package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"tocsin/internal/notice"
)

// kind is a way to break the system.
type kind struct {
	name        string
	on          string // the thing that it breaks; two faults at once break two things
	least, most time.Duration
	begin       func(c *chaos) wound
}

// wound is something broken.
type wound struct {
	mend   func()
	healed func() bool // must be true besides that mails are sent again; nil: nothing must
}

// alone is the value of on for a fault that comes together with no other.
const alone = ""

func (k kind) holds(r *rand.Rand) time.Duration {
	return k.least + time.Duration(r.Int64N(int64(k.most-k.least)+1))
}

func (k kind) together(other kind) bool {
	return k.on != other.on && k.on != alone && other.on != alone
}

// known are the kinds of faults in a plan.
func (p chaosPlan) known() []kind {
	return slices.DeleteFunc(p.every(), func(k kind) bool { return p.kinds != nil && !slices.Contains(p.kinds, k.name) })
}

func (p chaosPlan) every() []kind {
	return slices.Concat(p.apiKinds(), p.workerKinds(), p.redisKinds(), p.postgresKinds(), p.relayKinds())
}

// pastLease is a pause that costs a worker its chunks.
func (p chaosPlan) pastLease() time.Duration { return p.lease + p.lease/6 }

func (p chaosPlan) apiKinds() []kind {
	return []kind{
		{"api-kill", alone, 0, 2 * time.Second, func(c *chaos) wound { return c.press(false) }},
		{"api-stop", alone, p.pastLease(), p.pastLease() + 2*time.Second, func(c *chaos) wound { return c.press(true) }},
	}
}

// press is a release in which the API is killed or stopped; its mend sees the release through. The first release is
// that of the notice to everybody. Each later one goes to a fortieth of them, as the next word on the same incident.
func (c *chaos) press(stop bool) wound {
	key := fmt.Sprintf("notice-%d", len(c.keys))
	lines := []string{"incident: chaos"}
	if len(c.keys) > 0 {
		lines = append(lines, fmt.Sprintf(`audience: 'server = "s%d"'`, len(c.keys)%40))
	}
	dir := c.notice(key, lines...)
	c.keys = append(c.keys, key)
	press := c.launchBinary(c.anyBuild(), "notice", "send", dir, "--yes", "--json")
	c.midRelease(press)
	again := func() { c.must(nil, "notice", "send", dir, "--yes", "--json") }
	if !stop {
		c.api.kill()
		press.kill()
		var state notice.State
		c.no(c.ledger(c.t.Context(), `SELECT state FROM notice ORDER BY id DESC LIMIT 1`, &state))
		c.t.Logf("the API was killed in a release that has left a notice that is %s", state)
		return wound{mend: func() { c.serve(); again() }}
	}
	c.signal(syscall.SIGSTOP, c.api)
	return wound{mend: func() {
		c.signal(syscall.SIGCONT, c.api)
		<-press.done // whether it was told of its release or not
		again()
	}}
}

// midRelease returns somewhere in the release itself, which comes right behind the preview and takes a tenth of a second.
func (c *chaos) midRelease(press *program) {
	previews := func() int { return strings.Count(c.api.log.String(), `/preview"`) }
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for before := previews(); previews() == before; {
		select {
		case <-press.done:
			c.t.Fatalf("the release ended before its preview: %s", press.log)
		case <-tick.C:
		}
	}
	<-time.After(time.Duration(c.random.IntN(100)) * time.Millisecond)
}

func (p chaosPlan) workerKinds() []kind {
	one := func(c *chaos) []int { return []int{c.busyWorker()} }
	all := func(c *chaos) (all []int) {
		for i := range c.workers {
			all = append(all, i)
		}
		return all
	}
	kill := func(which func(*chaos) []int) func(*chaos) wound {
		return func(c *chaos) wound { return c.killWorkers(which(c)) }
	}
	stop := func(which func(*chaos) []int) func(*chaos) wound {
		return func(c *chaos) wound { return c.stopWorkers(which(c)) }
	}
	return []kind{
		{"worker-kill", "workers", 0, 2 * time.Second, kill(one)},
		{"workers-kill", "workers", 0, 2 * time.Second, kill(all)},
		{"worker-stop", "workers", p.pastLease(), p.pastLease() + p.lease/2, stop(one)},
		{"workers-stop", "workers", p.pastLease(), p.pastLease() + p.lease/2, stop(all)},
		{"rolling-restart", alone, 0, 0, (*chaos).rollingRestart},
	}
}

// killWorkers is kill -9; others take their place when it is mended.
func (c *chaos) killWorkers(which []int) wound {
	for _, i := range which {
		c.workers[i].kill()
	}
	c.harmed += len(which)
	var others []string
	return wound{
		mend: func() {
			for _, i := range which {
				c.workers[i] = c.worker(c.anyBuild())
				others = append(others, holds(c.workers[i]))
			}
		},
		healed: func() bool { return c.at(others) },
	}
}

// busyWorker draws a worker, one that holds a chunk where there is one.
func (c *chaos) busyWorker() int {
	first := c.random.IntN(len(c.workers))
	for i := range c.workers {
		n := (first + i) % len(c.workers)
		var busy bool
		c.no(c.ledger(c.t.Context(), fmt.Sprintf(`SELECT EXISTS (SELECT FROM chunk WHERE open AND holder = '%s')`, holds(c.workers[n])), &busy))
		if busy {
			return n
		}
	}
	return first
}

// holds is the name of a worker in its leases.
func holds(p *program) string {
	host, _, _ := strings.Cut(holder(), "/")
	return fmt.Sprintf("%s/%d", host, p.Process.Pid)
}

// at reports whether one of these workers is at work, or no chunk is left to be claimed.
func (c *chaos) at(holders []string) (work bool) {
	err := c.withLedger(c.t.Context(), func(ctx context.Context, conn *pgx.Conn) error {
		return conn.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM chunk WHERE holder = ANY($1))
				OR NOT EXISTS (SELECT FROM chunk WHERE open AND (lease_until IS NULL OR lease_until < clock_timestamp()))`, holders).Scan(&work)
	})
	return err == nil && work
}

// stopWorkers is SIGSTOP, and SIGCONT when it is mended.
func (c *chaos) stopWorkers(which []int) wound {
	var stopped []*program
	for _, i := range which {
		stopped = append(stopped, c.workers[i])
	}
	c.signal(syscall.SIGSTOP, stopped...)
	c.harmed += len(which)
	return wound{mend: func() { c.signal(syscall.SIGCONT, stopped...) }}
}

// rollingRestart ends each worker in turn by SIGTERM, one of the other build in its place.
func (c *chaos) rollingRestart() wound {
	for i, old := range c.workers {
		build := c.builds[0]
		if old.Path == build {
			build = c.builds[len(c.builds)-1]
		}
		c.workers[i] = c.worker(build)
		if code := old.stop(); code != 0 {
			c.t.Errorf("a drained worker exits with %d:\n%s", code, lastLines(old.log.String(), 20))
		}
	}
	return wound{mend: func() {}}
}

func (p chaosPlan) redisKinds() []kind {
	flush := kind{"redis-flush", "redis", 0, 0, func(c *chaos) wound {
		c.redis(func(ctx context.Context, r redis.UniversalClient) error { return r.FlushAll(ctx).Err() })
		return wound{mend: func() {}}
	}}
	if p.sentinel {
		return []kind{flush, {"redis-failover", "redis", 3 * time.Second, p.outage, func(c *chaos) wound {
			primary, err := c.redises.Primary(c.t.Context())
			c.no(err)
			c.no(c.redises.Kill(primary))
			return wound{mend: func() { c.no(c.redises.Start(c.t.Context(), primary)) }}
		}}}
	}
	return []kind{
		flush,
		{"redis-restart", "redis", 0, 3 * time.Second, func(c *chaos) wound {
			c.no(c.services.StopRedis())
			return wound{mend: func() { c.no(c.services.StartRedis(c.t.Context())) }}
		}},
		{"redis-unreachable", "redis", p.outage, p.outage, func(c *chaos) wound {
			return wound{mend: c.freeze(c.services.RedisPID())}
		}},
		{"redis-memory-full", "redis", p.outage / 2, p.outage, func(c *chaos) wound {
			limit := func(to string) {
				c.redis(func(ctx context.Context, r redis.UniversalClient) error {
					return r.ConfigSet(ctx, "maxmemory", to).Err()
				})
			}
			limit("1mb")
			return wound{mend: func() { limit("0") }}
		}},
	}
}

func (p chaosPlan) postgresKinds() []kind {
	return []kind{
		{"postgres-crash", "postgres", 0, 4 * time.Second, func(c *chaos) wound {
			c.no(c.services.StopPostgres(true))
			return wound{mend: c.startPostgres}
		}},
		{"postgres-terminate", "postgres", 0, 2 * time.Second, func(c *chaos) wound {
			c.terminate()
			return wound{mend: c.terminate}
		}},
		{"postgres-unreachable", "postgres", p.outage, p.outage, func(c *chaos) wound {
			return wound{mend: c.freeze(c.postgresPIDs()...)}
		}},
		{postgresSilent, "postgres", p.outage / 2, p.outage, func(c *chaos) wound {
			c.line.FallSilent()
			return wound{mend: c.line.Mend}
		}},
		{"postgres-disk-full", "postgres", p.outage / 2, p.outage, (*chaos).fillDisk},
	}
}

// postgresSilent is the fault in which the connections to Postgres stand and carry nothing. After it only new
// connections do.
const postgresSilent = "postgres-silent"

func (c *chaos) startPostgres() { c.no(c.services.StartPostgres(c.t.Context())) }

// terminate cuts every connection to Postgres but its own.
func (c *chaos) terminate() {
	c.no(c.withLedger(c.t.Context(), func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `
			SELECT pg_terminate_backend(pid) FROM pg_stat_activity
			WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`)
		return err
	}))
}

// fillDisk leaves no room where Postgres keeps its data, and has it notice that.
func (c *chaos) fillDisk() wound {
	if c.disk == nil {
		c.table.skip("postgres-disk-full", c.noDisk)
		return wound{mend: func() {}}
	}
	c.no(c.disk.fill())
	err := c.withLedger(c.t.Context(), func(ctx context.Context, conn *pgx.Conn) error {
		_, err := conn.Exec(ctx, `CREATE TABLE too_much AS SELECT generate_series(1, 1000000)`)
		return err
	})
	if err == nil {
		c.t.Error("the disk is full, and Postgres has made a table of a million rows")
	}
	c.t.Logf("Postgres says: %v", err)
	return wound{mend: func() {
		c.no(c.disk.empty())
		c.startPostgres() // unless it is still there
	}}
}

func (p chaosPlan) relayKinds() []kind {
	all := []kind{
		{hanging, "relay", p.outage / 2, p.outage, func(c *chaos) wound {
			c.wire.set(hanging, true)
			return wound{mend: func() { c.wire.set(hanging, false) }}
		}},
		{"packets-lost", "relay", 2 * time.Second, 5 * time.Second, (*chaos).losePackets},
	}
	for _, name := range []string{resetBeforeDot, resetAfterDot, storm421, tarpit, greylisting, expired} {
		all = append(all, kind{name, "relay", 2 * time.Second, 5 * time.Second, func(c *chaos) wound {
			c.wire.set(name, true)
			return wound{mend: func() { c.wire.set(name, false) }}
		}})
	}
	return all
}

// losePackets has some or all packets to and from the relays dropped.
func (c *chaos) losePackets() wound {
	if c.firewall == nil {
		c.table.skip("packets-lost", c.noFirewall)
		return wound{mend: func() {}}
	}
	percent := min(100, 30+c.random.IntN(100))
	c.t.Logf("%d %% of the packets are lost", percent)
	c.no(c.firewall.drop(percent, c.wire.plain.Addr(), c.wire.secure.Addr()))
	return wound{mend: func() { c.no(c.firewall.drop(0)) }}
}

// no ends the test at an error in breaking or mending.
func (c *chaos) no(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}
