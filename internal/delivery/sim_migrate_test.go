package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

var errRenamed = errors.New("the tables have other names now")

// migrate carries the rows of the earlier form over; ok is false while a worker holds a lease. A delivery that is
// queued needs no row only if nothing was ever tried and nothing is unresolved. One that was requeued after a restore
// has no epoch either. Deliveries that were not expanded yet get their chunks.
func migrate(old *rowMemory, into *memory) (ok bool) {
	now := old.now()
	if slices.ContainsFunc(old.chunks, func(c *oldChunk) bool { return c.leaseUntil.After(now) }) {
		return false
	}
	for _, was := range old.notices {
		n := &noticeRow{Notice: was.Notice, reason: was.reason, customers: was.customers, outcomes: map[int]*outcomeRow{}}
		into.notices = append(into.notices, n)
		if !n.State.Released() {
			continue
		}
		if n.State != notice.Scheduled {
			n.beganAt = n.owedSince()
		}
		n.plan = &planRow{id: int64(len(into.plans) + 1), notice: n, state: planTaken, customers: n.customers}
		into.plans = append(into.plans, n.plan)
		for seq, r := range was.recipients {
			key := cmp.Or(r.Address, "\t"+r.Customers[0].ID)
			n.plan.recipients = append(n.plan.recipients, recipientRow{Recipient: r.Recipient, key: key, reason: r.reason})
			switch {
			case seq < was.expanded:
				n.carry(seq, was.deliveries[seq], now, into.mutant)
			case r.reason != "":
				n.outcomes[seq] = &outcomeRow{state: notice.DeliverySuppressed, reason: r.reason, at: now}
			}
		}
	}
	for _, was := range old.chunks {
		n := into.notice(was.notice.ID)
		c := &chunkRow{notice: n, leaseRow: leaseRow{id: was.id, lo: was.lo, hi: was.hi, epoch: was.epoch, dueAt: was.dueAt}}
		for seq := c.lo; seq < c.hi; seq++ {
			if d := was.notice.deliveries[seq]; d.state == notice.DeliverySent && d.who == "" {
				c.sent |= c.bit(seq)
				c.answers = append(c.answers, answerRow{d.epoch, now, []int{seq}, []string{d.reply}})
			}
		}
		into.chunks = append(into.chunks, c)
		into.recount(c)
	}
	for _, was := range old.notices {
		for lo := was.expanded; lo < len(was.recipients); lo += into.chunkSize {
			c := &chunkRow{notice: into.notice(was.ID),
				leaseRow: leaseRow{id: int64(len(into.chunks) + 1), lo: lo, hi: min(lo+into.chunkSize, len(was.recipients)), dueAt: now}}
			into.chunks = append(into.chunks, c)
			into.recount(c)
		}
	}
	return true
}

// carry makes the outcome of a row, if it needs one. The gate of an uncertain one counts from the latest time of its dot.
func (n *noticeRow) carry(seq int, d *oldDelivery, now time.Time, broken mutant) {
	o := &outcomeRow{state: d.state, tries: d.tries, code: d.code, epoch: d.epoch, unresolved: d.unresolved, dueAt: d.dueAt, at: d.dotBy,
		owedAt: d.owedAt, reason: d.reason, reply: d.reply, who: d.who}
	switch {
	case d.state == notice.DeliverySent && d.who == "":
		return
	case d.state == notice.DeliveryQueued && d.epoch == 0 && (d.unresolved == 0 || broken == migrationForgets):
		return
	case d.state == notice.DeliverySending && broken == migrationRequeues:
		o.state = notice.DeliveryQueued
	case d.state == notice.DeliverySending:
		o.state, o.at = notice.DeliveryUncertain, now
	}
	n.outcomes[seq] = o
}

// rowSession is the ledger as a worker of the version before uses it, until its tables are renamed.
func (w *world) rowSession(a *actor) *rowSession {
	old, transact := w.rows, w.tx(a)
	return newRowSession(old, func(ctx context.Context, kind string, x, y int64, do func() error) error {
		return transact(ctx, kind, x, y, func() error {
			if w.rows == nil && w.memory.mutant != oldWorkersGoOn {
				return errRenamed
			}
			return do()
		})
	})
}

// upgrade migrates the ledger, if no lease stops it, while workers of the version before are still about.
func (w *world) upgrade() error {
	old := w.rows
	if !migrate(old, w.memory) {
		return w.settle("migration refused")
	}
	w.fault("ledger: migrated")
	w.rows = nil
	for _, n := range w.memory.notices {
		if n.plan != nil {
			w.checker.shown(n.plan)
			w.checker.took[n.Key] = n.plan
		}
	}
	return errors.Join(w.carried(old), w.settle("migrated"))
}

// carried compares the ledger with the one that it came from.
func (w *world) carried(old *rowMemory) error {
	for _, was := range old.notices {
		n := w.memory.notice(was.ID)
		for seq, d := range was.deliveries {
			is, state := w.memory.chunkOf(n, seq).view(seq), d.state
			if state == notice.DeliverySending {
				state = notice.DeliveryUncertain
			}
			lost := state != notice.DeliverySent && (is.epoch != d.epoch || is.unresolved != d.unresolved || is.tries != d.tries)
			if is.state != state || lost || is.key != d.key {
				return fmt.Errorf("delivery %d of notice %s was %v, and is %v", seq, n.Key, d, is)
			}
		}
		if got, want := w.memory.count(n).Total(), len(was.recipients); got != want && n.State.Released() {
			return fmt.Errorf("notice %s has %d recipients, and counts %d", n.Key, want, got)
		}
	}
	return nil
}

// replaceOld has the workers of the version before stopped, and others in their place.
func (w *world) replaceOld() error {
	for _, a := range slices.Clone(w.workers) {
		if a.old {
			w.crash(a)
			w.start()
			return w.settle("replaced", int64(a.n))
		}
	}
	return nil
}

// requeued counts the deliveries that an operator requeued in the earlier form.
func (c *checker) requeued() error {
	for _, n := range c.world.rows.notices {
		for seq, d := range n.deliveries {
			box, at := mailbox{n.Key, d.key}, ledger.Attempt{NoticeID: n.ID, Seq: seq}
			if c.uncertain[at] && d.state == notice.DeliveryQueued {
				c.requeues[box]++
				if !c.world.informed {
					c.asked[box]++
				}
			}
			c.uncertain[at] = d.state == notice.DeliveryUncertain
			if copies := c.world.relay.copies[box]; d.key != "" && copies > 1+c.asked[box] {
				return fmt.Errorf("the relay took %d copies of %v", copies, box)
			}
		}
	}
	return c.world.relay.wrong
}
