package pace

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// bubbleClock has Redis tell the time of a synctest bubble. There seconds take no time, and how busy the machine is
// changes nothing.
type bubbleClock struct{}

func (bubbleClock) DialHook(next redis.DialHook) redis.DialHook { return next }

func (bubbleClock) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		switch args := c.Args(); c.Name() {
		case "evalsha", "eval":
			args[1] = timedScript.Hash()
			if c.Name() == "eval" {
				args[1] = timedSource
			}
			args[len(args)-1] = timed(args[len(args)-1].([]byte), time.Now())
		}
		return next(ctx, c)
	}
}

func (bubbleClock) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// start runs a pacer in a bubble until stop is called.
func start(t *testing.T, url, worker string, o Options, hooks ...redis.Hook) (p *Pacer, stop func()) {
	t.Helper()
	o.Worker, o.Logger = worker, slog.New(slog.DiscardHandler)
	if o.Next == nil {
		o.Next = func() string { return "main" }
	}
	if o.Connections == 0 {
		o.Connections = 16
	}
	p, err := New(url, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range append(hooks, bubbleClock{}) {
		p.redis.AddHook(h)
	}
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { p.Run(ctx) })
	stop = sync.OnceFunc(func() { end(); running.Wait() })
	t.Cleanup(stop)
	return p, stop
}

// counter counts mails.
type counter struct {
	mu sync.Mutex
	at []time.Time
}

func (c *counter) add() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, time.Now())
}

// between counts the mails of a window.
func (c *counter) between(from, to time.Time) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, at := range c.at {
		if !at.Before(from) && at.Before(to) {
			n++
		}
	}
	return n
}

// send sends mails to a domain as fast as it may, until ctx ends.
func send(ctx context.Context, p *Pacer, domain string, each func()) {
	for ctx.Err() == nil {
		l, r := p.Ask(domain)
		if l == nil {
			select {
			case <-ctx.Done():
			case <-time.After(min(r.Wait, 50*time.Millisecond)):
			}
			continue
		}
		each()
		p.Done(l, notice.Answer{Outcome: notice.OutcomeSent, Relay: l.relay, Code: 250})
	}
}

// One worker joins and one is gone without a word, and all of them together keep to the rate.
func TestWorkersShareARate(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		const rate = 400
		o := Options{Relays: map[string]notice.Rate{"main": rate}}
		var sent counter
		var sending sync.WaitGroup
		work := func(name string) (kill func()) {
			p, stop := start(t, url, name, o)
			ctx, end := context.WithCancel(t.Context())
			sending.Go(func() { send(ctx, p, "example.com", sent.add) })
			return func() { end(); stop() }
		}
		kill := work("1")
		kills := []func(){work("2"), work("3")}
		begin := time.Now().Add(500 * time.Millisecond)
		time.Sleep(time.Until(begin.Add(time.Second)))
		kills = append(kills, work("4"))
		time.Sleep(time.Until(begin.Add(2 * time.Second)))
		kill()
		time.Sleep(time.Until(begin.Add(4 * time.Second)))
		for _, kill := range kills {
			kill()
		}
		sending.Wait()
		if n := sent.between(begin, begin.Add(4*time.Second)); n > 4*rate+1 || n < 0.95*4*rate { // some was leased to the dead one
			t.Errorf("%d mails in 4 s, want %d", n, 4*rate)
		}
	})
}

func TestADomainIsLimitedAndTheOthersAreNot(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		p, _ := start(t, url, "1", Options{Limits: []Limit{{Domain: "slow.example", Rate: 10}}})
		ctx, end := context.WithTimeout(t.Context(), 2*time.Second)
		defer end()
		var slow, fast counter
		var sending sync.WaitGroup
		sending.Go(func() { send(ctx, p, "slow.example", slow.add) })
		sending.Go(func() {
			send(ctx, p, "fast.example", func() { fast.add(); time.Sleep(time.Millisecond) })
		})
		sending.Wait()
		if n := len(slow.at); n > 22 || n < 19 {
			t.Errorf("%d mails to the limited domain in 2 s, want 20", n)
		}
		if n := len(fast.at); n < 1990 {
			t.Errorf("%d mails to the other one", n)
		}
	})
}

func TestWorkersShareConnections(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		o := Options{Limits: []Limit{{Domain: "example.com", Connections: 4}}}
		var mu sync.Mutex
		under, most := 0, 0
		by := map[string]int{}
		var sending sync.WaitGroup
		ctx, end := context.WithTimeout(t.Context(), 3*time.Second)
		defer end()
		for w := range 3 {
			name := fmt.Sprint(w)
			p, _ := start(t, url, name, o)
			for range 4 {
				sending.Go(func() {
					send(ctx, p, "example.com", func() {
						mu.Lock()
						by[name]++
						under++
						most = max(most, under)
						mu.Unlock()
						time.Sleep(5 * time.Millisecond)
						mu.Lock()
						under--
						mu.Unlock()
					})
				})
			}
		}
		sending.Wait()
		if most != 4 {
			t.Errorf("%d connections at once, want 4", most)
		}
		if len(by) != 3 {
			t.Errorf("some workers got no connection: %v", by)
		}
	})
}

func TestWithoutRedisEachKeepsItsShare(t *testing.T) {
	t.Parallel()
	services := testkit.OwnRedis(t)
	synctest.Test(t, func(t *testing.T) {
		const rate = 200
		o := Options{Relays: map[string]notice.Rate{"main": rate}}
		var sent counter
		var sending sync.WaitGroup
		ctx, end := context.WithCancel(t.Context())
		for w := range 2 {
			p, stop := start(t, services.RedisURL, fmt.Sprint(w), o)
			defer time.Sleep(2 * time.Second) // a closed client of go-redis asks for its lost server once more
			defer stop()
			sending.Go(func() { send(ctx, p, "example.com", sent.add) })
		}
		time.Sleep(time.Second)
		if err := services.StopRedis(); err != nil {
			t.Fatal(err)
		}
		from := time.Now().Add(time.Second)
		time.Sleep(time.Until(from.Add(2 * time.Second)))
		end()
		sending.Wait()
		if n := sent.between(from, from.Add(2*time.Second)); math.Abs(float64(n-2*rate)) > 0.01*2*rate {
			t.Errorf("%d mails in 2 s without Redis, want %d", n, 2*rate)
		}
	})
}

// outage is a Redis that answers an error while it is set.
type outage struct{ *atomic.Bool }

func (o outage) DialHook(next redis.DialHook) redis.DialHook { return next }

func (o outage) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		if o.Load() {
			c.SetErr(io.ErrUnexpectedEOF)
			return c.Err()
		}
		return next(ctx, c)
	}
}

func (o outage) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// A failover has Redis away for some seconds, and Redis may lose all that it held. The shares that workers took
// meanwhile must not come on top of the rate.
func TestAFailoverKeepsTheRate(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		const rate, workers = 200, 4
		var sent counter
		var sending sync.WaitGroup
		var away atomic.Bool
		ctx, end := context.WithCancel(t.Context())
		var pacers []*Pacer
		for w := range workers {
			p, _ := start(t, url, fmt.Sprint(w), Options{Relays: map[string]notice.Rate{"main": rate}}, outage{&away})
			pacers = append(pacers, p)
			// Each comes at a moment of its own, so that their leases don't end together.
			sending.Go(func() {
				time.Sleep(time.Duration(w) * 170 * time.Millisecond)
				send(ctx, p, "example.com", sent.add)
			})
		}
		time.Sleep(2 * time.Second)
		from := time.Now()
		for range 3 {
			away.Store(true)
			time.Sleep(2300 * time.Millisecond)
			away.Store(false)
			if err := pacers[0].redis.FlushDB(ctx).Err(); err != nil {
				t.Error(err)
			}
			time.Sleep(2700 * time.Millisecond)
		}
		to := time.Now()
		end()
		sending.Wait()
		const each = 0.25 * rate // more in each failover, as docs/operations.md has it, and no great gap
		if n, of := float64(sent.between(from, to)), rate*to.Sub(from).Seconds(); n > of+3*each || n < of-3*each {
			t.Errorf("%.0f mails in %v with three failovers, want %.0f", n, to.Sub(from), of)
		}
	})
}

// tardy is a Redis that answers late.
type tardy time.Duration

func (d tardy) DialHook(next redis.DialHook) redis.DialHook { return next }

func (d tardy) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, c redis.Cmder) error {
		time.Sleep(time.Duration(d) / 2)
		defer time.Sleep(time.Duration(d) / 2)
		return next(ctx, c)
	}
}

func (d tardy) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// The rate is kept where Redis answers late, by one worker and by two.
func TestARedisThatAnswersLate(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			t.Parallel()
			url := testkit.Redis(t)
			synctest.Test(t, func(t *testing.T) {
				const rate = 200
				var sent counter
				var sending sync.WaitGroup
				ctx, end := context.WithCancel(t.Context())
				for w := range workers {
					p, _ := start(t, url, fmt.Sprint(w), Options{Relays: map[string]notice.Rate{"main": rate}}, tardy(400*time.Millisecond))
					sending.Go(func() { send(ctx, p, "example.com", sent.add) })
				}
				from := time.Now().Add(5 * time.Second) // each answer doubles the length of a lease
				to := from.Add(4 * time.Second)
				time.Sleep(time.Until(to))
				end()
				sending.Wait()
				if n := sent.between(from, to); n > 1.01*4*rate || n < 0.99*4*rate {
					t.Errorf("%d mails in 4 s, want %d", n, 4*rate)
				}
			})
		})
	}
}

func TestSomethingUrgentIsKnownToAll(t *testing.T) {
	t.Parallel()
	url := testkit.Redis(t)
	synctest.Test(t, func(t *testing.T) {
		a, _ := start(t, url, "a", Options{})
		b, _ := start(t, url, "b", Options{})
		if a.Yield() || b.Yield() {
			t.Error("yields to nothing")
		}
		a.Urgent(1, true)
		a.Urgent(-1, false)
		if a.Yield() {
			t.Error("yields to what waits for its own domain")
		}
		a.Urgent(1, true)
		for deadline := time.Now().Add(10 * time.Second); !b.Yield(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the other worker never heard of it")
			}
		}
		a.Urgent(-1, true)
		for deadline := time.Now().Add(10 * time.Second); a.Yield() || b.Yield(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it never ends")
			}
		}
	})
}
