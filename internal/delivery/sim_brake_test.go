package delivery

import (
	"context"
	"time"

	"tocsin/internal/notice"
)

// The brake of the simulation's workers: few mailboxes make a row.
const (
	simBrakeAfter = 2
	simBrakeLate  = 3
	simBrakeBroad = 2
)

// braking reports whether the relay refuses everybody at times in this schedule.
func (w *world) braking() bool { return w.seed%8 == 5 }

// refusesEverybody reports whether it does so now.
func (w *world) refusesEverybody() bool {
	return w.braking() && !w.calm && int64(time.Since(simStart)/(40*time.Second))%3 == 1
}

// brakeRow is why the brake holds a notice.
type brakeRow struct {
	notice.RefusedAlike
	since time.Time
}

// brake holds a notice that is being sent.
func (m *memory) brake(id int64, r notice.Refusals, first time.Duration) bool {
	n := m.notice(id)
	if n == nil || n.State != notice.Sending {
		return false
	}
	for _, c := range m.chunksOf(n) {
		if c.sent != 0 && !r.Broad {
			return false
		}
	}
	since := m.now().Add(-first)
	if n.resumed.After(since) {
		since = n.resumed
	}
	n.State, n.reason, n.brake = notice.Held, notice.ReasonRefused+r.String(), &brakeRow{r.RefusedAlike, since}
	return true
}

// braked reports whether the brake holds a notice.
func (n *noticeRow) braked() bool { return n.State == notice.Held && n.brake != nil }

// row are the deliveries that failed by the refusals for which the brake holds a notice.
func (b *brakeRow) row(c *chunkRow) (seqs []int) {
	for seq := c.lo; seq < c.hi; seq++ {
		o, address := c.row(seq), c.notice.plan.recipients[seq].Address
		if o == nil || c.view(seq).state != notice.DeliveryFailed || o.code != b.Code || o.at.Before(b.since) {
			continue
		}
		if (notice.Answer{Command: b.Command, Code: o.code, Text: o.reply}).Alike(address) == b.RefusedAlike {
			seqs = append(seqs, seq)
		}
	}
	return seqs
}

// putBack requeues the row of refusals for which the brake holds a notice.
func (m *memory) putBack(id int64, who string) {
	n := m.notice(id)
	if n == nil || !n.braked() || m.mutant == putsNothingBack {
		return
	}
	var done notice.Settled
	for _, c := range m.chunksOf(n) {
		for _, seq := range n.brake.row(c) {
			if !m.listedAt(n, n.plan.recipients[seq].key).IsZero() {
				continue
			}
			m.settleOne(c, seq, notice.Settlement{Requeue: true}, who, &done)
		}
	}
}

// resume has a notice sent again that is paused, that the brake holds, or that is held after its canary. That last one
// goes to the rest now.
func (m *memory) resume(id int64) error {
	from := []notice.State{notice.Paused}
	n := m.notice(id)
	over := n != nil && n.atCanary()
	if n != nil && (n.braked() || over || m.mutant == resumeLiftsTheFence) {
		from = append(from, notice.Held)
	}
	goesOn := m.notice(id) != nil && m.notice(id).State == notice.Sending
	if err := m.transition(id, "resume", notice.Sending, from...); err != nil || goesOn {
		return err
	}
	n.reason, n.brake, n.resumed = "", nil, m.now()
	if n.trial && over {
		m.watch.goesOn(n)
	}
	n.trial = n.trial && !over && m.mutant != pauseEndsCanary
	return nil
}

// Brake holds a notice.
func (s *session) Brake(ctx context.Context, id int64, r notice.Refusals, first time.Duration) (held bool, err error) {
	err = s.tx(ctx, "brake", id, 0, func() error {
		if held = s.memory.brake(id, r, first); held {
			s.memory.watch.braked(id)
		}
		return nil
	})
	return held && err == nil, err
}

// Resume has a notice sent again.
func (s *session) Resume(ctx context.Context, id int64, leaveFailed bool, who string) error {
	if !leaveFailed {
		err := s.tx(ctx, "put back", id, 0, func() error {
			s.memory.putBack(id, who)
			s.memory.watch.putBack(s.memory.notice(id))
			return nil
		})
		if err != nil {
			return err
		}
	}
	err := s.tx(ctx, "resume", id, 0, func() error { return s.memory.resume(id) })
	if err != nil {
		return err
	}
	return s.Finish(ctx, id)
}

// Brake is not there in the earlier form.
func (s *rowSession) Brake(context.Context, int64, notice.Refusals, time.Duration) (bool, error) {
	return false, nil
}

// done tells a job its answer, and the checker how many refusals its worker has now heard in a row.
func (s *simSender) done(j notice.Job, a notice.Answer) {
	at, w := j.(*job).at, s.world
	w.mu.Lock()
	key := [2]int64{int64(s.actor.n), at.NoticeID}
	switch a.Outcome {
	case notice.OutcomeSent:
		w.checker.inARow[key] = 0
	case notice.OutcomeNever:
		w.checker.inARow[key]++
		w.checker.most[at.NoticeID] = max(w.checker.most[at.NoticeID], w.checker.inARow[key])
	}
	w.mu.Unlock()
	j.Done(a, nil)
}

// braked judges a notice that a worker holds: it has heard enough refusals in a row.
func (c *checker) braked(id int64) {
	if c == nil {
		return
	}
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	c.world.fault("the brake held a notice")
	if n := c.most[id]; n < simBrakeAfter {
		c.world.relay.fail("notice %d is held after %d refusals in a row", id, n)
	}
	c.most[id] = 0
}

// putBack judges the ledger after the row of refusals for which the brake holds a notice was put back. Nothing of it is
// failed, with exceptions: mailboxes to which a later notice goes, those on the list of suppressions, and deliveries
// stopped in a chunk that is being sent. A settlement leaves these too.
func (c *checker) putBack(n *noticeRow) {
	if c == nil || n == nil || !n.braked() {
		return
	}
	c.world.fault("operator: put back what the brake's row had failed")
	for _, chunk := range c.world.memory.chunksOf(n) {
		for _, seq := range n.brake.row(chunk) {
			stopped := chunk.stopped&chunk.bit(seq) != 0 && chunk.live(c.world.memory.now())
			if r := n.plan.recipients[seq]; !r.erased && !stopped && c.world.memory.listedAt(n, r.key).IsZero() && !c.world.memory.laterOwes(n, r.key) {
				c.world.relay.fail("notice %s goes on, and delivery %d of the refused is %v", n.Key, seq, chunk.view(seq))
			}
		}
	}
}
