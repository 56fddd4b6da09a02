package delivery

import (
	"context"
	"time"

	"tocsin/internal/notice"
)

// A canary.
const (
	canaryIgnored    mutant = "a claim does not ask whether the canary is over"
	canaryGoesOn     mutant = "a canary goes on by itself"
	pauseEndsCanary  mutant = "a pause and a resume end the canary"
	canaryHoldIsLost mutant = "a hold after the canary is lost with the worker"
	unholdEndsCanary mutant = "an unhold ends the canary"
)

// canaries is how many mailboxes notices go to first in this schedule.
func (w *world) canaries() int {
	if w.seed%5 != 4 || w.profile == migrating {
		return 0
	}
	return 1 + int(w.seed/5%2)
}

// roomForCanary is the condition that a notice with a canary does not expire too soon.
func (m *memory) roomForCanary(n *noticeRow) error {
	begins := m.now()
	if n.SendAt != nil && n.SendAt.After(begins) {
		begins = *n.SendAt
	}
	if n.Body.Canary > 0 && n.ExpiresAt != nil && begins.Add(notice.CanaryRoom).After(*n.ExpiresAt) {
		return notice.Invalid("canary", "needs an hour before expires_at")
	}
	return nil
}

// draw returns the rows of a notice's canary; nil: it has none, or mails no more than these.
func (m *memory) draw(n *noticeRow) map[int]bool {
	if m.drawn != nil {
		return m.drawn
	}
	var mailed []int
	for seq := range n.plan.recipients {
		if r := &n.plan.recipients[seq]; r.reason == "" && !r.erased {
			mailed = append(mailed, seq)
		}
	}
	if n.Body.Canary == 0 || len(mailed) <= n.Body.Canary {
		return nil
	}
	drawn := map[int]bool{}
	for i := range n.Body.Canary {
		drawn[mailed[(int(n.ID)-1+i)%len(mailed)]] = true
	}
	return drawn
}

// layBounds makes the chunks of a notice: each of its canary has one of its own.
func (m *memory) layBounds(n *noticeRow, due time.Time) {
	canary, rows := m.draw(n), len(n.plan.recipients)
	n.canary, n.trial = len(canary), len(canary) > 0
	for lo := 0; lo < rows; {
		hi := lo + 1
		for hi < rows && hi < lo+m.chunkSize && !canary[lo] && !canary[hi] {
			hi++
		}
		c := &chunkRow{notice: n, canary: canary[lo], leaseRow: leaseRow{id: int64(len(m.chunks) + 1), lo: lo, hi: hi, dueAt: due}}
		lo = hi
		m.chunks = append(m.chunks, c)
		m.recount(c)
	}
}

// waits reports whether a chunk is not claimed yet.
func (m *memory) waits(c *chunkRow) bool {
	return c.notice.trial && !c.canary && c.notice.State != notice.Cancelled && m.mutant != canaryIgnored
}

// atCanary reports whether a notice is held after its canary.
func (n *noticeRow) atCanary() bool {
	return n.brake == nil && n.HeldUntil == nil && notice.AtCanary(n.State, n.reason)
}

// canaryOf is the notice of a chunk of a canary.
func (m *memory) canaryOf(chunk int64) (id int64, ok bool) {
	if c := m.chunk(chunk); c != nil && c.canary {
		return c.notice.ID, true
	}
	return 0, false
}

func (m *rowMemory) canaryOf(int64) (int64, bool) { return 0, false }
func (m *rowMemory) holdAtCanary(int64)           {}

// holdAtCanary holds a notice with a canary that is over.
func (m *memory) holdAtCanary(id int64) {
	n := m.notice(id)
	if n.State != notice.Sending || !n.trial {
		return
	}
	var counts notice.Counts
	for _, c := range m.chunksOf(n) {
		for s, k := range c.counts {
			if c.canary {
				counts[s] += k
			}
		}
	}
	if reason := notice.CanaryOver(counts); reason != "" {
		n.State, n.reason, n.HeldUntil = notice.Held, reason, nil
		m.watch.atCanary()
	}
}

// holdAtCanaries is the part of a sweep that does so for all.
func (m *memory) holdAtCanaries() {
	for _, n := range m.notices {
		switch {
		case m.mutant == canaryGoesOn && n.atCanary():
			n.trial = false
			m.goOn(n)
		case m.mutant != canaryHoldIsLost:
			m.holdAtCanary(n.ID)
		}
	}
}

func (c *checker) atCanary() {
	if c != nil {
		c.world.fault("a notice was held after its canary")
	}
}

// goesOn notes that an operator has a notice go on after its canary.
func (c *checker) goesOn(n *noticeRow) {
	if c != nil {
		c.wentOn[n.Key] = true
		c.world.fault("operator: had a notice go on after its canary")
	}
}

// tried judges a mark of the rest of a notice with a canary: an operator has had it go on.
func (c *checker) tried(n *noticeRow, chunk *chunkRow, seq int) {
	if n.canary > 0 && !chunk.canary && !c.wentOn[n.Key] {
		c.world.relay.fail("delivery %d of notice %s is marked, and nobody has had it go on after its canary", seq, n.Key)
	}
}

// canaryScripts are schedules about a canary, by the mutant that each catches.
var canaryScripts = map[mutant]func(p *script){
	unholdEndsCanary: func(p *script) { // a restore while it is held
		p.canary(1)
		first := p.attempt(1)
		p.dot(first, true)
		p.answer(first, notice.DeliverySent, false)
		p.close(first)
		n := p.memory.notice(1)
		p.must(n.atCanary(), "it is not held after its canary")
		n.State, n.reason = notice.Held, notice.ReasonRestored
		p.must(p.s.Unhold(context.Background(), 1, true, false, "op") == nil, "it was not let go")
		p.must(p.add(1, "customer0x", otherMailbox), "the addition was refused")
		p.must(p.restWaits(1), "the rest is claimed, and nobody has had it go on")
		_, _ = p.s.Sweep(context.Background())
		p.must(n.atCanary(), "it is not held again")
		p.must(p.s.Resume(context.Background(), 1, false, "op") == nil && !p.restWaits(1), "it does not go on")
	},
}

// canary releases a notice to two mailboxes, the first of which is its canary.
func (p *script) canary(n int64) {
	p.memory.customers = append(p.memory.customers, simCustomer{"customer1x", "m1@1.example.com"})
	p.memory.notice(n).Body.Canary = 1
	p.release(n)
}

// restWaits reports whether the rest of that notice is not claimed, an added row neither.
func (p *script) restWaits(n int64) bool {
	for _, c := range p.memory.chunksOf(p.memory.notice(n)) {
		if !c.canary {
			if _, ok, _ := p.s.Claim(context.Background(), c.id, "w"); ok {
				return false
			}
		}
	}
	return true
}
