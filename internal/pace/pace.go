// Package pace says whether a mail may leave now, and if not, when. All workers share its limits through Redis: the
// rates of relays and of recipient domains, and the connections of domains. They also share the rates that throttling
// has taught, and that something urgent goes first.
//
// Nobody asks Redis per mail. A rate is a timeline in Redis from which a worker leases stretches, and every mail has
// its moment on such a stretch. So no rate is passed at any time, and workers may come and be killed. While Redis is
// away each worker keeps to its last known share.
package pace

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/notice"
)

// Limit is the most that all workers together send to a recipient domain; 0 = no limit.
type Limit struct {
	Domain      string // A-label, lower case
	Rate        notice.Rate
	Connections int // mails under way at once
}

// Options are the settings of a Pacer.
type Options struct {
	Worker      string                 // tells the workers apart
	Version     string                 // of Tocsin, to be shown
	Relays      map[string]notice.Rate // by the relay's name; those without a rate may be left out
	Limits      []Limit
	Next        func() string               // names the relay that the next mail goes to; "" = no relay takes any
	Health      func() []notice.RelayHealth // of this worker's relays, to be shown; may be nil
	Connections int                         // how many mails this worker has under way at most
	Logger      *slog.Logger
}

// Pacer paces one worker. It is safe for concurrent use.
type Pacer struct {
	o     Options
	redis redis.UniversalClient
	kick  chan struct{} // something is wanted of Redis soon

	mu       sync.Mutex
	rates    map[string]notice.Rate // of relays, by name
	most     int                    // mails under way
	limits   map[string]Limit       // of the settings, by domain
	set      map[string]Limit       // by operators, while the worker runs
	buckets  map[string]*bucket     // rates, by key
	slots    map[string]*slots      // connections, by domain
	began    time.Time
	domains  map[string]*traffic // how long mails to a domain take
	all      traffic             // of them together; mails under way are not counted
	slow     int                 // mails to slow domains under way
	pairs    map[pair]*answer    // answers of domains through a relay
	reports  []report            // throttling that Redis does not know of yet
	slowed   map[pair]throttled
	gauge    gauge
	workers  int           // seen last, this one included; 0 = Redis was never heard
	away     bool          // Redis did not answer the last time
	tardy    bool          // it answers late
	reach    time.Duration // of the leases
	asked    time.Time     // last by a mail
	tidied   time.Time
	hungry   int       // runs of this worker that have urgent mails that could go
	urgent   time.Time // until then more of them may come
	yielding time.Time // until then some worker has
}

// New returns a pacer that keeps its accounts at a Redis URL. Nothing leaves before Redis was heard once, where a
// limit is set. Run must be running.
func New(url string, o Options) (*Pacer, error) {
	client, err := dial(url)
	if err != nil {
		return nil, err
	}
	p := &Pacer{o: o, redis: client, kick: make(chan struct{}, 1), buckets: map[string]*bucket{},
		slots: map[string]*slots{}, domains: map[string]*traffic{}, pairs: map[pair]*answer{}, slowed: map[pair]throttled{},
		reach: blockOf, began: time.Now()}
	p.all.since = p.began
	p.limits, p.rates, p.most = byDomain(o.Limits), o.Relays, o.Connections
	return p, nil
}

// pair is a recipient domain through a relay.
type pair struct{ relay, domain string }

// Leave is the leave to send one mail now. It must be given back with Done.
type Leave struct {
	pair
	began time.Time
}

// Relay names the relay that the mail was counted against.
func (l *Leave) Relay() string { return l.relay }

// Refusal says how long to wait before asking again, and whether other domains' mails could go meanwhile.
type Refusal struct {
	Wait     time.Duration
	Domain   bool          // it is this domain that is limited, not the relay
	NoRelay  bool          // operators let all relays rest, or their quotas are used up: no mail can go
	Interval time.Duration // between two mails to this domain at its limit; 0 where that is not known
}

// Ask returns the leave to send one mail to a domain now, or when to ask again.
func (p *Pacer) Ask(domain string) (*Leave, Refusal) {
	k := pair{p.o.Next(), domain}
	if k.relay == "" {
		return nil, Refusal{Wait: soon, NoRelay: true}
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = now
	limit, set := p.limitOf(domain)
	var asked [4]*bucket
	var names [4]notice.Limited // of the buckets that somebody configured
	buckets := asked[:0]
	if s, ok := p.slowed[k]; ok && !set {
		buckets = append(buckets, p.bucket("pair:"+k.relay+":"+domain, s.rate))
	}
	if limit.Rate > 0 {
		names[len(buckets)] = notice.Limited{Domain: domain, RatePerS: float64(limit.Rate)}
		buckets = append(buckets, p.bucket(limit.key(set), float64(limit.Rate)))
	}
	ofDomain := len(buckets)
	if s, ok := p.slowed[whole(k.relay)]; ok {
		buckets = append(buckets, p.bucket("pair:"+k.relay+":", s.rate))
	}
	if rate := p.rates[k.relay]; rate > 0 {
		names[len(buckets)] = notice.Limited{Relay: k.relay, RatePerS: float64(rate)}
		buckets = append(buckets, p.bucket("relay:"+k.relay, float64(rate)))
	}
	if p.isSlow(domain, now) && p.slow >= max(1, p.most/2) {
		return nil, Refusal{Wait: soon, Domain: true}
	}
	if limit.Connections > 0 && !p.slot(domain, limit.Connections).free(now) {
		p.nudge()
		return nil, Refusal{Wait: soon, Domain: true}
	}
	for i, b := range buckets {
		if wait := b.ready(now); wait > 0 {
			p.gauge.count(names[i], false)
			p.nudgeFor(b, now)
			return nil, Refusal{Wait: max(wait, atLeast), Domain: i < ofDomain, Interval: time.Duration(float64(time.Second) / b.rate)}
		}
	}
	for i, b := range buckets {
		b.spend()
		p.gauge.count(names[i], true)
		p.nudgeFor(b, now)
	}
	if s := p.slots[domain]; s != nil {
		s.used++
	}
	p.begins(domain, now)
	return &Leave{pair: k, began: now}, Refusal{}
}

// NoRelay reports whether no relay takes mails, since operators let all of them rest, or their quotas are used up.
func (p *Pacer) NoRelay() bool { return p.o.Next() == "" }

// The shortest wait that is worth it, and how soon a place among the mails under way may be free.
const (
	atLeast = 2 * time.Millisecond
	soon    = 10 * time.Millisecond
)

// Done gives a leave back with the outcome of the mail; no outcome: nothing was tried.
func (p *Pacer) Done(l *Leave, a notice.Answer) {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ends(l, a.Outcome != 0, now)
	if s := p.slots[l.domain]; s != nil {
		s.used--
	}
	if a.Outcome == 0 {
		return
	}
	if a.Relay != "" {
		l.relay = a.Relay // it may have been the next one after all
	}
	p.heard(l.pair, a, now)
}

// urgently is how long after the last urgent mail that could go everything else still waits.
const urgently = 300 * time.Millisecond

// Urgent notes that so many more of this worker's runs, or fewer, have urgent mails. These could go now if others made
// room. The last of them says whether more such mails may come soon; then the pacer waits for them a moment.
func (p *Pacer) Urgent(runs int, soon bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if runs > 0 && !p.isUrgent(time.Now()) {
		p.nudge()
	}
	if p.hungry += runs; p.hungry == 0 && soon {
		p.urgent = time.Now().Add(urgently)
	}
}

// isUrgent reports whether this worker has urgent mails; the caller holds the mutex.
func (p *Pacer) isUrgent(now time.Time) bool { return p.hungry > 0 || now.Before(p.urgent) }

// Yield reports whether mails that are not urgent have to wait: some worker has urgent mails that could go.
func (p *Pacer) Yield() bool {
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = now
	return p.isUrgent(now) || now.Before(p.yielding)
}

// nudge has Redis asked soon.
func (p *Pacer) nudge() {
	select {
	case p.kick <- struct{}{}:
	default:
	}
}

// Run keeps the accounts with Redis until ctx ends.
func (p *Pacer) Run(ctx context.Context) {
	defer p.redis.Close()
	defer p.leave(context.WithoutCancel(ctx))
	for ctx.Err() == nil {
		began := time.Now()
		if err := p.exchange(ctx); err != nil && ctx.Err() == nil {
			p.alone(time.Now())
			if !p.setAway(true) {
				p.o.Logger.Warn("limits: Redis is away, keeping to the last known share", slog.Any("error", err))
			}
		} else if p.setAway(false) {
			p.o.Logger.Info("limits: Redis is back")
		}
		p.rest(ctx, began)
	}
}

// How often Redis is asked: when something is wanted, while mails leave, and while none do.
const (
	soonest = 50 * time.Millisecond
	active  = 200 * time.Millisecond
	idle    = time.Second
)

func (p *Pacer) rest(ctx context.Context, began time.Time) {
	p.mu.Lock()
	pause := idle
	if time.Since(p.asked) < 2*idle {
		pause = active
	}
	if p.away {
		pause = soonest
	}
	p.mu.Unlock()
	timer := time.NewTimer(time.Until(began.Add(pause)))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return
	case <-timer.C:
		return
	case <-p.kick:
	}
	timer.Reset(time.Until(began.Add(soonest)))
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// setAway notes whether Redis is away, and returns the value before.
func (p *Pacer) setAway(away bool) (before bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, p.away = p.away, away
	return before
}
