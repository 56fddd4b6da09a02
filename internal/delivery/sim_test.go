package delivery

import (
	"flag"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

var (
	simSeed = flag.Int64("seed", -1, "replay the simulation's schedule of this seed, step by step (with -v)")
	simFor  = flag.Duration("simulate", 0, "simulate schedules for so long, each new; 0: a fixed share of them")
)

// TestSimulation runs the real Worker and Desk through schedules full of faults. After every step it looks whether the
// promise still holds: nothing twice, nothing lost, no word in the report that is not true.
func TestSimulation(t *testing.T) {
	s := newStage(t)
	if *simSeed >= 0 {
		if r := simulate(t, s, uint64(*simSeed), none, func(line string) { t.Log(line) }); r.err != nil {
			t.Error(r.err)
		}
		return
	}
	// Schedules are short-lived and small: memory is cheaper than collecting it.
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	first, deadline := uint64(0), time.Now().Add(*simFor)
	if *simFor > 0 {
		first = uint64(deadline.UnixMilli()) * 1000
	}
	goesOn := func(n uint64) bool { return n < simShare }
	if *simFor > 0 {
		goesOn = func(uint64) bool { return time.Now().Before(deadline) }
	}
	var next atomic.Uint64
	var mu sync.Mutex
	sum, schedules := tally{faults: map[string]int{}}, 0
	t.Run("schedules", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				t.Parallel()
				for !t.Failed() {
					n := next.Add(1) - 1
					if !goesOn(n) {
						return
					}
					r := simulate(t, s, first+n, none, nil)
					if r.err != nil {
						t.Errorf("after %d steps: %v\nreplay: go test ./internal/delivery -run '^TestSimulation$' -v -seed %d", r.steps, r.err, first+n)
					}
					mu.Lock()
					schedules++
					sum.add(r.tally)
					mu.Unlock()
				}
			})
		}
	})
	t.Logf("%d schedules from seed %d, %d steps\n%v", schedules, first, sum.steps, sum)
}

func (t *tally) add(u tally) {
	t.steps += u.steps
	for kind, n := range u.faults {
		t.faults[kind] += n
	}
}

func (t tally) String() string {
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(t.faults)) {
		fmt.Fprintf(&b, "%10d  %s\n", t.faults[kind], kind)
	}
	return b.String()
}

// TestEachMutantIsCaught leaves out one rule of the protocol at a time: a simulation that does not see it gone proves
// nothing. A random schedule catches most; it looks first at the one that did before, which a change of the schedules
// makes another.
func TestEachMutantIsCaught(t *testing.T) {
	t.Parallel()
	const schedules = 30_000
	s := newStage(t)
	for _, m := range mutants {
		t.Run(string(m), func(t *testing.T) {
			t.Parallel()
			if play := scriptOf(m); play != nil {
				if err := perform(t, s, m, play); err != nil {
					t.Logf("by hand: %v", err)
				} else {
					t.Error("not seen in the schedule by hand")
				}
				return
			}
			if r := simulate(t, s, caughtBy[m], m, nil); r.err != nil {
				t.Logf("seed %d, step %d: %v", caughtBy[m], r.steps, r.err)
				return
			}
			for seed := range uint64(schedules) {
				if r := simulate(t, s, seed, m, nil); r.err != nil {
					t.Logf("now seed %d, step %d: %v", seed, r.steps, r.err)
					return
				}
			}
			t.Errorf("not seen in %d schedules", schedules)
		})
	}
}
