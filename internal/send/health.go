package send

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"tocsin/internal/notice"
)

// reached notes that there is a connection to a relay; the caller holds the mutex. One that is doubted has yet to take
// a mail.
func (p *Pool) reached(r *relayState) {
	back := r.resting && !r.doubted
	r.resting = false
	if back {
		p.back(r)
	}
}

// back notes that mails go to a relay again; the caller holds the mutex.
func (p *Pool) back(r *relayState) {
	p.o.Logger.LogAttrs(context.Background(), slog.LevelInfo, "relay up", slog.String("relay", r.Name))
	r.since, r.error = time.Now(), ""
}

// down has a relay rest, each time for longer, and then be probed; the caller holds the mutex. No mail waits for
// the probe: it goes to the next relay meanwhile.
func (p *Pool) down(r *relayState, why string) {
	r.failedAt, r.error = time.Now(), withoutAddresses(why)
	level := slog.LevelDebug
	if r.up() {
		level, r.since = slog.LevelWarn, r.failedAt
	}
	r.silent = false // one mail at a time is enough
	r.downs++
	rest := min(firstRest<<min(r.downs-1, 16), lastRest)
	rest = rest/2 + rand.N(rest)
	p.o.Logger.LogAttrs(context.Background(), level, "relay down", slog.String("relay", r.Name),
		slog.Duration("rest", rest), slog.String("error", r.error))
	p.probeAfter(r, rest)
}

// probeAfter has a relay get no mails for a time, after which it is tried; the caller holds the mutex.
func (p *Pool) probeAfter(r *relayState, d time.Duration) {
	r.resting = true
	if r.probe != nil {
		r.probe.Stop()
	}
	if !p.closed && !r.retired {
		r.probe = time.AfterFunc(d, func() { p.try(r) })
	}
}

// doubt has a relay rest that can be reached, and refuses everybody's mail as it seems. After that it gets one mail
// at a time, until it takes one. The caller holds the mutex.
func (p *Pool) doubt(r *relayState, why string) {
	if r.resting {
		return // that is known: several mails were refused side by side
	}
	p.down(r, why)
	r.doubted = true
}

// try finds out whether a resting relay is back, and gives it more time than a mail would wait: some greet late. The
// connection that shows it is kept.
func (p *Pool) try(r *relayState) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.closed || !r.resting || r.shut():
	case r.doubted && r.busy > 0: // it can be reached
		r.resting = false
		p.match()
	default:
		p.connect(r, greetingTimeout)
	}
}

// account notes that a connection has a job no longer in hand, and judges the relay by its end. One that takes
// connections and loses mail after mail is of no more use than one that takes none.
func (p *Pool) account(c *conn, t *task, lost bool, a notice.Answer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	stuck := t.stuck
	t.release()
	c.returns(c.hands == 0 && !c.broken)
	r := c.relay
	if !a.NoDot && a.Code != 0 {
		p.heard(r)
	}
	switch {
	case a.OfRelay:
	case lost && (r.silent || stuck):
		p.unheard(r, stuck)
	case lost && !r.resting:
		if r.lost++; r.lost >= lostInARow {
			p.down(r, "it breaks off one transaction after the other: "+a.Text)
			p.match()
		}
	case !lost:
		r.lost = 0
		if !r.resting { // else it answers on old connections alone, and is not to be probed more often for that
			r.downs = 0
			p.trust(r, a)
		}
	}
	if a.Outcome == notice.OutcomeSent {
		r.suspected = 0
	}
}

// trust ends the doubts about a relay that has answered a mail; the caller holds the mutex.
func (p *Pool) trust(r *relayState, a notice.Answer) {
	if !r.doubted || r.silent || a.Code == 0 {
		return
	}
	r.doubted, r.suspected = false, 0
	p.back(r)
	p.match()
}

// refused goes by a refusal of t that may be the relay's trouble, and reports whether it is another relay's turn. That has
// the mail at once, but where a dot was written: nothing goes out again in the same attempt. A relay rests also if it
// refuses several in a row that way, while there is another.
func (p *Pool) refused(c *conn, t *task, m meaning, a notice.Answer) (others bool) {
	p.mu.Lock()
	r := c.relay
	again := slices.Contains(t.refused, r)
	others = !again && (m == ofRelay || len(t.refused) == 0)
	t.refused = append(t.refused, r)
	others = others && p.another(t)
	if others {
		r.suspected++
	}
	if m == ofRelay || r.doubted || r.suspected >= lostInARow {
		p.doubt(r, fmt.Sprintf("it answers %d %s to %s", a.Code, a.Text, a.Command))
	}
	p.mu.Unlock()
	if others && a.NoDot {
		p.requeue(t)
	}
	return others
}

// Relays are the pool's relays in their order, under the names that answers give them.
func (p *Pool) Relays() (relays []Relay) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.relays {
		relays = append(relays, r.Relay)
	}
	return relays
}

// Next names the relay that the next mail goes to: the first that is up, or serves on a connection that it has. Where
// there is none, it is the first that is not at rest, and has quota left; "" = there is none.
func (p *Pool) Next() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.relays {
		if r.up() || r.resting && !r.doubted && !r.shut() && len(r.idle)+r.between > 0 {
			return r.Name
		}
	}
	for _, r := range p.relays {
		if !r.shut() {
			return r.Name
		}
	}
	return ""
}

// Health says which relays are up.
func (p *Pool) Health() (all []notice.RelayHealth) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, r := range p.relays {
		h := notice.RelayHealth{Relay: r.Name, State: notice.RelayUp, Since: r.since, Error: r.error}
		if r.resting || r.doubted && r.hands > 0 {
			h.State = notice.RelayResting
		}
		p.tellSilence(r, &h, now)
		switch {
		case r.rest != nil:
			h.State, h.Since, h.Rest = notice.RelayAtRest, r.rest.Since, r.rest
		case r.usedUp():
			h.State, h.Since = notice.RelayUsedUp, r.quota.asked
		}
		all = append(all, h)
	}
	return all
}
