package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

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
	want := map[string]bool{"c1@example.com": false, "c2@example.com": true, "c3@example.com": false, "n1@example.com": true}
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
	if d.must(err); st.Newcomers != 2 {
		t.Errorf("%d newcomers", st.Newcomers)
	}
	d.must(d.announce(maintenance("other", "scheduled", start)))
	if st, err = d.Status(ctx, "other"); st.Newcomers != 0 || err != nil {
		t.Errorf("an announcement has %d newcomers: %v", st.Newcomers, err)
	}
}
