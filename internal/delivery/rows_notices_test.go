package delivery

import "tocsin/internal/notice"

// transition makes one change of a notice's state.
func (m *rowMemory) transition(id int64, what string, to notice.State, from ...notice.State) error {
	changes, err := mayBecome(at(m.kept(), id), id, what, to, from)
	if !changes {
		return err
	}
	n := m.notice(id)
	n.State = to
	switch {
	case to == notice.Cancelled:
		n.reason = notice.ReasonCancelled
	case to == notice.Sending && n.SendAt != nil && n.SendAt.After(m.now()):
		n.State = notice.Scheduled
	}
	return nil
}

// barrier is the second transaction of a pause or a cancel.
func (m *rowMemory) barrier(id int64, to notice.State) {
	if to == notice.Cancelled {
		m.cancelNow(m.notice(id))
	}
}

// cancelNow cancels the deliveries that a cancelled notice owes.
func (m *rowMemory) cancelNow(n *oldNotice) {
	for _, c := range m.chunksOf(n) {
		if c.open {
			c.cancelOwed()
			c.dueAt = m.now()
			m.recount(c)
		}
	}
}

func (m *rowMemory) status(id int64) notice.Status {
	n := m.notice(id)
	return notice.Status{Number: id, Key: n.Key, State: n.State, Reason: n.reason, Customers: n.customers,
		Recipients: len(n.recipients), Counts: m.count(n).ByName()}
}

// count counts a notice's deliveries as a report does: chunks at rest by their counts, leased ones row by row.
func (m *rowMemory) count(n *oldNotice) (sum notice.Counts) {
	for _, c := range m.chunks {
		if c.notice != n {
			continue
		}
		counts := c.counts
		if !c.leaseUntil.IsZero() {
			counts = notice.Counts{}
			for _, d := range c.rows() {
				counts[d.state]++
			}
		}
		for s, k := range counts {
			sum[s] += k
		}
	}
	for _, r := range n.recipients[n.expanded:] {
		if r.reason == "" {
			sum[notice.DeliveryQueued]++
		} else {
			sum[notice.DeliverySuppressed]++
		}
	}
	return sum
}
