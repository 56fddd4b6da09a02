package delivery

import (
	"bytes"
	"maps"
	"slices"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// These tell the checker of an act at the moment that it is done. A nil checker is told nothing.

// marked judges a mark that a commit grants.
func (c *checker) marked(a ledger.Attempt) {
	if c == nil {
		return
	}
	w := c.world
	now, chunk := time.Now(), w.memory.chunk(a.ChunkID)
	n, r := chunk.notice, &chunk.notice.plan.recipients[a.Seq]
	b := chunk.bit(a.Seq)
	switch {
	case chunk.epoch != a.Epoch || !chunk.leaseUntil.After(now.Add(simGrace)):
		w.relay.fail("the mark %v is not under the current epoch %d and a lease until %v", a, chunk.epoch, chunk.leaseUntil)
	case n.State != notice.Sending || n.ExpiresAt != nil && !n.ExpiresAt.After(now):
		w.relay.fail("the mark %v is in a notice that is %s", a, n.State)
	case c.inHold():
		w.relay.fail("the mark %v follows the return of a hold", a)
	case chunk.sent&b != 0:
		w.relay.fail("the mark %v follows a 250", a)
	case chunk.stopped&b != 0 || r.erased:
		w.relay.fail("the mark %v is of a delivery that was stopped", a)
	case c.quiet[n.Key]:
		w.relay.fail("the mark %v follows the return of a pause or a cancel", a)
	case c.silent[r.key].covers(n) && chunk.row(a.Seq).owedBefore(c.silent[r.key].at):
		w.relay.fail("the mark %v follows the return of a suppression", a)
	}
	c.remindedOf(a, n)
	c.tried(n, chunk, a.Seq)
	for pair := range c.pairs {
		if later := (mailbox{pair[1], r.key}); pair[0] == n.Key && pair[2] == r.key && w.relay.copies[later] > 0 && !c.restored && w.knows(later) {
			w.relay.fail("the mark %v is old news: %v has arrived", a, later)
		}
	}
	a.Again = false
	c.order++
	c.marks[a], c.last[mailbox{n.Key, r.key}] = c.order, c.order
	c.until = append(slices.DeleteFunc(c.until, func(t time.Time) bool { return t.Before(now) }), now.Add(simGrace))
}

// doubted notes that an operator made a delivery uncertain, which may have left before a restore.
func (c *checker) doubted(n *noticeRow, seq int) {
	if c != nil {
		c.doubts[mailbox{n.Key, n.plan.recipients[seq].key}] = true
	}
}

// knows reports whether the ledger still knows that a notice was for a mailbox. An erasure takes the address out, and
// then an operator's requeue of an earlier notice is not refused any more.
func (w *world) knows(box mailbox) bool {
	for _, n := range w.memory.notices {
		if n.Key == box.notice {
			return slices.ContainsFunc(n.plan.recipients, func(r recipientRow) bool { return r.keyed() && r.key == box.address })
		}
	}
	return false
}

// dotted judges a dot that is about to be written.
func (c *checker) dotted(a ledger.Attempt, box mailbox) {
	w := c.world
	if c.restored || w.rows != nil {
		return
	}
	if chunk := w.memory.chunk(a.ChunkID); chunk.epoch != a.Epoch || !chunk.openMark(a.Seq) {
		w.relay.fail("a dot may go out for %v, which is %v", a, chunk.view(a.Seq))
	}
	if w.relay.possible[box] > c.requeues[box] {
		w.relay.fail("a dot goes out for %v: %d before it may have been taken, and an operator requeued it %d times", box, w.relay.possible[box], c.requeues[box])
	}
	for pair := range c.pairs {
		if later := c.last[mailbox{pair[1], box.address}]; pair[0] == box.notice && pair[2] == box.address && later > c.marks[a] {
			w.relay.fail("a dot of %v goes out under mark %d, and notice %s, which is later, has mark %d", box, c.marks[a], pair[1], later)
		}
	}
}

// heard judges outcomes that the ledger has said are recorded.
func (c *checker) heard(outcomes []ledger.Outcome) {
	if c == nil {
		return
	}
	for _, o := range outcomes {
		if chunk := c.world.memory.chunk(o.ChunkID); o.State == notice.DeliverySent && chunk != nil && chunk.sent&chunk.bit(o.Seq) == 0 {
			c.world.relay.fail("a 250 to %v was recorded, and it is %v", o.Attempt, chunk.view(o.Seq))
		}
	}
}

// superseding notes that a notice has superseded an earlier one for a mailbox.
func (c *checker) superseding(a, b *noticeRow, key string) {
	if c != nil {
		c.pairs[[3]string{a.Key, b.Key, key}] = true
	}
}

// forced notes that an operator has old news sent though a later notice goes to the mailbox.
func (c *checker) forced(n *noticeRow, key string) {
	if c != nil {
		maps.DeleteFunc(c.pairs, func(pair [3]string, _ bool) bool { return pair[0] == n.Key && pair[2] == key })
	}
}

// stopped notes that a pause or a cancel has returned.
func (c *checker) stopped(n *noticeRow) {
	if c == nil {
		return
	}
	c.quiet[n.Key] = true
	for _, chunk := range c.world.memory.chunksOf(n) {
		for seq := chunk.lo; seq < chunk.hi && n.State == notice.Cancelled; seq++ {
			if chunk.view(seq).state.Owed() {
				c.world.relay.fail("notice %s was cancelled, and delivery %d of it is %v", n.Key, seq, chunk.view(seq))
			}
		}
	}
}

// resumed notes that a notice may be sent again.
func (c *checker) resumed(n *noticeRow) {
	if c != nil {
		delete(c.quiet, n.Key)
	}
}

// wants notes that an operator puts a mailbox on the list of suppressions.
func (c *checker) wants(key string) {
	if c != nil {
		c.mayList[key] = true
	}
}

func (c *checker) suppressed(key string) {
	if c != nil {
		c.silent[key] = c.world.memory.listed[key]
	}
}

func (c *checker) erased(id string) {
	if c != nil {
		c.gone[id] = true
	}
}

// shown notes a plan as somebody sees it.
func (c *checker) shown(p *planRow) {
	if c == nil {
		return
	}
	rows := slices.Clone(p.recipients)
	c.plans[p] = showing{rows, p.notice.Body.ReplyTo}
	for _, r := range rows {
		if p.notice.Body.Amends == "" { // an amendment leaves suppressed the mailboxes that were so in the notice that it stops
			c.left(p.notice, r.key, r.reason)
		}
	}
}

// taken judges a release: it takes the plan that was shown, once.
func (c *checker) taken(p *planRow) {
	if c == nil {
		return
	}
	n, shown := p.notice, c.plans[p]
	if c.released[n.Key] && c.lifted && !c.world.memory.fenced {
		// The backup does not know its first release. An operator has said that all which was sent after the backup is
		// accounted for, and has it go again. Before that a release is held.
		c.askedFor(n.Key, p)
	}
	c.released[n.Key] = true
	if !c.restored {
		delete(c.wentOn, n.Key)
	}
	if before := c.took[n.Key]; before != nil {
		c.world.relay.fail("notice %s took plan %d, and now plan %d", n.Key, before.id, p.id)
	}
	c.took[n.Key] = p
	if shown.body != n.Body.ReplyTo {
		c.world.relay.fail("notice %s goes out with another body than was shown", n.Key)
	}
	if len(shown.rows) != len(p.recipients) {
		c.world.relay.fail("notice %s goes to %d recipients, and %d were shown", n.Key, len(p.recipients), len(shown.rows))
		return
	}
	c.amended(n)
	for seq, r := range p.recipients {
		was := shown.rows[seq]
		added := slices.ContainsFunc(r.Customers, func(f notice.Frozen) bool {
			return !slices.ContainsFunc(was.Customers, func(g notice.Frozen) bool { return f.ID == g.ID })
		})
		if r.key != was.key || r.reason != was.reason || added {
			c.world.relay.fail("recipient %d of notice %s was shown as %v, and is %v", seq, n.Key, was, r)
		}
	}
}

// forget is a restore: the ledger is compared with nothing that was before.
func (c *checker) forget() {
	c.restored = true
	clear(c.before)
	clear(c.quiet)
	clear(c.silent)
	clear(c.gone)
	clear(c.pairs)
	clear(c.holds)
	c.lifted = false
	c.took, c.plans = map[string]*planRow{}, map[*planRow]showing{}
	for _, p := range c.world.memory.plans {
		c.shown(p)
	}
}

// unheld notes that an operator lets go of a restored notice: to have it sent is to ask for copies, not knowing.
func (c *checker) unheld(n *noticeRow, send, lift bool) {
	if c == nil {
		return
	}
	c.resumed(n)
	c.lifted = c.lifted || lift
	if send {
		c.askedFor(n.Key, n.plan)
	}
}

// askedFor notes that an operator asked for a further copy to every mailbox of a plan.
func (c *checker) askedFor(key string, p *planRow) {
	for _, r := range p.recipients {
		c.asked[mailbox{key, r.key}]++
	}
}

// delivered judges a mail that the relay has taken: it names all who share the mailbox, as the plan has them.
func (c *checker) delivered(to mailbox, x *exchange) {
	if c.restored || c.world.rows != nil {
		return
	}
	c.fits(to, x)
	rows := c.took[to.notice].recipients
	for i := range rows {
		if r := &rows[i]; r.key == to.address {
			for _, customer := range slices.Concat(r.Customers, r.joins) {
				if !bytes.Contains(x.mail.Raw, []byte(customer.ID)) {
					c.world.relay.fail("the mail to %v does not name %s, who shares it", to, customer.ID)
				}
			}
		}
	}
}
