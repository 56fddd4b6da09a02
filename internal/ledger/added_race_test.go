package ledger_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// TestAMailboxThatHasARowGetsNoOther, in whatever state that is, and though its customer was erased.
func TestAMailboxThatHasARowGetsNoOther(t *testing.T) {
	t.Parallel()
	d := release(t, 10)
	d.deliver()
	for seq, state := range notice.DeliveryStates {
		if state != notice.DeliverySent && state != notice.DeliverySending {
			d.exec(`UPDATE chunk SET sent = set_bit(sent, $1, 0)`, seq)
			d.exec(`INSERT INTO outcome (notice_id, seq, state, reason, epoch) SELECT notice_id, $1, $2, 'superseded', epoch FROM chunk`, seq, state)
		}
	}
	d.exec(`UPDATE chunk SET sent = set_bit(sent, 1, 0), dots = set_bit(dots, 1, 1)`)
	for seq, state := range notice.DeliveryStates {
		d.wantState(seq, state)
	}
	d.must(d.DeleteCustomer(t.Context(), "c9"))
	for i := range 10 {
		address := d.addresses()[min(i, 8)]
		if i == 9 {
			address = "c9@example.com"
		}
		if strings.HasPrefix(address, "c1@") {
			address = "c1@EXAMPLE.com"
		}
		if added := d.add("c1", address); added.Created || !added.Taken {
			t.Errorf("%s: %+v", address, added)
		}
	}
	if st, err := d.Status(t.Context(), "n1"); err != nil || st.Recipients != 10 || st.Added != 0 {
		t.Errorf("%+v, %v", st, err)
	}
}

// TestPressesAtOnceAddOneRow, by several people and in several spellings.
func TestPressesAtOnceAddOneRow(t *testing.T) {
	t.Parallel()
	for range 8 {
		d := release(t, 2)
		spellings := []string{"Night@X.example", "night@x.example", "NIGHT@x.example", "night@X.EXAMPLE"}
		results := make([]ledger.Added, 8)
		errs := make([]error, 8)
		var all sync.WaitGroup
		for i := range results {
			all.Go(func() {
				results[i], errs[i] = d.AddRecipient(context.Background(), d.id, elsewhere([]string{"c1", "c2"}[i%2], spellings[i/2]), "support")
			})
		}
		all.Wait()
		created, by := 0, 0
		for i, r := range results {
			d.must(errs[i])
			if r.Created {
				created, by = created+1, i%2
			}
		}
		for i, r := range results {
			if r.Taken != (i%2 != by) || r.Seq != 2 {
				t.Errorf("press %d: %+v", i, r)
			}
		}
		if d.wantCounts(map[string]int{"queued": 3}); created != 1 {
			t.Errorf("%d rows were added", created)
		}
	}
}

// TestAnAdditionMeetsTheEndOfItsNotice: a notice that is called sent owes nothing.
func TestAnAdditionMeetsTheEndOfItsNotice(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(1)
	for round := range 40 {
		d.send(notice.Body{Key: fmt.Sprintf("n%d", round), Incident: fmt.Sprint(round)})
		c := d.claim("w")
		d.mark(attempt(c, 0))
		d.answer(attempt(c, 0), notice.DeliverySent, 250)
		var all sync.WaitGroup
		all.Go(func() { d.closeChunk(c) })
		all.Go(func() { d.must(d.Finish(context.Background(), d.id)) })
		all.Go(func() { d.addNew("c1", "other@x.example") })
		all.Wait()
		d.wantNotice(notice.Sending)
		w, err := d.Sweep(t.Context())
		d.must(err)
		if len(w.Chunks) != 1 {
			t.Fatalf("round %d: the sweep brings %+v", round, w)
		}
		d.deliverTo(1)
		d.wantNotice(notice.Sent)
	}
}

// TestAnAdditionIsNoOldNews: a mailbox that has the later notice can't be added to the earlier one. One that is added to the later one
// supersedes.
func TestAnAdditionIsNoOldNews(t *testing.T) {
	t.Parallel()
	two := func(t *testing.T) *news {
		d := release(t, 2)
		d.exec(`UPDATE notice SET state = 'cancelled'`)
		d.send(notice.Body{Key: "first", Incident: "i"})
		n := &news{desk: d, a: d.id, aRef: d.ref}
		n.sendTo(notice.Body{Key: "second", Incident: "i", Phase: "resolved"}, ledger.Choice{Filter: column("id", notice.FilterEq, "c1")})
		n.b, n.bRef = n.id, n.ref
		return n
	}
	n := two(t)
	seq := n.addNew("c1", "other@x.example") // to the later one
	n.earlier()
	if _, err := n.AddRecipient(t.Context(), n.id, elsewhere("c2", "other@x.example"), "support"); notice.CodeOf(err) != notice.CodeConflict ||
		!strings.Contains(err.Error(), "notice second, a later one") {
		t.Errorf("old news: %v", err)
	}
	n.later()
	c := n.claimOf(seq)
	n.mark(attempt(c, seq))
	n.answer(attempt(c, seq), notice.DeliveryFailed, 550)
	n.closeChunk(c)
	n.earlier()
	n.addNew("c2", "other@x.example") // the later one reaches nobody there

	n = two(t)
	n.earlier()
	n.wantState(1, notice.DeliveryQueued)
	n.later()
	n.addNew("c1", "c2@example.com")
	n.earlier()
	n.wantState(1, notice.DeliveryCancelled)

	n = two(t)
	n.earlier()
	c = n.claim("w")
	n.mark(attempt(c, 1))
	n.later()
	seq = n.addNew("c1", "c2@example.com")
	if later := n.claimOf(seq); len(later.Due) > 0 {
		t.Errorf("a dot of the earlier notice may come, and %+v is due", later.Due)
	}
	n.earlier()
	n.answer(attempt(c, 1), notice.DeliveryDeferred, 451)
	n.closeChunk(c)
	n.wantState(1, notice.DeliveryCancelled)
}

// TestAdditionsToTwoNoticesAtOnce see each other.
func TestAdditionsToTwoNoticesAtOnce(t *testing.T) {
	t.Parallel()
	n := before(t, sendFirst)
	n.overtake()
	for round := range 30 {
		address := fmt.Sprintf("other%d@x.example", round)
		var all sync.WaitGroup
		var first, second error
		all.Go(func() { _, first = n.AddRecipient(context.Background(), n.a, elsewhere("c1", address), "ann") })
		all.Go(func() { _, second = n.AddRecipient(context.Background(), n.b, elsewhere("c1", address), "bob") })
		all.Wait()
		n.must(second)
		var owed int
		n.must(n.pool.QueryRow(t.Context(), `SELECT count(*) FROM delivery WHERE address_key = $1 AND state = 0`, address).Scan(&owed))
		if owed != 1 || first != nil && notice.CodeOf(first) != notice.CodeConflict {
			t.Fatalf("%d mails are owed, %v", owed, first)
		}
	}
}

// TestAnErasureCoversAddedRows, and leaves those of others who share the customer's own.
func TestAnErasureCoversAddedRows(t *testing.T) {
	t.Parallel()
	d := annaAndBob(t)
	d.moveAnnaInWithBob()
	d.send(notice.Body{Key: "n1"})
	seq, second := d.addNew("anna-1", "Anna.Home@x.example"), d.addNew("anna-1", "Anna.Work@x.example")
	if c := d.claimOf(second); len(c.Due) != 1 || len(c.Due[0].Recipient.Customers) != 1 || c.Due[0].Recipient.Customers[0].ID != "anna-1" {
		t.Errorf("a row that was added for one of two: %+v", c.Due)
	} else {
		d.mark(attempt(c, second))
		d.record(ledger.Outcome{Attempt: attempt(c, second), State: notice.DeliveryUncertain, Heard: time.Now(),
			Answer: notice.Answer{Text: "lost <Anna.Work@x.example>"}})
		d.closeChunk(c)
	}
	d.must(d.DeleteCustomer(t.Context(), "anna-1"))
	d.wantGone("anna", "Anna", "axolotl", "Work@", "home@")
	d.wantState(seq, notice.DeliveryCancelled)
	d.wantCounts(map[string]int{"queued": 2, "cancelled": 1, "uncertain": 1})
	c := d.claimOf(0)
	for _, due := range c.Due {
		if len(due.Recipient.Customers) != 1 {
			t.Errorf("%+v", due)
		}
	}
	if len(c.Due) != 2 {
		t.Errorf("%+v is due", c.Due)
	}
	d.closeChunk(c)
	// The mailbox may have had its mail: nobody gets a second one there.
	for _, address := range []string{"Anna.Home@x.example", "anna.work@x.example"} {
		if added := d.add("bob-2", address); added.Created || !added.Taken {
			t.Errorf("the mailbox of an erased row: %+v", added)
		}
	}
	d.wantGone("anna", "Anna")
}

// TestAnErasedMailboxHasItsRowInAmendments: the row that an amendment takes over counts for the mailbox.
func TestAnErasedMailboxHasItsRowInAmendments(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(2)
	d.send(notice.Body{Key: "n1"})
	d.must(d.DeleteCustomer(t.Context(), "c2"))
	for _, n := range []string{"n2 n1", "n3 n2"} {
		key, amends, _ := strings.Cut(n, " ")
		d.amend(key, amends)
		if added := d.add("c1", "c2@example.com"); added.Created || !added.Taken {
			t.Errorf("the mailbox of a row that %s took over: %+v", key, added)
		}
	}
}

// TestAnErasureMeetsAnAddition: whichever comes first, nothing of the customer is left.
func TestAnErasureMeetsAnAddition(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(20)
	d.send(notice.Body{Key: "n1"})
	for i := range 20 {
		id, address := fmt.Sprintf("c%d", i+1), fmt.Sprintf("home%d@x.example", i)
		var both sync.WaitGroup
		var added ledger.Added
		var err error
		both.Go(func() { added, err = d.AddRecipient(context.Background(), d.id, elsewhere(id, address), "support") })
		both.Go(func() { d.must(d.DeleteCustomer(context.Background(), id)) })
		both.Wait()
		if (err == nil) != added.Created || err != nil && notice.CodeOf(err) == "" {
			t.Errorf("%+v, %v", added, err)
		}
	}
	d.wantGone("@x.example", "@example.com")
}

// TestRetentionCoversAddedRows: their counts stay.
func TestRetentionCoversAddedRows(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	d.deliver()
	d.deliverTo(d.addNew("c1", "other@x.example"))
	d.age("2 years")
	if n := d.drop(); n != 3 {
		t.Errorf("%d rows were dropped", n)
	}
	d.wantRows(0, `SELECT count(*) FROM added`)
	d.wantGone("other@x.example")
	d.wantCounts(map[string]int{"sent": 3})
	if st, err := d.Status(t.Context(), "n1"); err != nil || st.Recipients != 3 || st.Added != 1 || st.Customers != 2 {
		t.Errorf("%+v, %v", st, err)
	}
}
