package delivery

import (
	"slices"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// sight is a chunk and its notice in the eyes of a commit: as they are, because it holds the chunk's lock. A mutant that
// takes no lock sees them as they were.
type sight struct {
	chunk     chunkRow
	state     notice.State
	expiresAt *time.Time
}

// look reads all that a commit depends on.
func (m *memory) look(marks []ledger.Attempt, outcomes []ledger.Outcome) map[int64]sight {
	seen := map[int64]sight{}
	see := func(id int64) {
		if c := m.chunk(id); c != nil {
			seen[id] = sight{*c, c.notice.State, c.notice.ExpiresAt}
		}
	}
	for _, a := range marks {
		see(a.ChunkID)
	}
	for _, o := range outcomes {
		see(o.ChunkID)
	}
	return seen
}

// commit is the one transaction of marks and outcomes: S and O before M, so that a refused mark costs no answer. It
// returns which marks are granted, and which outcomes are to be recorded the late way.
func (m *memory) commit(seen map[int64]sight, marks []ledger.Attempt, outcomes []ledger.Outcome) (granted []bool, late []ledger.Outcome) {
	// O sees the bits that S has set, and late outcomes are recorded in the same order.
	outcomes = slices.Clone(outcomes)
	if m.backwards {
		slices.Reverse(outcomes)
	}
	slices.SortStableFunc(outcomes, func(a, b ledger.Outcome) int { return rank(a) - rank(b) })
	recorded := make([]bool, len(outcomes))
	for i, o := range outcomes {
		recorded[i] = m.record(seen[o.ChunkID].chunk, o)
		if sight, ok := seen[o.ChunkID]; ok && recorded[i] && o.State == notice.DeliverySent {
			sight.chunk.sent |= sight.chunk.bit(o.Seq)
			seen[o.ChunkID] = sight
		}
	}
	granted = m.mark(seen, marks)
	for i, o := range outcomes {
		if !recorded[i] {
			late = append(late, o)
		}
		if m.mutant == countsAdded {
			c := m.chunk(o.ChunkID)
			c.counts[o.State]++
			c.counts[notice.DeliveryQueued]--
		}
	}
	return granted, late
}

// rank orders outcomes: 250s come first.
func rank(o ledger.Outcome) int {
	if o.State == notice.DeliverySent {
		return 0
	}
	return 1
}

// claimed names a chunk under one epoch.
type claimed struct{ chunk, epoch int64 }

// mark is M: the marks of one claim are granted together.
func (m *memory) mark(seen map[int64]sight, marks []ledger.Attempt) []bool {
	var claims []claimed
	fresh, again, granted := map[claimed]bitset{}, map[claimed]bitset{}, map[claimed]bitset{}
	for _, a := range marks {
		k, c := claimed{a.ChunkID, a.Epoch}, m.chunk(a.ChunkID)
		if fresh[k]|again[k] == 0 {
			claims = append(claims, k)
		}
		if c != nil && a.Again {
			again[k] |= c.bit(a.Seq)
		} else if c != nil {
			fresh[k] |= c.bit(a.Seq)
		}
	}
	for _, k := range claims {
		if c := m.chunk(k.chunk); c != nil && m.mayMark(seen[k.chunk], c, k, fresh[k]) {
			granted[k] = m.set(c, fresh[k], again[k])
		}
	}
	list := make([]bool, len(marks))
	for i, a := range marks {
		c := m.chunk(a.ChunkID)
		list[i] = c != nil && granted[claimed{a.ChunkID, a.Epoch}]&c.bit(a.Seq) != 0
		if list[i] {
			m.counted()
			m.watch.marked(a)
		}
	}
	return list
}

// mayMark is the condition of M.
func (m *memory) mayMark(seen sight, c *chunkRow, k claimed, fresh bitset) bool {
	now := m.now()
	sending := seen.state == notice.Sending && (seen.expiresAt == nil || seen.expiresAt.After(now))
	return (c.epoch == k.epoch || m.mutant == markWithoutEpoch) &&
		(c.leaseUntil.After(now.Add(m.opts.DotGrace)) || m.mutant == leaseUnchecked) &&
		(sending || m.mutant == markWithoutNotice) &&
		(m.hold() == nil || m.mutant == markIgnoresHolds) &&
		c.dots&fresh == 0 // a bit that is set is not given twice: the whole chunk is refused
}

// set sets the marks that are not barred, and returns those that are granted.
func (m *memory) set(c *chunkRow, fresh, again bitset) bitset {
	first, second := c.stopped|c.sent, c.stopped|c.sent
	switch m.mutant {
	case firstAskIgnoresStop:
		first = c.sent
	case secondAskIgnoresStop:
		second = c.sent
	case markIgnoresSent:
		first, second = c.stopped, c.stopped
	}
	c.dots |= fresh &^ first
	if m.againSets {
		c.dots |= again &^ second
	}
	return c.dots & (fresh&^first | again&^second)
}

// record is S and O: an outcome that the lease's holder brings.
func (m *memory) record(seen chunkRow, o ledger.Outcome) bool {
	c := m.chunk(o.ChunkID)
	if c == nil || seen.epoch != o.Epoch && m.mutant != outcomeWithoutEpoch || seen.leaseUntil.IsZero() {
		return false
	}
	b := c.bit(o.Seq)
	if o.State == notice.DeliverySent {
		m.take250(c, o)
		return true
	}
	if seen.sent&b != 0 || seen.dots&b == 0 && !o.NoDot {
		return false
	}
	return m.settleBy(c, seen.stopped&b != 0, o)
}

// take250 sets the bit of a 250, and keeps the reply.
func (m *memory) take250(c *chunkRow, o ledger.Outcome) {
	c.sent |= c.bit(o.Seq)
	reply := o.Answer.Text
	if c.notice.plan.recipients[o.Seq].erased {
		reply = "" // it may repeat the address
	}
	c.answers = append(c.answers, answerRow{o.Epoch, m.now(), []int{o.Seq}, []string{reply}})
}

// settleBy lets an outcome settle a delivery, where it still stands so that it may.
func (m *memory) settleBy(c *chunkRow, stopped bool, o ledger.Outcome) bool {
	state := o.State
	if state == notice.DeliveryDeferred && stopped && m.mutant != stoppedIsDeferred {
		state = notice.DeliveryCancelled
	}
	d := c.row(o.Seq)
	switch {
	case d == nil:
		d = &outcomeRow{}
		c.notice.outcomes[o.Seq] = d
	case d.state.Owed() && d.epoch < o.Epoch:
	case d.state == notice.DeliveryUncertain && (d.epoch == o.Epoch || m.mutant == outcomeWithoutEpoch) && state != notice.DeliveryUncertain:
	default:
		return false
	}
	earlier := d.unresolved != 0 && d.unresolved != o.Epoch
	if state != notice.DeliveryUncertain && !earlier {
		d.unresolved = 0
	}
	if d.epoch < o.Epoch {
		d.epoch = o.Epoch
		d.tries++
	}
	d.state, d.reason, d.code, d.reply, d.at, d.dueAt = state, o.Reason, o.Answer.Code, o.Answer.Text, m.now(), time.Time{}
	d.relay = o.Answer.Relay
	switch {
	case c.notice.plan.recipients[o.Seq].erased:
		d.reply = ""
	case state == notice.DeliveryCancelled:
		d.reason = m.stopReason(c, o.Seq)
	case state == notice.DeliveryFailed && earlier:
		d.reason = join(o.Reason, "an earlier attempt is unresolved")
	}
	switch {
	case state == notice.DeliveryDeferred:
		d.dueAt = m.now().Add(o.Delay)
	case state == notice.DeliveryCancelled && earlier && m.mutant != unresolvedIgnored:
		d.state = notice.DeliveryUncertain
	case state == notice.DeliveryUncertain && m.mutant == uncertainRetried:
		d.state = notice.DeliveryDeferred
	}
	return true
}

// recordLate records outcomes that the lease no longer covers, one by one.
func (m *memory) recordLate(outcomes []ledger.Outcome) {
	for _, o := range outcomes {
		c := m.chunk(o.ChunkID)
		if c == nil {
			continue // a restored ledger may not know it
		}
		if o.State == notice.DeliverySent {
			m.late250(c, o)
		} else {
			m.lateOther(c, o)
		}
		if m.mutant != lateWithoutK {
			m.recount(c)
			m.reopen(c)
		}
	}
}

// late250 takes a 250 of any epoch, over every state: no second copy may leave.
func (m *memory) late250(c *chunkRow, o ledger.Outcome) {
	d := c.view(o.Seq)
	switch m.mutant {
	case late250Dropped:
		return
	case late250NotOverSending:
		if d.state == notice.DeliverySending && d.epoch != o.Epoch {
			return
		}
	case late250NotOverQueued:
		if d.state.Owed() {
			return
		}
	}
	m.take250(c, o)
}

// lateOther lets a late answer settle the attempt that it names, and no other.
func (m *memory) lateOther(c *chunkRow, o ledger.Outcome) {
	d, b := c.row(o.Seq), c.bit(o.Seq)
	known := d != nil && d.epoch == o.Epoch || c.epoch == o.Epoch && c.dots&b != 0
	switch m.mutant {
	case lateNoDotGivesBirth:
		known = known || o.NoDot
	case outcomeWithoutEpoch:
		known = true
	}
	if c.sent&b == 0 && known {
		m.settleBy(c, c.stopped&b != 0, o)
	}
	if d != nil && definite(o.State) && d.unresolved == o.Epoch {
		d.unresolved = 0
	}
}

// definite reports whether the answer says that nothing was delivered.
func definite(s notice.DeliveryState) bool {
	return s == notice.DeliveryDeferred || s == notice.DeliveryFailed
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + ", " + b
}
