package delivery

import (
	"cmp"
	"slices"

	"tocsin/internal/notice"
)

// begin has a notice sent. The first time, in the same transaction, it takes its place among the news of its incident.
// It does not at its release, since one that is scheduled for tomorrow must not cancel today's. It supersedes the mails
// that earlier notices owe. Where it is late itself, those that have begun since its release supersede its own.
func (m *memory) begin(n *noticeRow) {
	n.State, n.reason = notice.Sending, ""
	if !n.beganAt.IsZero() {
		return
	}
	n.beganAt = m.now()
	m.endReminders(n)
	m.supersede(n, "")
	for _, later := range m.notices {
		if !later.beganAt.IsZero() && m.earlier(n, later) && m.mutant != lateNoticeNotSuperseded {
			for _, c := range m.chunksOf(n) {
				m.supersedeIn(c, later, "")
			}
		}
	}
}

// earlier reports whether b overtakes a: its phase is a later one, and a was released before b began. Of two of the same
// phase the later is the one that was meant to leave later.
func (m *memory) earlier(a, b *noticeRow) bool {
	if a == b || a.Incident != b.Incident || a.plan == nil || b.plan == nil || a.Body.Kind != b.Body.Kind {
		return false
	}
	phases := notice.Phases[b.Body.Kind]
	i, j := slices.Index(phases, a.Body.Phase), slices.Index(phases, b.Body.Phase)
	if i != j {
		return i < j && (b.beganAt.IsZero() || !a.ReleasedAt.After(b.beganAt) || m.mutant == phaseAloneTells)
	}
	return cmp.Or(a.owedSince().Compare(b.owedSince()), cmp.Compare(a.ID, b.ID)) < 0
}

// supersede stops the deliveries of earlier notices to mailboxes that a notice owes, or may have sent: all of them, or
// the one of a key. Every one that was released counts, also one that was cancelled or has nothing owed any more. A
// mark of it may still be open, and then the notice waits until its dot can't come.
func (m *memory) supersede(n *noticeRow, only string) {
	for _, c := range m.chunks {
		if m.earlier(c.notice, n) && (c.notice.State != notice.Cancelled || m.mutant != cancelledNotSuperseded) {
			m.supersedeIn(c, n, only)
		}
	}
}

// supersedeIn stops the deliveries of one chunk. A delivery that was stopped itself stops no other: nobody would get
// either. The chunk is passed over where no mail of it may leave any more, and so is a delivery with a 250, unless a
// mark of it may still be open.
func (m *memory) supersedeIn(c *chunkRow, n *noticeRow, only string) {
	through := !c.open && (c.counts[notice.DeliveryUncertain] == 0 || m.mutant == uncertainPassedOver)
	for seq := c.lo; seq < c.hi; seq++ {
		a := &c.notice.plan.recipients[seq]
		over := c.sent&c.bit(seq) != 0 && (c.dots&c.bit(seq) == 0 || c.leaseUntil.IsZero())
		if !a.keyed() || only != "" && a.key != only {
			continue
		}
		for by := range n.plan.recipients {
			b := &n.plan.recipients[by]
			if !b.keyed() || b.key != a.key || !m.supersedes(m.chunkOf(n, by).view(by)) {
				continue
			}
			m.watch.superseding(c.notice, n, a.key)
			if !through && !over {
				m.stopRow(c, seq) // SU2
				m.waitFor(c, seq, n, by)
			}
		}
	}
}

func (m *memory) supersedes(d delivery) bool {
	switch m.mutant {
	case stoppedSupersedes:
		return true
	case onlyOwedSupersedes:
		return d.state.Owed()
	}
	return m.mayReach(d)
}

// mayReach reports whether a delivery is owed, or may have been sent.
func (m *memory) mayReach(d delivery) bool {
	switch d.state {
	case notice.DeliveryFailed, notice.DeliveryCancelled, notice.DeliverySuppressed:
		return d.unresolved != 0 && m.mutant != laterUnresolvedIgnored
	}
	return true
}

// waitFor is SU3: where a dot of the earlier phase may still come, the later one waits.
func (m *memory) waitFor(c *chunkRow, seq int, n *noticeRow, by int) {
	if c.leaseUntil.IsZero() || !c.openMark(seq) || m.mutant == laterDoesNotWait || m.mutant == waitIgnoresSent && c.sent&c.bit(seq) != 0 {
		return
	}
	at := m.now().Add(m.opts.DotGrace)
	later := m.chunkOf(n, by)
	if (later.sent|later.stopped)&later.bit(by) != 0 {
		return
	}
	if o := n.outcomes[by]; o == nil {
		n.outcomes[by] = &outcomeRow{state: notice.DeliveryQueued, dueAt: at, at: m.now()}
	} else if o.state.Owed() && o.dueAt.Before(at) {
		o.dueAt = at
	}
	m.recount(later)
}

// laterOwes reports whether a later notice that has begun owes a delivery to a mailbox, or may have sent one. Then none
// of an earlier one is owed again.
func (m *memory) laterOwes(n *noticeRow, key string) bool {
	for _, c := range m.chunks {
		if c.notice.beganAt.IsZero() || !m.earlier(n, c.notice) || m.mutant == requeueNotRefused {
			continue
		}
		for seq := c.lo; seq < c.hi; seq++ {
			if d := c.view(seq); d.key == key && m.mayReach(d) {
				return true
			}
		}
	}
	return false
}
