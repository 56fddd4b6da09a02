package delivery

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// memory is the tables of package ledger and its statements, each transaction a method: what Postgres does, in
// memory, small enough to be read beside the SQL. TestTheSimulatedLedgerAnswersAsPostgresDoes holds the two together.
// Its mutant, if it has one, leaves one rule of the protocol out.
type memory struct {
	now       func() time.Time
	opts      ledger.Options
	chunkSize int
	sliceSize int
	customers []simCustomer
	notices   []*noticeRow // by id, from 1
	chunks    []*chunkRow  // by id, from 1
	backwards bool         // of two answers to one delivery in a batch, the last is recorded first
	mutant    mutant
	planned   map[[2]int64]int // only for a counter in the place of the epoch: what a claim and seq planned
}

// simCustomer is a customer; without an address he can't be mailed.
type simCustomer struct{ id, address string }

type noticeRow struct {
	ledger.Notice
	reason     string
	customers  int
	recipients []recipientRow
	expanded   int
	deliveries []*deliveryRow // those below expanded
}

type recipientRow struct {
	notice.Recipient
	reason string
	joins  map[int][]notice.Frozen // slices by customer alone: who joins at which slice
}

type deliveryRow struct {
	key                       string // of the address; empty where there is none
	state                     notice.DeliveryState
	tries, code               int
	epoch, unresolved         int64
	dotBy, owedAt, dueAt      time.Time // zero: null
	reason, relay, reply, who string
}

type chunkRow struct {
	id         int64
	notice     *noticeRow
	lo, hi     int
	epoch      int64
	holder     string
	leaseUntil time.Time // zero: null
	open       bool
	dueAt      time.Time
	counts     notice.Counts
}

func (c *chunkRow) rows() []*deliveryRow { return c.notice.deliveries[c.lo:c.hi] }

func (m *memory) notice(id int64) *noticeRow {
	if id < 1 || id > int64(len(m.notices)) {
		return nil
	}
	return m.notices[id-1]
}

func (m *memory) chunk(id int64) *chunkRow {
	if id < 1 || id > int64(len(m.chunks)) {
		return nil
	}
	return m.chunks[id-1]
}

func (m *memory) chunksOf(n *noticeRow) (all []*chunkRow) {
	for _, c := range m.chunks {
		if c.notice == n {
			all = append(all, c)
		}
	}
	return all
}

// draft keeps a draft, and returns its number.
func (m *memory) draft(b notice.Body, texts map[string]notice.Text) int64 {
	n := &noticeRow{Notice: ledger.Notice{ID: int64(len(m.notices) + 1), Key: b.Key, Incident: b.Incident, State: notice.Draft,
		Body: b, Texts: texts, MessageToken: b.Key, SendAt: b.SendAt, ExpiresAt: b.ExpiresAt}}
	m.notices = append(m.notices, n)
	return n.ID
}

func (m *memory) release(id int64, a ledger.Audience, domain string) (bool, error) {
	n := m.notice(id)
	if n.State.Released() {
		return false, nil
	}
	if n.ExpiresAt != nil && !n.ExpiresAt.After(m.now()) {
		return false, notice.Invalid("expires_at", "has gone by: nothing would be sent")
	}
	recipients := m.layOut()
	for _, r := range recipients {
		if r.reason != "" {
			continue
		}
		if err := a.Each(r.Recipient, "en"); err != nil {
			return false, err
		}
	}
	if err := a.Judge(); err != nil {
		return false, err
	}
	at := m.now()
	n.recipients, n.customers, n.MessageDomain, n.ReleasedAt, n.State = recipients, len(m.customers), domain, &at, notice.Sending
	if n.SendAt != nil && n.SendAt.After(at) {
		n.State = notice.Scheduled
	}
	return true, nil
}

// layOut makes one recipient a mailbox, complete with all who share it, and one for each customer without any.
func (m *memory) layOut() []recipientRow {
	rows, keys := map[string]*recipientRow{}, []string{}
	for i, c := range m.customers {
		key, reason := strings.ToLower(c.address), ""
		if key == "" {
			key, reason = "\t"+c.id, notice.ReasonNoAddress
		}
		if m.mutant == keyDropped {
			key += "\t" + c.id
		}
		r := rows[key]
		if r == nil {
			r = &recipientRow{Recipient: notice.Recipient{Address: c.address, Language: "en"}, reason: reason, joins: map[int][]notice.Frozen{}}
			rows[key], keys = r, append(keys, key)
		}
		frozen := notice.Frozen{ID: c.id, Name: c.id}
		if slice := i / m.sliceSize; m.mutant == slicedByCustomer && len(r.Customers) > 0 {
			r.joins[slice] = append(r.joins[slice], frozen)
		} else {
			r.Customers = append(r.Customers, frozen)
		}
	}
	slices.Sort(keys)
	laidOut := make([]recipientRow, len(keys))
	for seq, key := range keys {
		laidOut[seq] = *rows[key]
	}
	return laidOut
}

func (m *memory) expand(id int64) (due []int64, done bool) {
	n, now := m.notice(id), m.now()
	if n == nil || n.expanded >= len(n.recipients) {
		return nil, true
	}
	at := now
	if n.State != notice.Cancelled && n.SendAt != nil && n.SendAt.After(now) {
		at = *n.SendAt
	}
	lo, hi := n.expanded, min(n.expanded+m.sliceSize, len(n.recipients))
	for seq := lo; seq < hi; seq++ {
		r := &n.recipients[seq]
		d := &deliveryRow{key: strings.ToLower(r.Address), owedAt: at, dueAt: at, reason: r.reason}
		if r.reason != "" {
			d.state = notice.DeliverySuppressed
		}
		n.deliveries = append(n.deliveries, d)
	}
	for seq := range n.recipients { // joins are empty unless slices are by customer
		r := &n.recipients[seq]
		r.Customers = append(r.Customers, r.joins[lo/m.sliceSize]...)
	}
	for from := lo; from < hi; from += m.chunkSize {
		c := &chunkRow{id: int64(len(m.chunks) + 1), notice: n, lo: from, hi: min(from+m.chunkSize, hi), dueAt: at}
		m.chunks = append(m.chunks, c)
		m.recount(c)
		if c.open && !c.dueAt.After(now) {
			due = append(due, c.id)
		}
	}
	n.expanded = hi
	return due, hi == len(n.recipients)
}

func (m *memory) claim(id int64, holder string) (claim ledger.Claim, ok bool) {
	c, now := m.chunk(id), m.now()
	if c == nil || !c.open || !c.leaseUntil.IsZero() && !c.leaseUntil.Before(now) {
		return claim, false
	}
	c.epoch, c.holder, c.leaseUntil = max(c.epoch+1, now.UnixMicro()), holder, now.Add(m.opts.Lease)
	for _, d := range c.rows() {
		if d.state != notice.DeliverySending || m.mutant == takeoverForgets {
			continue
		}
		d.state, d.code, d.relay, d.reason = notice.DeliveryUncertain, 0, "", ""
		d.reply = "no answer was recorded before the worker was lost"
		if m.mutant == takeoverRetries {
			d.state = notice.DeliveryQueued
		}
	}
	m.cancelOwed(c)
	claim = ledger.Claim{ChunkID: id, NoticeID: c.notice.ID, Epoch: c.epoch}
	if c.notice.State != notice.Sending {
		return claim, true
	}
	for i, d := range c.rows() {
		if d.state.Owed() && !d.dueAt.After(now) {
			seq := c.lo + i
			claim.Due = append(claim.Due, ledger.Due{Seq: seq, Tries: d.tries, Waited: now.Sub(d.owedAt), Text: "en",
				Recipient: c.notice.recipients[seq].Recipient})
			if m.mutant == counterForEpoch {
				m.planned[[2]int64{c.epoch, int64(seq)}] = d.tries + 1
			}
		}
	}
	return claim, true
}

func (m *memory) cancelOwed(c *chunkRow) {
	if c.notice.State == notice.Cancelled && m.mutant != cancelOnce {
		c.cancelOwed()
	}
}

func (c *chunkRow) cancelOwed() {
	for _, d := range c.rows() {
		if d.state.Owed() {
			d.state, d.reason = notice.DeliveryCancelled, c.notice.reason
			if d.unresolved != 0 {
				d.state = notice.DeliveryUncertain
			}
		}
	}
}

func (m *memory) renew(id, epoch int64) bool {
	c, now := m.chunk(id), m.now()
	if c == nil || c.epoch != epoch || !c.leaseUntil.After(now) {
		return false
	}
	c.leaseUntil = now.Add(m.opts.Lease)
	return true
}

func (m *memory) closeChunk(claim ledger.Claim) (held, owed bool) {
	c := m.chunk(claim.ChunkID)
	if c.epoch != claim.Epoch {
		return false, false
	}
	m.cancelOwed(c)
	c.leaseUntil, c.holder = time.Time{}, ""
	m.recount(c)
	if at := m.now().Add(claim.Rest); claim.Rest > 0 && c.dueAt.Before(at) {
		c.dueAt = at
	}
	if c.open && c.notice.State == notice.Sent {
		c.notice.State = notice.Sending
	}
	return true, c.open
}

func (m *memory) recount(c *chunkRow) {
	counted := notice.Counts{}
	c.open = false
	var due time.Time
	for _, d := range c.rows() {
		counted[d.state]++
		c.open = c.open || d.state.Open()
		if d.state.Owed() && (due.IsZero() || d.dueAt.Before(due)) {
			due = d.dueAt
		}
	}
	if !due.IsZero() {
		c.dueAt = due
	}
	if m.mutant != countsAdded || c.counts.Total() == 0 {
		c.counts = counted
	}
}

func (m *memory) finish(id int64) {
	if n := m.notice(id); n.State == notice.Sending && m.finished(n) {
		n.State = notice.Sent
	}
}

func (m *memory) finished(n *noticeRow) bool {
	return n.expanded == len(n.recipients) && !slices.ContainsFunc(m.chunksOf(n), func(c *chunkRow) bool { return c.open })
}

// advance is the part of a sweep that brings the notices' states up to date, but for Finish.
func (m *memory) advance() (done []int64) {
	now := m.now()
	for _, n := range m.notices {
		switch n.State {
		case notice.Scheduled, notice.Sending, notice.Paused, notice.Held:
			if n.ExpiresAt != nil && !n.ExpiresAt.After(now) && !m.finished(n) {
				n.State, n.reason = notice.Cancelled, notice.ReasonExpired
				if m.mutant == cancelOnce {
					m.cancelNow(n)
				}
			}
		}
		if n.State == notice.Scheduled && !n.SendAt.After(now) {
			n.State = notice.Sending
		}
		if n.State == notice.Sending && m.finished(n) {
			done = append(done, n.ID)
		}
	}
	return done
}

// due is the part of a sweep that reads what is due.
func (m *memory) due() (w ledger.Work) {
	now := m.now()
	w.NextDue = -1
	next := func(t time.Time) {
		if t.After(now) && (w.NextDue < 0 || t.Sub(now) < w.NextDue) {
			w.NextDue = t.Sub(now)
		}
	}
	var found []*chunkRow
	for _, c := range m.chunks {
		if !c.open {
			continue
		}
		next(c.dueAt)
		next(c.leaseUntil)
		if m.swept(c, now) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b *chunkRow) int { return cmp.Or(a.dueAt.Compare(b.dueAt), cmp.Compare(a.id, b.id)) })
	for _, c := range found {
		since := c.leaseUntil
		if since.IsZero() {
			since = c.dueAt
		}
		w.Chunks = append(w.Chunks, ledger.DueChunk{ID: c.id, Epoch: c.epoch, Overdue: max(0, now.Sub(since))})
	}
	for _, n := range m.notices {
		if n.State == notice.Scheduled {
			next(*n.SendAt)
		}
		if n.expanded < len(n.recipients) {
			w.Expand = append(w.Expand, n.ID)
		}
	}
	return w
}

func (m *memory) swept(c *chunkRow, now time.Time) bool {
	switch {
	case m.mutant == sweepSkipsSending && !slices.ContainsFunc(c.rows(), func(d *deliveryRow) bool { return d.state.Owed() }):
		return false
	case m.mutant == sweepSkipsStopped && c.notice.State != notice.Sending:
		return false
	case !c.leaseUntil.IsZero():
		return c.leaseUntil.Before(now)
	}
	return c.notice.State == notice.Sending && !c.dueAt.After(now) || c.notice.State == notice.Cancelled
}

func (d *deliveryRow) String() string {
	return fmt.Sprintf("%s epoch %d unresolved %d tries %d", d.state, d.epoch, d.unresolved, d.tries)
}
