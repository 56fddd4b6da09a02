package delivery

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tocsin/internal/control"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// simMargin is the time before an addition from which an entry of the list of suppressions counts as a later one.
const simMargin = time.Minute

// ownRow is the row of a customer of a notice, as an addition takes it over; false: they are not known, or stand on none.
func (m *memory) ownRow(n *noticeRow, customer string) (r recipientRow, seq int, err error) {
	known := slices.ContainsFunc(m.customers, func(c simCustomer) bool { return c.id == customer })
	switch {
	case n.plan == nil:
		return r, 0, notice.Conflict("notice %d has no recipients yet", n.ID)
	case !known:
		return r, 0, notice.NotFound("there is no such customer")
	}
	if seq = n.plan.seqOf(customer); seq < 0 {
		return r, 0, notice.Conflict("the customer does not stand on notice %d", n.ID)
	}
	return n.plan.recipients[seq], seq, nil
}

// mailboxRow is the row to a mailbox, -1 where there is none. An erased row counts.
func (m *memory) mailboxRow(p *planRow, key string) int {
	return slices.IndexFunc(p.recipients, func(r recipientRow) bool {
		return r.key == key && (!r.erased || m.mutant != erasedMailboxForgotten) && m.mutant != addedTwice
	})
}

// addRecipient adds a row for another mailbox of a customer, with the values of their own row; laid: with its chunk.
func (m *memory) addRecipient(n *noticeRow, a ledger.Addition, own recipientRow, of int, laid bool) (added ledger.Added, err error) {
	p := n.plan
	added = ledger.Added{Of: of, Seq: m.mailboxRow(p, a.Key)}
	if added.Seq >= 0 && p.recipients[added.Seq].addedFor == a.Customer {
		return added, nil
	}
	switch {
	case n.State == notice.Cancelled || n.ExpiresAt != nil && !n.ExpiresAt.After(m.now()):
		return added, notice.Conflict("nothing more of notice %d is sent", n.ID)
	case m.fenced || n.State == notice.Held && n.reason == notice.ReasonRestored:
		return added, notice.Conflict("a restored ledger may not know all mailboxes of notice %d", n.ID)
	case added.Seq >= 0:
		added.Taken = true
		return added, nil
	case !m.listedAt(n, a.Key).IsZero() && m.mutant != addedIgnoresList:
		return added, notice.Conflict("it is on the list of suppressions")
	case m.mutant != addedIsOldNews && m.laterOwes(n, a.Key):
		return added, notice.Conflict("a later notice goes there")
	}
	r := recipientRow{key: a.Key, addedFor: a.Customer, Recipient: notice.Recipient{Address: a.Address, Language: own.Language}}
	r.Customers = slices.DeleteFunc(slices.Clone(own.Customers), func(f notice.Frozen) bool { return f.ID != a.Customer })
	if len(own.Customers) == 1 {
		r.mail = own.mail
	}
	added.Seq, added.Created = len(p.recipients), true
	p.recipients = append(p.recipients, r)
	m.watch.added(n, r)
	if laid {
		m.layAdded(n, added.Seq)
	}
	return added, nil
}

// layAdded makes the chunk of an added row. Where its notice has begun, the row is owed from now on, as after a requeue.
func (m *memory) layAdded(n *noticeRow, seq int) {
	c := &chunkRow{notice: n, leaseRow: leaseRow{id: int64(len(m.chunks) + 1), lo: seq, hi: seq + 1, dueAt: m.now()}}
	if n.SendAt != nil && n.SendAt.After(m.now()) {
		c.dueAt = *n.SendAt
	}
	m.chunks = append(m.chunks, c)
	if !n.beganAt.IsZero() {
		n.outcomes[seq] = &outcomeRow{state: notice.DeliveryQueued, dueAt: m.now(), at: m.now(), owedAt: m.now().Add(-simMargin)}
		if m.mutant != addedSupersedesNothing {
			m.supersede(n, n.plan.recipients[seq].key)
		}
	}
	m.recount(c)
	if m.mutant != addedToFinished {
		m.reopen(c)
	}
}

// added judges a row that was added.
func (c *checker) added(n *noticeRow, r recipientRow) {
	if c == nil {
		return
	}
	c.additions[n.plan]++
	switch {
	case c.silent[r.key].covers(n):
		c.world.relay.fail("a row of notice %s was added for a mailbox after the return of its suppression", n.Key)
	case n.State == notice.Cancelled:
		c.world.relay.fail("a row was added to notice %s, which was cancelled", n.Key)
	case c.restored: // the backup may not know the row, and an operator has said that all which was sent is accounted for
		c.asked[mailbox{n.Key, r.key}]++
	}
}

// AddRecipient adds a row in one transaction.
func (s *session) AddRecipient(ctx context.Context, id int64, a ledger.Addition, _ string) (added ledger.Added, err error) {
	m, early := s.memory, s.memory.mutant == addWithoutLock
	var own recipientRow
	var of int
	look := func() (err error) { own, of, err = m.ownRow(m.notice(id), a.Customer); return err }
	if early {
		if err := s.tx(ctx, "look", id, 0, look); err != nil {
			return added, err
		}
	}
	laid := m.mutant != addInTwo
	err = s.tx(ctx, "add", id, 0, func() (err error) {
		if !early {
			err = look()
		}
		if err == nil {
			added, err = m.addRecipient(m.notice(id), a, own, of, laid)
		}
		return err
	})
	if err == nil && added.Created && !laid {
		err = s.tx(ctx, "lay", id, 0, func() error { m.layAdded(m.notice(id), added.Seq); return nil })
	}
	return added, err
}

// adds reports whether operators of this schedule add rows.
func (w *world) adds() bool { return w.seed%7 == 5 }

// add has an operator send a notice to another address of a customer: one that has it or not, and that others may have
// been given.
func (w *world) add(n *noticeRow) {
	m := w.memory
	a := ledger.Addition{Customer: m.customers[w.rng.IntN(len(m.customers))].id, Address: w.address(n)}
	if w.rng.IntN(4) > 0 || a.Address == "" {
		a.Address = fmt.Sprintf("m%d@%d.example.com", 4+w.rng.IntN(3), w.rng.IntN(2))
	}
	a.Key = a.Address
	w.operate("add an address", false, func(ctx context.Context, d *control.Desk) error {
		if _, err := d.Ledger.AddRecipient(ctx, n.ID, a, "op"); err != nil || w.seed%2 == 0 {
			return err
		}
		work, err := d.Ledger.Sweep(ctx)
		if err == nil {
			err = work.Enqueue(ctx, d.Queue)
		}
		return err
	})
}

// add adds a row to both.
func (p *pair) add(n int64) error {
	a := ledger.Addition{Customer: p.memory.customers[p.draw("customer", len(p.memory.customers))].id, Address: p.mailbox()}
	if p.draw("other", 3) > 0 {
		a.Address = fmt.Sprintf("%s.x%d@example.com", p.prefix, p.draw("address", 2))
	}
	a.Key = a.Address
	p.note("%s", a.Address[len(p.prefix):])
	m, mErr := p.s.AddRecipient(p.ctx, n, a, "op")
	pg, err := p.db.AddRecipient(p.ctx, p.notices[n-1], a, "op")
	if err := refused(mErr, err); err != nil || mErr != nil {
		return err
	}
	if m.Created {
		var id int64
		if err := p.pool.QueryRow(p.ctx, `SELECT id FROM chunk WHERE notice_id = $1 ORDER BY lo DESC LIMIT 1`, p.notices[n-1]).Scan(&id); err != nil {
			return err
		}
		p.chunks = append(p.chunks, id)
	}
	return both("added is", m, pg)
}

// add has an operator add a row for a customer, and reports whether that was done.
func (p *script) add(n int64, customer, address string) bool {
	added, err := p.s.AddRecipient(context.Background(), n, ledger.Addition{Customer: customer, Address: address, Key: address}, "op")
	return err == nil && added.Created
}

// row is the state of a row of a notice.
func (p *script) row(n int64, seq int) notice.DeliveryState {
	return p.memory.chunkOf(p.memory.notice(n), seq).view(seq).state
}

const otherMailbox = "m9@0.example.com"

// addedScripts are schedules about added rows, by the mutant that each catches.
var addedScripts = map[mutant]func(p *script){
	addedTwice: func(p *script) { // two press at once, and one of them again
		p.release(1)
		p.between["add"] = func() { p.must(p.add(1, "customer0x", otherMailbox), "the addition was refused") }
		p.must(!p.add(1, "customer0x", otherMailbox), "the second press has added a row too")
		p.must(!p.add(1, "customer0x", "m0@0.example.com"), "a mailbox of the plan was added")
	},
	addInTwo: func(p *script) { // and the process is lost between the two
		p.release(1)
		p.must(p.add(1, "customer0x", otherMailbox), "the addition was refused")
	},
	addWithoutLock: func(p *script) {
		p.release(1)
		p.between["add"] = func() { _ = p.s.DeleteCustomer(context.Background(), "customer0x") }
		p.add(1, "customer0x", otherMailbox)
	},
	eraseForgetsAdded: func(p *script) {
		p.release(1)
		p.add(1, "customer0x", otherMailbox)
		_ = p.s.DeleteCustomer(context.Background(), "customer0x")
		p.look("erased")
	},
	erasedMailboxForgotten: func(p *script) {
		p.memory.customers = append(p.memory.customers, simCustomer{"customer1x", "m1@1.example.com"})
		p.release(1)
		first := p.attempt(1)
		p.dot(first, true)
		p.answer(first, notice.DeliverySent, false)
		_ = p.s.DeleteCustomer(context.Background(), "customer0x")
		p.must(!p.add(1, "customer1x", "m0@0.example.com"), "a mailbox of an erased customer, which has the mail, was given a second row")
	},
	addedIgnoresList: func(p *script) {
		p.release(1)
		_ = p.s.Suppress(context.Background(), otherMailbox, notice.ScopeAll)
		p.wait(2 * simMargin)
		p.add(1, "customer0x", otherMailbox)
	},
	addedIsOldNews: func(p *script) {
		p.release(1)
		p.release(2)
		p.must(p.add(2, "customer0x", otherMailbox), "the addition was refused")
		p.must(!p.add(1, "customer0x", otherMailbox), "old news is owed to a mailbox that gets the new")
	},
	addedSupersedesNothing: func(p *script) {
		p.release(1)
		p.must(p.add(1, "customer0x", otherMailbox), "the addition was refused")
		p.release(2)
		p.must(p.row(1, 1).Owed(), "a later notice that does not go there has stopped the only one that does")
		p.must(p.add(2, "customer0x", otherMailbox), "the addition was refused")
		p.must(!p.row(1, 1).Owed(), "old news is owed to a mailbox that gets the new")
	},
	addedToFinished: func(p *script) {
		p.release(1)
		first := p.attempt(1)
		p.dot(first, true)
		p.answer(first, notice.DeliverySent, false)
		p.close(first)
		p.must(p.memory.notice(1).State == notice.Sent, "it is not finished")
		p.must(p.add(1, "customer0x", otherMailbox), "the addition was refused")
	},
}
