package pace

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/redisurl"
)

//go:embed exchange.lua
var exchangeLua string

var exchangeScript = redis.NewScript(exchangeLua)

// All keys have one hash tag: a script's keys must be in one place of a cluster.
const prefix = "{tocsin:pace}:"

// lives is how long after its last word a worker counts, and keeps the connections that it was granted.
const lives = 5 * time.Second

// turn is how long a worker keeps the connections to a domain that has fewer than there are workers.
const turn = time.Second

// patience is how long Redis may take to answer.
const patience = time.Second

// wish is the question to the script, and grant its answer. Times are microseconds, rates thousandths of mails per
// second.
type (
	wish struct {
		Worker  string       `json:"worker"` // "" looks and changes nothing
		Lives   int64        `json:"lives"`
		Turn    int64        `json:"turn"`
		Ahead   int64        `json:"ahead"`
		Lag     int64        `json:"lag"`
		Growth  float64      `json:"growth"`
		Floor   float64      `json:"floor"`
		Urgent  bool         `json:"urgent,omitempty"`
		Leases  []leaseWish  `json:"leases,omitempty"`
		Slots   []slotWish   `json:"slots,omitempty"`
		Reports []reportWish `json:"reports,omitempty"`
		Health  string       `json:"health,omitempty"`
	}
	leaseWish struct {
		Span  int64 `json:"span"`
		mails int
	}
	slotWish struct {
		Limit int `json:"limit"`
		Used  int `json:"used"`
		Wants int `json:"wants"`
	}
	reportWish struct {
		Pair string  `json:"pair"`
		Rate float64 `json:"rate"`
		UpTo float64 `json:"upto"`
	}
	grant struct {
		Workers int  `json:"workers"`
		Urgent  bool `json:"urgent"`
		Leases  []struct {
			Wait  float64 `json:"wait"`
			Delay float64 `json:"delay"`
		} `json:"leases"`
		Slots     []int        `json:"slots"`
		Throttled []reportWish `json:"throttled"`
	}
)

func blank() wish {
	return wish{Lives: lives.Microseconds(), Turn: turn.Microseconds(), Ahead: ahead * blockOf.Microseconds(), Lag: lag.Microseconds(), Growth: growth, Floor: floor * 1000}
}

// dial returns a client that gives up soon: anything that Redis does not say now is asked again anyway.
func dial(url string) (redis.UniversalClient, error) {
	client, _, err := redisurl.Open(url, redisurl.Tuning{"dial_timeout": patience.String(), "read_timeout": patience.String(),
		"write_timeout": patience.String(), "max_retries": "-1", "pool_size": "2"})
	return client, err
}

// exchange tells Redis the wishes of this worker and takes over the answer.
func (p *Pacer) exchange(ctx context.Context) error {
	w, keys, buckets, all := p.wishes()
	began := time.Now()
	g, err := ask(ctx, p.redis, w, keys)
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.reports = append(reportsOf(w), p.reports...)
		if len(p.reports) > 1000 {
			p.reports = nil
		}
		return err
	}
	p.measure(now.Sub(began))
	p.workers = max(1, g.Workers)
	if p.away {
		for _, b := range p.buckets {
			b.together()
		}
		p.nudge()
	}
	if g.Urgent {
		p.yielding = now.Add(2 * active)
	}
	for i, b := range buckets {
		if l := g.Leases[i]; l.Wait > 0 {
			b.not = now.Add(time.Duration(l.Wait) * time.Microsecond)
		} else {
			b.lease(now, time.Duration(l.Delay)*time.Microsecond, time.Duration(w.Leases[i].Span)*time.Microsecond, w.Leases[i].mails)
		}
	}
	for i, s := range all {
		s.granted, s.heard = g.Slots[i], true
	}
	p.slowDown(g.Throttled, now)
	return nil
}

// measure takes into account how long Redis took, and says so where that is long; the caller holds the mutex.
func (p *Pacer) measure(took time.Duration) {
	p.reach = reachFor(took, p.reach)
	switch {
	case !p.tardy && took > active:
		p.tardy = true
		p.o.Logger.Warn("limits: Redis answers late, leasing more at once", slog.Duration("took", took))
	case p.tardy && p.reach == blockOf:
		p.tardy = false
		p.o.Logger.Info("limits: Redis answers in time again")
	}
}

// wishes collects everything that this worker asks of Redis.
func (p *Pacer) wishes() (w wish, keys []string, buckets []*bucket, all []*slots) {
	now := time.Now()
	w = blank()
	w.Health = p.health(now)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tidy(now)
	w.Worker, w.Urgent, w.Ahead = p.o.Worker, p.isUrgent(now), ahead*p.reach.Microseconds()
	keys = append(keys, fixedKeys()...)
	for _, b := range p.buckets {
		if b.needs(now) {
			buckets = append(buckets, b)
			keys = append(keys, prefix+b.key)
			w.Leases = append(w.Leases, leaseWish{Span: b.span(b.block).Microseconds(), mails: b.block})
		}
	}
	for domain, s := range p.slots {
		all = append(all, s)
		keys = append(keys, prefix+"slots:"+domain)
		w.Slots = append(w.Slots, slotWish{Limit: s.limit, Used: s.used, Wants: s.wants(now)})
	}
	for _, r := range p.reports {
		w.Reports = append(w.Reports, reportWish{Pair: r.relay + " " + r.domain, Rate: r.rate * 1000, UpTo: r.upTo * 1000})
	}
	p.reports = nil
	return w, keys, buckets, all
}

func fixedKeys() []string {
	return []string{prefix + "clock", prefix + "workers", prefix + "urgent", prefix + "throttled", prefix + "health"}
}

func reportsOf(w wish) (reports []report) {
	for _, r := range w.Reports {
		if k, ok := pairOf(r.Pair); ok {
			reports = append(reports, report{pair: k, rate: r.Rate / 1000, upTo: r.UpTo / 1000})
		}
	}
	return reports
}

// pairOf reads a pair as Redis has it: a domain has no space.
func pairOf(text string) (pair, bool) {
	i := strings.LastIndexByte(text, ' ')
	if i < 0 {
		return pair{}, false
	}
	return pair{text[:i], text[i+1:]}, true
}

func ask(ctx context.Context, client redis.UniversalClient, w wish, keys []string) (g grant, err error) {
	arg, err := json.Marshal(w)
	if err != nil {
		return g, fmt.Errorf("encode what the limits are asked: %w", err)
	}
	text, err := exchangeScript.Run(ctx, client, keys, arg).Text()
	if err == nil {
		err = json.Unmarshal([]byte(text), &g)
	}
	if err == nil && (len(g.Leases) != len(w.Leases) || len(g.Slots) != len(w.Slots)) {
		err = fmt.Errorf("%d leases and %d slots were asked for, and %d and %d answered", len(w.Leases), len(w.Slots), len(g.Leases), len(g.Slots))
	}
	if err != nil {
		return g, fmt.Errorf("ask Redis for the limits: %w", err)
	}
	return g, nil
}

// leave gives back this worker's place among the workers, and its connections.
func (p *Pacer) leave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	p.mu.Lock()
	keys := []string{}
	for domain := range p.slots {
		keys = append(keys, prefix+"slots:"+domain)
	}
	p.mu.Unlock()
	pipe := p.redis.Pipeline()
	pipe.ZRem(ctx, prefix+"workers", p.o.Worker)
	pipe.HDel(ctx, prefix+"health", p.o.Worker)
	for _, key := range keys {
		pipe.HDel(ctx, key, p.o.Worker)
	}
	_, _ = pipe.Exec(ctx) // leftovers run out
}
