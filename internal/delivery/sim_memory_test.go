package delivery

import (
	"fmt"
	"math/bits"
	"slices"
	"sync/atomic"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// memory is the ledger in memory: the tables of the delivery protocol, and each of its transactions as one method. A
// fact is written once. The mark and the 250 of a delivery are bits of its chunk's row, and so is its stop. Every other
// outcome is a narrow row. Its mutant, if it has one, leaves one rule out.
type memory struct {
	now       func() time.Time
	opts      ledger.Options
	chunkSize int
	backwards bool // of the outcomes in a batch, the last is recorded first
	againSets bool // a second ask sets the mark where the first was never committed
	pins      simPins
	mutant    mutant
	drawn     map[int]bool // the rows of the canary of the next release; nil: they are drawn here
	watch     *checker     // told of each mark, and of more; may be nil

	tables
	database atomic.Int64 // in which the tables stand; a restore or a failover makes another one
	is       serverID     // that it stands in
	known    int64        // the highest number that a living process or a mirror knows
}

// simCustomer is a customer; without an address no mail can reach them.
type simCustomer struct{ id, address string }

type noticeRow struct {
	ledger.Notice
	reason    string
	brake     *brakeRow // nil: the brake does not hold it
	resumed   time.Time // the last time
	plan      *planRow  // taken by its release
	beganAt   time.Time // when it was first sent; zero: not yet
	customers int
	canary    int                 // how many mailboxes it goes to first
	trial     bool                // nobody has had it go on to the rest
	outcomes  map[int]*outcomeRow // by seq
	reports   []reportRow         // that came back
}

// chunkRow holds the lease of some deliveries, and three bits of each.
type chunkRow struct {
	leaseRow
	notice              *noticeRow
	dots, sent, stopped bitset
	corrects            bitset // of an amendment
	canary              bool
	answers             []answerRow
}

// answerRow keeps the relay's replies to the 250s of one commit.
type answerRow struct {
	epoch   int64
	at      time.Time
	seqs    []int
	replies []string
}

// outcomeRow is every outcome but a 250 that a worker heard.
type outcomeRow struct {
	state             notice.DeliveryState
	tries, code       int
	epoch, unresolved int64
	dueAt, at         time.Time
	owedAt            time.Time // when an operator had it owed again; zero: since the release
	reason, reply     string
	relay             string // that answered
	who               string // the operator who settled it
}

// bitset has one bit for each delivery of a chunk.
type bitset uint16

func (b bitset) count() int { return bits.OnesCount16(uint16(b)) }

func (c *chunkRow) all() bitset             { return 1<<(c.hi-c.lo) - 1 }
func (c *chunkRow) bit(seq int) bitset      { return 1 << (seq - c.lo) }
func (c *chunkRow) in(seq int) bool         { return c.lo <= seq && seq < c.hi }
func (c *chunkRow) row(seq int) *outcomeRow { return c.notice.outcomes[seq] }

// openMark reports whether a dot of the chunk's epoch may still come for a delivery: it is marked, and no outcome of
// that epoch stands. A late 250 settles the state, not the mark.
func (c *chunkRow) openMark(seq int) bool {
	o, sent := c.row(seq), c.sent&c.bit(seq) != 0
	return c.dots&c.bit(seq) != 0 && (o == nil && !sent || o != nil && o.epoch < c.epoch)
}

// delivery is one row of the view that everybody reads.
type delivery struct {
	outcomeRow
	key string
}

// view returns a delivery as it stands.
func (c *chunkRow) view(seq int) (d delivery) {
	o, b := c.row(seq), c.bit(seq)
	if o != nil {
		d.outcomeRow = *o
	}
	if r := c.notice.plan.recipients[seq]; r.keyed() {
		d.key = r.key
	}
	switch {
	case o != nil && o.state == notice.DeliveryBounced:
	case c.sent&b != 0:
		d.state = notice.DeliverySent
		if epoch := c.answered(seq); epoch > d.epoch {
			d.epoch, d.tries = epoch, d.tries+1
		}
	case c.dots&b != 0 && (o == nil || o.state.Owed() && o.epoch < c.epoch):
		d.state, d.epoch, d.tries = notice.DeliverySending, c.epoch, d.tries+1
	case o != nil:
	case c.stopped&b != 0:
		d.state = notice.DeliveryCancelled
	default:
		d.state = notice.DeliveryQueued
	}
	return d
}

// answered is the epoch of the first 250 to a delivery, 0 for none.
func (c *chunkRow) answered(seq int) int64 {
	for _, a := range c.answers {
		if slices.Contains(a.seqs, seq) {
			return a.epoch
		}
	}
	return 0
}

func (d delivery) String() string {
	return fmt.Sprintf("%s epoch %d unresolved %d tries %d", d.state, d.epoch, d.unresolved, d.tries)
}

func (m *memory) notice(id int64) *noticeRow { return at(m.notices, id) }
func (m *memory) chunk(id int64) *chunkRow   { return at(m.chunks, id) }

func (m *memory) kept() (all []*ledger.Notice) {
	for _, n := range m.notices {
		all = append(all, &n.Notice)
	}
	return all
}

func (m *memory) chunksOf(n *noticeRow) (all []*chunkRow) {
	for _, c := range m.chunks {
		if c.notice == n {
			all = append(all, c)
		}
	}
	return all
}

func (m *memory) chunkOf(n *noticeRow, seq int) *chunkRow {
	for _, c := range m.chunks {
		if c.notice == n && c.in(seq) {
			return c
		}
	}
	return nil
}

// claim is C0 to C4.
func (m *memory) claim(id int64, holder string) (claim ledger.Claim, ok bool) {
	c, now := m.chunk(id), m.now()
	if c == nil || !c.open || !c.leaseUntil.IsZero() && !c.leaseUntil.Before(now) || m.waits(c) {
		return claim, false
	}
	m.takeOver(c)
	c.epoch, c.holder, c.leaseUntil, c.dots = max(c.epoch+1, now.UnixMicro()), holder, now.Add(m.opts.Lease), 0
	if c.notice.State == notice.Cancelled && m.mutant != claimForgetsStop {
		c.stopped = c.all()
	}
	m.leaveOutListed(c)
	if m.mutant != claimForgetsX {
		m.cancelStopped(c)
	}
	claim = ledger.Claim{ChunkID: id, NoticeID: c.notice.ID, Token: c.notice.MessageToken, Epoch: c.epoch}
	if c.notice.State != notice.Sending {
		return claim, true
	}
	for seq := c.lo; seq < c.hi; seq++ {
		o, since := c.row(seq), c.notice.owedSince()
		if (c.sent|c.stopped)&c.bit(seq) != 0 || o != nil && (!o.state.Owed() || o.dueAt.After(now)) {
			continue
		}
		r := c.notice.plan.recipients[seq]
		due := ledger.Due{Seq: seq, Text: "en", Mail: r.mail, Corrects: m.corrects(c, seq), Recipient: r.Recipient}
		if due.Corrects {
			due.Mail = m.pins.Correction(r.Recipient, "en")
		}
		if o != nil {
			due.Tries = o.tries
			if o.state == notice.DeliveryDeferred && o.code >= 500 {
				due.Shuns = o.relay
			}
			if !o.owedAt.IsZero() {
				since = o.owedAt
			}
		}
		due.Waited = now.Sub(since)
		claim.Due = append(claim.Due, due)
	}
	return claim, true
}

// takeOver is C2: the marks that the last holder left open become uncertain, dots or not.
func (m *memory) takeOver(c *chunkRow) {
	if m.mutant == takeoverForgets {
		return
	}
	for seq := c.lo; seq < c.hi; seq++ {
		o, b := c.row(seq), c.bit(seq)
		settled := o != nil && (o.epoch >= c.epoch || !o.state.Owed())
		if c.dots&b == 0 || c.sent&b != 0 && m.mutant != takeoverOverSent || settled && m.mutant != takeoverOverOutcomes {
			continue
		}
		if o == nil {
			o = &outcomeRow{}
			c.notice.outcomes[seq] = o
		}
		o.state, o.tries, o.epoch, o.at, o.code, o.dueAt = notice.DeliveryUncertain, o.tries+1, c.epoch, m.now(), 0, time.Time{}
		o.reason, o.relay, o.reply = "", "", "no answer was recorded before the worker was lost"
	}
}

// cancelStopped is X: rows that are owed and stopped are cancelled, unless a dot may still come. One with an unresolved
// attempt can't be said to be unsent.
func (m *memory) cancelStopped(c *chunkRow) {
	for seq := c.lo; seq < c.hi; seq++ {
		o, b := c.row(seq), c.bit(seq)
		open := c.dots&b != 0 && o != nil && o.epoch < c.epoch && m.mutant != cancelsOpenMarks
		if o == nil || !o.state.Owed() || c.stopped&b == 0 || c.sent&b != 0 || open {
			continue
		}
		o.state, o.at, o.dueAt, o.reason = notice.DeliveryCancelled, m.now(), time.Time{}, m.stopReason(c, seq)
		if o.unresolved != 0 && m.mutant != unresolvedIgnored {
			o.state = notice.DeliveryUncertain
		}
	}
}

// stopReason is why a delivery was stopped.
func (m *memory) stopReason(c *chunkRow, seq int) string {
	r := &c.notice.plan.recipients[seq]
	switch {
	case r.erased:
		return notice.ReasonErased
	case c.notice.State == notice.Cancelled:
		return c.notice.reason
	case !m.listedAt(c.notice, r.key).IsZero():
		return notice.ReasonSuppressionList
	}
	return notice.ReasonSuperseded
}

func (n *noticeRow) owedSince() time.Time {
	if n.SendAt != nil && n.SendAt.After(*n.ReleasedAt) {
		return *n.SendAt
	}
	return *n.ReleasedAt
}

func (m *memory) renew(id, epoch int64) bool {
	c, now := m.chunk(id), m.now()
	if c == nil || c.epoch != epoch || !c.live(now) {
		return false
	}
	c.leaseUntil = now.Add(m.opts.Lease)
	return true
}

// close gives a claim back.
func (m *memory) close(claim ledger.Claim) (held, owed bool) {
	c := m.chunk(claim.ChunkID)
	if c == nil || c.epoch != claim.Epoch && m.mutant != closeWithoutEpoch {
		return false, false
	}
	c.leaseUntil, c.holder = time.Time{}, ""
	m.cancelStopped(c)
	m.recount(c)
	if at := m.now().Add(claim.Rest); claim.Rest > 0 && c.dueAt.Before(at) {
		c.dueAt = at
	}
	m.reopen(c)
	return true, c.open
}

// recount is K. It never adds up: it reads the chunk's bits, and its outcomes that no 250 has overtaken.
func (m *memory) recount(c *chunkRow) {
	var by [9]bitset // outcomes by state
	var due time.Time
	var newer bitset // outcomes that settle the mark of this epoch
	for seq := c.lo; seq < c.hi; seq++ {
		o := c.row(seq)
		if o == nil || c.sent&c.bit(seq) != 0 && o.state != notice.DeliveryBounced {
			continue
		}
		by[o.state] |= c.bit(seq)
		if o.epoch >= c.epoch || !o.state.Owed() {
			newer |= c.bit(seq)
		}
		if o.state.Owed() && (due.IsZero() || o.dueAt.Before(due)) {
			due = o.dueAt
		}
	}
	have := c.sent
	for _, b := range by {
		have |= b
	}
	queued, deferred, bounced := by[notice.DeliveryQueued], by[notice.DeliveryDeferred], by[notice.DeliveryBounced]
	sending, fresh := c.dots&^(c.sent|newer), c.all()&^(have|c.dots|c.stopped)
	if untried := c.all() &^ (have | sending | c.stopped); untried != 0 && (due.IsZero() || c.dueAt.Before(due)) {
		due = c.dueAt
	}
	if !due.IsZero() {
		c.dueAt = due
	}
	c.open = sending|queued|deferred|fresh != 0 || !c.leaseUntil.IsZero()
	if m.mutant == countsAdded && c.counts.Total() > 0 {
		return
	}
	for s, b := range by {
		c.counts[s] = b.count()
	}
	c.counts[notice.DeliveryQueued] = (c.all() &^ (have | sending | c.stopped)).count() + (queued &^ sending).count()
	c.counts[notice.DeliverySending] = sending.count()
	c.counts[notice.DeliverySent] += (c.sent &^ bounced).count()
	c.counts[notice.DeliveryDeferred] = (deferred &^ sending).count()
	c.counts[notice.DeliveryCancelled] += (c.stopped &^ (have | sending)).count()
}

// reopen has a notice sent again where a change left something owed.
func (m *memory) reopen(c *chunkRow) {
	if c.open && c.notice.State == notice.Sent {
		c.notice.State = notice.Sending
	}
}

// count counts a notice's deliveries as a report does: chunks at rest by their counts, leased ones row by row.
func (m *memory) count(n *noticeRow) (sum notice.Counts) {
	for _, c := range m.chunksOf(n) {
		counts := c.counts
		if !c.leaseUntil.IsZero() {
			counts = c.tally()
		}
		for s, k := range counts {
			sum[s] += k
		}
	}
	return sum
}

// tally counts a chunk row by row.
func (c *chunkRow) tally() (counts notice.Counts) {
	for seq := c.lo; seq < c.hi; seq++ {
		counts[c.view(seq).state]++
	}
	return counts
}

func (m *memory) finish(id int64) {
	if n := m.notice(id); n.State == notice.Sending && m.finished(n) {
		n.State = notice.Sent
	}
}

func (m *memory) finished(n *noticeRow) bool {
	return !slices.ContainsFunc(m.chunksOf(n), func(c *chunkRow) bool { return c.open })
}
