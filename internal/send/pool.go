package send

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"tocsin/internal/notice"
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
	tokens   tokens
	overlaps overlaps

	busy      int          // connections, and those being opened
	opening   int          // of these
	between   int          // connections that have just done with a job, and are about to take another
	idle      []*conn      // those that wait for a job; the most recently used last
	hands     int          // jobs that its connections have in hand
	lost      int          // transactions that broke off since the last that did not
	suspected int          // mails that it refused, and that another relay was to be asked to take, since it took one
	resting   bool         // no new connection is opened, but by a probe
	rest      *notice.Rest // an operator lets it rest: it gets no mails, and no connection
	retired   bool         // the settings have another in its place, or none: so does it
	quota     quota        // where the relay has one
	before    *relayState  // it took the place of this one, and the connections of that count as its own
	doubted   bool         // it refuses everybody's mail, as it seems, or is silent: one mail at a time, until it takes one
	silent    bool         // it takes mails and does not answer them
	stuck     int          // jobs in hand that it was found not to answer
	hushes    int          // how often it was silent when it was tried, since it last answered a dot
	answers   recent       // to dots
	watched   bool         // the watcher is set
	most      int          // connections that it took when it last asked for fewer,
	crowdedAt time.Time    // at that time; zero: it never did
	downs     int          // how often it went down since the last mail that it answered
	failedAt  time.Time
	since     time.Time // when it went up or down
	error     string    // the last failure, without addresses
	probe     *time.Timer
	watcher   *time.Timer // for silence
	offer     notice.Offer
	askedAt   time.Time                // when it made, or could not be asked for, that offer
	bad       map[netip.Addr]time.Time // its addresses that failed, and when
	aimed     map[netip.Addr]int       // those to which connections are being opened
}

// up reports whether mails go to r; the caller holds the pool's mutex.
func (r *relayState) up() bool { return !r.resting && !r.doubted && !r.shut() }

// named returns the relay of that name, if there is one.
func (p *Pool) named(name string) []*relayState {
	for _, r := range p.relays {
		if r.Name == name {
			return []*relayState{r}
		}
	}
	return nil
}

// another reports whether a relay is up that has not refused t; the caller holds the mutex.
func (p *Pool) another(t *task) bool {
	return slices.ContainsFunc(p.relays, func(r *relayState) bool { return r.up() && !slices.Contains(t.refused, r) })
}

// connect opens a connection to r within a time, and has it carry jobs as long as there are any. The caller holds the
// mutex.
func (p *Pool) connect(r *relayState, within time.Duration) {
	r.busy++
	r.opening++
	p.dialling.Add(1)
	go func() {
		c := p.open(r, within)
		p.dialling.Done()
		if c == nil {
			return
		}
		c.carry(p)
		p.leave(c)
	}()
}

// open connects to r and keeps account of r's health. It returns nil where there is no connection.
func (p *Pool) open(r *relayState, within time.Duration) *conn {
	began := time.Now()
	limited, cancel := context.WithTimeout(p.life, within)
	c, err := p.dial(limited, r)
	cancel()

	p.mu.Lock()
	defer p.mu.Unlock()
	r.opening--
	if err == nil && p.closed {
		err = errClosed
		c.raw.Close()
	}
	if err == nil {
		p.conns[c] = true
		p.reached(r)
		r.offered(c, nil)
		c.returns(true) // to take its first
		p.match()
		return c
	}
	r.busy--
	// An attempt that was stopped says nothing about the relay; and of attempts that ran side by side one failure counts.
	switch {
	case p.closed || errors.Is(err, context.Canceled):
	case isCrowded(err) && r.busy > 0: // the others may have yet to be greeted
		p.crowd(r, 0)
	case !began.Before(r.failedAt):
		p.down(r, err.Error())
	}
	if _, login := errors.AsType[*authFailure](err); login && p.o.LoginFailed != nil {
		p.o.LoginFailed()
	}
	p.match()
	return nil
}

// share is how long one attempt to connect may take: the ConnectTimeout, or less. It is less where a relay after this
// one must be tried as well before a job gives up.
func (p *Pool) share(r *relayState) time.Duration {
	left := len(p.relays) - slices.Index(p.relays, r)
	return min(p.o.ConnectTimeout, p.o.AcquireTimeout/time.Duration(left))
}

// leave closes a connection: with QUIT, unless its state is not known.
func (p *Pool) leave(c *conn) {
	p.mu.Lock()
	delete(p.conns, c)
	c.relay.busy--
	c.returns(false)
	p.match()
	p.mu.Unlock()
	if c.broken {
		c.raw.Close()
	} else {
		c.quit()
	}
	close(c.gone)
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

// abandon stops a job of which no dot was written; one that waits ends with why.
func (p *Pool) abandon(t *task, why error) {
	p.mu.Lock()
	if i := slices.Index(p.queue, t); i >= 0 {
		p.queue = slices.Delete(p.queue, i, i+1)
		p.mu.Unlock()
		t.Done(notice.Answer{}, fmt.Errorf("%w: %w", ErrNoRelay, why))
		return
	}
	c := t.on
	p.mu.Unlock()
	if c != nil {
		p.stop(c)
	}
}

// stop ends the transaction of c before its dot.
func (p *Pool) stop(c *conn) {
	if next := c.stop(); next != nil {
		p.finished(next)
		a := noDot(errStopped.Error())
		a.Relay = c.relay.Name
		next.Done(a, nil)
	}
}
