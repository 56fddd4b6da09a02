package ledger_test

import (
	"context"
	"maps"
	"sync"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// mirror keeps numbers as Redis or a file would.
type mirror struct {
	mu      sync.Mutex
	numbers map[string]map[string]int64
}

func (m *mirror) Marks(_ context.Context, ledger string) (map[string]int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.numbers[ledger]), nil
}

func (m *mirror) KeepMarks(_ context.Context, ledger string, numbers map[string]int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.numbers == nil {
		m.numbers = map[string]map[string]int64{}
	}
	if m.numbers[ledger] == nil {
		m.numbers[ledger] = map[string]int64{}
	}
	maps.Copy(m.numbers[ledger], numbers)
	return nil
}

func (m *mirror) DropMarks(_ context.Context, ledger string, workers []string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, w := range workers {
		delete(m.numbers[ledger], w)
	}
	return nil
}

// worker opens the ledger again, as a worker with that mirror does.
func (d *desk) worker(name string, m *mirror) *ledger.DB {
	d.t.Helper()
	db, err := ledger.Open(d.t.Context(), d.url, ledger.Options{Worker: name, Mirrors: []ledger.Mirror{m}})
	d.must(err)
	d.t.Cleanup(db.Close)
	return db
}

func TestNothingIsMarkedBeforeTheMirrorWasCompared(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	w := d.worker("w", &mirror{})
	a := attempt(d.claim("w"), 0)
	granted, err := w.Commit(t.Context(), []ledger.Attempt{a}, nil)
	if err != nil || len(granted) != 1 || granted[0] {
		t.Errorf("marked before a comparison: %v %v", granted, err)
	}
	d.must(w.CompareMarks(t.Context()))
	granted, err = w.Commit(t.Context(), []ledger.Attempt{a}, nil)
	if err != nil || !granted[0] {
		t.Errorf("not marked after it: %v %v", granted, err)
	}
}

// restored returns a notice of three deliveries on the ledger as a backup has it. A worker sent one of them after that
// backup was taken.
func restored(t *testing.T) (d *desk, m *mirror, survivor *ledger.DB) {
	d = release(t, 3)
	m = &mirror{}
	survivor = d.worker("survivor", m)
	d.must(survivor.CompareMarks(t.Context()))
	c := d.claim("survivor")
	d.exec(`CREATE TABLE backup AS SELECT * FROM chunk`)
	a := attempt(c, 0)
	granted, err := survivor.Commit(t.Context(), []ledger.Attempt{a}, nil)
	if err != nil || !granted[0] {
		t.Fatalf("mark: %v %v", granted, err)
	}
	d.must(survivor.CompareMarks(t.Context()))
	_, err = survivor.Commit(t.Context(), nil, []ledger.Outcome{{Attempt: a, State: notice.DeliverySent, Heard: time.Now()}})
	d.must(err)
	// A copy of the data directory: all is as it was, the identity too.
	d.exec(`DELETE FROM chunk; INSERT INTO chunk SELECT * FROM backup; DELETE FROM outcome; DELETE FROM answer; DELETE FROM mark_number;
		UPDATE chunk SET lease_until = NULL, holder = ''`)
	return d, m, survivor
}

func (d *desk) wantHeld() {
	d.t.Helper()
	st, err := d.Status(d.t.Context(), d.ref)
	d.must(err)
	if st.State != notice.Held || st.Reason != notice.ReasonRestored {
		d.t.Errorf("the notice is %s (%s), want it held as restored", st.State, st.Reason)
	}
}

func TestARestoredLedgerIsRecognised(t *testing.T) {
	t.Parallel()
	t.Run("by the mirror, before a new worker marks anything", func(t *testing.T) {
		t.Parallel()
		d, m, _ := restored(t)
		fresh := d.worker("fresh", m)
		d.must(fresh.CompareMarks(t.Context()))
		d.wantHeld()
		if granted, err := fresh.Commit(t.Context(), []ledger.Attempt{attempt(d.claim("fresh"), 0)}, nil); err != nil || granted[0] {
			t.Errorf("a mark was given on a restored ledger: %v %v", granted, err)
		}
	})
	t.Run("by a worker that lived through it, on its next connection", func(t *testing.T) {
		t.Parallel()
		d, _, survivor := restored(t)
		d.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		for _, db := range []*ledger.DB{survivor, d.DB} {
			for { // as long as the pool hands out connections that it does not yet know to be gone
				if _, err := db.State(t.Context(), d.ref); err == nil {
					break
				}
			}
		}
		d.wantHeld()
	})
	t.Run("by the database that it stands in", func(t *testing.T) {
		t.Parallel()
		for _, change := range []string{`system_identifier = system_identifier + 1`, `timeline = timeline + 1`, `database_oid = database_oid + 1`} {
			d := release(t, 1)
			d.exec(`UPDATE fence SET ` + change)
			d.must(d.worker("w", &mirror{}).CompareMarks(t.Context()))
			d.wantHeld()
		}
	})
	t.Run("and no other is", func(t *testing.T) {
		t.Parallel()
		d := release(t, 3)
		m := &mirror{}
		d.must(d.worker("a", m).CompareMarks(t.Context()))
		m.numbers = nil // a mirror that lost its numbers
		w := d.worker("a", m)
		d.must(w.CompareMarks(t.Context()))
		d.wantNotice(notice.Sending)
	})
}

func TestAfterARestoreTheOperatorChooses(t *testing.T) {
	t.Parallel()
	for _, send := range []bool{true, false} {
		d, m, _ := restored(t)
		w := d.worker("w", m)
		d.must(w.CompareMarks(t.Context()))
		d.wantHeld()
		// A notice released now may be one that the backup does not know.
		d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('x', 'x@example.com', 'x@example.com')`)
		first, firstRef := d.id, d.ref
		d.send(notice.Body{Key: "later"})
		d.wantHeld()
		d.id, d.ref = first, firstRef
		d.must(d.Unhold(t.Context(), first, send, true, "op"))
		if send {
			d.wantCounts(map[string]int{"queued": 3})
			d.wantNotice(notice.Sending)
		} else {
			d.wantCounts(map[string]int{"uncertain": 3})
			d.wantNotice(notice.Sent)
		}
		if err := d.Unhold(t.Context(), first, send, false, "op"); notice.CodeOf(err) != notice.CodeConflict {
			t.Errorf("unhold again: %v, want a conflict", err)
		}
		// The fence is lifted: the next release goes out, and the loss is not found again.
		d.must(w.CompareMarks(t.Context()))
		d.send(notice.Body{Key: "after"})
		d.wantNotice(notice.Sending)
	}
}

func TestALaterNoticeSupersedesWhatItsRecipientsAreStillOwed(t *testing.T) {
	t.Parallel()
	d := release(t, 4)
	c := d.claim("a")
	d.mark(attempt(c, 0)) // under way: it may leave
	d.mark(attempt(c, 1))
	d.answer(attempt(c, 1), notice.DeliverySent, 250)
	first, firstRef := d.id, d.ref
	d.exec(`DELETE FROM customer WHERE id = 'c4'`) // the later notice owes this mailbox nothing
	d.send(notice.Body{Key: "n2", Incident: "n1"})
	d.wantCounts(map[string]int{"queued": 3})
	d.id, d.ref = first, firstRef
	d.wantCounts(map[string]int{"sending": 1, "sent": 1, "cancelled": 1, "queued": 1})
	if d.mark(attempt(c, 2)) {
		t.Error("a superseded delivery was marked")
	}
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	if !d.mark(attempt(c, 3)) {
		t.Error("what the later notice does not reach can't be marked")
	}
	d.answer(attempt(c, 3), notice.DeliverySent, 250)
	d.closeChunk(c)
	d.wantCounts(map[string]int{"sent": 3, "cancelled": 1})
	d.wantNotice(notice.Sent)
	var reason string
	d.must(d.pool.QueryRow(t.Context(), `SELECT reason FROM delivery WHERE state = 7`).Scan(&reason))
	if reason != notice.ReasonSuperseded {
		t.Errorf("cancelled as %q", reason)
	}
}

func TestALaterPhaseIsNotOvertakenByAnEarlier(t *testing.T) {
	t.Parallel()
	d := release(t, 2) // identified
	ctx := t.Context()
	b := notice.Body{Key: "first", Incident: "n1", Kind: notice.Outage, Phase: "investigating"}
	id, _, err := d.PutDraft(ctx, ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
	d.must(err)
	if _, err := d.Release(ctx, id, all(b), ledger.Press{Domain: "example.net", Who: "test"}); err != nil {
		t.Fatal(err)
	}
	d.wantCounts(map[string]int{"queued": 2})
}

func TestADraftThatWasReplacedMeanwhileIsNotReleased(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('1', 'a@example.com', 'a@example.com')`)
	seen := notice.Body{Key: "k", Incident: "k", Kind: notice.Outage, Phase: "identified"}
	changed := seen
	changed.Severity = "major"
	id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: changed, Texts: map[string]notice.Text{}, Who: "test"})
	d.must(err)
	if released, err := d.Release(t.Context(), id, all(seen), ledger.Press{Domain: "example.net", Who: "test"}); released || notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("released what nobody had looked at: %v %v", released, err)
	}
}

func TestWhoWasConnectedBeforeTheTablesWereThereCanRelease(t *testing.T) {
	t.Parallel()
	url := testkit.EmptyPostgres(t)
	db, err := ledger.Open(t.Context(), url, ledger.Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	if err := db.Ready(t.Context()); err == nil {
		t.Error("a ledger without tables is ready")
	}
	if _, err := ledger.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if _, _, err := db.PutCustomer(t.Context(), notice.CustomerRow{Customer: notice.Customer{ID: "1", Email: "a@example.com"}, EmailKey: "a@example.com"}); err != nil {
		t.Fatal(err)
	}
	b := notice.Body{Key: "k", Incident: "k", Kind: notice.Outage, Phase: "identified"}
	id, _, err := db.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
	if err != nil {
		t.Fatal(err)
	}
	if released, err := db.Release(t.Context(), id, all(b), ledger.Press{Domain: "example.net", Who: "test"}); err != nil || !released {
		t.Fatalf("release: %v %v", released, err)
	}
	if state, err := db.State(t.Context(), "k"); err != nil || state != notice.Sending {
		t.Errorf("the notice is %s (%v), want sending", state, err)
	}
	if err := db.CompareMarks(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestALateRefusalAfterAnUnholdHasNothingSentAgain: the mails that left before the backup was restored are still not known.
func TestALateRefusalAfterAnUnholdHasNothingSentAgain(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	c := d.claim("a")
	d.mark(attempt(c, 0))
	d.exec(`UPDATE notice SET state = 'held', reason = 'restored'`)
	d.must(d.Unhold(t.Context(), d.id, false, true, "op"))
	d.wantCounts(map[string]int{"uncertain": 2})
	if d.mark(attempt(c, 1)) {
		t.Error("a lease of before marked what may have left")
	}
	d.answer(attempt(c, 0), notice.DeliveryDeferred, 450)
	d.closeChunk(c)
	d.wantCounts(map[string]int{"uncertain": 2})
	d.wantNotice(notice.Sent)
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	d.wantCounts(map[string]int{"sent": 1, "uncertain": 1})
}

func TestAWorkerWithoutMarksOfItsOwnKnowsThoseOfTheOthers(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	m := &mirror{}
	idle, busy := d.worker("idle", m), d.worker("busy", m)
	d.must(idle.CompareMarks(t.Context()))
	d.must(busy.CompareMarks(t.Context()))
	granted, err := busy.Commit(t.Context(), []ledger.Attempt{attempt(d.claim("busy"), 0)}, nil)
	if err != nil || !granted[0] {
		t.Fatalf("mark: %v %v", granted, err)
	}
	d.must(idle.CompareMarks(t.Context()))
	// The data directory is put back, and busy dies: idle is the first to connect.
	d.exec(`DELETE FROM mark_number; UPDATE chunk SET dots = dots & ~dots`)
	d.exec(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	for {
		if _, err := idle.State(t.Context(), d.ref); err == nil {
			break
		}
	}
	for {
		if state, err := d.State(t.Context(), d.ref); err == nil {
			if state != notice.Held {
				t.Errorf("the notice is %s, want it held before anything is compared", state)
			}
			break
		}
	}
}
