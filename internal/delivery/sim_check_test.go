package delivery

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// checker holds the promise against every step of a schedule.
type checker struct {
	world  *world
	before [][]deliveryRow // per notice and seq
	asked  map[mailbox]int // further copies that an operator asked for, not knowing
}

// leadsTo says where a delivery may go from each state in one step.
var leadsTo = map[notice.DeliveryState][]notice.DeliveryState{
	notice.DeliveryQueued: {notice.DeliverySending, notice.DeliverySent, notice.DeliveryDeferred, notice.DeliveryFailed,
		notice.DeliveryUncertain, notice.DeliveryCancelled},
	notice.DeliverySending: {notice.DeliverySent, notice.DeliveryDeferred, notice.DeliveryFailed, notice.DeliveryUncertain,
		notice.DeliveryCancelled},
	notice.DeliveryDeferred: {notice.DeliverySending, notice.DeliverySent, notice.DeliveryFailed, notice.DeliveryUncertain,
		notice.DeliveryCancelled},
	notice.DeliveryUncertain: {notice.DeliverySent, notice.DeliveryDeferred, notice.DeliveryFailed, notice.DeliveryQueued,
		notice.DeliveryCancelled},
	notice.DeliveryFailed:     {notice.DeliveryQueued},
	notice.DeliverySuppressed: {notice.DeliveryQueued},
}

// check looks at all that a step may have changed.
func (c *checker) check(step string) error {
	w := c.world
	if w.relay.wrong != nil {
		return w.relay.wrong
	}
	for i, n := range w.memory.notices {
		if len(c.before) <= i {
			c.before = append(c.before, nil)
		}
		if len(n.deliveries) < len(c.before[i]) || len(n.deliveries) != n.expanded {
			return fmt.Errorf("notice %s had %d deliveries, and has %d of %d", n.Key, len(c.before[i]), len(n.deliveries), n.expanded)
		}
		for seq, d := range n.deliveries {
			if seq >= len(c.before[i]) {
				c.before[i] = append(c.before[i], *d)
				continue
			}
			if was := c.before[i][seq]; was != *d {
				if err := c.changed(n, seq, was, d, step); err != nil {
					return fmt.Errorf("delivery %d of notice %s, %v, became %v: %w", seq, n.Key, &was, d, err)
				}
				c.before[i][seq] = *d
			}
			if err := c.stands(n, d); err != nil {
				return fmt.Errorf("delivery %d of notice %s, %v: %w", seq, n.Key, d, err)
			}
		}
		if err := c.adds(n); err != nil {
			return fmt.Errorf("notice %s, %s: %w", n.Key, n.State, err)
		}
	}
	return nil
}

// changed judges a change of a delivery.
func (c *checker) changed(n *noticeRow, seq int, was deliveryRow, d *deliveryRow, step string) error {
	w, now := c.world, time.Now()
	if was.state != d.state && !slices.Contains(leadsTo[was.state], d.state) {
		return fmt.Errorf("that is no transition")
	}
	chunk := w.memory.chunkOf(n, seq)
	at := ledger.Attempt{NoticeID: n.ID, Seq: seq, ChunkID: chunk.id, Epoch: d.epoch}
	box := mailbox{n.Key, d.key}
	switch d.state {
	case notice.DeliverySending:
		switch {
		case was.state == d.state && was.epoch == d.epoch && was.dotBy.Equal(d.dotBy):
			// No mark: an answer to an earlier attempt changed what the row remembers of that.
		case was.state == notice.DeliverySending && was.epoch != d.epoch:
			return fmt.Errorf("it was marked for another attempt already")
		case chunk.epoch != d.epoch || !chunk.leaseUntil.After(now.Add(simGrace)):
			return fmt.Errorf("the mark is not under the current epoch %d and a lease until %v", chunk.epoch, chunk.leaseUntil)
		case n.State != notice.Sending || n.ExpiresAt != nil && !n.ExpiresAt.After(now):
			return fmt.Errorf("the notice is %s", n.State)
		}
	case notice.DeliverySent:
		if d.who == "" && !w.relay.said[box] {
			return fmt.Errorf("the relay never said 250")
		}
	case notice.DeliveryUncertain:
		switch {
		case was.state.Owed() && d.unresolved == 0:
			return fmt.Errorf("no attempt was under way")
		case was.state == notice.DeliverySending && d.unresolved == 0 && step != "claim" && !w.relay.dots[at]:
			return fmt.Errorf("no dot was written")
		}
	case notice.DeliveryFailed:
		if !w.relay.never[at] && d.reason != notice.ReasonTooLong {
			return fmt.Errorf("the relay never said 5xx")
		}
	case notice.DeliveryQueued:
		if was.state == notice.DeliveryUncertain && !w.informed {
			c.asked[box]++
		}
	}
	return nil
}

// stands judges a delivery as it stands.
func (c *checker) stands(n *noticeRow, d *deliveryRow) error {
	w := c.world
	box := mailbox{n.Key, d.key}
	copies := w.relay.copies[box]
	if copies == 0 {
		return nil
	}
	if copies > 1+c.asked[box] {
		return fmt.Errorf("the relay took %d copies, and an operator asked for %d more than one", copies, c.asked[box])
	}
	switch d.state {
	case notice.DeliverySending, notice.DeliverySent, notice.DeliveryUncertain:
	default:
		if d.unresolved == 0 {
			return fmt.Errorf("the relay took %d copies", copies)
		}
	}
	return nil
}

// adds checks the counts of a notice, and that one that is called sent owes nothing.
func (c *checker) adds(n *noticeRow) error {
	w := c.world
	if sum := w.memory.count(n).Total(); sum != len(n.recipients) {
		return fmt.Errorf("the counts add up to %d of %d recipients", sum, len(n.recipients))
	}
	marks := map[string]int{}
	for _, chunk := range w.memory.chunksOf(n) {
		var counts notice.Counts
		for _, d := range chunk.rows() {
			counts[d.state]++
			if d.state == notice.DeliverySending && d.epoch == chunk.epoch {
				marks[chunk.holder]++
			}
			if n.State == notice.Sent && d.state.Open() {
				return fmt.Errorf("chunk %d still owes", chunk.id)
			}
		}
		if chunk.leaseUntil.IsZero() && counts != chunk.counts {
			return fmt.Errorf("chunk %d has no lease and holds %v, and counts %v", chunk.id, counts, chunk.counts)
		}
	}
	for holder, k := range marks {
		if holder != "" && k > w.options.OpenMarks {
			return fmt.Errorf("%s has %d open marks of %d", holder, k, w.options.OpenMarks)
		}
	}
	return nil
}

// delivered judges a mail that the relay has taken: it names all who share the mailbox.
func (c *checker) delivered(to mailbox, x *exchange) {
	w := c.world
	for _, customer := range w.memory.customers {
		if customer.address == to.address && !bytes.Contains(x.mail.Raw, []byte(customer.id)) {
			w.relay.fail("the mail to %v does not name %s, who shares it", to, customer.id)
		}
	}
}

// final reports what is not settled yet; nil: every delivery has reached a final state.
func (c *checker) final() error {
	for _, n := range c.world.memory.notices {
		if n.tooLate() {
			continue
		}
		if !n.State.Finished() || n.expanded < len(n.recipients) {
			return fmt.Errorf("notice %s is %s, %d of %d recipients expanded", n.Key, n.State, n.expanded, len(n.recipients))
		}
		for _, chunk := range c.world.memory.chunksOf(n) {
			if chunk.open {
				return fmt.Errorf("notice %s is %s, chunk %d is open: %v", n.Key, n.State, chunk.id, chunk.rows())
			}
		}
	}
	return nil
}

func (m *memory) chunkOf(n *noticeRow, seq int) *chunkRow {
	for _, c := range m.chunks {
		if c.notice == n && c.lo <= seq && seq < c.hi {
			return c
		}
	}
	return nil
}

// tooLate reports whether a draft can't be released any more.
func (n *noticeRow) tooLate() bool {
	return n.State == notice.Draft && n.ExpiresAt != nil && !n.ExpiresAt.After(time.Now())
}
