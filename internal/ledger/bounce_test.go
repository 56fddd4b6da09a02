package ledger_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// returned is a bounce of an attempt.
func returned(a ledger.Attempt, class notice.BounceClass) ledger.Returned {
	return ledger.Returned{NoticeID: a.NoticeID, Seq: a.Seq, Epoch: a.Epoch, Kind: notice.KindBounce, Class: class, Code: 550, Status: "5.0.0",
		Diagnostic: "550 it did not arrive", Remote: "mx.example.com"}
}

func (d *desk) comesBack(r ledger.Returned, want notice.BounceEffect) {
	d.t.Helper()
	got, err := d.Return(d.t.Context(), r)
	d.must(err)
	want.Notice, want.Seq = d.ref, r.Seq
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("%s of attempt %d (-want +got):\n%s", r.Kind, r.Epoch, diff)
	}
}

func TestABounceEndsTheAttemptThatItIsAbout(t *testing.T) {
	t.Parallel()
	d := release(t, 6)
	c := d.claim("a worker")
	const sent, uncertain, deferred, failed, marked, queued = 0, 1, 2, 3, 4, 5
	for seq := range queued {
		d.mark(attempt(c, seq))
	}
	d.answer(attempt(c, sent), notice.DeliverySent, 250)
	d.answer(attempt(c, uncertain), notice.DeliveryUncertain, 0)
	d.answer(attempt(c, deferred), notice.DeliveryDeferred, 450)
	d.answer(attempt(c, failed), notice.DeliveryFailed, 550)

	older := attempt(c, sent)
	older.Epoch--
	d.comesBack(returned(older, notice.BounceFull), notice.BounceEffect{State: notice.DeliverySent})
	for seq, s := range map[int]notice.DeliveryState{deferred: notice.DeliveryDeferred, failed: notice.DeliveryFailed,
		marked: notice.DeliverySending, queued: notice.DeliveryQueued} {
		d.comesBack(returned(attempt(c, seq), notice.BounceFull), notice.BounceEffect{State: s})
	}
	for _, seq := range []int{sent, uncertain} {
		d.comesBack(returned(attempt(c, seq), notice.BounceFull), notice.BounceEffect{State: notice.DeliveryBounced, Changed: true})
		d.comesBack(returned(attempt(c, seq), notice.BounceFull), notice.BounceEffect{State: notice.DeliveryBounced, Repeated: true})
	}
	// Nothing that comes later has it owed again, or sent.
	d.answer(attempt(c, uncertain), notice.DeliveryFailed, 550)
	d.answer(attempt(c, uncertain), notice.DeliverySent, 250)
	d.answer(attempt(c, marked), notice.DeliverySent, 250)
	d.closeChunk(c)
	d.wantCounts(map[string]int{"bounced": 2, "deferred": 1, "failed": 1, "sent": 1, "queued": 1})
	done, err := d.Settle(t.Context(), d.id, notice.Settlement{Requeue: true, Address: "c1@example.com"}, "c1@example.com", "ada")
	if err != nil || done.Changed != 0 || len(done.Reasons) != 1 || done.Reasons[0] != "it is bounced" {
		t.Errorf("a requeue: %+v, %v", done, err)
	}

	got, err := d.History(t.Context(), "c1", "")
	d.must(err)
	e := got[0].Delivery
	if e.State != notice.DeliveryBounced || e.Reason != string(notice.BounceFull) || e.SMTPText != "550 it did not arrive" || e.Relay != "main" || e.SentAt == nil ||
		e.Attempts != 1 || len(e.Returned) != 2 || !e.Returned[0].Changed || e.Returned[1].Changed || e.Returned[0].Remote != "mx.example.com" {
		t.Errorf("the history shows %+v", e)
	}
}

func TestAnAttemptIsUnderWayUntilItsAnswerIsRecorded(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	c := d.claim("a worker")
	for seq := range 2 {
		d.mark(attempt(c, seq))
	}
	d.answer(attempt(c, 1), notice.DeliverySent, 250)
	older, unnamed, unknown := attempt(c, 0), attempt(c, 0), attempt(c, 0)
	older.Epoch--
	unnamed.Epoch = 0
	unknown.NoticeID += 100
	for name, tt := range map[string]struct {
		of   ledger.Attempt
		want bool
	}{
		"a marked one": {attempt(c, 0), true}, "the last one, marked": {unnamed, true}, "an older one": {older, false}, "a sent one": {attempt(c, 1), false},
		"one that was not begun": {attempt(c, 2), false}, "one of no notice": {unknown, false},
	} {
		if got, err := d.UnderWay(t.Context(), returned(tt.of, notice.BounceFull)); err != nil || got != tt.want {
			t.Errorf("%s: %t, %v", name, got, err)
		}
	}
}

func TestABounceOfAnEarlierAttemptDoesNotTouchTheLaterOne(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	first := d.claim("a worker that dies")
	d.mark(attempt(first, 0))
	d.loseLease()
	second := d.claim("a worker")
	d.closeChunk(second)
	d.wantState(0, notice.DeliveryUncertain)
	d.exec(`UPDATE outcome SET at = at - interval '1 day'`)
	_, err := d.Settle(t.Context(), d.id, notice.Settlement{Requeue: true, Address: "c1@example.com"}, "c1@example.com", "ada")
	d.must(err)
	third := d.claim("a worker")
	d.comesBack(returned(attempt(first, 0), notice.BounceNoMailbox), notice.BounceEffect{State: notice.DeliveryQueued})
	d.mark(attempt(third, 0))
	d.answer(attempt(third, 0), notice.DeliverySent, 250)
	d.closeChunk(third)
	d.wantState(0, notice.DeliverySent)
	untold := returned(attempt(third, 0), notice.BounceNoMailbox)
	untold.Epoch = 0
	d.comesBack(untold, notice.BounceEffect{State: notice.DeliverySent})
	d.comesBack(returned(attempt(third, 0), notice.BounceNoMailbox),
		notice.BounceEffect{State: notice.DeliveryBounced, Changed: true, Suppressed: true})
	d.wantCounts(map[string]int{"bounced": 1})
}

func TestAMailboxIsSuppressedWhenItsNoticesComeBack(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		back []notice.BounceClass // by notice; "" = the mail arrived
		want bool
	}{
		{"no such mailbox", []notice.BounceClass{notice.BounceNoMailbox}, true},
		{"two that were full", []notice.BounceClass{notice.BounceFull, notice.BounceFull}, false},
		{"three that failed", []notice.BounceClass{notice.BounceFull, notice.BounceOther, notice.BounceFull}, true},
		{"one between them arrived", []notice.BounceClass{notice.BounceFull, notice.BounceFull, "", notice.BounceFull, notice.BounceFull}, false},
		{"refusals by policy", []notice.BounceClass{notice.BouncePolicy, notice.BouncePolicy, notice.BouncePolicy, notice.BouncePolicy}, false},
		{"passing trouble", []notice.BounceClass{notice.BounceTransient, notice.BounceTransient, notice.BounceTransient}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := release(t, 1)
			var e notice.BounceEffect
			for i, class := range tt.back {
				if i > 0 {
					d.send(notice.Body{Key: fmt.Sprintf("n%d", i+1)})
				}
				c := d.claim("a worker")
				d.mark(attempt(c, 0))
				d.answer(attempt(c, 0), notice.DeliverySent, 250)
				d.closeChunk(c)
				if class == "" {
					continue
				}
				if e.Suppressed {
					t.Fatalf("it was suppressed before notice %d", i+1)
				}
				var err error
				e, err = d.Return(t.Context(), returned(attempt(c, 0), class))
				d.must(err)
			}
			list, err := d.Suppressions(t.Context(), 0, 10)
			d.must(err)
			if e.Suppressed != tt.want || tt.want != (len(list) == 1 && list[0].Address == "c1@example.com" && list[0].Reason == notice.SuppressedBounced) {
				t.Errorf("suppressed: %t, and the list is %+v; want %t", e.Suppressed, list, tt.want)
			}
		})
	}
}

func TestADeliveryIsNotedBesideThe250(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	c := d.claim("a worker")
	d.mark(attempt(c, 0))
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	d.closeChunk(c)
	r := ledger.Returned{NoticeID: d.id, Kind: notice.KindDelay, Diagnostic: "452 later"}
	d.comesBack(r, notice.BounceEffect{State: notice.DeliverySent})
	r = ledger.Returned{NoticeID: d.id, Kind: notice.KindDelivery, Remote: "mx.example.com"}
	d.comesBack(r, notice.BounceEffect{State: notice.DeliverySent})
	d.wantCounts(map[string]int{"sent": 1})
	got, err := d.History(t.Context(), "c1", "")
	d.must(err)
	if e := got[0].Delivery; e.DeliveredAt == nil || e.DeliveredBy != "mx.example.com" || e.SMTPText != "answer" || len(e.Returned) != 2 || e.Attempts != 1 {
		t.Errorf("the history shows %+v", e)
	}
	d.comesBack(returned(attempt(c, 0), notice.BounceOther), notice.BounceEffect{State: notice.DeliveryBounced, Changed: true})
	d.wantCounts(map[string]int{"bounced": 1})
	d.must(d.DeleteCustomer(t.Context(), "c1"))
	var words int
	d.must(d.pool.QueryRow(t.Context(), `SELECT count(*) FROM bounce WHERE diagnostic <> ''`).Scan(&words))
	if words != 0 {
		t.Errorf("%d reports keep their words after the erasure", words)
	}
	if _, err := d.Return(t.Context(), ledger.Returned{NoticeID: d.id, Seq: 7, Kind: notice.KindBounce}); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("a delivery that is not there: %v", err)
	}
}

func TestANoticeOfWhichTooMuchComesBackIsHeld(t *testing.T) {
	t.Parallel()
	d := release(t, 160)
	c := d.claim("a worker")
	for seq := range 120 {
		d.mark(attempt(c, seq))
		d.answer(attempt(c, seq), notice.DeliverySent, 250)
	}
	back := func(from, to int) {
		t.Helper()
		for seq := from; seq < to; seq++ {
			e, err := d.Return(t.Context(), returned(attempt(c, seq), notice.BouncePolicy))
			d.must(err)
			if e.Held != (seq == to-1) {
				t.Errorf("bounce %d: held is %t", seq, e.Held)
			}
		}
		d.wantNotice(notice.Held)
	}
	back(0, 50)
	st, err := d.Status(t.Context(), d.ref)
	if d.must(err); st.Reason != "refused: 50 of 120 mails came back, the last one with class policy" {
		t.Errorf("the reason is %q", st.Reason)
	}
	d.must(d.Resume(t.Context(), d.id, false, "ada"))
	d.wantNotice(notice.Sending)
	back(50, 100) // as many again
	d.must(d.Resume(t.Context(), d.id, false, "ada"))
	d.closeChunk(c)
	d.wantCounts(map[string]int{"bounced": 100, "sent": 20, "queued": 40})
}

// TestAComplaintSuppressesAllButUrgentNotices once, and a report that nobody's reader made suppresses nothing.
func TestAComplaintSuppressesAllButUrgentNotices(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	c := d.claim("a worker")
	for seq := range 2 {
		d.mark(attempt(c, seq))
		d.answer(attempt(c, seq), notice.DeliverySent, 250)
	}
	complaint := ledger.Returned{NoticeID: d.id, Seq: 0, Epoch: c.Epoch, Kind: notice.KindComplaint, Complains: true}
	d.comesBack(complaint, notice.BounceEffect{State: notice.DeliverySent, Suppressed: true})
	d.comesBack(complaint, notice.BounceEffect{State: notice.DeliverySent, Repeated: true})
	d.comesBack(ledger.Returned{NoticeID: d.id, Seq: 1, Epoch: c.Epoch, Kind: notice.KindComplaint}, notice.BounceEffect{State: notice.DeliverySent})
	list, err := d.Suppressions(t.Context(), 0, 10)
	if err != nil || len(list) != 1 || list[0].Reason != notice.SuppressedComplaint || list[0].Scope != notice.ScopeNotUrgent || list[0].AddedBy != notice.System {
		t.Errorf("the list is %+v, %v", list, err)
	}
	var acts int
	d.must(d.pool.QueryRow(t.Context(), `SELECT count(*) FROM act WHERE notice_id = $1 AND what = 'complaint'`, d.id).Scan(&acts))
	if acts != 1 {
		t.Errorf("%d acts", acts)
	}
	for kind, want := range map[notice.Kind]int{notice.Outage: 0, notice.Advisory: 1} {
		p, err := d.Plan(t.Context(), all(notice.Body{Kind: kind}))
		if err != nil || p.Suppressed[notice.ReasonSuppressionList] != want {
			t.Errorf("%s: %+v, %v", kind, p.Suppressed, err)
		}
	}
	// A mailbox that is dead is suppressed for all, whichever came first.
	d.comesBack(returned(attempt(c, 0), notice.BounceNoMailbox), notice.BounceEffect{State: notice.DeliveryBounced, Changed: true, Suppressed: true})
	if list, err = d.Suppressions(t.Context(), 0, 10); err != nil || len(list) != 1 || list[0].Scope != notice.ScopeAll {
		t.Errorf("the list is %+v, %v", list, err)
	}
}
