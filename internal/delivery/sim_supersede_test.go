package delivery

import (
	"slices"

	"tocsin/internal/notice"
)

// begin has a notice sent. The first time, in the same transaction, it supersedes the mails that earlier phases owe: not at its
// release, since one that is scheduled for tomorrow must not cancel today's.
func (m *memory) begin(n *noticeRow) {
	n.State, n.reason = notice.Sending, ""
	if n.begun == 0 {
		m.begins++
		n.begun = m.begins
		m.supersede(n, "")
	}
}

// earlier reports whether a was to be superseded by b: a phase that does not come after b's. Of two of the same phase,
// the one that began last is the later; one that has not begun is none of the other's business.
func earlier(a, b *noticeRow) bool {
	if a == b || a.Incident != b.Incident || a.plan == nil || a.Body.Kind != b.Body.Kind {
		return false
	}
	phases := notice.Phases[b.Body.Kind]
	i, j := slices.Index(phases, a.Body.Phase), slices.Index(phases, b.Body.Phase)
	return i < j || i == j && a.begun > 0 && a.begun < b.begun
}

// supersede stops the deliveries of earlier phases to mailboxes that a notice owes: all of them, or the one of a key. A
// delivery that was stopped itself stops no other: nobody would get either.
// Every phase that was released counts, also one that was cancelled or has nothing owed any more: a mark of it may
// still be open, and then the notice waits until its dot can't come. A chunk is passed over where no mail of it may leave any
// more, and so is a delivery with a 250, unless a mark of it may still be open.
func (m *memory) supersede(n *noticeRow, only string) {
	for _, c := range m.chunks {
		if !earlier(c.notice, n) || c.notice.State == notice.Cancelled && m.mutant == cancelledNotSuperseded {
			continue
		}
		through := !c.open && (c.counts[notice.DeliveryUncertain] == 0 || m.mutant == uncertainPassedOver)
		for seq := c.lo; seq < c.hi; seq++ {
			a := &c.notice.plan.recipients[seq]
			over := c.sent&c.bit(seq) != 0 && (c.dots&c.bit(seq) == 0 || c.leaseUntil.IsZero())
			if !a.keyed() || only != "" && a.key != only {
				continue
			}
			for by := range n.plan.recipients {
				if b := &n.plan.recipients[by]; b.keyed() && b.key == a.key && (m.chunkOf(n, by).view(by).state.Owed() || m.mutant == stoppedSupersedes) {
					m.watch.superseding(c.notice, n, a.key)
					if through || over {
						continue
					}
					m.stopRow(c, seq) // SU2
					m.waitFor(c, seq, n, by)
				}
			}
		}
	}
}

// waitFor is SU3: where a dot of the earlier phase may still come, the later one waits.
func (m *memory) waitFor(c *chunkRow, seq int, n *noticeRow, by int) {
	if c.leaseUntil.IsZero() || !c.openMark(seq) || m.mutant == laterDoesNotWait || m.mutant == waitIgnoresSent && c.sent&c.bit(seq) != 0 {
		return
	}
	at := m.now().Add(m.opts.DotGrace)
	later := m.chunkOf(n, by)
	if o := n.outcomes[by]; o == nil && (later.sent|later.stopped)&later.bit(by) == 0 {
		n.outcomes[by] = &outcomeRow{state: notice.DeliveryQueued, dueAt: at, at: m.now()}
	} else if o != nil && o.state.Owed() && o.dueAt.Before(at) {
		o.dueAt = at
	}
	m.recount(later)
}

// laterOwes reports whether a later phase that has begun owes a delivery to a mailbox, or may have sent one: then none
// of an earlier phase is owed again.
func (m *memory) laterOwes(n *noticeRow, key string) bool {
	for _, c := range m.chunks {
		if !earlier(n, c.notice) || c.notice.begun == 0 || m.mutant == requeueNotRefused {
			continue
		}
		for seq := c.lo; seq < c.hi; seq++ {
			if d := c.view(seq); d.key == key {
				switch d.state {
				case notice.DeliveryFailed, notice.DeliveryCancelled, notice.DeliverySuppressed:
					if d.unresolved == 0 || m.mutant == laterUnresolvedIgnored {
						continue
					}
				}
				return true
			}
		}
	}
	return false
}
