package send

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"
)

// How long a relay rests that could not be reached: doubling from the first to the last, jittered.
const (
	firstRest = 100 * time.Millisecond
	lastRest  = 30 * time.Second
)

// relayState is a relay with its connections and its health, guarded by the pool's mutex.
type relayState struct {
	Relay
	busy      int     // connections in use or being opened
	idle      []*conn // the most recently used last
	failures  int     // attempts to connect that failed since the last that did not
	failedAt  time.Time
	restUntil time.Time
	probing   bool // one Send is finding out whether the relay is back
}

// acquire returns a connection that nobody else uses.
func (p *Pool) acquire(ctx context.Context) (*conn, error) {
	var cause error
	for {
		c, r, changed, rest := p.pick()
		switch {
		case c != nil:
			return c, nil
		case r != nil:
			var err error
			if c, err = p.open(ctx, r); err == nil {
				return c, nil
			}
			// An attempt that ctx cut short says less than one before it.
			if cause == nil || ctx.Err() == nil {
				cause = fmt.Errorf("connect to %s: %w", r.Name, err)
			}
			if ctx.Err() != nil {
				return nil, cause
			}
			continue
		case changed == nil:
			return nil, errClosed
		}
		if err := await(ctx, changed, rest); err != nil {
			if cause == nil {
				cause = fmt.Errorf("wait for a free connection: %w", err)
			}
			return nil, cause
		}
	}
}

// pick chooses by the order of the relays: an idle connection, or a relay to connect to. Where there is neither, it
// returns what to wait for: a change, or the end of a relay's rest (0 = none rests). All nil: the pool is closed.
func (p *Pool) pick() (c *conn, r *relayState, changed <-chan struct{}, rest time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, nil, 0
	}
	now := time.Now()
	for _, r := range p.relays {
		if n := len(r.idle); n > 0 {
			c := r.idle[n-1]
			r.idle = r.idle[:n-1]
			c.expiry.Stop()
			r.busy++
			return c, nil, nil, 0
		}
		switch left := r.restUntil.Sub(now); {
		case r.failures > 0 && left > 0:
			if rest == 0 || left < rest {
				rest = left
			}
		case r.probing: // one is enough to find out
		case r.busy < r.Connections:
			r.busy++
			r.probing = r.failures > 0
			return nil, r, nil, 0
		default:
			// A healthy relay that is busy is worth waiting for: the next one is for when it is down.
			return nil, nil, p.changed, 0
		}
	}
	return nil, nil, p.changed, rest
}

// await returns nil when it is time to look again: after a change or, where rest is not 0, after the rest.
func await(ctx context.Context, changed <-chan struct{}, rest time.Duration) error {
	var rested <-chan time.Time
	if rest > 0 {
		t := time.NewTimer(rest)
		defer t.Stop()
		rested = t.C
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-changed:
	case <-rested:
	}
	return nil
}

// open connects to r, in whose busy the new connection is counted already, and keeps account of r's health.
func (p *Pool) open(ctx context.Context, r *relayState) (*conn, error) {
	began := time.Now()
	limited, cancel := context.WithTimeout(ctx, p.share(ctx, r))
	c, err := p.dial(limited, r)
	cancel()

	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.wake()
	r.probing = false
	if err == nil {
		if r.failures > 0 {
			p.o.Logger.LogAttrs(ctx, slog.LevelInfo, "relay up", slog.String("relay", r.Name))
		}
		r.failures = 0
		return c, nil
	}
	r.busy--
	// An attempt that was stopped, or began too late, says nothing about the relay; and of attempts that ran side
	// by side one failure counts.
	tooShort := ctx.Err() != nil && time.Since(began) < time.Second
	if tooShort || errors.Is(ctx.Err(), context.Canceled) || began.Before(r.failedAt) {
		return nil, err
	}
	r.failures++
	r.failedAt = time.Now()
	d := min(firstRest<<min(r.failures-1, 16), lastRest)
	d = d/2 + rand.N(d)
	r.restUntil = r.failedAt.Add(d)
	level := slog.LevelDebug
	if r.failures == 1 {
		level = slog.LevelWarn
	}
	p.o.Logger.LogAttrs(ctx, level, "relay down", slog.String("relay", r.Name),
		slog.Duration("rest", d), slog.String("error", withoutAddresses(err.Error())))
	return nil, err
}

// share is how long one attempt to connect may take: the ConnectTimeout, or less where a relay after this one
// must be tried as well before ctx ends.
func (p *Pool) share(ctx context.Context, r *relayState) time.Duration {
	end, ok := ctx.Deadline()
	if !ok {
		return p.o.ConnectTimeout
	}
	left := len(p.relays) - slices.Index(p.relays, r)
	return min(p.o.ConnectTimeout, time.Until(end)/time.Duration(left))
}

// release gives a connection back: to be reused, or closed where its state is not known.
func (p *Pool) release(c *conn) {
	p.mu.Lock()
	keep := !c.broken && !p.closed
	c.relay.busy--
	if keep {
		c.used = true
		c.relay.idle = append(c.relay.idle, c)
		if c.expiry == nil {
			c.expiry = time.AfterFunc(p.o.IdleTimeout, func() { p.expire(c) })
		} else {
			c.expiry.Reset(p.o.IdleTimeout)
		}
	}
	p.wake()
	p.mu.Unlock()
	switch {
	case c.broken:
		c.raw.Close()
	case !keep:
		c.quit()
	}
}

// expire closes a connection that nobody used for the IdleTimeout.
func (p *Pool) expire(c *conn) {
	p.mu.Lock()
	i := slices.Index(c.relay.idle, c)
	if i >= 0 {
		c.relay.idle = slices.Delete(c.relay.idle, i, i+1)
	}
	p.mu.Unlock()
	if i >= 0 {
		c.quit()
	}
}

// wake lets every waiting Send look again; the caller holds the mutex.
func (p *Pool) wake() {
	close(p.changed)
	p.changed = make(chan struct{})
}

// withoutAddresses blanks the words of a relay's reply that may be mail addresses: logs hold none.
func withoutAddresses(s string) string {
	words := strings.Fields(s)
	for i, w := range words {
		if strings.Contains(w, "@") {
			words[i] = "…"
		}
	}
	return strings.Join(words, " ")
}
