package send

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/internal/notice"
)

// maxMoves is how often a job goes to another connection because of the answer to the mail before it.
const maxMoves = 3

// Ring is for how many waiting jobs a connection has the permit asked ahead, so that it is there when their turn comes.
// It is 8, or more where so many mails may be under way that 16 connections would not have them all.
func Ring(openMarks int) int { return max(8, openMarks/16) }

// task is a job, as the pool knows it. The connection that has it in hand uses it alone.
type task struct {
	notice.Job
	mail  notice.Mail
	from  string // the reverse-path of the mail where the relay has none
	body  []byte // as it goes over the wire; nil until it was made
	asked bool   // its permit was asked for
	moves int    // how often it went to another connection because of the mail before it
	since time.Time

	// Guarded by the pool's mutex:
	on      *conn         // that has it in hand
	stuck   bool          // there, without an answer for long
	paid    *quotaPart    // it has one mail of this,
	dotted  bool          // which is used since the dot may have been written; the connection's own
	refused []*relayState // they get it only where no other is up
}

// Submit has a job carried to the first relay that can be reached, and returns at once. A job that no connection was to
// be had for within the AcquireTimeout ends with an error that wraps ErrNoRelay. Once its dot was written nothing but
// the AnswerTimeout cuts the wait for the answer short.
func (p *Pool) Submit(j notice.Job) { p.submit(&task{Job: j}) }

func (p *Pool) submit(t *task) {
	p.mu.Lock()
	why := p.allShut()
	if p.closed {
		why = fmt.Errorf("%w: %w", ErrNoRelay, errClosed)
	}
	if why != nil {
		p.mu.Unlock()
		t.Done(notice.Answer{}, why)
		return
	}
	t.since = time.Now()
	if shunned := t.Shuns(); shunned != "" {
		t.refused = p.named(shunned)
	}
	p.queue = append(p.queue, t)
	if len(p.queue) == 1 {
		p.overdue.Reset(p.o.AcquireTimeout)
	}
	p.match()
	p.mu.Unlock()
}

// requeue gives a job, of which no dot was written, to another connection, before all others.
func (p *Pool) requeue(t *task) {
	p.mu.Lock()
	t.release()
	if p.closed {
		p.mu.Unlock()
		t.Done(noDot(errStopped.Error()), nil)
		return
	}
	if why := p.allShut(); why != nil {
		p.mu.Unlock()
		t.Done(notice.Answer{}, why)
		return
	}
	if t.asked && p.mute() {
		p.mu.Unlock()
		t.Done(inVain, nil)
		return
	}
	t.since = time.Now()
	p.queue = slices.Insert(p.queue, 0, t)
	p.overdue.Reset(p.o.AcquireTimeout)
	p.match()
	p.mu.Unlock()
}

// take waits for a job that c may carry; nil: there is none for the IdleTimeout, or the pool is closed.
func (p *Pool) take(c *conn) *task {
	for {
		p.mu.Lock()
		c.returns(false)
		t := p.pop(c)
		if t == nil && (c.relay.shut() || c.relay.doubted && c.relay.resting) {
			p.mu.Unlock()
			return nil // of one that is doubted a new connection finds out
		}
		waits := t == nil && !p.closed
		if waits {
			c.relay.idle = append(c.relay.idle, c)
		}
		p.mu.Unlock()
		if waits {
			t = p.idle(c)
		}
		if t == nil || p.prepare(c, t) {
			return t
		}
	}
}

// idle waits until c, which is on its relay's list of idle connections, is given a job, or has waited long enough.
func (p *Pool) idle(c *conn) *task {
	if c.expiry == nil {
		c.expiry = time.NewTimer(p.o.IdleTimeout)
	} else {
		c.expiry.Reset(p.o.IdleTimeout)
	}
	defer c.expiry.Stop()
	select {
	case t := <-c.inbox:
		return t
	case <-c.expiry.C:
	case <-p.life.Done():
	}
	p.mu.Lock()
	if i := slices.Index(c.relay.idle, c); i >= 0 {
		c.relay.idle = slices.Delete(c.relay.idle, i, i+1)
		p.mu.Unlock()
		return nil
	}
	p.mu.Unlock()
	return <-c.inbox // somebody was quicker
}

// poll returns a job that c may carry, if there is one now.
func (p *Pool) poll(c *conn) *task {
	for {
		p.mu.Lock()
		t := p.pop(c)
		p.mu.Unlock()
		if t == nil || p.prepare(c, t) {
			return t
		}
	}
}

// pop takes the first waiting job that c may carry; the caller holds the mutex.
func (p *Pool) pop(c *conn) *task {
	if p.closed || c.relay.shut() || c.relay.doubted && (c.relay.resting || c.relay.hands > c.relay.stuck) {
		return nil
	}
	for i, t := range p.queue {
		if p.serves(c.relay, t) {
			if !c.relay.has() {
				p.want(c.relay)
				return nil
			}
			t.pay(c.relay)
			p.queue = slices.Delete(p.queue, i, i+1)
			t.on = c
			c.hands++
			c.relay.hands++
			p.askAhead()
			return t
		}
	}
	return nil
}

// serves reports whether a relay takes a job that no healthy one before it takes. One that takes no more connections
// may well serve on those that it has. Mails that count against its rate go there, others don't. The caller holds the
// mutex.
func (p *Pool) serves(r *relayState, t *task) bool {
	shuns := len(t.refused) > 0 && p.another(t)
	if r.shut() || shuns && slices.Contains(t.refused, r) {
		return false
	}
	for _, before := range p.relays {
		if before == r {
			break
		}
		if before.up() && !(shuns && slices.Contains(t.refused, before)) {
			return false
		}
	}
	via := t.Via()
	return !r.resting || via == r.Name || via == ""
}

// prepare makes the message of a job and has its permit asked for, and reports whether there is something to carry.
func (p *Pool) prepare(c *conn, t *task) bool {
	if t.Refused() {
		p.finished(t)
		t.Done(noDot("no leave to send"), nil)
		return false
	}
	if t.body == nil {
		var ok bool
		if t.mail, ok = t.Mail(); !ok {
			p.finished(t)
			return false
		}
		t.from = t.mail.From
	}
	t.mail.From = c.relay.reversePath(t.from, t.mail.Token)
	err := c.carries(t.mail)
	if lacks, ok := errors.AsType[shortfall](err); ok {
		p.passOn(c, t, lacks)
		return false
	}
	if err == nil && t.body == nil {
		t.body, err = stuff(t.mail.Raw)
	}
	if err != nil {
		p.finished(t)
		t.Done(notice.Answer{Outcome: notice.OutcomeNever, NoDot: true, Relay: c.relay.Name, Text: err.Error()}, nil)
		return false
	}
	if !t.asked {
		t.asked = true
		t.Ask()
	}
	return true
}

// passOn has another relay carry a job that needs more than c's offers. Where none does, the job has failed; one
// that rests may.
func (p *Pool) passOn(c *conn, t *task, lacks shortfall) {
	p.mu.Lock()
	t.refused = append(t.refused, c.relay)
	up := p.another(t)
	resting := slices.ContainsFunc(p.relays, func(r *relayState) bool { return !slices.Contains(t.refused, r) })
	p.mu.Unlock()
	a := notice.Answer{Outcome: notice.OutcomeNever, NoDot: true, Relay: c.relay.Name, Text: lacks.Error()}
	switch {
	case up:
		p.requeue(t)
		return
	case resting:
		a.Outcome, a.Text = notice.OutcomeLater, a.Text+"; another relay may, and rests"
	}
	p.finished(t)
	t.Done(a, nil)
}

// finished notes that no connection has a job in hand any more.
func (p *Pool) finished(t *task) {
	p.mu.Lock()
	t.release()
	p.mu.Unlock()
}

// askAhead has permits asked for, of the jobs that are next; the caller holds the mutex.
func (p *Pool) askAhead() {
	ahead := 0
	for _, r := range p.relays {
		if !r.doubted {
			ahead += r.mayGo(Ring(p.o.OpenMarks) * (r.busy - r.opening))
		}
	}
	for _, t := range p.queue[:min(len(p.queue), ahead)] {
		if !t.asked {
			t.asked = true
			t.Ask()
		}
	}
}

// match gives waiting jobs to idle connections, by the order of the relays, and opens others where there are not
// enough. A healthy relay that is busy is worth waiting for. The next one is for when it is down, or has refused a
// mail. The caller holds the mutex.
func (p *Pool) match() {
	for _, r := range p.relays {
		for n := len(r.idle); n > 0; n = len(r.idle) {
			c := r.idle[n-1]
			t := p.pop(c)
			if t == nil {
				break
			}
			r.idle = r.idle[:n-1]
			c.inbox <- t
		}
		if !r.has() {
			if !r.shut() && !r.resting && p.lacks(r) {
				p.want(r)
			}
			continue
		}
		for p.mayOpen(r) && p.lacks(r) {
			p.connect(r, p.share(r))
		}
	}
	p.askAhead()
}

// mayOpen reports whether a relay may have one more connection; the caller holds the mutex.
func (p *Pool) mayOpen(r *relayState) bool {
	tries := r.doubted && r.hands-r.stuck+r.opening+r.between+len(r.idle) > 0
	return !p.closed && !r.shut() && !r.resting && r.held() < r.limit() && !tries
}

// lacks reports whether more jobs wait for a relay than connections that will soon take one; the caller holds the mutex.
func (p *Pool) lacks(r *relayState) bool {
	soon := r.opening + r.between
	for _, t := range p.queue {
		if p.serves(r, t) {
			if soon--; soon < 0 {
				return true
			}
		}
	}
	return false
}

// giveUp ends the jobs that have waited for a connection for too long.
func (p *Pool) giveUp() {
	p.mu.Lock()
	now := time.Now()
	var late []*task
	next := p.o.AcquireTimeout
	p.queue = slices.DeleteFunc(p.queue, func(t *task) bool {
		left := t.since.Add(p.timeout(t)).Sub(now)
		if left <= 0 {
			late = append(late, t)
			return true
		}
		next = min(next, left)
		return false
	})
	if len(p.queue) > 0 {
		p.overdue.Reset(next)
	}
	cause := p.cause()
	p.mu.Unlock()
	for _, t := range late {
		t.Done(notice.Answer{}, fmt.Errorf("%w: %w", ErrNoRelay, cause))
	}
}

// cause is why no connection is to be had; the caller holds the mutex.
func (p *Pool) cause() error {
	for _, r := range p.relays {
		switch {
		case r.silent:
			return fmt.Errorf("relay %s: %s", r.Name, r.error)
		case r.resting:
			return fmt.Errorf("connect to %s: %s", r.Name, r.error)
		}
	}
	return errors.New("wait for a free connection: all are in use")
}

// release notes that no connection has a job in hand any more; the caller holds the pool's mutex.
func (t *task) release() {
	t.refund()
	if t.on != nil {
		if t.on.waiting == t {
			t.on.waiting = nil
		}
		if t.stuck {
			t.stuck = false
			t.on.relay.stuck--
		}
		t.on.hands--
		t.on.relay.hands--
		t.on = nil
	}
}

// returns notes that a connection is about to take another job, or no longer is; the caller holds the pool's mutex.
func (c *conn) returns(soon bool) {
	if soon == c.between {
		return
	}
	if c.between = soon; soon {
		c.relay.between++
	} else {
		c.relay.between--
	}
}
