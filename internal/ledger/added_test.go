package ledger_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

func elsewhere(customer, address string) ledger.Addition {
	return ledger.Addition{Customer: customer, Address: address, Key: strings.ToLower(address)}
}

// add adds a row for another address of a customer.
func (d *desk) add(customer, address string) ledger.Added {
	d.t.Helper()
	added, err := d.AddRecipient(d.t.Context(), d.id, elsewhere(customer, address), "support")
	d.must(err)
	return added
}

// addNew is add where the mailbox has no row yet.
func (d *desk) addNew(customer, address string) (seq int) {
	d.t.Helper()
	added := d.add(customer, address)
	if !added.Created || added.Taken {
		d.t.Fatalf("%s for %s: %+v", address, customer, added)
	}
	return added.Seq
}

// claimOf claims the chunk of a row.
func (d *desk) claimOf(seq int) ledger.Claim {
	d.t.Helper()
	var id int64
	d.must(d.pool.QueryRow(d.t.Context(), `SELECT id FROM chunk WHERE notice_id = $1 AND lo <= $2 AND hi > $2`, d.id, seq).Scan(&id))
	c, ok, err := d.Claim(d.t.Context(), id, "w")
	d.must(err)
	if !ok {
		d.t.Fatalf("the chunk of row %d was not given", seq)
	}
	return c
}

// deliverTo has the row of a chunk of its own sent.
func (d *desk) deliverTo(seq int) {
	d.t.Helper()
	c := d.claimOf(seq)
	if len(c.Due) != 1 || c.Due[0].Seq != seq || !d.mark(attempt(c, seq)) {
		d.t.Fatalf("row %d is not due: %+v", seq, c.Due)
	}
	d.answer(attempt(c, seq), notice.DeliverySent, 250)
	d.closeChunk(c)
}

// TestAFinishedNoticeIsSentToAnotherAddress, and is finished again.
func TestAFinishedNoticeIsSentToAnotherAddress(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	d.deliver()
	d.wantNotice(notice.Sent)
	d.exec(`UPDATE notice SET released_at = released_at - interval '3 days', began_at = began_at - interval '3 days'`)
	seq := d.addNew("c2", "Other@X.example")
	d.wantNotice(notice.Sending)
	d.wantCounts(map[string]int{"sent": 3, "queued": 1})
	if s, err := d.Standing(t.Context()); err != nil || s.OldestOwed > time.Hour {
		t.Errorf("the oldest mail is owed for %v, %v", s.OldestOwed, err)
	}
	c := d.claimOf(seq)
	due := c.Due[0]
	if len(c.Due) != 1 || due.Recipient.Address != "Other@X.example" || due.Text != "en" || len(due.Recipient.Customers) != 1 ||
		due.Recipient.Customers[0].Name != "Customer 2" || due.Waited > time.Hour {
		t.Errorf("%+v is due", c.Due)
	}
	d.mark(attempt(c, seq))
	d.answer(attempt(c, seq), notice.DeliverySent, 250)
	d.closeChunk(c)
	d.wantNotice(notice.Sent)
	d.wantCounts(map[string]int{"sent": 4})
	st, err := d.Status(t.Context(), "n1")
	if err != nil || st.Customers != 3 || st.Recipients != 4 || st.Added != 1 || st.ByLanguage["en"] != 4 {
		t.Errorf("%+v, %v", st, err)
	}
	for text, want := range map[string]int{"c2": 2, "c2@example.com": 2, "other@x.example": 1, "c1": 1} {
		key := ""
		if strings.Contains(text, "@") {
			key = text
		}
		h, err := d.History(t.Context(), text, key)
		d.must(err)
		if last := h[len(h)-1].Delivery; len(h) != want || (last.Reason == "added") != (text != "c1") || (last.AddedBy == "support") != (text != "c1") {
			t.Errorf("the history of %s: %+v", text, h)
		}
	}
	if again := d.add("c2", "other@x.EXAMPLE"); again.Created || again.Taken || again.Seq != seq {
		t.Errorf("the second press: %+v", again)
	}
	d.wantNotice(notice.Sent)
	events, err := d.Timeline(t.Context(), d.id, seq)
	d.must(err)
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	if got := strings.Join(kinds, " "); !strings.HasPrefix(got, "released began added ") || strings.Contains(got, "requeued") {
		t.Errorf("its timeline: %s", got)
	}
	acts, err := d.Acts(t.Context(), notice.ActPage{Limit: 10, What: "add address"})
	if err != nil || len(acts) != 1 || acts[0].Detail != "recipient 3, another address of a customer of recipient 1" || acts[0].Who != "support" {
		t.Errorf("the log has %+v, %v", acts, err)
	}
	// The next notice to those of this one goes to each customer once, by their own rows.
	d.sendTo(notice.Body{Key: "n2"}, ledger.Choice{Notice: d.id, States: []notice.DeliveryState{notice.DeliverySent}})
	d.wantCounts(map[string]int{"queued": 3})
}

// TestARowIsAddedWhileTheNoticeIsSent: chunks that are leased don't matter, and neither does a second one.
func TestARowIsAddedWhileTheNoticeIsSent(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	c := d.claim("w")
	first := d.addNew("c1", "one@x.example")
	d.mark(attempt(c, 0))
	second := d.addNew("c1", "two@x.example")
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	d.deliverTo(first)
	d.closeChunk(c)
	d.wantNotice(notice.Sending)
	d.wantCounts(map[string]int{"sent": 2, "queued": 2})
	d.deliverTo(second)
	d.wantCounts(map[string]int{"sent": 3, "queued": 1})
	if first != 2 || second != 3 {
		t.Errorf("rows %d and %d", first, second)
	}
}

// TestAnAddedRowWaits with its notice, and is taken back with it.
func TestAnAddedRowWaits(t *testing.T) {
	t.Parallel()
	tomorrow := notice.At(time.Now().Add(24 * time.Hour))
	for name, stop := range map[string]func(d *desk){
		"paused": func(d *desk) { d.must(d.Pause(t.Context(), d.id, "op")) },
		"held":   func(d *desk) { _, err := d.AddHold(t.Context(), notice.Hold{Reason: "power"}, "op"); d.must(err) },
		"scheduled": func(d *desk) {
			d.must(d.TakeBack(t.Context(), d.id, "op"))
			d.send(notice.Body{Key: "n1", SendAt: tomorrow})
		},
	} {
		d := open(t)
		d.customers(1)
		d.send(notice.Body{Key: "n1", SendAt: tomorrow})
		if name != "scheduled" {
			d.must(d.SendNow(t.Context(), d.id, "op"))
			_, err := d.Sweep(t.Context())
			d.must(err)
		}
		stop(d)
		state, err := d.State(t.Context(), d.ref)
		d.must(err)
		seq := d.addNew("c1", "other@x.example")
		d.wantNotice(state)
		if c := d.claimOf(seq); len(c.Due) > 0 {
			t.Errorf("%s, and %+v is due", name, c.Due)
		} else {
			d.closeChunk(c)
		}
		switch name {
		case "paused":
			d.must(d.Resume(t.Context(), d.id, false, "op"))
		case "held":
			holds, err := d.Holds(t.Context())
			d.must(err)
			_, err = d.RemoveHold(t.Context(), holds[0].Number, "op")
			d.must(err)
		default:
			d.must(d.SendNow(t.Context(), d.id, "op"))
		}
		_, err = d.Sweep(t.Context())
		d.must(err)
		d.deliverTo(seq)
	}
	d := open(t)
	d.customers(1)
	d.send(notice.Body{Key: "n1", SendAt: tomorrow})
	d.addNew("c1", "other@x.example")
	d.must(d.TakeBack(t.Context(), d.id, "op"))
	d.send(notice.Body{Key: "n1", SendAt: tomorrow})
	d.wantCounts(map[string]int{"queued": 1})
	if st, err := d.Status(t.Context(), "n1"); err != nil || st.Added != 0 || st.ByLanguage["en"] != 1 {
		t.Errorf("after it was taken back: %+v, %v", st, err)
	}
}

// TestWhereNothingIsAdded each refusal says why, and nothing is done.
func TestWhereNothingIsAdded(t *testing.T) {
	t.Parallel()
	tomorrow := notice.At(time.Now().Add(24 * time.Hour))
	for want, stop := range map[string]func(d *desk){
		"was cancelled (cancelled)": func(d *desk) { d.must(d.Cancel(t.Context(), d.id, "op")) },
		"has expired":               func(d *desk) { d.exec(`UPDATE notice SET expires_at = clock_timestamp()`) },
		"was cancelled (expired)": func(d *desk) {
			d.exec(`UPDATE notice SET expires_at = clock_timestamp()`)
			_, err := d.Sweep(t.Context())
			d.must(err)
		},
		"restored from a backup": func(d *desk) { d.exec(`UPDATE fence SET up = true`) },
		"were dropped on": func(d *desk) {
			d.deliver()
			d.exec(`UPDATE notice SET released_at = released_at - interval '9 days'`)
			d.exec(`UPDATE chunk SET last_sent_at = last_sent_at - interval '9 days'`)
			_, _, err := d.DropOldRows(t.Context(), 24*time.Hour)
			d.must(err)
		},
		"is draft and has no recipients": func(d *desk) {
			d.exec(`UPDATE notice SET send_at = now() + interval '1 day', began_at = NULL, state = 'scheduled'`)
			d.must(d.TakeBack(t.Context(), d.id, "op"))
		},
		"is scheduled and has no recipients": func(d *desk) {
			b := notice.Body{Key: "later", Incident: "later", Kind: notice.Outage, Phase: "identified", DefaultLanguage: "en", SendAt: tomorrow, AudienceAt: notice.AtSend, MaxRecipients: 9}
			var err error
			d.id, _, err = d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}})
			d.must(err)
			_, err = d.Release(t.Context(), d.id, all(b), ledger.Press{Domain: "example.net", Who: "test", MaxRecipients: 9})
			d.must(err)
		},
		"there is no such customer": func(d *desk) { d.must(d.DeleteCustomer(t.Context(), "c1")) },
		"does not stand on notice": func(d *desk) {
			d.exec(`UPDATE customer SET id = 'c9' WHERE id = 'c1'`)
			d.exec(`INSERT INTO customer (id) VALUES ('c1')`)
			d.exec(`DELETE FROM member WHERE customer_id = 'c1'`)
		},
		"a version of Tocsin before erased": func(d *desk) { d.exec(`UPDATE recipient SET address_key = 'erased:1' WHERE seq = 1`) },
	} {
		d := release(t, 2)
		stop(d)
		before, err := d.Status(t.Context(), "n1")
		d.must(err)
		_, err = d.AddRecipient(t.Context(), d.id, elsewhere("c1", "other@x.example"), "support")
		if notice.CodeOf(err) == "" || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "x.example") {
			t.Errorf("want %q: %v", want, err)
		}
		if after, err := d.Status(t.Context(), "n1"); err != nil || after.Recipients != before.Recipients || after.State != before.State {
			t.Errorf("%s: %+v, %v", want, after, err)
		}
	}
}

// TestTheListOfSuppressionsBindsAdditions in its scopes, by address, domain and hash, and also where the entry is being written.
func TestTheListOfSuppressionsBindsAdditions(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	list := func(key string, scope notice.Scope) {
		_, _, err := d.Suppress(t.Context(), notice.SuppressionRow{Key: key, Reason: "request", Scope: scope}, "op")
		d.must(err)
	}
	list("all@x.example", notice.ScopeAll)
	list("*@whole.example", notice.ScopeAll)
	list("calm@x.example", notice.ScopeNotUrgent)
	d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('gone', 'gone@x.example', 'gone@x.example')`)
	list("gone@x.example", notice.ScopeAll)
	d.must(d.DeleteCustomer(t.Context(), "gone"))
	for _, address := range []string{"all@x.example", "who@whole.example", "gone@x.example"} {
		_, err := d.AddRecipient(t.Context(), d.id, elsewhere("c1", address), "support")
		if notice.CodeOf(err) != notice.CodeConflict || !strings.Contains(err.Error(), "list of suppressions") {
			t.Errorf("%s: %v", address, err)
		}
	}
	d.exec(`UPDATE notice SET body = body || '{"severity": "critical"}'`)
	d.addNew("c1", "calm@x.example")

	tx, err := d.pool.Begin(t.Context())
	d.must(err)
	defer tx.Rollback(context.Background()) // a second end does nothing
	_, err = tx.Exec(t.Context(), `INSERT INTO suppression (address_key, reason, scope, added_by) VALUES ('late@x.example', 'request', 'all', 'op')`)
	d.must(err)
	seq := d.addNew("c1", "late@x.example")
	d.must(tx.Commit(t.Context()))
	c := d.claimOf(seq)
	if len(c.Due) > 0 {
		t.Errorf("%+v is due", c.Due)
	}
	d.closeChunk(c)
	d.wantState(seq, notice.DeliverySuppressed)
}
