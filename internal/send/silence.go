package send

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"tocsin/internal/notice"
)

// manyWait is how many connections have to wait for an answer before their relay is taken for silent. Where it may have
// fewer, all have to.
const manyWait = 4

// waits notes that c waits from now for the answer to a mail, and has its relay watched.
func (p *Pool) waits(c *conn, t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.waiting, c.waitsSince = t, time.Now()
	p.watch(c.relay, p.o.Silence)
}

// waitsNoMore notes that it is not the relay's turn.
func (p *Pool) waitsNoMore(c *conn) {
	if c.waiting == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	c.waiting = nil
}

// watch has a relay looked at after a time, unless that is to be done already; the caller holds the mutex.
func (p *Pool) watch(r *relayState, after time.Duration) {
	switch {
	case r.watched || p.closed:
		return
	case r.watcher == nil:
		r.watcher = time.AfterFunc(after, func() { p.look(r) })
	default:
		r.watcher.Reset(after)
	}
	r.watched = true
}

// look finds out whether a relay is silent, or a mail with which that was tried out has met with silence too. Mails
// that wait for its answer go on waiting, and count against no limit any more. Those before their dot go to another
// relay.
func (p *Pool) look(r *relayState) {
	p.mu.Lock()
	r.watched = false
	if p.closed {
		p.mu.Unlock()
		return
	}
	waiting, late := p.waitingAt(r, time.Now())
	var stuck []*task
	switch {
	case r.silent:
		if stuck = r.stick(late); len(stuck) > 0 {
			p.hush(r)
		}
	case p.answersTooFew(r, late):
		if stuck = r.stick(waiting); r.up() {
			p.silence(r, len(stuck))
		}
	}
	var moves []*conn
	for _, c := range waiting {
		if c.waiting.stuck {
			r.bad[c.address] = time.Now()
			moves = append(moves, c)
		}
	}
	if !p.anyUp() {
		moves = nil
	}
	shed := p.shed()
	p.match()
	p.watchNext(r, waiting)
	p.mu.Unlock()

	for _, t := range stuck {
		t.Unanswered()
	}
	for _, c := range moves {
		c.moveOn()
	}
	for _, t := range shed {
		t.Done(inVain, nil)
	}
}

// inVain is the end of an attempt before the dot because no relay answers.
var inVain = notice.Answer{Outcome: notice.OutcomeLater, NoDot: true, OfRelay: true, Text: "no relay answers the mails that it was given"}

// waitingAt returns the connections that wait for an answer to a mail, and those of them that have done so for too
// long. The caller holds the mutex.
func (p *Pool) waitingAt(r *relayState, now time.Time) (waiting, late []*conn) {
	for c := range p.conns {
		if c.relay != r || c.waiting == nil {
			continue
		}
		waiting = append(waiting, c)
		if now.Sub(c.waitsSince) >= p.o.Silence {
			late = append(late, c)
		}
	}
	return waiting, late
}

// answersTooFew reports whether a relay that leaves so many connections waiting has answered no mail meanwhile. Where
// those are most of its connections, fewer mails than they are is too few as well. A few slow ones among others are
// none of its trouble. The caller holds the mutex.
func (p *Pool) answersTooFew(r *relayState, late []*conn) bool {
	least, limit := 1, r.limit()
	if 2*len(late) > limit {
		least = len(late)
	}
	return len(late) >= min(manyWait, limit) && !r.answers.since(least, time.Now().Add(-p.o.Silence))
}

// silence has a relay get no mails but one at a time, to find out whether it answers again. The caller holds the mutex.
func (p *Pool) silence(r *relayState, mails int) {
	r.silent, r.doubted, r.resting, r.hushes = true, true, false, 1
	r.since, r.error = time.Now(), "it takes mails and answers none"
	p.o.Logger.LogAttrs(context.Background(), slog.LevelWarn, "relay silent: it takes mails and answers none", slog.String("relay", r.Name),
		slog.Int("waiting", mails), slog.Duration("for", p.o.Silence))
}

// stick sorts the mails of connections out of those that a relay has in hand, and returns those that it was new to.
func (r *relayState) stick(conns []*conn) (news []*task) {
	for _, c := range conns {
		if !c.waiting.stuck {
			c.waiting.stuck = true
			r.stuck++
			news = append(news, c.waiting)
		}
	}
	return news
}

// shed takes the jobs with an open mark out of the queue while no relay would have them. The caller holds the mutex.
func (p *Pool) shed() (shed []*task) {
	if !p.mute() {
		return nil
	}
	p.queue = slices.DeleteFunc(p.queue, func(t *task) bool {
		if t.asked {
			shed = append(shed, t)
		}
		return t.asked
	})
	return shed
}

// mute reports whether no relay is up, and one of them leaves mails without an answer; the caller holds the mutex.
func (p *Pool) mute() bool {
	return !p.anyUp() && slices.ContainsFunc(p.relays, func(r *relayState) bool { return r.stuck > 0 })
}

func (p *Pool) anyUp() bool { return slices.ContainsFunc(p.relays, (*relayState).up) }

// watchNext has a relay looked at when the next of its connections will have waited for too long. The caller holds the
// mutex.
func (p *Pool) watchNext(r *relayState, waiting []*conn) {
	if len(waiting) == 0 {
		return
	}
	next := p.o.Silence
	for _, c := range waiting {
		if !c.waiting.stuck {
			next = min(next, time.Until(c.waitsSince.Add(p.o.Silence)))
		}
	}
	p.watch(r, max(next, p.o.Silence/8))
}

// heard notes that a relay answered a dot. One that was silent gets one mail after the other. It gets all of them as
// soon as it has answered as many as it still leaves waiting. The caller holds the mutex.
func (p *Pool) heard(r *relayState) {
	now := time.Now()
	r.answers.add(now, r.Connections)
	if !r.silent {
		return
	}
	r.resting, r.hushes = false, 1
	if _, late := p.waitingAt(r, now); !p.answersTooFew(r, late) {
		r.silent, r.doubted, r.suspected = false, false, 0
		p.back(r)
	}
	p.match()
}

// unheard notes that a silent relay did not answer a mail at all. A mail that was stuck makes room for another try, and
// one with which the relay was tried does not. The caller holds the mutex.
func (p *Pool) unheard(r *relayState, stuck bool) {
	switch {
	case !r.silent:
	case stuck:
		r.resting = false
		p.match()
	default:
		p.hush(r)
	}
}

// timeout is how long a job waits for a connection. One of a worker goes on waiting while a relay has its mails in
// hand, however long the answers take. It would go no sooner otherwise. The caller holds the mutex.
func (p *Pool) timeout(t *task) time.Duration {
	_, alone := t.Job.(*single)
	busy := func(r *relayState) bool { return r.busy > r.opening && (!r.resting || r.silent) }
	if alone || !slices.ContainsFunc(p.relays, busy) {
		return p.o.AcquireTimeout
	}
	return max(p.o.AcquireTimeout, p.o.AnswerTimeout)
}

// hush has a silent relay rest, each time for longer, before it is tried with another mail. The caller holds the mutex.
func (p *Pool) hush(r *relayState) {
	p.probeAfter(r, min(p.o.Silence<<min(r.hushes, 4), 10*p.o.Silence))
	r.hushes++
}

// moveOn has another connection carry the job of one that waits in vain, unless its dot may have been written.
func (c *conn) moveOn() {
	c.mu.Lock()
	if !c.atDot {
		c.cut, c.moves = true, true
		c.raw.SetDeadline(past)
	}
	c.mu.Unlock()
}

// breakOff ends a job on a connection that was stopped before the dot, or has another carry it.
func (c *conn) breakOff(p *Pool, t *task) {
	c.broken = true
	c.mu.Lock()
	moves := c.moves
	c.mu.Unlock()
	if moves {
		p.requeue(t)
	} else {
		c.end(p, t, noDot(errStopped.Error()))
	}
}

// tellSilence has the mails that a relay leaves without an answer shown; the caller holds the mutex.
func (p *Pool) tellSilence(r *relayState, h *notice.RelayHealth, now time.Time) {
	_, late := p.waitingAt(r, now)
	if h.Unanswered = len(late); r.silent {
		h.State = notice.RelaySilent
	}
	if !r.silent || len(late) == 0 {
		return
	}
	first := slices.MinFunc(late, func(a, b *conn) int { return a.waitsSince.Compare(b.waitsSince) })
	h.Error = fmt.Sprintf("mails without an answer: %d, the oldest for %s", len(late), now.Sub(first.waitsSince).Round(time.Second))
}

// recent holds the times of the last answers.
type recent struct {
	at []time.Time
	n  int
}

func (a *recent) add(now time.Time, keep int) {
	if len(a.at) != keep {
		a.at, a.n = make([]time.Time, keep), 0
	}
	a.at[a.n%keep] = now
	a.n++
}

// since reports whether the last n answers came after a time.
func (a *recent) since(n int, t time.Time) bool {
	return a.n >= n && n <= len(a.at) && a.at[(a.n-n)%len(a.at)].After(t)
}
