package delivery

import (
	"context"
	"fmt"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// An amendment.
const (
	amendStopsNothing     mutant = "an amendment does not stop the notice"
	amendInTwo            mutant = "an amendment stops the notice in a transaction of its own"
	amendTwice            mutant = "a notice is amended twice"
	amendForgetsSending   mutant = "what is marked gets the plain text"
	amendForgetsLost      mutant = "what is uncertain gets the plain text"
	amendForgetsEarlier   mutant = "what has failed gets the plain text, whatever became of an earlier attempt"
	amendReadsLate        mutant = "a late answer changes which text goes"
	amendLooksAtLastAlone mutant = "an amendment of an amendment forgets who got the first version"
	amendDoesNotWait      mutant = "an amendment does not wait for open marks"
	amendMailsSuppressed  mutant = "an amendment mails what was suppressed"
	amendMailsErased      mutant = "an amendment mails what was erased"
	amendLeavesReminders  mutant = "an amendment leaves the reminders of the notice"
	eraseLooksOnce        mutant = "an erasure does not look for the rows that an amendment took over meanwhile"
	amendIgnoresRows      mutant = "an amendment does not ask whether rows were added since its plan"
)

// amended returns the notice that an amendment stops; nil: it is none.
func (m *memory) amended(n *noticeRow) *noticeRow {
	for _, a := range m.notices {
		if n.Body.Amends != "" && a.Key == n.Body.Amends {
			return a
		}
	}
	return nil
}

// mayAmend is the condition of the release of an amendment.
func (m *memory) mayAmend(n, a *noticeRow) error {
	for _, other := range m.notices {
		if other != n && other.plan != nil && m.amended(other) == a && m.mutant != amendTwice {
			return notice.Conflict("notice %q was amended already", a.Key)
		}
	}
	waits := a.State == notice.Scheduled || a.State == notice.Paused && a.beganAt.IsZero() && a.SendAt != nil
	stopped := a.State == notice.Cancelled && m.mutant != amendTwice
	if a.plan == nil || waits || stopped || a.State == notice.Held && a.reason == notice.ReasonRestored {
		return notice.Conflict("notice %q is %s", a.Key, a.State)
	}
	for _, c := range m.chunksOf(a) {
		for seq := c.lo; seq < c.hi; seq++ {
			if c.view(seq).state != notice.DeliverySuppressed && !a.plan.recipients[seq].erased {
				return nil
			}
		}
	}
	return notice.Conflict("notice %q reached nobody", a.Key)
}

// copyRows are the rows of a plan that takes those of another notice.
func copyRows(a *noticeRow) (rows []recipientRow) {
	if a.plan != nil {
		rows = append(rows, a.plan.recipients...)
	}
	for seq := range rows {
		rows[seq].Customers = append([]notice.Frozen(nil), rows[seq].Customers...)
	}
	return rows
}

// stopAmended cancels a notice that is amended, and its reminders.
func (m *memory) stopAmended(a *noticeRow) {
	if m.mutant == amendStopsNothing {
		return
	}
	a.State, a.reason, a.HeldUntil = notice.Cancelled, notice.ReasonAmended, nil
	m.stopAll(a)
	if m.mutant != amendLeavesReminders {
		m.cancelReminders(a)
	}
}

// layAmendment makes the chunks of an amendment over those of the notice that it stops.
func (m *memory) layAmendment(n, a *noticeRow) {
	if m.mutant != amendInTwo {
		m.stopAmended(a)
	}
	for _, c := range m.chunksOf(a) {
		if c.lo == c.hi || c.lo >= len(n.plan.recipients) { // of a release that was taken back, or of an added row that the mutant forgets
			continue
		}
		k := &chunkRow{notice: n, leaseRow: leaseRow{id: int64(len(m.chunks) + 1), lo: c.lo, hi: c.hi, dueAt: m.now()}}
		for seq := c.lo; seq < c.hi; seq++ {
			if m.mayHaveGot(a, seq) {
				k.corrects |= k.bit(seq)
			}
			switch d := c.view(seq); {
			case d.state == notice.DeliverySuppressed && m.mutant != amendMailsSuppressed:
				n.outcomes[seq] = &outcomeRow{state: notice.DeliverySuppressed, reason: d.reason, at: m.now()}
			case !c.leaseUntil.IsZero() && c.openMark(seq) && m.mutant != amendDoesNotWait:
				n.outcomes[seq] = &outcomeRow{state: notice.DeliveryQueued, dueAt: m.now().Add(m.opts.DotGrace), at: m.now()}
			}
			if n.plan.recipients[seq].erased && m.mutant != amendMailsErased {
				k.stopped |= k.bit(seq)
			}
		}
		m.chunks = append(m.chunks, k)
		m.cancelStopped(k)
		m.recount(k)
	}
}

// mayHaveGot reports whether a version of a notice, or of one that it amends, arrived at a mailbox, or may have.
func (m *memory) mayHaveGot(a *noticeRow, seq int) bool {
	for ; a != nil; a = m.amended(a) {
		c := m.chunkOf(a, seq)
		if c == nil { // the row was added to an amendment of it
			break
		}
		d := c.view(seq)
		switch {
		case d.state == notice.DeliverySending && m.mutant == amendForgetsSending, d.state == notice.DeliveryUncertain && m.mutant == amendForgetsLost:
		case d.unresolved != 0 && m.mutant != amendForgetsEarlier, c.corrects&c.bit(seq) != 0 && m.mutant != amendLooksAtLastAlone,
			d.state == notice.DeliverySending, d.state == notice.DeliverySent, d.state == notice.DeliveryUncertain, d.state == notice.DeliveryBounced:
			return true
		}
		if m.mutant == amendLooksAtLastAlone {
			break
		}
	}
	return false
}

// corrects reports whether a delivery that is claimed is a correction.
func (m *memory) corrects(c *chunkRow, seq int) bool {
	if a := m.amended(c.notice); a != nil && m.mutant == amendReadsLate {
		return m.mayHaveGot(a, seq)
	}
	return c.corrects&c.bit(seq) != 0
}

// amend drafts an amendment of a notice and releases it; it returns its number, and whether it was released.
func (p *script) amend(n int64, phase string) (id int64, released bool) {
	b := simBody(fmt.Sprint("amendment", len(p.memory.notices)))
	b.Incident, b.Phase, b.Amends, b.Kind = "i", phase, p.memory.notice(n).Key, p.memory.notice(n).Body.Kind
	id = p.memory.draft(b, simTexts)
	return id, p.press(id)
}

func (p *script) press(id int64) bool {
	released, err := p.s.Release(context.Background(), id, everybody, ledger.Press{Domain: "example.net", Who: "op"})
	return released && err == nil
}

// text is the text of a notice's delivery: plain, correction, or "" where it is not due.
func (p *script) text(n int64) string {
	if p.chunk(n) == nil {
		return ""
	}
	c, ok, _ := p.s.Claim(context.Background(), p.chunk(n).id, "w")
	p.must(ok, "the claim was refused")
	p.close(ledger.Attempt{NoticeID: n, ChunkID: c.ChunkID, Epoch: c.Epoch})
	if len(c.Due) == 0 {
		return ""
	}
	return map[bool]string{true: "correction", false: "plain"}[c.Due[0].Corrects]
}

func (p *script) wantText(n int64, want string) {
	p.must(p.text(n) == want, "the mailbox gets the other text: "+want+" is right")
}

// amendScripts are schedules about amendments, by the mutant that each catches.
var amendScripts = map[mutant]func(p *script){
	amendStopsNothing: func(p *script) {
		p.release(2) // of a later phase than its amendment, which does not supersede it
		p.wait(time.Second)
		old, _ := p.claim(2)
		_, ok := p.amend(2, "identified")
		p.must(ok, "it was not amended")
		p.must(!p.mark(old), "a mark of the wrong text was given after the amendment")
	},
	amendInTwo: func(p *script) { // a crash between: pressed again, the mailbox is not forgotten
		p.release(1)
		p.dies["release"] = true
		id, ok := p.amend(1, "identified")
		p.must(!ok && p.chunk(1).view(0).state.Owed(), "the notice is stopped, and nothing takes its place")
		p.must(p.press(id), "the amendment was refused")
		p.wantText(id, "plain")
	},
	amendTwice: func(p *script) {
		p.release(1)
		first, ok := p.amend(1, "identified")
		_, again := p.amend(1, "identified")
		p.must(ok && !again, "the mailbox is owed two amendments of one notice")
		p.must(!p.press(first), "the same directory amended twice")
	},
	amendForgetsSending: func(p *script) { // a late 250
		p.release(1)
		old := p.attempt(1)
		id, _ := p.amend(1, "identified")
		p.dot(old, true)
		p.answer(old, notice.DeliverySent, false)
		p.wait(simGrace + time.Second)
		p.wantText(id, "correction")
	},
	amendForgetsLost: func(p *script) { // the worker dies, and the lease is taken over
		p.release(1)
		p.dot(p.attempt(1), true)
		p.wait(2 * simLease)
		at, _ := p.claim(1)
		p.close(at)
		id, _ := p.amend(1, "identified")
		p.wantText(id, "correction")
	},
	amendForgetsEarlier: func(p *script) {
		p.release(1)
		p.lose(1, true)
		second := p.attempt(1)
		p.answer(second, notice.DeliveryFailed, true)
		p.close(second)
		id, _ := p.amend(1, "identified")
		p.wantText(id, "correction")
	},
	amendReadsLate: func(p *script) {
		p.release(1)
		old := p.attempt(1)
		id, _ := p.amend(1, "identified")
		p.answer(old, notice.DeliveryDeferred, true)
		p.wait(simGrace + time.Second)
		p.wantText(id, "correction")
	},
	amendLooksAtLastAlone: func(p *script) {
		p.release(1)
		first := p.attempt(1)
		p.dot(first, true)
		p.answer(first, notice.DeliverySent, false)
		p.close(first)
		second, _ := p.amend(1, "identified")
		third, ok := p.amend(second, "identified")
		p.must(ok, "the amendment was not amended")
		p.wantText(third, "correction")
	},
	amendDoesNotWait: func(p *script) { // the amendment puts the phase right, too
		p.release(2)
		p.wait(time.Second)
		p.attempt(2)
		id, ok := p.amend(2, "identified")
		p.must(ok && p.text(id) == "", "the correction may go out before the text that it corrects")
		p.wait(simGrace + time.Second)
		p.wantText(id, "correction")
	},
	amendMailsSuppressed: func(p *script) {
		p.checker.wants("m0@0.example.com")
		p.memory.customers = append(p.memory.customers, simCustomer{"customer1x", "m1@1.example.com"})
		p.memory.list("m0@0.example.com", notice.ScopeAll)
		p.release(1)
		delete(p.memory.listed, "m0@0.example.com")
		id, ok := p.amend(1, "identified")
		p.must(ok, "it was not amended")
		p.must(p.chunk(id).view(0).state == notice.DeliverySuppressed, "what was suppressed is mailed")
	},
	amendMailsErased: func(p *script) { // their address is gone
		p.memory.customers = append(p.memory.customers, simCustomer{"customer1x", "m1@1.example.com"})
		p.release(1)
		_ = p.s.DeleteCustomer(context.Background(), "customer0x")
		id, ok := p.amend(1, "identified")
		p.must(ok && !p.row(id, 0).Owed(), "a mail is owed to a customer who was erased")
	},
	eraseLooksOnce: func(p *script) {
		p.release(1)
		p.between["erase"] = func() { p.amend(1, "identified") }
		_ = p.s.DeleteCustomer(context.Background(), "customer0x")
		p.look("erased")
	},
	amendLeavesReminders: func(p *script) {
		p.announce()
		_, ok := p.amend(1, notice.PhaseScheduled)
		p.must(ok, "it was not amended")
		p.wait(25 * time.Hour)
		p.leave(4)
		if p.memory.notice(4).plan != nil {
			p.attempt(4)
		}
	},
	amendIgnoresRows: func(p *script) { // a row is added between the plan and the press
		p.release(1)
		p.between["release"] = func() { p.must(p.add(1, "customer0x", otherMailbox), "the addition was refused") }
		id, ok := p.amend(1, "identified")
		p.must(!ok && p.press(id), "a plan without a row of the notice was taken, or the next one was refused")
		p.must(p.err != nil || p.row(id, 1).Owed(), "the notice is stopped, and a mailbox of it is forgotten")
	},
}
