package send

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	"tocsin/internal/notice"
)

// up notes that a relay can be reached; the caller holds the mutex.
func (p *Pool) up(r *relayState) {
	if r.resting {
		p.o.Logger.LogAttrs(context.Background(), slog.LevelInfo, "relay up", slog.String("relay", r.Name))
		r.since, r.error = time.Now(), ""
	}
	r.resting = false
}

// down has a relay rest, each time for longer, and then be probed; the caller holds the mutex. No mail waits for
// the probe: it goes to the next relay meanwhile.
func (p *Pool) down(r *relayState, why string) {
	r.failedAt, r.error = time.Now(), withoutAddresses(why)
	level := slog.LevelDebug
	if !r.resting {
		level, r.since = slog.LevelWarn, r.failedAt
	}
	r.resting = true
	r.downs++
	rest := min(firstRest<<min(r.downs-1, 16), lastRest)
	rest = rest/2 + rand.N(rest)
	p.o.Logger.LogAttrs(context.Background(), level, "relay down", slog.String("relay", r.Name),
		slog.Duration("rest", rest), slog.String("error", r.error))
	if r.probe != nil {
		r.probe.Stop()
	}
	if !p.closed {
		r.probe = time.AfterFunc(rest, func() { p.try(r) })
	}
}

// try finds out whether a resting relay is back. The connection that shows it is kept.
func (p *Pool) try(r *relayState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && r.resting {
		p.connect(r)
	}
}

// account notes that a connection has a job no longer in hand, and whether the relay broke it off: one that takes
// connections and loses mail after mail is of no more use than one that takes none.
func (p *Pool) account(c *conn, t *task, lost bool, why string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t.release()
	c.returns(c.hands == 0 && !c.broken)
	switch r := c.relay; {
	case !lost:
		r.lost = 0
		if !r.resting { // else it answers on old connections alone, and is not to be probed more often for that
			r.downs = 0
		}
	case !r.resting:
		if r.lost++; r.lost >= lostInARow {
			p.down(r, "it breaks off one transaction after the other: "+why)
			p.match()
		}
	}
}

// Relays are the pool's relays in their order, under the names that answers give them.
func (p *Pool) Relays() (relays []Relay) {
	for _, r := range p.relays {
		relays = append(relays, r.Relay)
	}
	return relays
}

// Next names the relay that the next mail goes to: the first that does not rest, or serves on a connection that it has;
// where there is none, the first of all.
func (p *Pool) Next() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.relays {
		if !r.resting || len(r.idle)+r.between > 0 {
			return r.Name
		}
	}
	if len(p.relays) == 0 {
		return ""
	}
	return p.relays[0].Name
}

// Health says which relays are up.
func (p *Pool) Health() (all []notice.RelayHealth) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.relays {
		h := notice.RelayHealth{Relay: r.Name, State: "up", Since: r.since, Error: r.error}
		if r.resting {
			h.State = "resting"
		}
		all = append(all, h)
	}
	return all
}
