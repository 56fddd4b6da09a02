package delivery

import (
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// oldView is a chunk and its notice as a commit sees them: as they are, because it holds the chunk's lock.
type oldView struct {
	epoch      int64
	leaseUntil time.Time
	state      notice.State
	expiresAt  *time.Time
	reason     string
}

// look reads the chunks and notices that a commit depends on.
func (m *rowMemory) look(marks []ledger.Attempt, outcomes []ledger.Outcome) map[int64]oldView {
	seen := map[int64]oldView{}
	see := func(id int64) {
		if c := m.chunk(id); c != nil {
			seen[id] = oldView{c.epoch, c.leaseUntil, c.notice.State, c.notice.ExpiresAt, c.notice.reason}
		}
	}
	for _, a := range marks {
		see(a.ChunkID)
	}
	for _, o := range outcomes {
		see(o.ChunkID)
	}
	return seen
}

// commit is the one transaction of marks and outcomes; outcomes that it does not record are to be recorded the late
// way.
func (m *rowMemory) commit(seen map[int64]oldView, marks []ledger.Attempt, outcomes []ledger.Outcome) (granted []bool, late []ledger.Outcome) {
	recorded, touched := map[ledger.Attempt]bool{}, map[*oldDelivery]bool{}
	for i := range outcomes {
		o := outcomes[i]
		if m.backwards {
			o = outcomes[len(outcomes)-1-i]
		}
		// One statement updates a row once, whatever it is joined with.
		v := seen[o.ChunkID]
		held := v.epoch == o.Epoch && !v.leaseUntil.IsZero()
		if d := m.delivery(o.Attempt); held && !touched[d] && m.settleBy(d, v, o) {
			recorded[o.Attempt], touched[d] = true, true
		}
	}
	now := m.now()
	for _, a := range marks {
		v, d := seen[a.ChunkID], m.delivery(a)
		leased := v.epoch == a.Epoch && v.leaseUntil.After(now.Add(m.opts.DotGrace))
		owed := d.state.Owed() && d.epoch < a.Epoch || d.state == notice.DeliverySending && d.epoch == a.Epoch
		ok := leased && owed &&
			v.state == notice.Sending && (v.expiresAt == nil || v.expiresAt.After(now))
		if ok {
			if d.epoch < a.Epoch {
				d.tries++
			}
			d.state, d.epoch, d.dotBy = notice.DeliverySending, a.Epoch, now.Add(m.opts.DotGrace)
		}
		granted = append(granted, ok)
	}
	for _, o := range outcomes {
		if !recorded[o.Attempt] {
			late = append(late, o)
		}
	}
	return granted, late
}

func (m *rowMemory) delivery(a ledger.Attempt) *oldDelivery {
	return m.notice(a.NoticeID).deliveries[a.Seq]
}

// recordLate records outcomes that the lease no longer covers.
func (m *rowMemory) recordLate(outcomes []ledger.Outcome) {
	chunks := map[*oldChunk]bool{}
	for _, o := range outcomes {
		c, d := m.chunk(o.ChunkID), m.delivery(o.Attempt)
		chunks[c] = true
		m.settleBy(d, m.look(nil, []ledger.Outcome{o})[o.ChunkID], o)
		if definite(o.State) && d.unresolved == o.Epoch {
			d.unresolved = 0
		}
	}
	m.recountAndReopen(chunks)
}

func (m *rowMemory) recountAndReopen(chunks map[*oldChunk]bool) {
	for c := range chunks {
		m.recount(c)
		if c.open && c.notice.State == notice.Sent {
			c.notice.State = notice.Sending
		}
	}
}

// settleBy lets an outcome settle a row, where the row still stands so that it may.
func (m *rowMemory) settleBy(d *oldDelivery, v oldView, o ledger.Outcome) bool {
	uncertain := o.State == notice.DeliveryUncertain
	same := d.epoch == o.Epoch
	switch {
	case same && (d.state == notice.DeliverySending || d.state == notice.DeliveryUncertain && !uncertain):
	case o.State == notice.DeliverySent && (d.state.Owed() || d.state == notice.DeliveryUncertain):
	case o.NoDot && v.epoch == o.Epoch && d.epoch < o.Epoch && d.state.Owed():
	default:
		return false
	}
	earlier := d.unresolved != 0 && d.unresolved != o.Epoch
	if definite(o.State) && !earlier {
		d.unresolved = 0
	}
	if d.epoch < o.Epoch {
		d.epoch = o.Epoch
		d.tries++
	}
	d.state, d.reason, d.code, d.relay, d.reply = o.State, o.Reason, o.Answer.Code, o.Answer.Relay, o.Answer.Text
	switch {
	case o.State == notice.DeliveryFailed && earlier:
		d.reason = join(o.Reason, "an earlier attempt is unresolved")
	case o.State == notice.DeliveryDeferred:
		d.dueAt = m.now().Add(o.Delay)
		if v.state == notice.Cancelled {
			d.state, d.reason = notice.DeliveryCancelled, v.reason
			if earlier {
				d.state = notice.DeliveryUncertain
			}
		}
	}
	return true
}

// settle carries out an operator's decision.
func (m *rowMemory) settle(id int64, s notice.Settlement, key, who string) (done notice.Settled, err error) {
	n, now := m.notice(id), m.now()
	switch {
	case n == nil:
		return done, notice.NotFound("there is no notice %d", id)
	case s.Requeue && n.State != notice.Sending && n.State != notice.Paused && n.State != notice.Sent:
		return done, notice.Conflict("notice %d is %s: nothing of it can be requeued", id, n.State)
	}
	found, chunks := 0, map[*oldChunk]bool{}
	for _, c := range m.chunksOf(n) {
		for _, d := range c.rows() {
			uncertain := d.state == notice.DeliveryUncertain
			if s.AllUncertain && !uncertain || !s.AllUncertain && (d.key == "" || d.key != key) {
				continue
			}
			found++
			chunks[c] = true
			switch gate := d.dotBy.Add(m.opts.Gate); {
			case uncertain && s.Sent:
				d.state, d.code, d.reply, d.reason, d.who = notice.DeliverySent, 0, "", "settled by "+who, who
			case uncertain && !d.dotBy.IsZero() && !gate.Before(now):
				done.TooEarly++
				if done.From == nil || done.From.Before(gate) {
					done.From = &gate
				}
				continue
			case uncertain:
				if d.unresolved == 0 {
					d.unresolved = d.epoch
				} else {
					d.unresolved = -1
				}
				d.requeue(now, who)
			case s.Requeue && (d.state == notice.DeliveryFailed || d.state == notice.DeliverySuppressed):
				d.requeue(now, who)
			default:
				done.Skipped++
				done.Reasons = append(done.Reasons, "it is "+d.state.String())
				continue
			}
			done.Changed++
		}
	}
	if found == 0 && s.Address != "" {
		return done, notice.NotFound("notice %d owes nothing to that address", id)
	}
	if done.Changed > 0 {
		m.recountAndReopen(chunks)
	}
	return done, nil
}

func (d *oldDelivery) requeue(now time.Time, who string) {
	d.state, d.owedAt, d.dueAt, d.reason = notice.DeliveryQueued, now, now, "requeued by "+who
}
