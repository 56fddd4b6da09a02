package delivery

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"tocsin/internal/control"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// mostAmendments is how many amendments a schedule has at most.
const mostAmendments = 4

// amends reports whether operators of this schedule amend notices.
func (w *world) amends() bool { return w.seed%13 < 2 && w.profile != migrating }

// amend has an operator amend a notice. They do so at once, only after a look at the plan, which may go stale, or with
// a directory that was pressed before. The notice may be an amendment itself, and be amended already.
func (w *world) amend(n *noticeRow) {
	var drafted []*noticeRow
	for _, a := range w.memory.notices {
		if a.Body.Amends != "" {
			drafted = append(drafted, a)
		}
	}
	if k := len(drafted); k > 0 && (w.amendments >= mostAmendments || w.rng.IntN(3) == 0) {
		w.release(drafted[w.rng.IntN(k)])
		return
	}
	w.amendments++
	b, of := simBody(fmt.Sprint("amendment", w.amendments)), n.Body
	b.Kind, b.Incident, b.Phase, b.Amends, b.Corrections = of.Kind, of.Incident, of.Phase, of.Key, simCorrections
	if all := notice.Phases[of.Kind]; w.rng.IntN(4) == 0 {
		b.Phase = all[w.rng.IntN(len(all))]
	}
	looks := w.rng.IntN(3) == 0
	w.operate("amend", false, func(ctx context.Context, d *control.Desk) error {
		s, id := d.Ledger.(*session), int64(0)
		if err := s.tx(ctx, "draft", 0, 0, func() error { id = s.memory.draft(b, simTexts); return nil }); err != nil {
			return err
		}
		if looks {
			_, err := s.freeze(ctx, id)
			return err
		}
		_, err := s.Release(ctx, id, everybody, ledger.Press{Domain: "example.net", Who: "op"})
		return err
	})
}

// idleAmendment reports whether a notice is the draft of an amendment that is refused. Another one has stopped the
// notice that it names, say.
func (m *memory) idleAmendment(n *noticeRow) bool {
	a := m.amended(n)
	return a != nil && n.State == notice.Draft && m.mayAmend(n, a) != nil
}

// amended judges the release of an amendment, and notes which notices it puts right.
func (c *checker) amended(n *noticeRow) {
	m := c.world.memory
	a := m.amended(n)
	if a == nil {
		return
	}
	if len(a.plan.recipients) != len(n.plan.recipients) {
		c.world.relay.fail("notice %s has %d rows, and its amendment %s has %d", a.Key, len(a.plan.recipients), n.Key, len(n.plan.recipients))
		return
	}
	c.world.fault("a notice was amended")
	for _, r := range m.notices {
		if r.Body.ReminderOf == a.Key {
			c.over[r.Key] = n.Key
		}
	}
	for v := a; v != nil; v = m.amended(v) {
		c.versions[n.Key] = append(c.versions[n.Key], v.Key)
	}
	for seq, r := range n.plan.recipients {
		if was := a.plan.recipients[seq]; was.key != r.key {
			c.world.relay.fail("row %d of notice %s is to %q, and of its amendment %s to %q", seq, a.Key, was.key, n.Key, r.key)
		}
		for _, version := range c.versions[n.Key] {
			c.pairs[[3]string{version, n.Key, r.key}] = true
		}
	}
}

// fits judges which text the relay has taken for a mailbox: the correction exactly where an earlier version arrived, or
// may have.
func (c *checker) fits(to mailbox, x *exchange) {
	relay, correction, marked := c.world.relay, bytes.Contains(x.mail.Raw, []byte("Subject: "+simCorrections["en"].Subject)), false
	for _, version := range c.versions[to.notice] {
		earlier := mailbox{version, to.address}
		marked = marked || c.last[earlier] > 0 || c.doubts[earlier]
		if relay.copies[earlier] > 0 && !correction {
			relay.fail("%v gets the plain text, and has notice %s", to, version)
		}
	}
	if correction && !marked {
		relay.fail("%v gets a correction of what never left", to)
	}
	c.plain[to] = c.plain[to] || !correction
	if correction {
		c.world.fault("relay: took a correction")
	}
	for amendment, versions := range c.versions {
		if slices.Contains(versions, to.notice) && c.plain[mailbox{amendment, to.address}] {
			relay.fail("%v arrives after the plain text of %s", to, amendment)
		}
	}
}
