package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"tocsin/internal/testkit"
)

// The settings of a run that breaks everything. Without -chaos.seed only its short share is run.
var (
	chaosSeeds      = flag.String("chaos.seed", "", "seeds of TestChaos, separated by commas; clock takes one from the clock")
	chaosRecipients = flag.Int("chaos.recipients", 20_000, "recipients of the notice in TestChaos")
	chaosFaults     = flag.Int("chaos.faults", 34, "faults in a run of TestChaos")
	chaosWorkers    = flag.Int("chaos.workers", 3, "workers in TestChaos")
	chaosLease      = flag.Duration("chaos.lease", 6*time.Second, "TOCSIN_LEASE in TestChaos")
	chaosOutage     = flag.Duration("chaos.outage", 10*time.Second, "how long a server is unreachable in TestChaos")
	chaosSentinel   = flag.Bool("chaos.sentinel", false, "TestChaos runs on a Redis that fails over to its replica")
	chaosKinds      = flag.String("chaos.kinds", "", "the kinds of faults in TestChaos, separated by commas; all where empty")
)

// TestChaos breaks the real thing in every way that it knows, for minutes:
//
//	make chaos
//
// It is left out unless a seed is given. A seed decides which faults come, in which order and for how long. It does
// not decide the moves of the processes meanwhile.
func TestChaos(t *testing.T) {
	if *chaosSeeds == "" {
		t.Skip("make chaos runs it; TestChaosShare is the short share")
	}
	fetchFirewall(t)
	inside, notApart := testkit.Apart(t)
	if !inside && notApart == nil {
		return
	}
	builds := []string{chaosBuild(t, "old"), chaosBuild(t, "new")}
	for text := range strings.SplitSeq(*chaosSeeds, ",") {
		seed, err := strconv.ParseUint(strings.TrimSpace(text), 10, 32)
		if text == "clock" {
			seed, err = uint64(time.Now().Unix()), nil
		}
		if err != nil {
			t.Fatalf("-chaos.seed: %v", err)
		}
		p := chaosPlan{seed: seed, recipients: *chaosRecipients, faults: *chaosFaults, workers: *chaosWorkers, lease: *chaosLease,
			outage: *chaosOutage, sentinel: *chaosSentinel, builds: builds}
		if *chaosKinds != "" {
			p.kinds = strings.Split(*chaosKinds, ",")
		}
		if n := len(p.known()); n == 0 || p.kinds != nil && n != len(p.kinds) {
			t.Fatalf("-chaos.kinds: %q has a kind that is none of %s", *chaosKinds, step{kinds: p.every()})
		}
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			if p.noDisk = notApart; notApart == nil {
				p.disk, p.noDisk = newSmallDisk(t)
			}
			if p.noDisk == nil {
				t.Setenv("TMPDIR", p.disk.dir)
			}
			if p.noFirewall = notApart; notApart == nil {
				p.firewall, p.noFirewall = newFirewall(t)
			}
			p.run(t)
		})
	}
}

// TestChaosShare is the part of TestChaos that is short enough for every day.
func TestChaosShare(t *testing.T) {
	t.Parallel()
	kinds := []string{"worker-kill", "redis-restart", "postgres-crash", resetAfterDot, hanging}
	if testkit.All() {
		kinds = append(kinds, "worker-stop", postgresSilent, "rolling-restart")
	}
	chaosPlan{seed: 65, recipients: testkit.Size(1000, 2000), faults: len(kinds), workers: 2, lease: 3 * time.Second, outage: 2 * time.Second, kinds: kinds,
		builds: []string{os.Args[0]}}.run(t)
}

func TestASeedDrawsTheSameFaultsAgainAndEveryKindOfThem(t *testing.T) {
	t.Parallel()
	p := chaosPlan{seed: 7, faults: 34, lease: 6 * time.Second, outage: 10 * time.Second}
	draw := func() (all []string) {
		for _, s := range p.steps(rand.New(rand.NewPCG(p.seed, 0))) {
			all = append(all, fmt.Sprintf("%s for %s after %s", s, s.holds, s.after))
		}
		return all
	}
	first := draw()
	if diff := cmp.Diff(first, draw()); diff != "" {
		t.Errorf("one seed, two schedules (-first +second):\n%s", diff)
	}
	for _, k := range p.every() {
		if !slices.ContainsFunc(first, func(s string) bool { return strings.HasPrefix(s, k.name+" for ") }) {
			t.Errorf("%s never comes alone", k.name)
		}
	}
	p.seed++
	if cmp.Equal(first, draw()) {
		t.Error("two seeds, one schedule")
	}
}

// chaosPlan decides a run.
type chaosPlan struct {
	seed                        uint64
	recipients, faults, workers int
	lease, outage               time.Duration
	kinds                       []string // of faults; none: all
	sentinel                    bool     // Redis is a primary, its replica and Sentinels
	builds                      []string // the programs, old and new
	disk                        *smallDisk
	noDisk                      error // why there is no disk
	firewall                    *firewall
	noFirewall                  error // why there is none
}

// replay is the command that runs the plan again.
func (p chaosPlan) replay() string {
	s := fmt.Sprintf("go test ./cmd/tocsin -run '^TestChaos$' -count 1 -v -timeout 60m -chaos.seed=%d -chaos.recipients=%d -chaos.faults=%d -chaos.workers=%d -chaos.lease=%s -chaos.outage=%s",
		p.seed, p.recipients, p.faults, p.workers, p.lease, p.outage)
	if p.sentinel {
		s += " -chaos.sentinel"
	}
	if p.kinds != nil {
		s += " -chaos.kinds=" + strings.Join(p.kinds, ",")
	}
	return s
}

// step is one fault, or two at once.
type step struct {
	kinds []kind
	holds time.Duration
	after time.Duration // how long all is well before
}

func (s step) String() string {
	var names []string
	for _, k := range s.kinds {
		names = append(names, k.name)
	}
	return strings.Join(names, ", ")
}

// steps draws the faults: every kind before one comes again, and some of them two at once. Where there are more
// faults than kinds, each comes alone at first, which shows how long it takes to get over that one.
func (p chaosPlan) steps(r *rand.Rand) (all []step) {
	known := p.known()
	var next []kind
	for n := 0; n < p.faults && len(known) > 0; n++ {
		if len(next) == 0 {
			next = slices.Clone(known)
			r.Shuffle(len(next), func(i, j int) { next[i], next[j] = next[j], next[i] })
		}
		k := next[0]
		next = next[1:]
		s := step{kinds: []kind{k}, holds: k.holds(r), after: time.Duration(200+r.IntN(800)) * time.Millisecond}
		paired := n >= len(known) || p.faults <= len(known)
		if paired && len(next) > 0 && n+1 < p.faults && r.IntN(2) == 0 && k.together(next[0]) {
			s.kinds = append(s.kinds, next[0])
			s.holds = max(s.holds, next[0].holds(r))
			next = next[1:]
			n++
		}
		all = append(all, s)
	}
	return all
}

// run sends a notice while it breaks everything, and checks the outcome.
func (p chaosPlan) run(t *testing.T) {
	t.Logf("replay: %s", p.replay())
	c := newChaos(t, p)
	steps := p.steps(c.random)
	c.began = time.Now()
	c.keepBusy(p.recipients, steps)
	c.release()
	for i, s := range steps {
		_, open := c.counts(t.Context())
		c.keepBusy(open, steps[i:])
		<-time.After(s.after) // while all is well
		c.play(s)
	}
	c.wire.pace(0)
	healed := time.Now()
	for _, key := range c.keys {
		c.await(key, "finished", finished)
	}
	for limit := time.Now().Add(time.Minute); !c.wire.quiet(); <-time.After(20 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("a message is still under way between the relays and the sink")
		}
	}
	c.took, c.toFinish = time.Since(c.began), time.Since(healed)
	c.check()
}

// keepBusy paces the relays so that something is left to be sent in all the faults to come.
func (c *chaos) keepBusy(open int, steps []step) {
	var left time.Duration
	for _, s := range steps {
		left += s.after + s.holds + c.lease
	}
	c.wire.pace(max(20, float64(open)/left.Seconds()))
}

// play breaks something, mends it, and measures how long the system takes to get over it.
func (c *chaos) play(s step) {
	var wounds []wound
	for _, k := range s.kinds {
		c.t.Logf("%5.1f s: %s, for %.1f s", time.Since(c.began).Seconds(), k.name, s.holds.Seconds())
		wounds = append(wounds, k.begin(c))
	}
	<-time.After(s.holds) // the fault itself
	for _, w := range slices.Backward(wounds) {
		w.mend()
	}
	mended := time.Now()
	for limit := mended.Add(2*time.Minute + 3*c.lease); !c.well(mended, wounds); <-time.After(20 * time.Millisecond) {
		if time.Now().After(limit) {
			sent, open := c.counts(c.t.Context())
			c.t.Fatalf("%s after %s the system has not recovered: %d sent, %d open", time.Since(mended).Round(time.Second), s, sent, open)
		}
	}
	c.table.recovered(s, time.Since(mended))
}

// well reports whether every wound is healed and mails leave again: a delivery that was begun after the faults were
// mended is sent, or nothing is left to be sent.
func (c *chaos) well(mended time.Time, wounds []wound) (well bool) {
	err := c.withLedger(c.t.Context(), func(ctx context.Context, conn *pgx.Conn) error {
		grace := c.lease / 3 // after its mark a dot may be written for so long
		return conn.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM answer WHERE at > $1)
				OR NOT EXISTS (SELECT FROM notice WHERE state = 'sending')`, mended.Add(grace)).Scan(&well)
	})
	if err != nil {
		return false
	}
	for _, w := range wounds {
		well = well && (w.healed == nil || w.healed())
	}
	return well
}

// counts asks the ledger how many deliveries are sent and how many are open, until it answers.
func (c *chaos) counts(ctx context.Context) (sent, open int) {
	limit := time.Now().Add(2 * time.Minute)
	for {
		err := c.ledger(ctx, `SELECT count(*) FILTER (WHERE state = 2), count(*) FILTER (WHERE state IN (0, 1, 3)) FROM delivery`, &sent, &open)
		if err == nil {
			return sent, open
		}
		if time.Now().After(limit) {
			c.t.Fatalf("count in the ledger: %v", err)
		}
		<-time.After(50 * time.Millisecond)
	}
}
