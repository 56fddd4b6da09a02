package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// TestANewcomerToAMovedMaintenanceIsFrozenAsOne: nothing with the old windows went to any customer of the mailbox, nor may have.
func TestANewcomerToAMovedMaintenanceIsFrozenAsOne(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	d.customers(3)
	start := time.Now().Add(100 * time.Hour).UTC()
	d.must(d.announce(maintenance("k", "scheduled", start)))
	d.at("k")
	c := d.claim("w")
	for seq, state := range []notice.DeliveryState{notice.DeliverySent, notice.DeliveryFailed} {
		if !d.mark(attempt(c, seq)) {
			t.Fatal("no mark")
		}
		code := map[notice.DeliveryState]int{notice.DeliverySent: 250, notice.DeliveryFailed: 550}[state]
		d.answer(attempt(c, seq), state, code)
	}
	d.exec(`INSERT INTO customer (id, name, email, email_key) VALUES ('n1', '', 'n1@example.com', 'n1@example.com'), ('n2', '', 'c1@example.com', 'c1@example.com')`)
	moved := maintenance("moved", "rescheduled", start.Add(time.Hour))
	d.must(d.announce(moved))
	want := map[string]bool{"c1@example.com": false, "c2@example.com": true, "c3@example.com": true, "n1@example.com": true} // c3 was owed it
	id := d.at("moved")
	d.sweep()
	got := map[string]bool{}
	for _, due := range d.claim("w2").Due {
		got[due.Recipient.Address] = due.Recipient.Newcomer
		k, err := d.Message(ctx, id, due.Seq)
		if d.must(err); k.Due.Recipient.Newcomer != due.Recipient.Newcomer {
			t.Errorf("delivery %d is shown as of another reader", due.Seq)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("newcomers (-want +got):\n%s", diff)
	}
	st, err := d.Status(ctx, "moved")
	if d.must(err); st.Newcomers != 3 {
		t.Errorf("%d newcomers", st.Newcomers)
	}
	d.must(d.announce(maintenance("other", "scheduled", start)))
	if st, err = d.Status(ctx, "other"); st.Newcomers != 0 || err != nil {
		t.Errorf("an announcement has %d newcomers: %v", st.Newcomers, err)
	}
}

// movedPins number the mail of each kind of reader.
type movedPins struct{ amendPins }

func (movedPins) Number(r notice.Recipient, _ string) int {
	if r.Newcomer {
		return 2
	}
	return 1
}

func (movedPins) Correction(notice.Recipient, string) int { return 0 }

// TestWhoIsOwedTheOldWindowsIsANewcomerUnlessTheyMayHaveArrived: that is known when the notice begins which stops them, and an amendment keeps to it.
func TestWhoIsOwedTheOldWindowsIsANewcomerUnlessTheyMayHaveArrived(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	d.customers(6)
	start := time.Now().Add(100 * time.Hour).UTC()
	d.must(d.announce(maintenance("k", "scheduled", start)))
	k := d.at("k")
	c := d.claim("w")
	for seq, state := range map[int]notice.DeliveryState{0: notice.DeliverySent, 1: notice.DeliveryDeferred, 5: notice.DeliveryUncertain} {
		d.mark(attempt(c, seq))
		d.answer(attempt(c, seq), state, 0)
	}
	d.exec(`UPDATE outcome SET state = 3, unresolved = epoch WHERE notice_id = $1 AND state = 5`, k) // it was requeued, and refused
	b := maintenance("moved", "rescheduled", start.Add(time.Hour))
	id, _, err := d.PutDraft(ctx, ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "op"})
	d.must(err)
	a := all(b)
	a.Choice, a.Pins = ledger.Choice{Notice: k}, movedPins{}
	also := 0
	a.Also = func(r notice.Recipient, _ string) error {
		if also++; !r.Newcomer {
			t.Error("a mail of a newcomer is looked at as one of another reader")
		}
		return nil
	}
	plan, err := d.Freeze(ctx, id, a)
	if d.must(err); plan.Recipients != 6 || plan.Newcomers != 0 || plan.OwedOld != 4 || also != 4 {
		t.Errorf("the plan: %+v, and %d mails of newcomers", plan, also)
	}
	d.mark(attempt(c, 2)) // they leave, or may, before the other begins
	d.answer(attempt(c, 2), notice.DeliverySent, 250)
	d.mark(attempt(c, 3))
	d.on(id, "moved")
	d.wantTaken(plan.Digest)
	want := []string{"old 1", "new 2", "old 1", "old 1", "new 2", "old 1"}
	wantReaders := func(want []string) {
		t.Helper()
		d.exec(`UPDATE outcome SET due_at = clock_timestamp() WHERE notice_id = $1 AND state = 0`, d.id)
		d.exec(`UPDATE chunk SET due_at = clock_timestamp() WHERE notice_id = $1`, d.id)
		claim, got := d.claim("w2"), make([]string, 6)
		for _, due := range claim.Due {
			got[due.Seq] = fmt.Sprintf("%s %d", map[bool]string{true: "new", false: "old"}[due.Recipient.Newcomer], due.Mail)
			m, err := d.Message(ctx, d.id, due.Seq)
			if d.must(err); m.Due.Recipient.Newcomer != due.Recipient.Newcomer || m.Due.Mail != due.Mail || m.Due.Corrects != due.Corrects {
				t.Errorf("delivery %d is shown as %+v, and was claimed as %+v", due.Seq, m.Due, due)
			}
		}
		d.closeChunk(claim)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("readers (-want +got):\n%s", diff)
		}
		if st, err := d.Status(ctx, d.ref); err != nil || st.Newcomers != 2 {
			t.Errorf("%d newcomers, %v", st.Newcomers, err)
		}
	}
	wantReaders(want)
	d.on(k, "k")
	d.wantCounts(map[string]int{"sent": 2, "cancelled": 2, "sending": 1, "uncertain": 1})
	amendment := b
	amendment.Key, amendment.Amends, amendment.Corrections = "amended", "moved", map[string]notice.Text{"en": {Subject: "correction", Body: "c"}}
	id, _, err = d.PutDraft(ctx, ledger.Draft{Body: amendment, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "op"})
	d.must(err)
	a = all(amendment)
	a.Amends, a.Pins = d.at("moved"), movedPins{}
	plan, err = d.Freeze(ctx, id, a)
	if d.must(err); plan.Newcomers != 2 || plan.OwedOld != 0 {
		t.Errorf("the plan of the amendment: %+v", plan)
	}
	d.on(id, "amended")
	d.wantTaken(plan.Digest)
	wantReaders(want)
}

// TestAnAmendmentOfWhatHasNotBegunFindsItsNewcomers: the notice was held before it could supersede the old windows.
func TestAnAmendmentOfWhatHasNotBegunFindsItsNewcomers(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	d.customers(2)
	start := time.Now().Add(100 * time.Hour).UTC()
	d.must(d.announce(maintenance("k", "scheduled", start)))
	until := time.Now().Add(time.Hour)
	h, err := d.AddHold(ctx, notice.Hold{Until: &until}, "op")
	d.must(err)
	b := maintenance("moved", "rescheduled", start.Add(time.Hour))
	d.must(d.announce(b))
	b.Key, b.Amends, b.Corrections = "amended", "moved", map[string]notice.Text{"en": {Subject: "correction", Body: "c"}}
	id, _, err := d.PutDraft(ctx, ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "op"})
	d.must(err)
	a := all(b)
	a.Amends, a.Pins = d.at("moved"), movedPins{}
	plan, err := d.Freeze(ctx, id, a)
	if d.must(err); plan.OwedOld != 2 {
		t.Errorf("the plan of the amendment: %+v", plan)
	}
	d.on(id, "amended")
	d.wantTaken(plan.Digest)
	_, err = d.RemoveHold(ctx, h.Number, "op")
	d.must(err)
	d.sweep()
	d.wantNotice(notice.Sending)
	c := d.claim("w")
	if len(c.Due) != 2 {
		t.Fatalf("%d are due", len(c.Due))
	}
	for _, due := range c.Due {
		if !due.Recipient.Newcomer || due.Mail != 0 || due.Corrects {
			t.Errorf("%+v is due, and nothing went there", due)
		}
	}
}
