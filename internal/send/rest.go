package send

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"tocsin/internal/notice"
)

// Rest has the relays of these rests get no mails, and all others get mails again. Answers to dots that were written
// are waited for. After that, and at once where they are idle, a resting relay's connections are closed. Its mails go
// to the next relay. Where there is none left, they end with an error that wraps ErrNoRelay.
func (p *Pool) Rest(rests []notice.Rest) {
	p.mu.Lock()
	p.rests = rests
	for _, r := range p.relays {
		before := r.rest
		if r.rest = p.restOf(r.Name); (before == nil) != (r.rest == nil) {
			p.restChanged(r)
		}
	}
	end := p.rematch()
	p.mu.Unlock()
	end()
}

// rematch matches jobs and relays after a change of these. It returns a function that ends the jobs for which there is
// no relay any more. The caller holds the mutex, and not when it calls that.
func (p *Pool) rematch() (end func()) {
	p.match()
	why := p.allShut()
	if why == nil {
		return func() {}
	}
	left := p.queue
	p.queue = nil
	p.overdue.Stop()
	return func() {
		for _, t := range left {
			t.Done(notice.Answer{}, why)
		}
	}
}

// restOf is the rest of the relay of that name, if there is one; the caller holds the mutex.
func (p *Pool) restOf(name string) *notice.Rest {
	if i := slices.IndexFunc(p.rests, func(rest notice.Rest) bool { return rest.Relay == name }); i >= 0 {
		return &p.rests[i]
	}
	return nil
}

// restChanged has a relay begin or end its rest; the caller holds the mutex.
func (p *Pool) restChanged(r *relayState) {
	said := "relay goes on"
	if r.rest != nil {
		said = "relay at rest"
		r.leaveIdle()
	} else if r.resting && !p.closed {
		r.probe.Stop()
		r.probe = time.AfterFunc(0, func() { p.try(r) })
	}
	p.o.Logger.LogAttrs(context.Background(), slog.LevelInfo, said, slog.String("relay", r.Name))
}

// leaveIdle has the connections that wait for a job closed; the caller holds the pool's mutex.
func (r *relayState) leaveIdle() {
	for _, c := range r.idle {
		c.inbox <- nil
	}
	r.idle = nil
}

// shut reports whether a relay takes no jobs, whatever its health; the caller holds the pool's mutex.
func (r *relayState) shut() bool { return r.barred() || r.usedUp() }

// barred reports whether a relay takes no jobs, not even those that it has; the caller holds the pool's mutex.
func (r *relayState) barred() bool { return r.rest != nil || r.retired }

func (p *Pool) bars(r *relayState) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return r.barred()
}

// allShut is the error of a mail while operators let all relays rest, or their quotas are used up, else nil. The caller
// holds the mutex.
func (p *Pool) allShut() error {
	for _, r := range p.relays {
		if !r.shut() {
			return nil
		}
	}
	if len(p.relays) == 0 {
		return nil
	}
	r := p.relays[0]
	if r.rest == nil {
		return r.usedUpError()
	}
	return fmt.Errorf("%w: an operator lets %s rest", ErrNoRelay, r.Name)
}
