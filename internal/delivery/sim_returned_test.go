package delivery

import (
	"context"
	"slices"
	"time"

	"tocsin/internal/control"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// reportRow is a report that came back about an attempt. Of each kind one is kept for each attempt.
type reportRow struct {
	seq     int
	epoch   int64
	kind    notice.BounceKind
	changed bool // it ended the delivery
}

// listing is an entry of the list of suppressions.
type listing struct {
	at    time.Time
	scope notice.Scope
}

// covers reports whether the entry holds for a notice.
func (l listing) covers(n *noticeRow) bool {
	return !l.at.IsZero() && (l.scope == notice.ScopeAll || !n.Body.Urgent())
}

// list puts an address key on the list of suppressions, or gives it a wider scope.
func (m *memory) list(key string, scope notice.Scope) {
	if m.listed[key].scope != notice.ScopeAll || scope == notice.ScopeAll {
		m.listed[key] = listing{m.now(), scope}
	}
}

// listedAt is when a mailbox was put on the list of suppressions, as far as that holds for a notice; zero: it does not.
func (m *memory) listedAt(n *noticeRow, key string) time.Time {
	l := m.listed[key]
	switch {
	case m.mutant == scopeIgnored, l.covers(n) && (m.mutant != scopeCoversNothing || l.scope == notice.ScopeAll):
		return l.at
	}
	return time.Time{}
}

// reported is the delivery of a report.
func (m *memory) reported(r ledger.Returned) *chunkRow {
	if n := m.notice(r.NoticeID); n != nil && n.plan != nil {
		return m.chunkOf(n, r.Seq)
	}
	return nil
}

// lastAttempt is the epoch of the last attempt of a delivery, as far as a trace of it is left. It may be one that was
// marked, or answered, after the 250 to an earlier one was heard.
func (c *chunkRow) lastAttempt(seq int) int64 {
	last := c.view(seq).epoch
	for _, a := range c.answers {
		if slices.Contains(a.seqs, seq) {
			last = max(last, a.epoch)
		}
	}
	if c.dots&c.bit(seq) != 0 {
		last = max(last, c.epoch)
	}
	return last
}

// comeBack records a report about a delivery, which stands as it was seen. A bounce of its last attempt ends it.
func (m *memory) comeBack(c *chunkRow, r ledger.Returned, d delivery) (e notice.BounceEffect) {
	n, last := c.notice, c.lastAttempt(r.Seq)
	if m.mutant == bounceOfAnsweredFirst {
		last = d.epoch
	}
	e.State = d.state
	if r.Epoch == 0 && d.tries == 1 {
		r.Epoch = last
	}
	row := reportRow{r.Seq, r.Epoch, r.Kind, false}
	same := func(other reportRow) bool {
		return other.seq == row.seq && other.epoch == row.epoch && other.kind == row.kind
	}
	if e.Repeated = slices.ContainsFunc(n.reports, same); e.Repeated && m.mutant != reportKeptTwice {
		return e
	}
	if r.Kind == notice.KindDelivery && d.state == notice.DeliverySent && r.Epoch >= last {
		m.takenByServer(c, r.Seq, d)
	}
	if row.changed = r.Kind == notice.KindBounce && m.bounces(d.state, r.Epoch, last); row.changed {
		e.State, e.Changed = notice.DeliveryBounced, true
		m.bounce(c, r, d)
	}
	if r.Epoch >= last || m.mutant != olderReportForgotten {
		n.reports = append(n.reports, row)
	}
	return e
}

// bounces reports whether a bounce of the attempt of ends a delivery; last is its last attempt.
func (m *memory) bounces(s notice.DeliveryState, of, last int64) bool {
	switch m.mutant {
	case bounceOfAnyAttempt:
		of = last
	case bounceLeavesUncertain:
		return s == notice.DeliverySent && of >= last
	case bounceOverOwed:
		return s != notice.DeliveryBounced && of >= last
	}
	return s == notice.DeliverySent && of >= last || s == notice.DeliveryUncertain && of == last
}

// bounce has a delivery bounced. Its row joins the bit of the 250.
func (m *memory) bounce(c *chunkRow, r ledger.Returned, d delivery) {
	o := c.outcome(r.Seq)
	o.state, o.tries, o.epoch = notice.DeliveryBounced, d.tries, max(d.epoch, r.Epoch)
	o.at, o.dueAt, o.reason = m.now(), time.Time{}, string(r.Class)
	switch m.mutant {
	case bounceReopens:
		o.state, o.dueAt = notice.DeliveryQueued, m.now()
		c.sent &^= c.bit(r.Seq)
	case bounceTakes250Back:
		c.sent &^= c.bit(r.Seq)
	}
	if m.mutant != bounceWithoutK {
		m.recount(c)
	}
}

// takenByServer notes that the recipient's server took a mail: a row next to the bit of the 250, of the attempt that it
// answers.
func (m *memory) takenByServer(c *chunkRow, seq int, d delivery) {
	switch o := c.row(seq); {
	case o != nil:
	case m.mutant == deliveryUnsettles:
		c.notice.outcomes[seq] = &outcomeRow{state: notice.DeliverySent, at: m.now()}
	default:
		c.notice.outcomes[seq] = &outcomeRow{state: notice.DeliverySent, tries: d.tries, epoch: d.epoch, at: m.now()}
	}
}

// outcome is the row of a delivery, which is made where there is none.
func (c *chunkRow) outcome(seq int) *outcomeRow {
	o := c.row(seq)
	if o == nil {
		o = &outcomeRow{}
		c.notice.outcomes[seq] = o
	}
	return o
}

// dead reports whether the last notice that went to a mailbox came back because there is no such mailbox.
func (m *memory) dead(key string) bool {
	var last *delivery
	var newest *noticeRow
	for _, c := range m.chunks {
		for seq := c.lo; seq < c.hi; seq++ {
			d := c.view(seq)
			gone := d.state == notice.DeliverySent || d.state == notice.DeliveryBounced
			if gone && d.key == key && (newest == nil || !c.notice.ReleasedAt.Before(*newest.ReleasedAt)) {
				last, newest = &d, c.notice
			}
		}
	}
	return last != nil && last.state == notice.DeliveryBounced &&
		(last.reason == string(notice.BounceNoMailbox) || m.mutant == policySuppresses)
}

// Return records a report, and then puts the mailbox on the list of suppressions if it is dead, or its reader complains.
func (s *session) Return(ctx context.Context, r ledger.Returned) (e notice.BounceEffect, err error) {
	m := s.memory
	var was *delivery
	if m.mutant == bounceWithoutLock {
		err := s.tx(ctx, "look", r.NoticeID, int64(r.Seq), func() error {
			if c := m.reported(r); c != nil {
				d := c.view(r.Seq)
				was = &d
			}
			return nil
		})
		if err != nil {
			return e, err
		}
	}
	key := ""
	err = s.tx(ctx, "return", r.NoticeID, int64(r.Seq), func() error {
		c := m.reported(r)
		if c == nil {
			return notice.NotFound("there is no such delivery")
		}
		d := c.view(r.Seq)
		seen := m.watch.beforeReturn(c, r)
		key = d.key
		if was != nil {
			d = *was
		}
		e = m.comeBack(c, r, d)
		m.watch.returned(c, r, e, seen)
		return nil
	})
	if err != nil || !e.Changed && !r.Complains || key == "" {
		return e, err
	}
	err = s.tx(ctx, "heed", r.NoticeID, int64(r.Seq), func() error {
		scope := notice.ScopeAll
		if r.Complains {
			scope = notice.ScopeNotUrgent
		} else if !m.dead(key) {
			return nil
		}
		if l := m.listed[key]; l.at.IsZero() || l.scope != notice.ScopeAll && scope == notice.ScopeAll {
			m.list(key, scope)
			m.suppress(key)
			m.watch.suppressed(key)
		}
		return nil
	})
	return e, err
}

// comeBack has a report come back about a mail that the relay took: most often a bounce, now and then the same once more.
func (w *world) comeBack() {
	if len(w.relay.took) == 0 {
		return
	}
	a := w.relay.took[w.rng.IntN(len(w.relay.took))]
	r := ledger.Returned{NoticeID: a.NoticeID, Seq: a.Seq, Epoch: a.Epoch, Kind: notice.KindBounce, Class: notice.BouncePolicy}
	switch w.rng.IntN(8) {
	case 0:
		r.Kind, r.Class = notice.KindDelivery, ""
	case 1:
		r.Kind, r.Class = notice.KindDelay, notice.BounceTransient
	case 2:
		r.Kind, r.Class, r.Complains = notice.KindComplaint, "", true
	case 3:
		r.Class = notice.BounceNoMailbox
	}
	w.operate("none: a "+string(r.Kind)+" came back", false, func(ctx context.Context, d *control.Desk) error {
		_, err := d.Ledger.Return(ctx, r)
		return err
	})
}

// beheld is a delivery as a report finds it.
type beheld struct {
	delivery
	open bool // a dot of it may still come
	last int64
}

func (c *checker) beforeReturn(chunk *chunkRow, r ledger.Returned) (s beheld) {
	if c == nil {
		return s
	}
	s = beheld{delivery: chunk.view(r.Seq), open: chunk.openMark(r.Seq), last: chunk.lastAttempt(r.Seq)}
	if r.Complains || r.Kind == notice.KindBounce && r.Class == notice.BounceNoMailbox {
		c.mayList[s.key] = true
	}
	return s
}

// returned judges the change by a report.
func (c *checker) returned(chunk *chunkRow, r ledger.Returned, e notice.BounceEffect, was beheld) {
	if c == nil || c.restored {
		return
	}
	relay, is := c.world.relay, chunk.view(r.Seq)
	kept := 0
	for _, row := range chunk.notice.reports {
		if row.seq == r.Seq && row.epoch == r.Epoch && row.kind == r.Kind {
			kept++
		}
	}
	if kept != 1 {
		relay.fail("a %s about epoch %d of delivery %d came back, and the history has it %d times", r.Kind, r.Epoch, r.Seq, kept)
	}
	ends := r.Kind == notice.KindBounce && !e.Repeated && r.Epoch >= was.last &&
		(was.state == notice.DeliverySent || was.state == notice.DeliveryUncertain)
	switch {
	case ends != (is.state == notice.DeliveryBounced && was.state != notice.DeliveryBounced):
		relay.fail("a %s about epoch %d came back, and %v, last tried in %d, is now %v", r.Kind, r.Epoch, was.delivery, was.last, is)
	case !ends && (is.state != was.state || is.epoch != was.epoch || is.unresolved != was.unresolved || is.tries != was.tries):
		relay.fail("a %s about epoch %d, which settles nothing, has made %v of %v", r.Kind, r.Epoch, is, was.delivery)
	case chunk.openMark(r.Seq) && !was.open:
		relay.fail("a %s about epoch %d has opened a mark of %v", r.Kind, r.Epoch, is)
	}
}

// listedWell judges the list of suppressions: each mailbox stands there for a reason.
func (c *checker) listedWell() {
	for key := range c.world.memory.listed {
		if !c.mayList[key] {
			c.world.relay.fail("%s is on the list of suppressions, and no operator, reader or missing mailbox put it there", key)
		}
	}
}

// left judges a mailbox that is left out as one of the list.
func (c *checker) left(n *noticeRow, key, reason string) {
	if c != nil && reason == notice.ReasonSuppressionList && !c.world.memory.listed[key].covers(n) {
		c.world.relay.fail("notice %s, urgent %v, leaves out %s, which is on the list for %v", n.Key, n.Body.Urgent(), key, c.world.memory.listed[key])
	}
}

// comeBack has the same report about one of the last attempts come back to both.
func (p *pair) comeBack(int64) error {
	if len(p.asked) == 0 {
		return nil
	}
	at := p.asked[max(0, len(p.asked)-1-p.draw("attempt", 6))]
	kinds := []notice.BounceKind{notice.KindBounce, notice.KindBounce, notice.KindBounce, notice.KindDelivery, notice.KindDelay, notice.KindComplaint}
	m := ledger.Returned{NoticeID: at.m.NoticeID, Seq: at.m.Seq, Epoch: at.m.Epoch, Kind: kinds[p.draw("kind", len(kinds))]}
	m.Class = []notice.BounceClass{notice.BouncePolicy, notice.BounceNoMailbox}[p.draw("no mailbox", 4)/3]
	m.Complains = m.Kind == notice.KindComplaint
	pg := m
	pg.NoticeID, pg.Epoch = at.p.NoticeID, at.p.Epoch
	if p.draw("by Message-ID", 4) == 0 {
		m.Epoch, pg.Epoch = 0, 0
	}
	p.note("%s %s of %d/%d, epoch %d", m.Kind, m.Class, at.m.ChunkID, m.Seq, m.Epoch)
	one, mErr := p.s.Return(p.ctx, m)
	two, err := p.db.Return(p.ctx, pg)
	if err := refused(mErr, err); err != nil {
		return err
	}
	return both("the report", []any{one.State, one.Repeated, one.Changed}, []any{two.State, two.Repeated, two.Changed})
}
