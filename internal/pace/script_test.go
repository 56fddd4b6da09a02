package pace

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/testkit"
)

// clocked asks a real Redis at the times that a test says.
type clocked struct {
	t      *testing.T
	client redis.UniversalClient
	now    time.Time // of Redis's clock
}

func newClocked(t *testing.T) *clocked {
	t.Helper()
	client, err := dial(testkit.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return &clocked{t: t, client: client, now: time.Unix(1_800_000_000, 0)}
}

// ask sends a worker's wish to the script; keys are those of its leases and slots.
func (c *clocked) ask(worker string, w wish, keys ...string) (g grant) {
	c.t.Helper()
	base := blank()
	base.Worker, base.Urgent, base.Leases, base.Slots, base.Reports = worker, w.Urgent, w.Leases, w.Slots, w.Reports
	arg, err := json.Marshal(base)
	if err != nil {
		c.t.Fatal(err)
	}
	all := fixedKeys()
	for _, key := range keys {
		all = append(all, prefix+key)
	}
	text, err := timedScript.Run(c.t.Context(), c.client, all, timed(arg, c.now)).Text()
	if err == nil {
		err = json.Unmarshal([]byte(text), &g)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	return g
}

// timedScript is the script with a clock that the one who asks sets, by timed.
var (
	timedSource = strings.Replace(exchangeLua, "redis.call('TIME')", "ask.time", 1)
	timedScript = redis.NewScript(timedSource)
)

// timed adds to a wish the time that Redis's clock shows.
func timed(wish []byte, now time.Time) []byte {
	return append(fmt.Appendf(nil, `{"time":["%d","%d"],`, now.Unix(), now.Nanosecond()/1000), wish[1:]...)
}

// Redis's clock is set back by an hour, and everything goes on as if it had not been.
func TestRedissClockIsSetBack(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	lease := wish{Leases: []leaseWish{{Span: 60_000}}}
	slot := wish{Slots: []slotWish{{Limit: 2, Used: 2, Wants: 2}}}
	c.ask("dead", slot, "slots:example.com")
	c.ask("dead", wish{Reports: []reportWish{{Pair: "main example.com", Rate: 60_000, UpTo: 240_000}}})
	c.ask("dead", wish{Urgent: true})
	for range 3 {
		c.ask("1", lease, "relay:main")
	}
	c.now = c.now.Add(-time.Hour)
	if g := c.ask("1", lease, "relay:main"); g.Leases[0].Wait > 0 || g.Leases[0].Delay > 180_000 || g.Leases[0].Delay < 0 {
		t.Errorf("the rate stands still: %+v", g.Leases)
	}
	if g := c.ask("1", wish{}); len(g.Throttled) != 1 || g.Throttled[0].Rate < 60_000 {
		t.Errorf("throttled %+v, want at 60/s", g.Throttled)
	}
	c.now = c.now.Add(2 * time.Second)
	g := c.ask("1", wish{Reports: []reportWish{{Pair: "main example.com", Rate: 60_000, UpTo: 240_000}}})
	if len(g.Throttled) != 1 || g.Throttled[0].Rate > 40_000 || g.Throttled[0].Rate < 30_000 {
		t.Errorf("throttled %+v, want at half of 64/s", g.Throttled)
	}
	if g.Urgent {
		t.Error("the urgency of two seconds ago goes on")
	}
	c.now = c.now.Add(lives)
	if g := c.ask("1", wish{Slots: []slotWish{{Limit: 2, Wants: 2}}}, "slots:example.com"); g.Workers != 1 || g.Slots[0] != 2 {
		t.Errorf("the dead worker lives on: %d workers, %d connections", g.Workers, g.Slots[0])
	}
}

// A pair that is throttled again far below its rate comes down by halves, and is not set free.
func TestThrottlingGoesOn(t *testing.T) {
	t.Parallel()
	c := newClocked(t)
	for i, want := range []float64{100_000, 50_000, 25_000, 12_500} {
		rate := 100_000.0
		if i > 0 {
			rate = 1000
		}
		g := c.ask("1", wish{Reports: []reportWish{{Pair: "main example.com", Rate: rate, UpTo: 4 * rate}}})
		if len(g.Throttled) != 1 || g.Throttled[0].Rate < want || g.Throttled[0].Rate > 1.2*want {
			t.Fatalf("report %d: %+v, want %.0f", i, g.Throttled, want)
		}
		c.now = c.now.Add(time.Second)
	}
}

// A domain takes fewer connections than there are workers, and each of them always wants one.
func TestFewConnectionsAreTakenInTurns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ limit, workers int }{{1, 2}, {1, 3}, {2, 3}, {3, 8}} {
		s := newClocked(t)
		under, had := make([]int, c.workers), make([]int, c.workers)
		const steps = 400
		for range steps { // each asks ten times a second
			for w := range c.workers {
				g := s.ask(fmt.Sprint(w), wish{Slots: []slotWish{{Limit: c.limit, Used: under[w], Wants: c.limit}}}, "slots:example.com")
				under[w] = g.Slots[0] // mails that are through at once
				had[w] += under[w]
				all := 0
				for _, n := range under {
					all += n
				}
				if all > c.limit {
					t.Fatalf("%+v: %d connections: %v", c, all, under)
				}
				s.now = s.now.Add(100 * time.Millisecond / time.Duration(c.workers))
			}
		}
		fair := steps * c.limit / c.workers
		for w, n := range had {
			if n < fair/2 || n > fair*3/2 {
				t.Errorf("%+v: worker %d had %d connection-steps, want %d: %v", c, w, n, fair, had)
			}
		}
		t.Logf("%+v: %v of %d", c, had, fair)
	}
}
