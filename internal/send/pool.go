package send

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// How long a relay rests before it is probed: doubling from the first to the last, jittered.
const (
	firstRest = 100 * time.Millisecond
	lastRest  = 30 * time.Second
)

// lostInARow is how many transactions may break off one after the other before a relay that takes connections rests.
const lostInARow = 3

// relayState is a relay with its connections and its health, guarded by the pool's mutex.
type relayState struct {
	Relay
	busy     int     // connections in use or being opened
	idle     []*conn // the most recently used last
	lost     int     // transactions that broke off since the last that did not
	resting  bool    // no new connection is opened, but by a probe
	downs    int     // how often it went down since the last mail that it answered
	failedAt time.Time
	since    time.Time // when it went up or down
	error    string    // the last failure, without addresses
	probe    *time.Timer
}

// acquire returns a connection that nobody else uses.
func (p *Pool) acquire(ctx context.Context, via string) (*conn, error) {
	var cause error
	for {
		c, r, changed := p.pick(via)
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
		select {
		case <-changed:
		case <-ctx.Done():
			if cause == nil {
				cause = fmt.Errorf("wait for a free connection: %w", context.Cause(ctx))
			}
			return nil, cause
		}
	}
}

// pick chooses by the order of the relays: an idle connection, or a relay to connect to. Where there is neither, it
// returns what to wait for: a change. All nil: the pool is closed.
//
// A relay that takes no more connections may well serve on those that it has: mails that count against its rate go
// there as long as one is idle, others don't.
func (p *Pool) pick(via string) (c *conn, r *relayState, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, nil
	}
	for _, r := range p.relays {
		if n := len(r.idle); n > 0 && (!r.resting || via == r.Name || via == "") {
			c := r.idle[n-1]
			r.idle = r.idle[:n-1]
			c.expiry.Stop()
			r.busy++
			return c, nil, nil
		}
		if r.resting {
			continue
		}
		if r.busy < r.Connections {
			r.busy++
			return nil, r, nil
		}
		// A healthy relay that is busy is worth waiting for: the next one is for when it is down.
		return nil, nil, p.changed
	}
	return nil, nil, p.changed
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
	if err == nil {
		p.up(r)
		return c, nil
	}
	r.busy--
	// An attempt that was stopped, or began too late, says nothing about the relay; and of attempts that ran side
	// by side one failure counts.
	tooShort := ctx.Err() != nil && time.Since(began) < time.Second
	if !tooShort && !errors.Is(ctx.Err(), context.Canceled) && !began.Before(r.failedAt) {
		p.down(r, err.Error())
	}
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
	p.account(c)
	broken := c.broken // read under the mutex: once it is idle it is another's
	keep := !broken && !p.closed
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
	case broken:
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
