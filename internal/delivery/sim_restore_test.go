package delivery

import (
	"maps"
	"slices"
	"time"

	"tocsin/internal/notice"
)

// tables are the contents of a backup.
type tables struct {
	customers []simCustomer
	listed    map[string]listing // the list of suppressions, by address key
	plans     []*planRow         // by id, from 1
	notices   []*noticeRow       // by id, from 1
	chunks    []*chunkRow        // by id, from 1
	holds     []holdRow          // by number, from 1
	home      int64              // the database that the ledger knows for its own
	fenced    bool               // new releases are held
	at        serverID           // the server that it knows for its own
	note      bool               // the standby is waited for
	number    int64              // of marks and notes
}

// serverID tells one Postgres from another.
type serverID struct{ system, timeline int64 }

// backup copies the tables.
func (t *tables) backup() tables {
	b := *t
	b.customers, b.listed, b.holds = slices.Clone(t.customers), maps.Clone(t.listed), slices.Clone(t.holds)
	b.plans, b.notices, b.chunks = nil, nil, nil
	notices, plans := map[*noticeRow]*noticeRow{}, map[*planRow]*planRow{nil: nil}
	for _, n := range t.notices {
		n2 := *n
		n2.outcomes, n2.reports = map[int]*outcomeRow{}, slices.Clone(n.reports)
		for seq, o := range n.outcomes {
			o2 := *o
			n2.outcomes[seq] = &o2
		}
		notices[n], b.notices = &n2, append(b.notices, &n2)
	}
	for _, p := range t.plans {
		p2 := *p
		p2.recipients, p2.notice = slices.Clone(p.recipients), notices[p.notice]
		plans[p], b.plans = &p2, append(b.plans, &p2)
	}
	for _, n := range b.notices {
		n.plan = plans[n.plan]
	}
	for _, c := range t.chunks {
		c2 := *c
		c2.notice, c2.answers = notices[c.notice], slices.Clone(c.answers)
		b.chunks = append(b.chunks, &c2)
	}
	return b
}

// restore puts the tables of a backup into a new database.
func (m *memory) restore(b tables) {
	m.tables = b.backup()
	m.is.system++
	m.database.Add(1)
}

// failOver promotes a standby, which has all or, where there is a backup, no more than that.
func (m *memory) failOver(b *tables) {
	if b != nil {
		m.tables = b.backup()
	}
	m.is.timeline++
	m.database.Add(1)
}

// noteStandby writes down whether commits wait for the standby. It is counted as marks are.
func (m *memory) noteStandby(waits bool) {
	m.note = waits
	m.counted()
}

// counted counts a mark or a note, and has somebody know of it who lives on.
func (m *memory) counted() {
	m.number++
	m.known = max(m.known, m.number)
}

// mayFollow reports whether the server lost nothing as it took over.
func (m *memory) mayFollow() bool {
	next := m.is.timeline == m.at.timeline+1 || m.mutant == followsLaterTimeline && m.is.timeline > m.at.timeline
	return next && (m.is.system == m.at.system || m.mutant == followsOtherSystem) && (m.note || m.mutant == followsWithoutNote) &&
		(m.number >= m.known || m.mutant == followsLessMarks)
}

// checkFence is the first act of every new connection. A ledger that finds itself in another database than its own was
// restored. It holds all unfinished notices and all releases to come, unless it fell over to a standby that has all of
// it.
func (m *memory) checkFence() {
	if m.home == m.database.Load() {
		return
	}
	follows := m.mayFollow()
	m.home, m.at = m.database.Load(), m.is
	m.noteStandby(false)
	if follows {
		return
	}
	m.fenced = true
	for _, n := range m.notices {
		switch n.State {
		case notice.Scheduled, notice.Sending, notice.Paused, notice.Held:
			n.State, n.reason, n.brake, n.HeldUntil = notice.Held, notice.ReasonRestored, nil, nil
		}
	}
}

// doubt makes a delivery uncertain. A lease of before the backup may still run: it ends, and gives no mark any more.
func (m *memory) doubt(c *chunkRow, seq int, d delivery) {
	o := &outcomeRow{state: notice.DeliveryUncertain, tries: d.tries, epoch: d.epoch, unresolved: -1, owedAt: d.owedAt, at: m.now(),
		reason: notice.ReasonRestored}
	c.notice.outcomes[seq] = o
	c.stopped |= c.bit(seq)
	c.leaseUntil, c.holder = time.Time{}, ""
}

// unhold lets go of a notice: its mails are sent, or are uncertain until it is known which left before the restore.
func (m *memory) unhold(id int64, send, lift bool) error {
	n := m.notice(id)
	if n.State != notice.Held || n.braked() || n.byHold() || n.atCanary() {
		return notice.Conflict("notice %d is %s: nothing holds it", id, n.State)
	}
	for _, c := range m.chunksOf(n) {
		for seq := c.lo; seq < c.hi && !send; seq++ {
			if d := c.view(seq); d.state.Open() {
				m.doubt(c, seq, d)
				m.watch.doubted(n, seq)
			}
		}
		m.recount(c)
	}
	if m.mutant == unholdEndsCanary {
		n.trial = false
	}
	m.goOn(n)
	m.fenced = m.fenced && !lift
	return nil
}
