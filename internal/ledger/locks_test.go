package ledger_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// blocked runs f while somebody else holds the chunk's row with that lock, and reports whether f waited for it.
func (d *desk) blocked(lock string, f func() error) bool {
	d.t.Helper()
	ctx := d.t.Context()
	tx, err := d.pool.Begin(ctx)
	d.must(err)
	defer tx.Rollback(ctx) // a second end does nothing
	_, err = tx.Exec(ctx, `SELECT id FROM chunk FOR `+lock)
	d.must(err)
	done := make(chan error, 1)
	go func() { done <- f() }()
	for {
		select {
		case err := <-done:
			d.must(err)
			return false
		default:
		}
		var waiting bool
		d.must(d.pool.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')`).Scan(&waiting))
		if waiting {
			d.must(tx.Commit(ctx))
			d.must(<-done)
			return true
		}
	}
}

func TestWhoStopsANoticeWaitsForTheMarksUnderWay(t *testing.T) {
	t.Parallel()
	for what, stop := range map[string]func(d *desk) error{
		"pause":              func(d *desk) error { return d.Pause(t.Context(), d.id, "op") },
		"cancel":             func(d *desk) error { return d.Cancel(t.Context(), d.id, "op") },
		"a hold from now on": func(d *desk) error { _, err := d.AddHold(t.Context(), notice.Hold{}, "op"); return err },
	} {
		d := release(t, 1)
		d.claim("a")
		if !d.blocked("SHARE", func() error { return stop(d) }) {
			t.Errorf("%s returned although a mark was being committed", what)
		}
	}
}

func TestMarksAndOutcomesWaitForWhoeverChangesTheirChunk(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	a := attempt(d.claim("a"), 0)
	if !d.blocked("UPDATE", func() error { _, err := d.Commit(t.Context(), []ledger.Attempt{a}, nil); return err }) {
		t.Error("a mark did not wait for the chunk's lock")
	}
	if !d.blocked("UPDATE", func() error {
		_, err := d.Commit(t.Context(), nil, []ledger.Outcome{{Attempt: a, State: notice.DeliverySent}})
		return err
	}) {
		t.Error("an outcome did not wait for the chunk's lock")
	}
}

func TestAChunkWithAMarkIsOpen(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	c := d.claim("a")
	d.mark(attempt(c, 0))
	d.mark(attempt(c, 1))
	d.answer(attempt(c, 1), notice.DeliverySent, 250)
	owed, err := d.CloseChunk(t.Context(), c) // a worker that drains and can wait no longer
	if err != nil || !owed {
		t.Errorf("closed: owed %v, %v; want it open for the marked delivery", owed, err)
	}
	d.wantNotice(notice.Sending)
	if w, err := d.Sweep(t.Context()); err != nil || len(w.Chunks) != 1 {
		t.Errorf("the sweep found %d chunks (%v), want the one with a mark", len(w.Chunks), err)
	}
	d.closeChunk(d.claim("b"))
	d.wantCounts(map[string]int{"sent": 1, "uncertain": 1})
	d.wantNotice(notice.Sent)
}

// TestAnOutcomeAfterTheChunkWasGivenBackIsCounted is a worker with a drain that ends while its answer is being
// written: the epoch is still its own, the lease is not.
func TestAnOutcomeAfterTheChunkWasGivenBackIsCounted(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	c := d.claim("a")
	d.mark(attempt(c, 0))
	d.closeChunk(c)
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	d.wantCounts(map[string]int{"sent": 1})
	if w, err := d.Sweep(t.Context()); err != nil || len(w.Chunks) != 0 {
		t.Errorf("%d chunks are due (%v), want none: nothing is open", len(w.Chunks), err)
	}
	d.wantNotice(notice.Sent)
}

func TestWhatACancelledNoticeOwesIsFoundWheneverItIsDue(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	// A cancel that died between its state and its barrier.
	d.exec(`UPDATE chunk SET due_at = clock_timestamp() + interval '1 day'; 		UPDATE notice SET state = 'cancelled', reason = 'cancelled'`)
	if w, err := d.Sweep(t.Context()); err != nil || len(w.Chunks) != 1 {
		t.Errorf("the sweep found %d chunks (%v), want one", len(w.Chunks), err)
	}
	d.closeChunk(d.claim("a"))
	d.wantCounts(map[string]int{"cancelled": 1})
}

// TestChunksOfANoticeAreClosedAtOnce as by a worker after a pause: it gives back all that it holds.
func TestChunksOfANoticeAreClosedAtOnce(t *testing.T) {
	t.Parallel()
	const chunks = 12
	d := release(t, chunks*ledger.ChunkSize)
	rows, err := d.pool.Query(t.Context(), `SELECT id FROM chunk`)
	d.must(err)
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	d.must(err)
	var claims []ledger.Claim
	for _, id := range ids {
		c, ok, err := d.Claim(t.Context(), id, "a")
		if err != nil || !ok {
			t.Fatalf("claim: %v %v", ok, err)
		}
		claims = append(claims, c)
	}
	closed := make(chan error)
	for _, c := range claims {
		go func() { _, err := d.CloseChunk(t.Context(), c); closed <- err }()
	}
	for range claims {
		if err := <-closed; err != nil {
			t.Error(err)
		}
	}
}

// TestADraftIsPutByManyAtOnce is the impatient operator: of all presses of a key one makes the notice, and none fails.
func TestADraftIsPutByManyAtOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	const keys, presses = 10, 6
	type press struct {
		key     int
		created bool
		err     error
	}
	done := make(chan press)
	for key := range keys {
		b := notice.Body{Key: fmt.Sprintf("n%d", key), Incident: "one", Kind: notice.Outage, Phase: "identified"}
		for range presses {
			go func() {
				_, created, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
				done <- press{key, created, err}
			}()
		}
	}
	created := map[int]int{}
	for range keys * presses {
		p := <-done
		if p.err != nil {
			t.Error(p.err)
		}
		if p.created {
			created[p.key]++
		}
	}
	for key := range keys {
		if created[key] != 1 {
			t.Errorf("n%d was created %d times", key, created[key])
		}
	}
}

// TestNoticesOfAnIncidentAreReleasedWhileTheyAreExpanded has each release supersede the deliveries that the others owe,
// while workers make theirs and give chunks back.
func TestNoticesOfAnIncidentAreReleasedWhileTheyAreExpanded(t *testing.T) {
	t.Parallel()
	d := open(t)
	const recipients = 11_000 // two slices
	d.exec(`INSERT INTO customer (id, email, email_key)
		SELECT 'c' || i, 'c' || i || '@example.com', 'c' || i || '@example.com' FROM generate_series(1, $1::int) i`, recipients)
	done := make(chan error)
	for _, phase := range notice.Phases[notice.Outage][:4] {
		b := notice.Body{Key: "n." + phase, Incident: "n", Kind: notice.Outage, Phase: phase}
		id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "test"})
		d.must(err)
		go func() {
			_, err := d.Release(t.Context(), id, all(b), ledger.Press{Domain: "example.net", Who: "test"})
			done <- err
		}()
	}
	for range 4 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	var twice int
	d.must(d.pool.QueryRow(t.Context(), `
		SELECT count(*) FROM (SELECT FROM delivery WHERE state = 0 GROUP BY address_key HAVING count(*) > 1) t`).Scan(&twice))
	var owed int
	d.must(d.pool.QueryRow(t.Context(), `SELECT count(*) FROM delivery d JOIN notice n ON n.id = d.notice_id WHERE d.state = 0 AND n.key = 'n.resolved'`).Scan(&owed))
	if owed != recipients {
		t.Errorf("the last phase owes %d mails, want %d (%d mailboxes are owed several)", owed, recipients, twice)
	}
}

// TestALaterNoticeBeginsWhileOthersChangeBoth: a change of chunks of both must not wait for the later notice, which waits
// for the chunks of the earlier.
func TestALaterNoticeBeginsWhileOthersChangeBoth(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(d *desk, a, b ledger.Attempt) error{
		"a suppression": func(d *desk, _, _ ledger.Attempt) error {
			_, _, err := d.Suppress(d.t.Context(), never("c1@example.com"), "x")
			return err
		},
		"late answers": func(d *desk, a, b ledger.Attempt) error {
			_, err := d.Commit(d.t.Context(), nil, []ledger.Outcome{{Attempt: a, State: notice.DeliverySent}, {Attempt: b, State: notice.DeliverySent}})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := release(t, 1)
			a := attempt(d.claim("w"), 0)
			later := notice.At(time.Now().Add(time.Hour))
			d.send(notice.Body{Key: "n2", Incident: "n1", Phase: "resolved", SendAt: later})
			b := attempt(d.claim("w"), 0)
			a.Epoch, b.Epoch = a.Epoch-1, b.Epoch-1
			d.exec(`UPDATE notice SET send_at = clock_timestamp() WHERE id = $1`, d.id)

			ctx := t.Context()
			tx, err := d.pool.Begin(ctx)
			d.must(err)
			defer tx.Rollback(ctx) // a second end does nothing
			_, err = tx.Exec(ctx, `SELECT FROM incident FOR UPDATE`)
			d.must(err)
			begun, changed := make(chan error, 1), make(chan error, 1)
			go func() { _, err := d.Sweep(context.WithoutCancel(ctx)); begun <- err }()
			d.waiting(1, nil) // the later notice has its row, and waits for the incident
			go func() { changed <- change(d, a, b) }()
			d.waiting(2, changed)
			d.must(tx.Commit(ctx))
			for what, done := range map[string]chan error{"the beginning": begun, "the change": changed} {
				if err := <-done; err != nil {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

// waiting waits until so many sessions wait for a lock, or something is done; its error stays to be read.
func (d *desk) waiting(n int, done chan error) {
	d.t.Helper()
	for have := 0; have < n; {
		select {
		case err := <-done:
			done <- err
			return
		default:
		}
		d.must(d.pool.QueryRow(d.t.Context(), `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`).Scan(&have))
	}
}

// TestAListIsImportedWhileMarksAreMade: an import locks chunks in the order in which everybody does, though its first
// slice names a mailbox of the last chunk.
func TestAListIsImportedWhileMarksAreMade(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	d := release(t, ledger.ChunkSize+1)
	var first, last int64
	var file suppressions
	d.must(d.pool.QueryRow(ctx, `SELECT min(id), max(id) FROM chunk`).Scan(&first, &last))
	keys, err := collectStrings(d, `SELECT address_key FROM recipient WHERE seq IN (0, 256) ORDER BY seq DESC`)
	d.must(err)
	file = append(file, notice.SuppressionRow{Key: keys[0], Reason: "r", Scope: notice.ScopeAll})
	for i := range 5000 {
		file = append(file, notice.SuppressionRow{Key: fmt.Sprintf("x%d@example.com", i), Reason: "r", Scope: notice.ScopeAll})
	}
	file = append(file, notice.SuppressionRow{Key: keys[1], Reason: "r", Scope: notice.ScopeAll})
	tx, err := d.pool.Begin(ctx) // as marks are
	d.must(err)
	defer tx.Rollback(ctx) // a second end does nothing
	_, err = tx.Exec(ctx, `SELECT FROM chunk WHERE id = $1 FOR NO KEY UPDATE`, first)
	d.must(err)
	done := make(chan error, 1)
	go func() { _, err := d.ImportSuppressions(ctx, &file, "x"); done <- err }()
	d.waiting(1, done)
	if _, err = tx.Exec(ctx, `SELECT FROM chunk WHERE id = $1 FOR NO KEY UPDATE`, last); err != nil {
		t.Errorf("a mark: %v", err)
	}
	_ = tx.Commit(ctx)
	if err := <-done; err != nil {
		t.Error(err)
	}
	d.wantCounts(map[string]int{"queued": ledger.ChunkSize - 1, "suppressed": 2})
}
