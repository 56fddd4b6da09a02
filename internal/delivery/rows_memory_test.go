package delivery

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// rowMemory is the tables of package ledger and its statements, each transaction a method. It does in memory as
// Postgres does, and is small enough to be read next to the SQL. TestTheSimulatedLedgerAnswersAsPostgresDoes holds the
// two together.
type rowMemory struct {
	now       func() time.Time
	opts      ledger.Options
	chunkSize int
	sliceSize int
	customers []simCustomer
	notices   []*oldNotice // by id, from 1
	chunks    []*oldChunk  // by id, from 1
	backwards bool         // of two answers to one delivery in a batch, the last is recorded first
}

type oldNotice struct {
	ledger.Notice
	reason     string
	customers  int
	recipients []oldRecipient
	expanded   int
	deliveries []*oldDelivery // those below expanded
}

type oldRecipient struct {
	notice.Recipient
	reason string
}

type oldDelivery struct {
	key                       string // of the address; empty where there is none
	state                     notice.DeliveryState
	tries, code               int
	epoch, unresolved         int64
	dotBy, owedAt, dueAt      time.Time // zero: null
	reason, relay, reply, who string
}

type oldChunk struct {
	leaseRow
	notice *oldNotice
}

func (c *oldChunk) rows() []*oldDelivery { return c.notice.deliveries[c.lo:c.hi] }

func (m *rowMemory) notice(id int64) *oldNotice { return at(m.notices, id) }
func (m *rowMemory) chunk(id int64) *oldChunk   { return at(m.chunks, id) }

func (m *rowMemory) kept() (all []*ledger.Notice) {
	for _, n := range m.notices {
		all = append(all, &n.Notice)
	}
	return all
}

func (m *rowMemory) chunksOf(n *oldNotice) (all []*oldChunk) {
	for _, c := range m.chunks {
		if c.notice == n {
			all = append(all, c)
		}
	}
	return all
}

// draft keeps a draft, and returns its number.
func (m *rowMemory) draft(b notice.Body, texts map[string]notice.Text) int64 {
	n := &oldNotice{Notice: ledger.Notice{ID: int64(len(m.notices) + 1), Key: b.Key, Incident: b.Incident, State: notice.Draft,
		Body: b, Texts: texts, MessageToken: b.Key}}
	n.SendAt, n.ExpiresAt, _ = b.Schedule()
	m.notices = append(m.notices, n)
	return n.ID
}

func (m *rowMemory) release(id int64, a ledger.Audience, domain string) (bool, error) {
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
func (m *rowMemory) layOut() []oldRecipient {
	rows, keys := map[string]*oldRecipient{}, []string{}
	for _, c := range m.customers {
		key, reason := strings.ToLower(c.address), ""
		if key == "" {
			key, reason = "\t"+c.id, notice.ReasonNoAddress
		}
		r := rows[key]
		if r == nil {
			r = &oldRecipient{Recipient: notice.Recipient{Address: c.address, Language: "en"}, reason: reason}
			rows[key], keys = r, append(keys, key)
		}
		frozen := notice.Frozen{ID: c.id, Name: c.id}
		r.Customers = append(r.Customers, frozen)
	}
	slices.Sort(keys)
	laidOut := make([]oldRecipient, len(keys))
	for seq, key := range keys {
		laidOut[seq] = *rows[key]
	}
	return laidOut
}

func (m *rowMemory) expand(id int64) (due []int64, done bool) {
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
		d := &oldDelivery{key: strings.ToLower(r.Address), owedAt: at, dueAt: at, reason: r.reason}
		if r.reason != "" {
			d.state = notice.DeliverySuppressed
		}
		n.deliveries = append(n.deliveries, d)
	}
	for from := lo; from < hi; from += m.chunkSize {
		c := &oldChunk{notice: n, leaseRow: leaseRow{id: int64(len(m.chunks) + 1), lo: from, hi: min(from+m.chunkSize, hi), dueAt: at}}
		m.chunks = append(m.chunks, c)
		m.recount(c)
		if c.open && !c.dueAt.After(now) {
			due = append(due, c.id)
		}
	}
	n.expanded = hi
	return due, hi == len(n.recipients)
}

func (m *rowMemory) claim(id int64, holder string) (claim ledger.Claim, ok bool) {
	c, now := m.chunk(id), m.now()
	if c == nil || !c.open || !c.leaseUntil.IsZero() && !c.leaseUntil.Before(now) {
		return claim, false
	}
	c.epoch, c.holder, c.leaseUntil = max(c.epoch+1, now.UnixMicro()), holder, now.Add(m.opts.Lease)
	for _, d := range c.rows() {
		if d.state != notice.DeliverySending {
			continue
		}
		d.state, d.code, d.relay, d.reason = notice.DeliveryUncertain, 0, "", ""
		d.reply = "no answer was recorded before the worker was lost"
	}
	m.cancelOwed(c)
	claim = ledger.Claim{ChunkID: id, NoticeID: c.notice.ID, Token: c.notice.MessageToken, Epoch: c.epoch}
	if c.notice.State != notice.Sending {
		return claim, true
	}
	for i, d := range c.rows() {
		if d.state.Owed() && !d.dueAt.After(now) {
			seq := c.lo + i
			claim.Due = append(claim.Due, ledger.Due{Seq: seq, Tries: d.tries, Waited: now.Sub(d.owedAt), Text: "en",
				Recipient: c.notice.recipients[seq].Recipient})
		}
	}
	return claim, true
}

func (m *rowMemory) cancelOwed(c *oldChunk) {
	if c.notice.State == notice.Cancelled {
		c.cancelOwed()
	}
}

func (c *oldChunk) cancelOwed() {
	for _, d := range c.rows() {
		if d.state.Owed() {
			d.state, d.reason = notice.DeliveryCancelled, c.notice.reason
			if d.unresolved != 0 {
				d.state = notice.DeliveryUncertain
			}
		}
	}
}

func (m *rowMemory) renew(id, epoch int64) bool {
	c, now := m.chunk(id), m.now()
	if c == nil || c.epoch != epoch || !c.leaseUntil.After(now) {
		return false
	}
	c.leaseUntil = now.Add(m.opts.Lease)
	return true
}

func (m *rowMemory) close(claim ledger.Claim) (held, owed bool) {
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

func (m *rowMemory) recount(c *oldChunk) {
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
	c.counts = counted
}

func (m *rowMemory) finish(id int64) {
	if n := m.notice(id); n.State == notice.Sending && m.finished(n) {
		n.State = notice.Sent
	}
}

func (m *rowMemory) finished(n *oldNotice) bool {
	return n.expanded == len(n.recipients) && !slices.ContainsFunc(m.chunksOf(n), func(c *oldChunk) bool { return c.open })
}

// advance is the part of a sweep that brings the notices' states up to date, but for Finish.
func (m *rowMemory) advance() (done []int64) {
	now := m.now()
	for _, n := range m.notices {
		switch n.State {
		case notice.Scheduled, notice.Sending, notice.Paused, notice.Held:
			if n.ExpiresAt != nil && !n.ExpiresAt.After(now) && !m.finished(n) {
				n.State, n.reason = notice.Cancelled, notice.ReasonExpired
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

// due is the part of a sweep that reads the chunks that are due.
func (m *rowMemory) due() ledger.Work {
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

func (m *rowMemory) swept(c *oldChunk, now time.Time) bool {
	switch {
	case !c.leaseUntil.IsZero():
		return c.leaseUntil.Before(now)
	}
	return c.notice.State == notice.Sending && !c.dueAt.After(now) || c.notice.State == notice.Cancelled
}

func (d *oldDelivery) String() string {
	return fmt.Sprintf("%s epoch %d unresolved %d tries %d", d.state, d.epoch, d.unresolved, d.tries)
}
