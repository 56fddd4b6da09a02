package delivery

import (
	"context"
	"fmt"

	"tocsin/internal/control"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// profile says which acts of operators a schedule has most; its seed chooses it.
type profile uint64

const (
	sending   profile = iota
	phases            // notices of one incident supersede each other
	planning          // drafts change while they are released, and customers come and go
	restoring         // the ledger is restored from a backup
	migrating         // the ledger has the earlier form at first
	reminding         // a maintenance is announced with reminders
)

func profileOf(seed uint64) profile {
	switch seed % 16 {
	case 11:
		return migrating
	case 7:
		return reminding
	}
	return profile(seed % 4)
}

// decide has an operator decide something.
func (w *world) decide() {
	if w.rows != nil {
		w.decideOld()
		return
	}
	n := w.memory.notices[w.rng.IntN(len(w.memory.notices))]
	if w.rng.IntN(2) == 0 && w.profile == planning || w.rng.IntN(16) == 0 {
		w.change(n)
		return
	}
	if w.rng.IntN(3) == 0 && w.profile == restoring {
		w.backUp(n)
		return
	}
	if w.rng.IntN(3) == 0 && w.leave() {
		return
	}
	if w.adds() && w.rng.IntN(4) == 0 {
		w.add(n)
		return
	}
	if w.amends() && w.rng.IntN(3) == 0 {
		w.amend(n)
		return
	}
	address := w.address(n)
	settle := func(s notice.Settlement) func(ctx context.Context, d *control.Desk) error {
		return func(ctx context.Context, d *control.Desk) error { _, err := d.Settle(ctx, n.Key, s, "op"); return err }
	}
	switch w.rng.IntN(24) {
	case 0:
		w.release(n)
	case 1, 2:
		w.operate("pause", false, func(ctx context.Context, d *control.Desk) error { _, err := d.Pause(ctx, n.Key, "op"); return err })
	case 3, 4:
		w.resume(n)
	case 5:
		w.operate("cancel", false, func(ctx context.Context, d *control.Desk) error { _, err := d.Cancel(ctx, n.Key, "op"); return err })
	case 6:
		w.operate("settle as sent", false, settle(notice.Settlement{Sent: true, Address: address}))
	case 7, 8:
		w.operate("requeue blindly", false, settle(notice.Settlement{Requeue: true, AllUncertain: true, Force: w.rng.IntN(8) == 0}))
	case 9, 10, 11:
		w.comeBack()
	case 12:
		w.suppress(address)
	case 13, 14:
		w.reconsider(n)
	case 15, 16:
		w.holdUp()
	default:
		w.operate("requeue after a look at the relay's log", true, settle(notice.Settlement{Requeue: true, Address: address}))
	}
}

// address is one of a notice's, most often one that an operator has reason to look at.
func (w *world) address(n *noticeRow) string {
	address := w.memory.customers[w.rng.IntN(len(w.memory.customers))].address
	for _, c := range w.memory.chunksOf(n) {
		for seq := c.lo; seq < c.hi; seq++ {
			d := c.view(seq)
			odd := d.state == notice.DeliveryUncertain || d.state == notice.DeliveryFailed || w.memory.superseded(c, seq)
			if odd && d.key != "" && w.rng.IntN(4) > 0 {
				address = d.key
			}
		}
	}
	return address
}

// act has an operator do something that the Desk does not.
func (w *world) act(what string, do func(ctx context.Context, s *session) error) {
	w.operate(what, false, func(ctx context.Context, d *control.Desk) error { return do(ctx, d.Ledger.(*session)) })
}

// change has a customer, a draft or a plan change.
func (w *world) change(n *noticeRow) {
	m := w.memory
	switch w.rng.IntN(8) {
	case 0:
		w.release(n)
	case 1:
		w.act("preview", func(ctx context.Context, s *session) error { _, err := s.freeze(ctx, n.ID); return err })
	case 2:
		w.imported++
		k := w.imported
		w.act("import", func(ctx context.Context, s *session) error {
			return s.tx(ctx, "import", int64(k), 0, func() error {
				m.customers = append(m.customers, simCustomer{fmt.Sprintf("customer2%dx", k), fmt.Sprintf("m%d@%d.example.com", k%4, k%2)})
				return nil
			})
		})
	case 3:
		k := w.rng.IntN(3)
		w.act("replace the draft", func(ctx context.Context, s *session) error {
			return s.tx(ctx, "draft", n.ID, 0, func() error {
				if n := m.notice(n.ID); !n.State.Released() {
					n.Body.ReplyTo = fmt.Sprintf("reply%d@example.com", k)
				}
				return nil
			})
		})
	case 4, 5:
		if w.erased++; w.erased < w.founders {
			id := m.customers[w.rng.IntN(len(m.customers))].id
			w.act("erase a customer", func(ctx context.Context, s *session) error { return s.DeleteCustomer(ctx, id) })
		}
	case 6:
		if len(m.plans) > 0 {
			p := m.plans[w.rng.IntN(len(m.plans))]
			w.act("collect a plan", func(ctx context.Context, s *session) error { return s.Collect(ctx, p) })
		}
	case 7:
		w.suppress(m.customers[w.rng.IntN(len(m.customers))].address)
	}
}

// suppress puts a mailbox on the list of suppressions.
func (w *world) suppress(address string) {
	scope := []notice.Scope{notice.ScopeAll, notice.ScopeNotUrgent}[w.rng.IntN(2)]
	w.act("suppress", func(ctx context.Context, s *session) error { return s.Suppress(ctx, address, scope) })
}

// backUp makes a backup, or restores the last.
func (w *world) backUp(n *noticeRow) {
	switch k := w.rng.IntN(4); {
	case k == 0 && w.backup.home != 0:
		w.fault("ledger: restored from a backup")
		w.memory.restore(w.backup)
		w.checker.forget()
	case k == 1:
		w.unhold(n)
	case k == 2:
		w.failOver()
	default:
		w.fault("ledger: backed up")
		w.backup = w.memory.tables.backup()
	}
}

// failOver has a standby take over. It is one that commits wait for, as the ledger notes, with all of them. Or, since
// the primary stopped waiting, it is one with those of the last backup.
func (w *world) failOver() {
	m := w.memory
	if m.home == m.database.Load() && !m.note {
		m.noteStandby(true)
	}
	if w.backup.home != 0 && w.backup.at == m.at && w.tally.steps%2 == 0 {
		w.fault("ledger: failed over with loss")
		m.noteStandby(false)
		m.failOver(&w.backup)
		w.checker.forget()
		return
	}
	w.fault("ledger: failed over without loss")
	m.failOver(nil)
}

// release has an operator release a notice, not always by the Desk. To compile the texts each time would cost as much
// as all the rest of a schedule.
func (w *world) release(n *noticeRow) {
	if w.thorough && n.Body.Amends == "" {
		w.operate("release", false, func(ctx context.Context, d *control.Desk) error {
			_, _, err := d.Release(ctx, n.Key, notice.Releasing{Allow: []string{notice.CheckPast}}, "op")
			return err
		})
		return
	}
	w.operate("release", false, func(ctx context.Context, d *control.Desk) error {
		_, err := d.Ledger.Release(ctx, n.ID, everybody, ledger.Press{Domain: "example.net", Who: "op", MaxRecipients: n.Body.MaxRecipients})
		return err
	})
}

// everybody is an audience in which nobody's mail has a hole.
var everybody = ledger.Audience{DefaultLanguage: "en", Match: func(string) (string, bool) { return "en", true },
	Each: func(notice.Recipient, string) error { return nil }, Judge: func() error { return nil }}

func (w *world) resume(n *noticeRow) {
	r := notice.Resuming{LeaveFailed: n.braked() && w.rng.IntN(4) == 0}
	w.operate("resume", false, func(ctx context.Context, d *control.Desk) error { _, err := d.Resume(ctx, n.Key, r, "op"); return err })
}

func (w *world) unhold(n *noticeRow) {
	u := notice.Unholding{Send: w.rng.IntN(2) == 0, Lift: w.calm || w.rng.IntN(2) == 0}
	u.Uncertain = !u.Send
	w.operate("unhold", false, func(ctx context.Context, d *control.Desk) error { _, err := d.Unhold(ctx, n.Key, u, "op"); return err })
}

// lookAfter has the mails that are due leave. Operators release drafts and resume paused and held notices: they do so
// in peace.
func (w *world) lookAfter() (busy bool) {
	busy = w.leave()
	for _, n := range w.memory.notices {
		switch {
		case n.tooLate(), n.byHold(), w.memory.idleAmendment(n):
		case n.State == notice.Draft:
			if w.memory.roomForCanary(n) != nil {
				n.Body.Canary = 0 // as its refusal says
			}
			w.release(n)
			busy = true
		case n.State == notice.Paused || n.braked() || n.atCanary():
			w.resume(n)
			busy = true
		case n.State == notice.Held:
			w.unhold(n)
			busy = true
		}
	}
	return busy
}

// decideOld has an operator decide something in the earlier form of the ledger.
func (w *world) decideOld() {
	n := w.rows.notices[w.rng.IntN(len(w.rows.notices))]
	switch w.rng.IntN(6) {
	case 0:
		w.releaseOld(n)
	case 1:
		w.operate("pause", false, func(ctx context.Context, d *control.Desk) error { _, err := d.Pause(ctx, n.Key, "op"); return err })
	case 2:
		w.operate("resume", false, func(ctx context.Context, d *control.Desk) error {
			_, err := d.Resume(ctx, n.Key, notice.Resuming{}, "op")
			return err
		})
	default:
		s := notice.Settlement{Requeue: true, AllUncertain: true}
		w.operate("requeue blindly", false, func(ctx context.Context, d *control.Desk) error { _, err := d.Settle(ctx, n.Key, s, "op"); return err })
	}
}

func (w *world) releaseOld(n *oldNotice) {
	w.operate("release", false, func(ctx context.Context, d *control.Desk) error {
		_, err := d.Ledger.Release(ctx, n.ID, everybody, ledger.Press{Domain: "example.net", Who: "op"})
		return err
	})
}
