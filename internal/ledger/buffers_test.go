package ledger_test

import (
	"net/url"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// blocks returns how many blocks of our tables and their indexes do reads or changes, in a session of its own.
func (d *desk) blocks(what string, o ledger.Options, do func(db *ledger.DB) error) (n int) {
	d.t.Helper()
	return d.blocksOf("true", what, o, do)
}

// blocksOf is blocks of some tables.
func (d *desk) blocksOf(which, what string, o ledger.Options, do func(db *ledger.DB) error) (n int) {
	d.t.Helper()
	ctx := d.t.Context()
	u, err := url.Parse(d.url)
	d.must(err)
	q := u.Query()
	q.Set("application_name", "counted")
	u.RawQuery = q.Encode()
	read := func() (n int) {
		d.must(d.pool.QueryRow(ctx, `SELECT coalesce(sum(heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit), 0)::int FROM pg_statio_user_tables WHERE `+which).Scan(&n))
		return n
	}
	// The work of our other sessions is counted before, not in between.
	d.exec(`SELECT pg_stat_force_next_flush()`)
	before := read()
	db, err := ledger.Open(ctx, u.String(), o)
	d.must(err)
	if err := do(db); err != nil {
		d.t.Fatalf("%s: %v", what, err)
	}
	db.Close()
	// A session's counts are there when it has ended.
	for ended := false; !ended; {
		d.must(d.pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'counted' AND datname = current_database())`).Scan(&ended))
	}
	return read() - before
}

// TestANewNoticeIsReadThroughItsKeys although the planner's statistics, which are those of earlier notices, say that it
// has no row at all.
func TestANewNoticeIsReadThroughItsKeys(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	const rows = 8000
	d.customers(rows)
	d.send(notice.Body{Key: "first", Incident: "first"}) // its plan begins a part
	for _, table := range []string{"customer", "notice", "recipient_0", "recipient_100001", "member_0", "member_100001", "chunk", "outcome", "answer"} {
		d.exec(`ALTER TABLE ` + table + ` SET (autovacuum_enabled = false)`)
	}
	d.send(notice.Body{Key: "second", Incident: "second"})
	d.exec(`ANALYZE`)
	d.send(notice.Body{Key: "new", Incident: "new"})

	options := ledger.Options{MaxConns: 1, Worker: "counted"}
	few := func(what string, most int, do func(db *ledger.DB) error) {
		t.Helper()
		n := d.blocks(what, options, do)
		t.Logf("%s: %d", what, n)
		if n > most {
			t.Errorf("%s: %d blocks, want at most %d", what, n, most)
		}
	}
	var chunk int64
	d.must(d.pool.QueryRow(ctx, `SELECT id FROM chunk WHERE notice_id = $1 AND lo = 0`, d.id).Scan(&chunk))
	var c ledger.Claim
	few("claim", 2000, func(db *ledger.DB) (err error) { c, _, err = db.Claim(ctx, chunk, "w"); return err })
	if len(c.Due) != ledger.ChunkSize {
		t.Fatalf("%d deliveries are due", len(c.Due))
	}
	var marks []ledger.Attempt
	var outcomes []ledger.Outcome
	for i, due := range c.Due[:64] {
		marks = append(marks, attempt(c, due.Seq))
		o := ledger.Outcome{Attempt: attempt(c, due.Seq), State: notice.DeliverySent, Heard: time.Now(), Answer: notice.Answer{Code: 250}}
		if i%16 == 0 {
			o.State = notice.DeliveryUncertain
		}
		outcomes = append(outcomes, o)
	}
	few("marks", 2000, func(db *ledger.DB) error { _, err := db.Commit(ctx, marks, nil); return err })
	few("outcomes", 2000, func(db *ledger.DB) error { _, err := db.Commit(ctx, nil, outcomes); return err })
	few("renew", 200, func(db *ledger.DB) error { _, err := db.Renew(ctx, c.ChunkID, c.Epoch); return err })
	few("close", 2000, func(db *ledger.DB) error { _, err := db.CloseChunk(ctx, c); return err })
	few("sweep", 2000, func(db *ledger.DB) error { _, err := db.Sweep(ctx); return err })
	few("standing", 4000, func(db *ledger.DB) error { _, err := db.Standing(ctx); return err })

	options.Worker = ""
	few("a page", 2000, func(db *ledger.DB) error {
		_, err := db.Deliveries(ctx, d.id, notice.DeliveryPage{After: -1, Limit: 100})
		return err
	})
	few("a search", 500, func(db *ledger.DB) error {
		_, err := db.Deliveries(ctx, d.id, notice.DeliveryPage{After: -1, Limit: 100, Search: "c7@example.com"})
		return err
	})
	few("history", 500, func(db *ledger.DB) error { _, err := db.History(ctx, "c7", ""); return err })
	few("a mail that is made again", 500, func(db *ledger.DB) error { _, err := db.Message(ctx, d.id, 7); return err })
	few("names", 300, func(db *ledger.DB) error { _, err := db.CustomersNamed(ctx, "Customer 777", 100); return err })
	few("a timeline", 100, func(db *ledger.DB) error { _, err := db.Timeline(ctx, d.id, 7); return err })
	few("the id of a queue, in three notices", 500, func(db *ledger.DB) error { _, _, err := db.FindQueueID(ctx, "4ZAB12", 0); return err })
	few("the whole report", 20*rows, func(db *ledger.DB) error {
		return db.EachDelivery(ctx, d.id, nil, func(notice.Delivery) error { return nil })
	})
	var all []ledger.Uncertain
	few("what is uncertain", 2*rows, func(db *ledger.DB) (err error) { all, err = db.Uncertain(ctx, d.ref, -1, 100); return err })
	if len(all) != 4 {
		t.Fatalf("%d are uncertain", len(all))
	}
	r := ledger.Reconciliation{Evidence: []ledger.Evidence{{MessageID: all[0].MessageID, Epoch: all[0].Epoch, At: time.Now()}},
		Requeue: []ledger.Missing{{MessageID: all[1].MessageID, Epoch: all[1].Epoch}, {MessageID: all[2].MessageID, Epoch: all[2].Epoch}}}
	few("reconcile", 4000, func(db *ledger.DB) error { _, err := db.Reconcile(ctx, d.id, r, "op"); return err })
	few("settle an address", 2*rows, func(db *ledger.DB) error {
		_, err := db.Settle(ctx, d.id, notice.Settlement{Requeue: true, Address: "c9@example.com"}, "c9@example.com", "op")
		return err
	})
	bounce := ledger.Returned{NoticeID: d.id, Seq: 1, Kind: notice.KindBounce, Class: notice.BouncePolicy}
	d.exec(`INSERT INTO bounce_count (notice_id, domain, class, mails) SELECT $1, i || '.example', 'full', 1 FROM generate_series(1, 2000) i`, d.id)
	few("a bounce", 1000, func(db *ledger.DB) error { _, err := db.Return(ctx, bounce); return err })
	d.exec(`UPDATE bounce_count SET mails = 2 WHERE notice_id = $1 AND domain = 'example.com'`, d.id)
	bounce.Seq++
	few("a bounce that has the mails to its domain counted", 3*rows, func(db *ledger.DB) error { _, err := db.Return(ctx, bounce); return err })
	bounce.Seq++
	few("the bounce of which the log warns", 3*rows, func(db *ledger.DB) error { _, err := db.Return(ctx, bounce); return err })
	d.wantRows(1, `SELECT count(*) FROM bounce_count WHERE warned_at IS NOT NULL`)
	bounce.Seq++
	few("one after the warning", 1000, func(db *ledger.DB) error { _, err := db.Return(ctx, bounce); return err })
	few("standing, with mails that came back", 4000, func(db *ledger.DB) error { _, err := db.Standing(ctx); return err })
	few("status", 2000, func(db *ledger.DB) error { _, err := db.Status(ctx, d.ref); return err })
	few("erase", 2000, func(db *ledger.DB) error { return db.DeleteCustomer(ctx, "c11") })
	few("a later phase of the same incident", 15*rows, func(db *ledger.DB) error {
		d.sendThrough(db, notice.Body{Key: "later", Incident: "new", Phase: "resolved"}, ledger.Choice{})
		return nil
	})
	few("status beside a later phase", 2000, func(db *ledger.DB) error { _, err := db.Status(ctx, d.ref); return err })
	d.must(d.pool.QueryRow(ctx, `SELECT id FROM chunk WHERE notice_id = $1 AND lo = 0`, d.id).Scan(&chunk))
	few("its claim", 2000, func(db *ledger.DB) (err error) { _, _, err = db.Claim(ctx, chunk, "w"); return err })
	few("cancel", 20*rows, func(db *ledger.DB) error { return db.Cancel(ctx, d.id, "op") })
}

// TestTheListOfSuppressionsIsReadThroughItsKeys with domains on it. Only a new domain has the plans that are being sent read through.
func TestTheListOfSuppressionsIsReadThroughItsKeys(t *testing.T) {
	t.Parallel()
	d := open(t)
	const rows = 8000
	d.exec(`INSERT INTO suppression (address_key, reason, added_by) SELECT 'x' || i || '@example.com', 'r', 'x' FROM generate_series(1, 20000) i`)
	d.exec(`INSERT INTO suppression (address_key, reason, added_by) SELECT '*@' || i || '.example', 'r', 'x' FROM generate_series(1, 2000) i`)
	d.exec(`ANALYZE`)
	d.customers(rows)
	d.send(notice.Body{Key: "n"})
	var chunk int64
	d.must(d.pool.QueryRow(t.Context(), `SELECT id FROM chunk WHERE notice_id = $1 AND lo = 0`, d.id).Scan(&chunk))
	few := func(what string, most int, do func(db *ledger.DB) error) {
		t.Helper()
		n := d.blocks(what, ledger.Options{MaxConns: 1, Worker: "counted"}, do)
		t.Logf("%s: %d", what, n)
		if n > most {
			t.Errorf("%s: %d blocks, want at most %d", what, n, most)
		}
	}
	few("claim", 4000, func(db *ledger.DB) error { _, _, err := db.Claim(t.Context(), chunk, "w"); return err })
	few("suppress an address", 500, func(db *ledger.DB) error {
		_, _, err := db.Suppress(t.Context(), never("c300@example.com"), "x")
		return err
	})
	few("suppress a domain", 5*rows, func(db *ledger.DB) error {
		_, _, err := db.Suppress(t.Context(), never("*@example.org"), "x")
		return err
	})
}
