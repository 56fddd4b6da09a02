package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// news is an earlier notice of an incident and a later one.
type news struct {
	*desk
	a, b       int64
	aRef, bRef string
}

// before returns a ledger with an earlier notice to a mailbox, released in some way.
func before(t *testing.T, release func(d *desk)) *news {
	t.Helper()
	d := open(t)
	d.customers(1)
	release(d)
	return &news{desk: d, a: d.id, aRef: d.ref}
}

func sendFirst(d *desk) { d.send(notice.Body{Key: "first", Incident: "i"}) }

func (n *news) earlier() { n.on(n.a, n.aRef) }
func (n *news) later()   { n.on(n.b, n.bRef) }

// overtake releases the later notice.
func (n *news) overtake() {
	n.t.Helper()
	n.send(notice.Body{Key: "second", Incident: "i", Phase: "resolved"})
	n.b, n.bRef = n.id, n.ref
}

// settle settles the earlier notice's deliveries, and returns why that was refused.
func (n *news) settle(s notice.Settlement) (changed int, why string) {
	n.t.Helper()
	done, err := n.Settle(n.t.Context(), n.a, s, s.Address, "ann")
	n.must(err)
	return done.Changed, strings.Join(done.Reasons, "; ")
}

// wantOvertaken wants a requeue to be refused, and the later notice named.
func (n *news) wantOvertaken(s notice.Settlement) {
	n.t.Helper()
	if changed, why := n.settle(s); changed != 0 || !strings.Contains(why, "second") {
		n.t.Errorf("%+v: %d changed, %q; want it refused with the later notice's key", s, changed, why)
	}
}

// attemptOne marks the earlier notice's only delivery, and ends the attempt.
func (n *news) attemptOne(state notice.DeliveryState, code int) {
	n.t.Helper()
	c := n.claim("w")
	n.mark(attempt(c, 0))
	n.answer(attempt(c, 0), state, code)
	n.closeChunk(c)
}

// attempt has some deliveries of the notice's only chunk end so.
func (d *desk) attempt(ends ...any) {
	d.t.Helper()
	c := d.claim("w")
	for i := 0; i < len(ends); i += 2 {
		at := attempt(c, ends[i].(int))
		d.mark(at)
		d.answer(at, ends[i+1].(notice.DeliveryState), 550)
	}
	d.closeChunk(c)
}

const mailbox1 = "c1@example.com"

// TestOldNewsDoesNotFollowTheNew has a later notice reach the mailbox. It then tries each way in which a mail of an earlier
// one could be owed, or come to be owed again.
func TestOldNewsDoesNotFollowTheNew(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		release func(d *desk)
		play    func(n *news) // has the later notice reach the mailbox
		want    string
	}{
		"a 4xx to the dot": {sendFirst, func(n *news) {
			c := n.claim("w")
			n.mark(attempt(c, 0))
			n.overtake()
			n.earlier()
			n.answer(attempt(c, 0), notice.DeliveryDeferred, 451)
			n.closeChunk(c)
		}, "cancelled"},
		"a 4xx that comes after a crash": {sendFirst, func(n *news) {
			lost := attempt(n.claim("w"), 0)
			n.mark(lost)
			n.overtake()
			n.earlier()
			n.loseLease()
			c := n.claim("x")
			n.wantState(0, notice.DeliveryUncertain)
			n.answer(lost, notice.DeliveryDeferred, 451)
			n.closeChunk(c)
		}, "cancelled"},
		"a 5xx, requeued": {sendFirst, func(n *news) {
			n.attemptOne(notice.DeliveryFailed, 554)
			n.overtake()
			n.wantOvertaken(notice.Settlement{Requeue: true, Address: mailbox1})
			n.wantOvertaken(notice.Settlement{Requeue: true, State: "failed"})
			n.wantOvertaken(notice.Settlement{Requeue: true, State: "failed", Code: 554, Relay: "main"})
		}, "failed"},
		"no answer, requeued before its gate and after": {sendFirst, func(n *news) {
			n.attemptOne(notice.DeliveryUncertain, 0)
			n.overtake()
			n.wantOvertaken(notice.Settlement{Requeue: true, AllUncertain: true})
			n.earlier()
			n.passTheGate("1 hour")
			n.wantOvertaken(notice.Settlement{Requeue: true, State: "uncertain"})
			n.wantOvertaken(notice.Settlement{Requeue: true, Address: mailbox1})
			n.reconcile(ledger.Reconciliation{LogFrom: time.Now().Add(-2 * time.Hour), LogUntil: time.Now().Add(time.Hour),
				Requeue: []ledger.Missing{{MessageID: n.uncertain()[0].MessageID, Epoch: n.uncertain()[0].Epoch}}},
				ledger.Reconciled{Overtaken: 1, By: []string{"second"}})
		}, "uncertain"},
		"no answer, and settled as not sent, then refused for now": {sendFirst, func(n *news) {
			n.attemptOne(notice.DeliveryUncertain, 0)
			n.passTheGate("1 hour")
			if changed, _ := n.settle(notice.Settlement{Requeue: true, AllUncertain: true}); changed != 1 {
				n.t.Error("it was not requeued")
			}
			c := n.claim("w")
			n.mark(attempt(c, 0))
			n.overtake()
			n.earlier()
			n.answer(attempt(c, 0), notice.DeliveryDeferred, 451)
			n.closeChunk(c)
		}, "uncertain"}, // the first attempt may have arrived
		"on the list of suppressions, and taken off it": {func(d *desk) {
			d.suppress(mailbox1)
			sendFirst(d)
		}, func(n *news) {
			n.must(n.Unsuppress(n.t.Context(), mailbox1))
			n.overtake()
			n.wantOvertaken(notice.Settlement{Requeue: true, Address: mailbox1})
		}, "suppressed"},
		"paused, and resumed": {sendFirst, func(n *news) {
			n.must(n.Pause(n.t.Context(), n.a, "ann"))
			n.overtake()
			n.must(n.Resume(n.t.Context(), n.a, false, "ann"))
		}, "cancelled"},
		"paused before it began, and resumed": {func(d *desk) {
			b := tomorrow("first")
			b.Incident = "i"
			d.send(b)
			d.must(d.Pause(d.t.Context(), d.id, "ann"))
			d.exec(`UPDATE notice SET send_at = clock_timestamp() - interval '1 hour'`)
		}, func(n *news) {
			n.overtake()
			n.must(n.Resume(n.t.Context(), n.a, false, "ann"))
		}, "cancelled"},
		"braked, and resumed": {sendFirst, func(n *news) {
			c := n.claim("w")
			n.refuse(c, denied, 0)
			if !n.braked(time.Minute, true) {
				n.t.Fatal("it is not held")
			}
			n.closeChunk(c)
			n.overtake()
			n.must(n.Resume(n.t.Context(), n.a, false, "ann"))
		}, "failed"},
		"held by a hold that ends": {func(d *desk) {
			d.hold(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "power feeds")
			sendFirst(d)
			d.wantNotice(notice.Held)
		}, func(n *news) {
			n.exec(`UPDATE hold SET until_at = clock_timestamp()`) // and no sweep has come by
			n.overtake()
			n.sweep()
		}, "cancelled"},
		"it leaves at its time": {func(d *desk) {
			b := tomorrow("first")
			b.Incident = "i"
			d.send(b)
		}, func(n *news) {
			n.overtake()
			n.must(n.SendNow(n.t.Context(), n.a, "ann"))
			n.sweep()
		}, "cancelled"},
		"its audience is resolved when it leaves": {func(d *desk) {
			d.approve("first", 1)
		}, func(n *news) {
			n.send(notice.Body{Key: "second", Incident: "first", Phase: "resolved"})
			n.b, n.bRef = n.id, n.ref
			n.must(n.SendNow(n.t.Context(), n.a, "ann"))
			n.earlier()
			n.must(n.Leave(n.t.Context(), n.a, all(n.body())))
		}, "cancelled"},
		"restored, and let go after the later one": {sendFirst, func(n *news) {
			b := tomorrow("second")
			b.Incident, b.Phase = "i", "resolved"
			n.send(b)
			n.b, n.bRef = n.id, n.ref
			n.exec(`UPDATE notice SET state = 'held', reason = 'restored', send_at = CASE WHEN key = 'second' THEN clock_timestamp() END`)
			n.must(n.Unhold(n.t.Context(), n.b, false, false, "ann")) // it may have left after the backup
			n.must(n.Unhold(n.t.Context(), n.a, true, false, "ann"))
		}, "cancelled"},
		"the first version of two": {func(d *desk) {
			b := tomorrow("first")
			b.Incident = "i"
			d.send(b)
			d.must(d.Pause(d.t.Context(), d.id, "ann"))
			d.exec(`UPDATE notice SET send_at = clock_timestamp() - interval '1 hour'`)
		}, func(n *news) {
			n.send(notice.Body{Key: "second", Incident: "i"}) // of the same phase
			n.b, n.bRef = n.id, n.ref
			n.must(n.Resume(n.t.Context(), n.a, false, "ann"))
		}, "cancelled"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := before(t, c.release)
			c.play(n)
			n.earlier()
			n.wantCounts(map[string]int{c.want: 1})
			n.exec(`UPDATE chunk SET due_at = clock_timestamp(), open = true WHERE notice_id = $1`, n.a)
			if again := n.claim("y"); len(again.Due) != 0 || c.want == "cancelled" && n.mark(attempt(again, 0)) {
				t.Error("old news is owed after the new")
			}
			n.later()
			if got := n.state(0); got != notice.DeliveryQueued && got != notice.DeliveryUncertain {
				t.Errorf("the later notice's mail is %s", got)
			}
		})
	}
}

// TestOldNewsByForce: an operator may send it all the same, and the log says after which notice.
func TestOldNewsByForce(t *testing.T) {
	t.Parallel()
	n := before(t, sendFirst)
	n.attemptOne(notice.DeliveryFailed, 554)
	n.overtake()
	if changed, why := n.settle(notice.Settlement{Requeue: true, State: "failed", Force: true}); changed != 1 {
		t.Errorf("%d changed: %s", changed, why)
	}
	n.earlier()
	n.deliver()
	n.wantCounts(map[string]int{"sent": 1})
	acts := n.acts()
	if got, want := acts[len(acts)-1], "ann: requeue: 1 deliveries, failed, by force 1 after notice second"; got != want {
		t.Errorf("the log ends with %q, want %q", got, want)
	}
}

// TestAnEarlierPhaseThatIsReleasedAfterTheLaterIsNoOldNews: the incident came back.
func TestAnEarlierPhaseThatIsReleasedAfterTheLaterIsNoOldNews(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(1)
	d.send(notice.Body{Key: "over", Incident: "i", Phase: "resolved"})
	d.deliver()
	d.send(notice.Body{Key: "back", Incident: "i", Phase: "investigating"})
	c := d.claim("w")
	d.refuse(c, denied, 0)
	d.closeChunk(c)
	if done := d.requeue(mailbox1); done.Changed != 1 {
		t.Errorf("requeued %+v", done)
	}
	d.deliver()
	d.wantCounts(map[string]int{"sent": 1})
}

// TestARequeueAndALateNoticeSeeEachOther has a later notice requeued while an earlier one leaves: whichever comes first, the
// earlier one is stopped.
func TestARequeueAndALateNoticeSeeEachOther(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(1)
	a := d.approve("first", 1)
	first := d.id
	d.send(notice.Body{Key: "second", Incident: "first", Phase: "resolved"})
	second := d.id
	c := d.claim("w")
	d.refuse(c, denied, 0)
	d.closeChunk(c)
	d.must(d.SendNow(t.Context(), first, "ann"))
	ctx := t.Context()
	requeued := make(chan error, 1)
	go func() {
		_, err := d.Settle(ctx, second, notice.Settlement{Requeue: true, Address: mailbox1}, mailbox1, "ann")
		requeued <- err
	}()
	d.must(d.Leave(ctx, first, a))
	d.must(<-requeued)
	var states string
	d.must(d.pool.QueryRow(ctx, `SELECT string_agg(d.state::text, ' ' ORDER BY d.notice_id) FROM delivery d`).Scan(&states))
	if want := fmt.Sprintf("%d %d", notice.DeliveryCancelled, notice.DeliveryQueued); states != want {
		t.Errorf("the deliveries are %s, want %s: the earlier one cancelled", states, want)
	}
}

// neither wants the mailboxes that no notice reached counted in the status of the notice, and so many of its rows.
func (d *desk) neither(want int) {
	d.t.Helper()
	st, err := d.Status(d.t.Context(), d.ref)
	d.must(err)
	r, err := d.Report(d.t.Context(), d.ref)
	d.must(err)
	rows := 0
	d.must(d.EachDelivery(d.t.Context(), d.id, nil, func(row notice.Delivery) error {
		if strings.HasSuffix(row.Reason, notice.ReasonReachedByNeither) {
			rows++
		}
		return nil
	}))
	if st.State.Finished() == (st.ReachedByNeither == nil) {
		d.t.Errorf("notice %s is %s, and its count is %v", d.ref, st.State, st.ReachedByNeither)
	}
	if st.ReachedByNeither == nil {
		st.ReachedByNeither = r.Notices[0].ReachedByNeither
	}
	if got := [3]int{*st.ReachedByNeither, *r.Notices[0].ReachedByNeither, rows}; got != [3]int{want, want, want} {
		d.t.Errorf("notice %s: by its status, by its report and by its rows %v mailboxes were reached by neither notice, want %d", d.ref, got, want)
	}
}

// TestAMailboxThatNeitherNoticeReachedIsCounted in three phases of which the second is superseded too, and once in the incident.
func TestAMailboxThatNeitherNoticeReachedIsCounted(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(5)
	ids := map[string]int64{}
	send := func(phase string) {
		d.send(notice.Body{Key: phase, Incident: "i", Phase: phase})
		ids[phase] = d.id
	}
	want := func(phase string, n int) { t.Helper(); d.on(ids[phase], phase); d.neither(n) }
	send("investigating")
	d.attempt(0, notice.DeliverySent, 1, notice.DeliveryFailed)
	want("investigating", 0)
	send("identified")
	want("identified", 0)
	send("resolved")
	want("resolved", 0)
	c := d.claim("w")
	for seq, state := range []notice.DeliveryState{notice.DeliveryFailed, notice.DeliveryFailed, notice.DeliverySent, notice.DeliveryUncertain, notice.DeliveryFailed} {
		d.mark(attempt(c, seq))
		d.answer(attempt(c, seq), state, 550)
	}
	d.closeChunk(c)
	// The mailboxes 0 and 1 lack the second and the third phase, of which the second was superseded; 4 lacks all three.
	want("investigating", 1)
	want("identified", 3)
	want("resolved", 3)
	incident := func(want int) {
		t.Helper()
		r, err := d.IncidentReport(t.Context(), "i")
		d.must(err)
		if r.ReachedByNeither != want {
			t.Errorf("of the incident %d mailboxes are counted, want %d", r.ReachedByNeither, want)
		}
	}
	incident(3)
	d.on(ids["identified"], "identified")
	if done := d.requeue("c5@example.com"); done.Changed != 1 {
		t.Errorf("requeued %+v", done)
	}
	want("investigating", 0) // it is owed the second phase again
	want("identified", 2)
	want("resolved", 2)
	incident(2)
	send("postmortem")
	want("resolved", 0)
	d.must(d.Cancel(t.Context(), ids["postmortem"], "ann"))
	want("postmortem", 3) // all but the mailbox that has the third phase, and the one that may have it
	incident(3)
}

// TestTheMailboxDecidesWhatIsOldNews, not the customer: one who has moved has the later news at the new mailbox. A mailbox
// that two share has it when one of them is on its audience.
func TestTheMailboxDecidesWhatIsOldNews(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(3)
	d.exec(`UPDATE customer SET email = 'c1@example.com', email_key = 'c1@example.com' WHERE id = 'c2'`) // one mailbox of two
	sendFirst(d)
	first := d.id
	d.wantCounts(map[string]int{"queued": 2})
	d.exec(`UPDATE customer SET email = 'new@example.com', email_key = 'new@example.com' WHERE id = 'c3'`)
	d.sendTo(notice.Body{Key: "second", Incident: "i", Phase: "resolved"}, ledger.Choice{Customers: []string{"c2", "c3"}})
	d.deliver()
	d.wantCounts(map[string]int{"sent": 2})
	d.on(first, "first")
	d.wantCounts(map[string]int{"queued": 1, "cancelled": 1})
	if c := d.claim("w"); len(c.Due) != 1 || c.Due[0].Recipient.Address != "c3@example.com" {
		t.Errorf("due are %+v, want the mailbox that the customer has left, which gets no other news", c.Due)
	}
}
