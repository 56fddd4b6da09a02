package delivery

import "tocsin/internal/notice"

// transition makes one change of a notice's state.
func (m *memory) transition(id int64, what string, to notice.State, from ...notice.State) error {
	changes, err := mayBecome(at(m.kept(), id), id, what, to, from)
	if !changes {
		return err
	}
	n := m.notice(id)
	if to == notice.Sending {
		m.watch.resumed(n)
	}
	switch {
	case to == notice.Cancelled:
		n.State, n.reason = to, notice.ReasonCancelled
		m.cancelReminders(n)
	case to == notice.Sending:
		m.goOn(n)
	default:
		n.State = to
	}
	return nil
}

// barrier is the second transaction of a pause or a cancel.
func (m *memory) barrier(id int64, to notice.State) {
	n := m.notice(id)
	if to == notice.Cancelled {
		m.stopAll(n)
	}
	if n.State == to {
		m.watch.stopped(n)
	}
}

// stopAll follows a cancel or an expiry, chunk by chunk: all bits, X, due at once, K.
func (m *memory) stopAll(n *noticeRow) {
	for _, c := range m.chunksOf(n) {
		if !c.open || m.mutant == cancelWithoutStop {
			continue
		}
		c.stopped = c.all()
		if m.mutant != cancelWithoutX {
			m.cancelStopped(c)
		}
		c.dueAt = m.now()
		m.recount(c)
	}
}

// settle carries out an operator's decision. Where they looked at the relay's log first, seen names the attempts that
// they looked at; nil: all that there are.
func (m *memory) settle(id int64, s notice.Settlement, key, who string, seen map[int]int64) (done notice.Settled, err error) {
	n := m.notice(id)
	switch {
	case n == nil:
		return done, notice.NotFound("there is no notice %d", id)
	case s.Requeue && n.State != notice.Sending && n.State != notice.Paused && n.State != notice.Sent:
		return done, notice.Conflict("notice %d is %s: nothing of it can be requeued", id, n.State)
	}
	found := 0
	state, bulk := s.Bulk()
	for _, c := range m.chunksOf(n) {
		for seq := c.lo; seq < c.hi; seq++ {
			d := c.view(seq)
			if bulk && (d.state != state || s.Code != 0 && c.row(seq).code != s.Code) || !bulk && (d.key == "" || d.key != key) {
				continue
			}
			found++
			if epoch, looked := seen[seq]; seen != nil && (!looked || epoch != d.epoch && m.mutant != requeueWithoutEpoch) {
				done.Skipped++
				continue
			}
			if bulk && s.Requeue && !m.listedAt(n, d.key).IsZero() {
				done.Skipped++ // to mail it all the same, an operator names it
				continue
			}
			if why := m.settleOne(c, seq, s, who, &done); why != "" {
				done.Skipped++
				done.Reasons = append(done.Reasons, why)
			}
		}
	}
	if found == 0 && s.Address != "" {
		return done, notice.NotFound("notice %d owes nothing to that address", id)
	}
	return done, nil
}

// settleOne settles one delivery under its chunk's lock, or says why not.
func (m *memory) settleOne(c *chunkRow, seq int, s notice.Settlement, who string, done *notice.Settled) string {
	d, o, now := c.view(seq), c.row(seq), m.now()
	gate := d.at.Add(m.opts.Gate)
	switch {
	case d.state == notice.DeliveryUncertain && s.Sent:
		o.state, o.code, o.reply, o.reason, o.who, o.at = notice.DeliverySent, 0, "", "settled by "+who, who, now
		m.recount(c)
		done.Changed++
		return ""
	case c.notice.plan.recipients[seq].erased:
		return "its customers were erased, so there is no address to send it to"
	case !s.Requeue:
	case !s.Force && m.laterOwes(c.notice, d.key):
		return "a later notice of the incident owes it, or may have sent it"
	case d.state == notice.DeliveryUncertain && !gate.Before(now) && m.mutant != noGate:
		done.TooEarly++
		if done.From == nil || done.From.Before(gate) {
			done.From = &gate
		}
		return ""
	case d.state == notice.DeliveryUncertain:
		if o.unresolved == 0 && o.epoch != 0 {
			o.unresolved = o.epoch
		} else {
			o.unresolved = -1
		}
		m.requeue(c, seq, s, who, done)
		return ""
	case d.state == notice.DeliveryFailed || d.state == notice.DeliverySuppressed || m.superseded(c, seq):
		if c.stopped&c.bit(seq) != 0 && c.live(now) && m.mutant != reviveUnderLease {
			return "a worker has it: try again when that is over"
		}
		m.requeue(c, seq, s, who, done)
		return ""
	}
	return "it is " + d.state.String()
}

// superseded reports whether a cancelled delivery is so because a later phase was owed.
func (m *memory) superseded(c *chunkRow, seq int) bool {
	why := m.stopReason(c, seq)
	if o := c.row(seq); o != nil {
		why = o.reason
	}
	return c.view(seq).state == notice.DeliveryCancelled && why == notice.ReasonSuperseded
}

// requeue has a delivery owed again. It supersedes the deliveries of earlier notices to its mailbox, whatever their
// outcome.
func (m *memory) requeue(c *chunkRow, seq int, s notice.Settlement, who string, done *notice.Settled) {
	if s.Force {
		m.watch.forced(c.notice, c.notice.plan.recipients[seq].key)
	}
	o := c.outcome(seq)
	o.state, o.owedAt, o.dueAt, o.at, o.reason = notice.DeliveryQueued, m.now(), m.now(), m.now(), "requeued by "+who
	c.stopped &^= c.bit(seq)
	if m.mutant != requeueSupersedesNothing {
		m.supersede(c.notice, c.notice.plan.recipients[seq].key)
	}
	m.recount(c)
	m.reopen(c)
	done.Changed++
}

func (m *memory) status(id int64) notice.Status {
	n := m.notice(id)
	st := notice.Status{Number: id, Key: n.Key, State: n.State, Reason: n.reason, Customers: n.customers, Counts: m.count(n).ByName()}
	if n.plan != nil {
		st.Recipients = len(n.plan.recipients)
	}
	return st
}
