package delivery

import (
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// expire is the part of a sweep that ends the notices that are too late. They are stopped chunk by chunk afterwards.
func (m *memory) expire() (expired []int64) {
	for _, n := range m.notices {
		switch n.State {
		case notice.Scheduled, notice.Sending, notice.Paused, notice.Held:
			if m.tooLate(n) {
				n.State, n.reason = notice.Cancelled, notice.ReasonExpired
				expired = append(expired, n.ID)
			}
		}
	}
	return expired
}

// start is the part of a sweep that begins scheduled notices, and says which notices owe nothing any more.
func (m *memory) start() (done []int64) {
	for _, n := range m.notices {
		if n.State == notice.Scheduled && n.plan != nil && !n.SendAt.After(m.now()) && !m.tooLate(n) {
			m.begin(n)
		}
	}
	m.applyHolds()
	m.holdAtCanaries()
	for _, n := range m.notices { // one that began here may have superseded the last that an earlier one owed
		if n.State == notice.Sending && m.finished(n) {
			done = append(done, n.ID)
		}
	}
	return done
}

// due is the part of a sweep that reads which chunks are due.
func (m *memory) due() ledger.Work {
	var open, swept []*leaseRow
	for _, c := range m.chunks {
		if !c.open {
			continue
		}
		open = append(open, &c.leaseRow)
		if m.swept(c, m.now()) {
			swept = append(swept, &c.leaseRow)
		}
	}
	return work(m.now(), open, swept, m.kept())
}

// swept is S1: a lease that has run out counts whatever the notice's state.
func (m *memory) swept(c *chunkRow, now time.Time) bool {
	switch {
	case m.mutant == sweepSkipsLeased && !c.leaseUntil.IsZero(), m.mutant == sweepSkipsStopped && c.notice.State != notice.Sending:
		return false
	case !c.leaseUntil.IsZero():
		return c.leaseUntil.Before(now)
	}
	return c.notice.State == notice.Sending && !c.dueAt.After(now) && !m.waits(c) || c.notice.State == notice.Cancelled
}
