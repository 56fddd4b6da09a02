package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// amendPins number the plain mail 1 and the correction 2.
type amendPins struct{}

func (amendPins) Number(notice.Recipient, string) int     { return 1 }
func (amendPins) Correction(notice.Recipient, string) int { return 2 }
func (amendPins) Encoded() [][]byte                       { return [][]byte{[]byte("plain"), []byte("correction")} }

// amendment returns the audience of a notice that amends another one.
func (d *desk) amendment(key, amends string) ledger.Audience {
	d.t.Helper()
	b := notice.Body{Key: key, Incident: "n1", Kind: notice.Outage, Phase: "identified", DefaultLanguage: "en", Amends: amends,
		Corrections: map[string]notice.Text{"en": {Subject: "correction", Body: "c"}}}
	id, _, err := d.PutDraft(d.t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "op"})
	d.must(err)
	d.on(id, key)
	a := all(b)
	a.Pins = amendPins{}
	if a.Amends, err = d.Find(d.t.Context(), amends); err != nil {
		a.Amends = -1
	}
	return a
}

// amend stops a notice, and has the desk look at its amendment.
func (d *desk) amend(key, amends string) notice.Plan {
	d.t.Helper()
	plan, err := d.Freeze(d.t.Context(), d.draftOf(key, amends), d.amendment(key, amends))
	d.must(err)
	d.wantTaken(plan.Digest)
	return plan
}

func (d *desk) draftOf(key, amends string) int64 {
	d.amendment(key, amends)
	return d.id
}

// texts are those that are due of the notice, by seq: plain, correction, or the state of a row that is not due.
func (d *desk) texts() (all []string) {
	d.t.Helper()
	due := map[int]ledger.Due{}
	c := d.claim("texts")
	for _, x := range c.Due {
		due[x.Seq] = x
	}
	rows, err := d.Deliveries(d.t.Context(), d.id, notice.DeliveryPage{After: -1, Limit: 1000})
	d.must(err)
	for _, r := range rows {
		x, ok := due[r.Seq]
		switch {
		case !ok:
			all = append(all, strings.TrimSuffix(r.State.String()+" "+r.Reason, " "))
		case x.Corrects != (x.Mail == 2):
			d.t.Errorf("delivery %d has mail %d, and corrects: %v", r.Seq, x.Mail, x.Corrects)
		default:
			all = append(all, map[bool]string{true: "correction", false: "plain"}[x.Corrects])
		}
	}
	d.closeChunk(c)
	return all
}

// TestAnAmendmentGivesEachMailboxTheTextForWhatItMayHaveGot has a row in each state, and the row that follows in the amendment.
func TestAnAmendmentGivesEachMailboxTheTextForWhatItMayHaveGot(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(9)
	d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('none', '', '')`)
	d.send(notice.Body{Key: "n1"})
	first := d.id
	c := d.claim("w") // seq 0 has no address; the others follow by their addresses
	for seq, s := range map[int]notice.DeliveryState{1: notice.DeliverySent, 2: notice.DeliveryDeferred, 3: notice.DeliveryFailed, 4: notice.DeliveryUncertain, 5: notice.DeliverySent, 6: -1} {
		d.mark(attempt(c, seq))
		if s >= 0 {
			d.answer(attempt(c, seq), s, 0)
		}
	}
	_, err := d.Return(t.Context(), ledger.Returned{NoticeID: d.id, Seq: 5, Epoch: c.Epoch, Kind: notice.KindBounce, Class: notice.BouncePolicy})
	d.must(err)
	d.suppress("c8@example.com")
	d.must(d.DeleteCustomer(t.Context(), "c9"))
	d.wantCounts(map[string]int{"suppressed": 2, "sent": 1, "deferred": 1, "failed": 1, "uncertain": 1, "bounced": 1, "sending": 1, "queued": 1, "cancelled": 1})

	plan := d.amend("n2", "n1")
	if want := (&notice.Amending{Key: "n1", State: notice.Sending, Plain: 3, Corrections: 4}); !cmp.Equal(plan.Amends, want) {
		t.Errorf("the plan says %+v, want %+v", plan.Amends, want)
	}
	want := []string{"suppressed no_address", "correction", "plain", "plain", "correction", "correction", "queued", "plain", "suppressed suppression_list", "cancelled erased"}
	if diff := cmp.Diff(want, d.texts()); diff != "" {
		t.Errorf("texts (-want +got):\n%s", diff)
	}
	amendment := d.id
	d.on(first, "n1")
	d.wantNotice(notice.Cancelled)
	d.wantCounts(map[string]int{"suppressed": 2, "sent": 1, "failed": 1, "uncertain": 1, "bounced": 1, "sending": 1, "cancelled": 3})
	if d.mark(attempt(c, 7)) {
		t.Error("a mail of the stopped notice was marked")
	}
	rows, err := d.Deliveries(t.Context(), d.id, notice.DeliveryPage{After: 1, Limit: 1})
	d.must(err)
	if rows[0].State != notice.DeliveryCancelled || rows[0].Reason != notice.ReasonAmended {
		t.Errorf("what was owed is %s: %s", rows[0].State, rows[0].Reason)
	}
	// Late answers change the stopped notice alone.
	d.answer(attempt(c, 6), notice.DeliveryDeferred, 451)
	d.answer(attempt(c, 4), notice.DeliverySent, 250)
	d.answer(attempt(c, 3), notice.DeliverySent, 250)
	d.closeChunk(c)
	d.wantCounts(map[string]int{"suppressed": 2, "sent": 3, "bounced": 1, "cancelled": 4})
	d.on(amendment, "n2")
	d.exec(`UPDATE outcome SET due_at = clock_timestamp() WHERE notice_id = $1 AND state = 0`, d.id)
	d.exec(`UPDATE chunk SET due_at = clock_timestamp() WHERE notice_id = $1`, d.id)
	want[6] = "correction" // the mark that was open
	if diff := cmp.Diff(want, d.texts()); diff != "" {
		t.Errorf("texts after late answers (-want +got):\n%s", diff)
	}
	d.deliver()
	d.wantCounts(map[string]int{"suppressed": 2, "sent": 7, "cancelled": 1})
	st, err := d.Status(t.Context(), "n1")
	d.must(err)
	if st.AmendedBy != "n2" || st.Together == nil || !slices.Equal(st.Together.Keys, []string{"n1", "n2"}) || st.Together.Corrections != 4 || st.Together.Counts["sent"] != 10 {
		t.Errorf("the status of the stopped notice: %+v, %+v", st, st.Together)
	}
	if st, err = d.Status(t.Context(), "n2"); err != nil || st.Amends != "n1" || st.Together == nil || st.ByLanguage["en"] != 7 || st.Suppressed[notice.ReasonErased] != 1 || st.Suppressed[notice.ReasonNoAddress] != 1 {
		t.Errorf("the status of the amendment: %+v, %+v, %v", st, st.Together, err)
	}
}

// TestAnUnresolvedAttemptIsCorrected: the delivery is owed again, and its first attempt may have arrived all the same.
func TestAnUnresolvedAttemptIsCorrected(t *testing.T) {
	t.Parallel()
	d, _ := requeued(t)
	d.amend("n2", "n1")
	if got := d.texts(); !slices.Equal(got, []string{"correction"}) {
		t.Errorf("it gets %v", got)
	}
}

// TestAnAmendmentOfAnAmendment: a mailbox that got any earlier version, or may have, gets the correction.
func TestAnAmendmentOfAnAmendment(t *testing.T) {
	t.Parallel()
	d := release(t, 5)
	v1 := d.claim("w")
	for seq := range 3 {
		d.mark(attempt(v1, seq))
	}
	d.answer(attempt(v1, 0), notice.DeliverySent, 250)   // got version 1, and never the correction
	d.answer(attempt(v1, 1), notice.DeliverySent, 250)   // got both
	d.answer(attempt(v1, 2), notice.DeliveryFailed, 550) // its 250 comes when the first amendment is out
	d.closeChunk(v1)
	d.amend("n2", "n1")
	if got, want := d.texts(), []string{"correction", "correction", "plain", "plain", "plain"}; !slices.Equal(got, want) {
		t.Errorf("the first amendment: %v, want %v", got, want)
	}
	d.answer(attempt(v1, 2), notice.DeliverySent, 250)
	v2 := d.claim("w")
	for _, seq := range []int{1, 3} {
		d.mark(attempt(v2, seq))
		d.answer(attempt(v2, seq), notice.DeliverySent, 250)
	}
	d.closeChunk(v2)
	d.amend("n3", "n2")
	if got, want := d.texts(), []string{"correction", "correction", "correction", "correction", "plain"}; !slices.Equal(got, want) {
		t.Errorf("the second amendment: %v, want %v", got, want)
	}
	st, err := d.Status(t.Context(), "n1")
	d.must(err)
	if !slices.Equal(st.Together.Keys, []string{"n1", "n2", "n3"}) || st.Together.Corrections != 4 {
		t.Errorf("together: %+v", st.Together)
	}
}

func TestWhatCanNotBeAmended(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('none', '', '')`)
	later := notice.At(time.Now().Add(time.Hour))
	d.send(notice.Body{Key: "later", Incident: "n1", SendAt: later})
	d.send(notice.Body{Key: "cancelled", Incident: "n1"})
	d.must(d.Cancel(t.Context(), d.id, "op"))
	d.send(notice.Body{Key: "restored", Incident: "n1"})
	d.exec(`UPDATE notice SET state = 'held', reason = 'restored' WHERE id = $1`, d.id)
	d.sendTo(notice.Body{Key: "nobody", Incident: "n1"}, ledger.Choice{Customers: []string{"none"}})
	d.send(notice.Body{Key: "elsewhere"})
	d.amend("amendment", "n1")
	for amends, says := range map[string]string{
		"n1": `amended by "amendment" already`, "later": "take it back", "cancelled": "audience: {notice: cancelled", "restored": "--uncertain", "elsewhere": `of incident "elsewhere"`,
		"nobody": "there is nothing to amend", "another": "is a draft",
	} {
		if amends == "another" {
			d.amendment("another", "n1")
		}
		a := d.amendment("a."+amends, amends)
		plan, err := d.Freeze(t.Context(), d.id, a)
		if err == nil {
			_, err = d.Take(t.Context(), d.id, press(plan.Digest))
		}
		if notice.CodeOf(err) == "" || !strings.Contains(fmt.Sprint(err), says) {
			t.Errorf("%s: %v, want %q", amends, err, says)
		}
	}
}

// TestAPlanOfAnAmendmentStandsAsLongAsTheRows: it was taken from another plan of the notice that it amends.
func TestAPlanOfAnAmendmentStandsAsLongAsTheRows(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	first := d.id
	plan, err := d.Freeze(t.Context(), d.draftOf("n2", "n1"), d.amendment("n2", "n1"))
	d.must(err)
	d.exec(`UPDATE plan SET amends = amends + 1 WHERE notice_id = $1`, d.id)
	if _, err := d.Take(t.Context(), d.id, press(plan.Digest)); notice.CodeOf(err) != notice.CodePlanChanged {
		t.Errorf("it was taken: %v", err)
	}
	d.on(first, "n1")
	d.wantNotice(notice.Sending)
	d.wantCounts(map[string]int{"queued": 1})
}

// TestAnAmendmentTakesOverRowsThatWereAdded: they stand for nobody there either, the same press again finds them, and an erasure too.
func TestAnAmendmentTakesOverRowsThatWereAdded(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(3)
	d.send(notice.Body{Key: "n1"})
	d.deliver()
	seq := d.addNew("c2", "elsewhere@x.example")
	d.deliverTo(seq)
	for i, key := range []string{"amended", "again"} {
		before := []string{"n1", "amended"}[i]
		id, a := d.draftOf(key, before), d.amendment(key, before)
		plan, err := d.Freeze(t.Context(), id, a)
		d.must(err)
		if plan.Customers != 3 || plan.Recipients != 4 || plan.Amends.Corrections != 4 {
			t.Fatalf("the plan of %s: %+v, %+v", key, plan, plan.Amends)
		}
		drift, err := d.Drift(t.Context(), id, a, plan.Digest)
		if err != nil || drift == nil || drift.Added+drift.Lost+drift.Address+drift.Language != 0 {
			t.Errorf("%s differs from itself: %+v, %v", key, drift, err)
		}
		d.wantTaken(plan.Digest)
		if again := d.add("c2", "elsewhere@x.example"); again.Created || again.Taken || again.Seq != seq {
			t.Errorf("the same press again for %s: %+v", key, again)
		}
		h, err := d.History(t.Context(), "c2", "")
		if err != nil || len(h) != 2*(i+2) {
			t.Errorf("their history has %d rows, %v", len(h), err)
		}
	}
	d.must(d.DeleteCustomer(t.Context(), "c2"))
	d.wantGone("elsewhere@", "c2@", `"c2"`)
}
