package delivery

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// planState is where a plan stands: it is shown while it is frozen, and a release takes it, once and for ever.
type planState string

const (
	planFrozen  planState = "frozen"
	planTaken   planState = "taken"
	planDropped planState = "dropped" // its rows go, or are gone
)

// planRow is the result of a dry run, frozen.
type planRow struct {
	id         int64
	notice     *noticeRow
	body       string // its digest
	digest     string // over the body and the rows
	state      planState
	recipients []recipientRow // by seq
	customers  int
	amends     int64 // the plan that it took its rows over from; 0: it is no amendment's
	unlisted   bool  // its customers are not written down yet; only where a mutant freezes in two transactions
}

// recipientRow is one mailbox with all who share it, or a customer without any. It is the obligation.
type recipientRow struct {
	notice.Recipient
	key      string // of the address; with a tab where there is none
	reason   string
	erased   bool
	addedFor string          // an operator added the row for this customer; empty: it was planned, or the customer was erased
	mail     int             // the number of its compiled mail; 0: none is kept
	joins    []notice.Frozen // slices by customer alone: who joins with a later slice
}

func (r *recipientRow) keyed() bool {
	return !r.erased && (r.reason == "" || r.reason == notice.ReasonSuppressionList)
}

// simPins are the compiled mails of all plans: that to one customer, to two who share a mailbox, and so on.
type simPins [][]byte

func (p simPins) Number(r notice.Recipient, _ string) int {
	if n := len(r.Customers); n <= len(p) {
		return n
	}
	return 0
}

// Correction is 0: of corrections no compiled mails are kept.
func (p simPins) Correction(notice.Recipient, string) int { return 0 }

func (p simPins) Encoded() [][]byte { return p }

// draft keeps a draft, and returns its number.
func (m *memory) draft(b notice.Body, texts map[string]notice.Text) int64 {
	n := &noticeRow{outcomes: map[int]*outcomeRow{}, Notice: ledger.Notice{ID: int64(len(m.notices) + 1), Key: b.Key, Incident: b.Incident,
		State: notice.Draft, Body: b, Texts: texts, MessageToken: b.Key}}
	n.SendAt, n.ExpiresAt, _ = b.Schedule()
	m.notices = append(m.notices, n)
	return n.ID
}

// frozen is the snapshot of a freeze: the customers in one snapshot, and the list of suppressions.
type frozen struct {
	recipients []recipientRow
	customers  int
	body       string
	amends     int64 // the plan that they come from
}

// lookAround is the snapshot of a freeze. It holds the shared erasure lock until the plan is kept.
func (m *memory) lookAround(id int64) frozen {
	if a := m.amended(m.notice(id)); a != nil {
		f := frozen{recipients: copyRows(a), customers: a.customers, body: m.notice(id).Body.ReplyTo}
		if a.plan != nil {
			f.amends = a.plan.id
		}
		return f
	}
	return frozen{recipients: m.layOut(m.notice(id)), customers: len(m.customers), body: m.notice(id).Body.ReplyTo}
}

// freeze keeps a plan of a draft, rows, customers and digest, in the transaction that read them.
func (m *memory) freeze(id int64, f frozen) *planRow {
	p := &planRow{id: int64(len(m.plans) + 1), notice: m.notice(id), body: f.body, state: planFrozen, recipients: f.recipients, customers: f.customers, amends: f.amends}
	var digest strings.Builder
	digest.WriteString(f.body)
	for seq := range p.recipients {
		r := &p.recipients[seq]
		if r.keyed() {
			r.mail = m.pins.Number(r.Recipient, "en")
		}
		fmt.Fprint(&digest, "\n", r.key, r.reason, r.Customers)
	}
	p.digest = digest.String()
	m.plans = append(m.plans, p)
	return p
}

// layOut makes one recipient a mailbox, complete with all who share it, and one for each customer without any. Those
// who are not to be mailed come first.
func (m *memory) layOut(n *noticeRow) []recipientRow {
	rows, keys := map[string]*recipientRow{}, []string{}
	for _, c := range m.customers {
		key, reason := strings.ToLower(c.address), ""
		switch {
		case key == "":
			key, reason = "\t"+c.id, notice.ReasonNoAddress
		case !m.listedAt(n, key).IsZero():
			reason = notice.ReasonSuppressionList
		}
		row := key
		if m.mutant == keyDropped {
			row += "\t" + c.id
		}
		r := rows[row]
		if r == nil {
			r = &recipientRow{Recipient: notice.Recipient{Address: c.address, Language: "en"}, key: key, reason: reason}
			rows[row], keys = r, append(keys, row)
		}
		who := notice.Frozen{ID: c.id, Name: c.id}
		if m.mutant == slicedByCustomer && len(r.Customers) > 0 {
			r.joins = append(r.joins, who)
		} else {
			r.Customers = append(r.Customers, who)
		}
	}
	place := func(row string) string {
		if rows[row].reason == notice.ReasonSuppressionList {
			return "\n" + row
		}
		return row
	}
	slices.SortFunc(keys, func(a, b string) int { return strings.Compare(place(a), place(b)) })
	all := make([]recipientRow, len(keys))
	for seq, row := range keys {
		all[seq] = *rows[row]
	}
	return all
}

// planned returns a draft's plan of a digest.
func (m *memory) planned(n *noticeRow, digest string) *planRow {
	for _, p := range m.plans {
		if p.notice == n && p.digest == digest && (p.state != planDropped || m.mutant == releaseIgnoresPlan) {
			return p
		}
	}
	return nil
}

// mayTake is the condition of a release, under the locks of the notice and then of the plan.
func (m *memory) mayTake(id int64, digest string) (p *planRow, err error) {
	n := m.notice(id)
	if a := m.amended(n); a != nil && !n.State.Released() {
		if err := m.mayAmend(n, a); err != nil {
			return nil, err
		}
	}
	switch p = m.planned(n, digest); {
	case n.State.Released():
		return nil, nil
	case n.ExpiresAt != nil && !n.ExpiresAt.After(m.now()):
		return nil, notice.Invalid("expires_at", "has gone by: nothing would be sent")
	case m.roomForCanary(n) != nil:
		return nil, m.roomForCanary(n)
	case p != nil && p.customers == 0:
		return nil, notice.Invalid("audience", "nobody matches it")
	case p == nil || p.state != planFrozen && m.mutant != releaseIgnoresPlan:
		return nil, notice.Conflict("look again: that plan of notice %q is not kept any more", n.Key)
	case p.body != n.Body.ReplyTo && m.mutant != releaseIgnoresBody:
		return nil, notice.Conflict("notice %q was replaced since: look at it again", n.Key)
	}
	if a := m.amended(n); a != nil && (a.plan.id != p.amends || len(a.plan.recipients) != len(p.recipients)) && m.mutant != amendIgnoresRows {
		return nil, &notice.Error{Code: notice.CodePlanChanged, Message: "other rows"}
	}
	return p, nil
}

// take releases a draft with the plan that was shown: its chunks are there at once.
func (m *memory) take(p *planRow, domain string) {
	n, at := p.notice, m.now()
	p.state = planTaken
	n.plan, n.customers, n.MessageDomain = p, p.customers, domain
	if n.ReleasedAt == nil {
		n.ReleasedAt = &at
	}
	if a := m.amended(n); a != nil {
		m.layAmendment(n, a)
	} else {
		m.layChunks(n)
	}
	switch {
	case m.fenced:
		n.State, n.reason = notice.Held, notice.ReasonRestored
	case n.SendAt != nil && n.SendAt.After(at):
		n.State = notice.Scheduled
	case m.hold() != nil:
		until := m.hold().until
		n.State, n.HeldUntil = notice.Held, &until
	default:
		m.begin(n)
	}
}

// layChunks makes the chunks of a notice, and the outcomes of the rows that are not to be mailed.
func (m *memory) layChunks(n *noticeRow) {
	p, at := n.plan, m.now()
	for seq := range p.recipients {
		switch r := &p.recipients[seq]; {
		case r.erased && m.mutant != eraseForgottenAtRelease:
			n.outcomes[seq] = &outcomeRow{state: notice.DeliveryCancelled, reason: notice.ReasonErased, at: at}
		case r.reason != "":
			n.outcomes[seq] = &outcomeRow{state: notice.DeliverySuppressed, reason: r.reason, at: at}
		}
	}
	due := n.owedSince()
	m.layBounds(n, due)
}

// collect drops a plan that was not taken: first it says so, then its rows go.
func (m *memory) collect(p *planRow, rows bool) {
	switch {
	case p.state == planTaken:
	case rows:
		p.recipients = nil
	default:
		p.state = planDropped
	}
}

// forget deletes a customer, under the exclusive erasure lock: from here on no freeze finds them.
func (m *memory) forget(id string) {
	m.customers = slices.DeleteFunc(m.customers, func(c simCustomer) bool { return c.id == id })
}

// holding returns the plans that hold a customer, released or not.
func (m *memory) holding(id string) (all []*planRow) {
	for _, p := range m.plans {
		if p.seqOf(id) >= 0 && !p.unlisted && (p.state == planTaken || m.mutant != eraseOnlyReleased) {
			all = append(all, p)
		}
	}
	return all
}

func (p *planRow) seqOf(id string) int {
	return slices.IndexFunc(p.recipients, func(r recipientRow) bool {
		return slices.ContainsFunc(r.Customers, func(c notice.Frozen) bool { return c.ID == id })
	})
}

// erase takes a customer out of a plan, under the plan's lock and then the chunks', if there are any. c is the chunk of
// their own row.
func (m *memory) erase(p *planRow, c *chunkRow, id string) {
	for seq := p.seqOf(id); seq >= 0; seq = p.seqOf(id) {
		m.eraseRow(p, c, seq, id)
		if m.mutant == eraseForgetsAdded {
			return
		}
		c = m.chunkIn(p, id)
	}
}

func (m *memory) eraseRow(p *planRow, c *chunkRow, seq int, id string) {
	r := &p.recipients[seq]
	r.Customers = slices.DeleteFunc(slices.Clone(r.Customers), func(f notice.Frozen) bool { return f.ID == id })
	if len(r.Customers) > 0 {
		if m.mutant != erasedKeepsMail {
			r.mail = 0
		}
		return
	}
	r.erased, r.Address, r.addedFor = r.keyed(), "", "" // one without a mailbox stays suppressed
	if c == nil {
		return
	}
	if o := c.row(seq); o != nil {
		o.reply = ""
	}
	for _, a := range c.answers {
		if i := slices.Index(a.seqs, seq); i >= 0 {
			a.replies[i] = ""
		}
	}
	m.stopRow(c, seq)
}

// chunkIn returns the chunk of a customer's row of a plan; nil: it is not released.
func (m *memory) chunkIn(p *planRow, id string) *chunkRow {
	if seq := p.seqOf(id); seq >= 0 && p.state == planTaken {
		return m.chunkOf(p.notice, seq)
	}
	return nil
}

// stopRow has one delivery not sent any more; where a dot may still come its answer settles it.
func (m *memory) stopRow(c *chunkRow, seq int) {
	c.stopped |= c.bit(seq)
	m.cancelStopped(c)
	m.recount(c)
}

// suppress stops the mails of unfinished notices to a mailbox that was put on the list.
func (m *memory) suppress(key string) {
	if m.mutant == suppressForgetsReleased {
		return
	}
	for _, c := range m.chunks {
		for seq := c.lo; seq < c.hi && !c.notice.State.Finished(); seq++ {
			if r := &c.notice.plan.recipients[seq]; r.keyed() && r.key == key && !m.listedAt(c.notice, key).IsZero() {
				m.leaveOut(c, seq)
				m.recount(c)
			}
		}
	}
}

// leaveOut has nothing sent to a mailbox on the list. A delivery that was never tried is suppressed, also where it only
// waits for the dot of an earlier notice.
func (m *memory) leaveOut(c *chunkRow, seq int) {
	o := c.row(seq)
	waits := o != nil && o.state == notice.DeliveryQueued && o.tries == 0 && o.reason == ""
	if (o == nil || waits) && (c.sent|c.stopped|c.dots)&c.bit(seq) == 0 {
		c.notice.outcomes[seq] = &outcomeRow{state: notice.DeliverySuppressed, reason: notice.ReasonSuppressionList, at: m.now()}
	}
	c.stopped |= c.bit(seq)
	m.cancelStopped(c)
}

// owedBefore reports whether no operator had the delivery owed again at a later time.
func (o *outcomeRow) owedBefore(t time.Time) bool { return o == nil || !o.owedAt.After(t) }

// leaveOutListed is C3: it leaves out mailboxes put on the list while the notice was released, or after it was
// finished. It does not where an operator had them owed again since.
func (m *memory) leaveOutListed(c *chunkRow) {
	for seq := c.lo; seq < c.hi && m.mutant != claimForgetsList; seq++ {
		r, o := &c.notice.plan.recipients[seq], c.row(seq)
		at := m.listedAt(c.notice, r.key)
		owed := o == nil || o.state.Owed() && o.owedBefore(at)
		if !at.IsZero() && r.keyed() && owed && (c.sent|c.stopped)&c.bit(seq) == 0 {
			m.leaveOut(c, seq)
		}
	}
}
