package delivery

import (
	"fmt"
	"slices"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// checker holds the promise against every step of a schedule. All that is promised:
//
//	twice       a mailbox gets no second dot that a 250, or silence, may have accepted, unless an operator requeued it
//	            (possible); the relay takes no second copy that no operator asked for (copies)
//	forgotten   at the end nothing is owed: every delivery has reached a final state (final)
//	counted     the counts of a chunk at rest equal a count row by row (counted)
//	marked      a mark commits only under the chunk's current epoch and lease, in a notice that is being sent (marked)
//	stopped     no mark commits after a pause, a cancel, a hold, a suppression or an erasure has returned (marked)
//	heard       a 250 that was recorded stays, and nothing is marked after it (heard, marked)
//	braked      the brake holds a notice only after enough refusals in a row; a resume has them owed again (braked, putBack)
//	superseded  after a later phase began, no mark of an earlier one commits, and none of its dots follows the later
//	            one's mark; a stopped delivery is not owed unless a dot may still come (marked, dotted, stopped rows)
//	reminded    no mark of a reminder commits after a notice that ends it has begun, or its window has (remindedOf)
//	amended     an amendment has the rows of the notice that it stops, of which no mark commits any more; the correction goes to all who got
//	            an earlier version, and to nobody without a mark of one (amended, fits)
//	tried       the rest of a notice with a canary is marked only after an operator has had it go on (tried)
//	planned     a release takes the plan that was shown, and it alone: nobody is added, and nobody lost (taken, planned)
//	erased      no plan holds a customer after their erasure has returned (planned)
//	returned    a bounce of the last attempt ends a delivery that was sent, or is uncertain; no other report changes one (returned)
//	listed      nobody is put on the list of suppressions for a refusal by policy, nor left out by a narrower entry (listedWell, left)
//	words       each state is true: sent by a 250 or an operator, failed by a 5xx, uncertain only where a dot was
//	            written or a worker lost (changed)
//
// After a restore the ledger has forgotten: only the relay's copies count then.
type checker struct {
	world    *world
	before   map[int64]chunkSeen // per chunk
	asked    map[mailbox]int     // further copies that an operator asked for, not knowing
	requeues map[mailbox]int     // and all requeues of uncertain deliveries
	order    int                 // of marks
	marks    map[ledger.Attempt]int
	inARow   map[[2]int64]int     // refusals of a notice that a worker heard without a 250 between
	most     map[int64]int        // by notice, since the brake last held it
	last     map[mailbox]int      // the last mark of a mailbox
	doubts   map[mailbox]bool     // mailboxes that an operator made uncertain after a restore
	until    []time.Time          // until when dots may be written
	pairs    map[[3]string]bool   // a notice, a later one that has superseded it, and the mailbox
	quiet    map[string]bool      // notices of which nothing may be marked any more,
	silent   map[string]listing   // and mailboxes, put on the list like that, since the call has returned
	mayList  map[string]bool      // mailboxes that there was a reason to put on the list
	gone     map[string]bool      // customers, likewise
	plans    map[*planRow]showing // as they were shown
	took     map[string]*planRow  // by notice
	over     map[string]string    // reminders that have ended, and by which notice
	// versions are, by the key of an amendment, those of the notices that it puts right. plain are the mailboxes that
	// the relay took its plain text for.
	versions map[string][]string
	plain    map[mailbox]bool
	// additions are how many rows were added since the release, by plan.
	additions map[*planRow]int
	restored  bool
	wentOn    map[string]bool     // notices that an operator had go on after their canary
	lifted    bool                // since the last restore an operator has let releases go on
	holds     map[int64]time.Time // those that have returned, by number, until when they last
	released  map[string]bool     // notices, also those of which a restore has lost the release
	// uncertain are the deliveries that were so in the earlier form.
	uncertain map[ledger.Attempt]bool
}

// chunkSeen is a chunk after the last step.
type chunkSeen struct {
	chunkRow
	rows     []delivery
	outcomes []notice.DeliveryState // -1: none
}

// showing is a plan as it was shown, with the body that went with it.
type showing struct {
	rows []recipientRow
	body string
}

func newChecker(w *world) *checker {
	return &checker{world: w, before: map[int64]chunkSeen{}, asked: map[mailbox]int{}, requeues: map[mailbox]int{},
		marks: map[ledger.Attempt]int{}, inARow: map[[2]int64]int{}, most: map[int64]int{}, last: map[mailbox]int{}, doubts: map[mailbox]bool{}, pairs: map[[3]string]bool{}, quiet: map[string]bool{}, uncertain: map[ledger.Attempt]bool{},
		silent: map[string]listing{}, mayList: map[string]bool{}, gone: map[string]bool{}, plans: map[*planRow]showing{}, additions: map[*planRow]int{}, took: map[string]*planRow{}, released: map[string]bool{}, wentOn: map[string]bool{}, over: map[string]string{}, versions: map[string][]string{}, plain: map[mailbox]bool{}, holds: map[int64]time.Time{}}
}

// check looks at all that a step may have changed.
func (c *checker) check(step string) error {
	if wrong := c.world.relay.wrong; wrong != nil {
		return wrong
	}
	if c.world.rows != nil {
		return c.requeued()
	}
	c.listedWell()
	if err := c.planned(); err != nil {
		return err
	}
	for _, chunk := range c.world.memory.chunks {
		if err := c.chunk(chunk, step); err != nil {
			return fmt.Errorf("chunk %d of notice %s, %s: %w", chunk.id, chunk.notice.Key, chunk.notice.State, err)
		}
	}
	return nil
}

func (c *checker) chunk(now *chunkRow, step string) error {
	was, known := c.before[now.id]
	seen := chunkSeen{chunkRow: *now, rows: make([]delivery, now.hi-now.lo), outcomes: make([]notice.DeliveryState, now.hi-now.lo)}
	for i := range seen.rows {
		seq := now.lo + i
		seen.rows[i], seen.outcomes[i] = now.view(seq), -1
		if o := now.row(seq); o != nil {
			seen.outcomes[i] = o.state
		}
		if known && was.rows[i] != seen.rows[i] {
			if err := c.changed(now, seq, was, seen, step); err != nil {
				return fmt.Errorf("delivery %d, %v, became %v: %w", seq, was.rows[i], seen.rows[i], err)
			}
		}
		if err := c.stands(now, seq, seen.rows[i]); err != nil {
			return fmt.Errorf("delivery %d, %v: %w", seq, seen.rows[i], err)
		}
	}
	c.before[now.id] = seen
	if known && was.sent&^now.sent != 0 && !c.restored {
		return fmt.Errorf("a 250 is gone")
	}
	if known && step == "close" && !c.restored && !was.leaseUntil.IsZero() && now.leaseUntil.IsZero() {
		if err := c.closed(now, was.holder); err != nil {
			return err
		}
	}
	return c.counted(now)
}

// leadsTo says where a delivery may go from each state in one step; a late 250 may come over all but a bounce.
var leadsTo = map[notice.DeliveryState][]notice.DeliveryState{
	notice.DeliveryQueued: {notice.DeliverySending, notice.DeliveryDeferred, notice.DeliveryFailed, notice.DeliveryUncertain,
		notice.DeliveryCancelled, notice.DeliverySuppressed},
	notice.DeliverySending:    {notice.DeliveryDeferred, notice.DeliveryFailed, notice.DeliveryUncertain, notice.DeliveryCancelled},
	notice.DeliveryDeferred:   {notice.DeliverySending, notice.DeliveryFailed, notice.DeliveryUncertain, notice.DeliveryCancelled},
	notice.DeliveryUncertain:  {notice.DeliveryDeferred, notice.DeliveryFailed, notice.DeliveryQueued, notice.DeliveryCancelled, notice.DeliveryBounced},
	notice.DeliveryFailed:     {notice.DeliveryQueued},
	notice.DeliverySuppressed: {notice.DeliveryQueued},
	notice.DeliveryCancelled:  {notice.DeliveryQueued, notice.DeliveryFailed},
	notice.DeliverySent:       {notice.DeliveryBounced},
}

// changed judges a change of a delivery.
func (c *checker) changed(chunk *chunkRow, seq int, before, after chunkSeen, step string) error {
	was, d := before.rows[seq-chunk.lo], after.rows[seq-chunk.lo]
	at := ledger.Attempt{NoticeID: chunk.notice.ID, Seq: seq, ChunkID: chunk.id, Epoch: d.epoch}
	box, relay := mailbox{chunk.notice.Key, d.key}, c.world.relay
	if step == "unhold" || step == "restore" {
		return nil
	}
	late := d.state == notice.DeliverySent && was.state != notice.DeliveryBounced
	if was.state != d.state && !late && !slices.Contains(leadsTo[was.state], d.state) {
		return fmt.Errorf("that is no transition")
	}
	switch d.state {
	case notice.DeliverySuppressed, notice.DeliveryCancelled:
		if was.state != d.state {
			c.left(chunk.notice, d.key, d.reason)
		}
	case notice.DeliverySent:
		if d.who == "" && !relay.said[box] && d.key != "" && !c.restored {
			return fmt.Errorf("the relay never said 250")
		}
		if outcome := after.outcomes[seq-chunk.lo]; was.state == d.state && outcome != before.outcomes[seq-chunk.lo] && outcome == notice.DeliveryUncertain {
			return fmt.Errorf("it has a 250, and an outcome says that nobody knows")
		}
	case notice.DeliveryUncertain:
		switch {
		case was.state.Owed() && d.unresolved == 0:
			return fmt.Errorf("no attempt was under way")
		case was.state == notice.DeliverySending && d.unresolved == 0 && step != "claim" && !relay.dots[at]:
			return fmt.Errorf("no dot was written")
		}
	case notice.DeliveryFailed:
		if !relay.never[at] && d.reason != notice.ReasonTooLong {
			return fmt.Errorf("the relay never said 5xx")
		}
	case notice.DeliveryQueued:
		if was.state == notice.DeliveryUncertain || c.restored && was.state != d.state {
			c.requeues[box]++
			if !c.world.informed {
				c.asked[box]++
			}
		}
	}
	return nil
}

// stands judges a delivery as it stands.
func (c *checker) stands(chunk *chunkRow, seq int, d delivery) error {
	b := chunk.bit(seq)
	if chunk.stopped&b != 0 && chunk.sent&b == 0 && d.state.Owed() {
		return fmt.Errorf("it is stopped")
	}
	if copies := c.world.relay.copies[mailbox{chunk.notice.Key, d.key}]; copies == 0 || d.key == "" {
		return nil
	} else if asked := c.asked[mailbox{chunk.notice.Key, d.key}]; copies > 1+asked {
		return fmt.Errorf("the relay took %d copies, and an operator asked for %d more than one", copies, asked)
	} else if c.restored {
		return nil
	}
	switch d.state {
	case notice.DeliverySending, notice.DeliverySent, notice.DeliveryUncertain, notice.DeliveryBounced:
	default:
		if d.unresolved == 0 || d.state == notice.DeliveryCancelled {
			return fmt.Errorf("the relay took a copy")
		}
	}
	return nil
}

// closed judges a chunk that its holder has just given back.
func (c *checker) closed(chunk *chunkRow, holder string) error {
	for _, a := range c.world.workers {
		if a.name == holder && !a.draining {
			for seq := chunk.lo; seq < chunk.hi; seq++ {
				if chunk.view(seq).state == notice.DeliverySending {
					return fmt.Errorf("%s gave it back, and delivery %d is marked", holder, seq)
				}
			}
		}
	}
	return nil
}

// counted checks the counts of a chunk, that a notice which is called sent owes nothing, and how many marks are open.
func (c *checker) counted(chunk *chunkRow) error {
	n := chunk.notice
	counts := chunk.tally()
	if chunk.leaseUntil.IsZero() && counts != chunk.counts {
		return fmt.Errorf("it has no lease and holds %v, and counts %v", counts, chunk.counts)
	}
	owed := counts[notice.DeliveryQueued] + counts[notice.DeliverySending] + counts[notice.DeliveryDeferred]
	if owed > 0 && (!chunk.open || n.State == notice.Sent) {
		return fmt.Errorf("it still owes %d", owed)
	}
	open := 0
	for _, other := range c.world.memory.chunks {
		for seq := other.lo; seq < other.hi && other.holder != "" && other.holder == chunk.holder; seq++ {
			if other.view(seq).state == notice.DeliverySending {
				open++
			}
		}
	}
	if open > c.world.options.OpenMarks && !c.restored {
		return fmt.Errorf("%s has %d open marks of %d", chunk.holder, open, c.world.options.OpenMarks)
	}
	return nil
}

// planned checks that every notice has the recipients that were shown, and that nobody erased is in a plan.
func (c *checker) planned() error {
	m := c.world.memory
	for _, p := range m.plans {
		for id := range c.gone {
			if p.state != planDropped && p.seqOf(id) >= 0 {
				return fmt.Errorf("plan %d, %s, still holds %s, who was erased", p.id, p.state, id)
			}
		}
	}
	for _, n := range m.notices {
		if n.plan == nil || c.restored {
			continue
		}
		rows := 0
		for _, chunk := range m.chunksOf(n) {
			rows += chunk.hi - chunk.lo
		}
		if shown := len(c.plans[n.plan].rows) + c.additions[n.plan]; rows != shown || len(n.plan.recipients) != shown {
			return fmt.Errorf("%d recipients of notice %s were shown or added, %d are in its plan, and %d are owed", shown, n.Key, len(n.plan.recipients), rows)
		}
	}
	return nil
}

// final names something that is not settled yet; nil: every delivery has reached a final state.
func (c *checker) final() error {
	for _, n := range c.world.memory.notices {
		if n.tooLate() || c.world.memory.idleAmendment(n) {
			continue
		}
		if !n.State.Finished() {
			return fmt.Errorf("notice %s is %s", n.Key, n.State)
		}
		for _, chunk := range c.world.memory.chunksOf(n) {
			if chunk.open {
				return fmt.Errorf("notice %s is %s, chunk %d is open: %v", n.Key, n.State, chunk.id, chunk.tally())
			}
		}
	}
	return nil
}

// tooLate reports whether a draft can't be released any more.
func (n *noticeRow) tooLate() bool {
	return n.State == notice.Draft && n.ExpiresAt != nil && !n.ExpiresAt.After(time.Now())
}
