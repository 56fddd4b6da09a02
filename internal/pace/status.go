package pace

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/notice"
)

// found is the state of a worker's relays and limits, as Redis keeps it for people.
type found struct {
	Relays []notice.RelayHealth `json:"relays"`
	Limits []use                `json:"limits"`
	File   []notice.DomainLimit `json:"file,omitempty"`
	// The worker says this of itself.
	Version string    `json:"version,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

func (p *Pacer) health(now time.Time) string {
	f := found{Version: p.o.Version, At: now.UTC()}
	if p.o.Health != nil {
		f.Relays = p.o.Health() // not under the mutex: it may take its own
	}
	for i := range f.Relays {
		f.Relays[i].Worker = p.o.Worker
	}
	p.mu.Lock()
	f.Limits, f.File = p.uses(now), p.fileLimits()
	p.mu.Unlock()
	text, err := json.Marshal(f)
	if err != nil {
		return "{}"
	}
	return string(text)
}

// Throttled is how many pairs of a relay and a domain, and relays, this worker knows to be throttled.
func (p *Pacer) Throttled() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.slowed)
}

// Watcher reads the accounts that pace all workers, without being a worker.
type Watcher struct{ redis redis.UniversalClient }

// NewWatcher returns a watcher of the accounts at a Redis URL. It does not connect.
func NewWatcher(url string) (*Watcher, error) {
	client, err := dial(url)
	return &Watcher{client}, err
}

// Close closes the connection to Redis.
func (w *Watcher) Close() error { return w.redis.Close() }

// Pace returns the relays' health as the living workers find it, the throttled domains, and the limits that hold mails up.
func (w *Watcher) Pace(ctx context.Context) (*notice.Pace, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g, err := ask(ctx, w.redis, blank(), fixedKeys())
	if err != nil {
		return nil, err
	}
	said := w.redis.HGetAll(ctx, prefix+"health")
	living := w.redis.ZRange(ctx, prefix+"workers", 0, -1)
	if err := cmp.Or(said.Err(), living.Err()); err != nil {
		return nil, fmt.Errorf("read the relays' health: %w", err)
	}
	doc := &notice.Pace{Workers: len(living.Val()), Relays: []notice.RelayHealth{}, Throttled: []notice.Throttled{}}
	var uses []use
	var files []notice.DomainLimit
	for _, worker := range living.Val() {
		var f found
		if json.Unmarshal([]byte(said.Val()[worker]), &f) != nil {
			continue // it is of another version
		}
		doc.Relays = append(doc.Relays, f.Relays...)
		doc.Alive = append(doc.Alive, notice.Worker{Name: worker, Version: f.Version, HeardAt: f.At})
		uses, files = append(uses, f.Limits...), append(files, f.File...)
	}
	doc.Limited, doc.Files = reached(uses), together(files)
	slices.SortFunc(doc.Alive, func(a, b notice.Worker) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortStableFunc(doc.Relays, func(a, b notice.RelayHealth) int { return cmp.Compare(a.Worker, b.Worker) })
	for _, t := range g.Throttled {
		if k, ok := pairOf(t.Pair); ok {
			doc.Throttled = append(doc.Throttled, notice.Throttled{Relay: k.relay, Domain: k.domain, RatePerS: t.Rate / 1000, UpTo: t.UpTo / 1000})
		}
	}
	slices.SortFunc(doc.Throttled, func(a, b notice.Throttled) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Relay, b.Relay))
	})
	return doc, nil
}
