package ledger_test

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// sender returns a second process of a ledger, which sends to these mailboxes alone.
func (d *desk) sender(process string, onlyTo ...string) *desk {
	d.t.Helper()
	db, err := ledger.Open(d.t.Context(), d.url, ledger.Options{Worker: process, Process: process, OnlyTo: onlyTo, Logger: slog.New(slog.DiscardHandler)})
	d.must(err)
	d.t.Cleanup(db.Close)
	d.must(db.CompareMarks(d.t.Context()))
	other := *d
	other.DB = db
	return &other
}

// agree has processes write down their patterns, one after the other, twice.
func agree(all ...*desk) {
	for range 2 {
		for _, d := range all {
			d.must(d.Agree(d.t.Context()))
		}
	}
}

// TestAWorkerSendsToMatchingMailboxesAlone, also where a mail was tried before, or an operator has requeued it.
func TestAWorkerSendsToMatchingMailboxesAlone(t *testing.T) {
	t.Parallel()
	d := release(t, 6)
	c := d.claim("before")
	d.mark(attempt(c, 0))
	d.answer(attempt(c, 0), notice.DeliveryDeferred, 451)
	d.mark(attempt(c, 1))
	d.loseLease() // 1 becomes uncertain
	c = d.claim("before")
	d.closeChunk(c)
	d.exec(`UPDATE outcome SET at = clock_timestamp() - interval '1 hour', due_at = due_at - interval '1 hour'`)
	requeue := func(s notice.Settlement, want int) {
		t.Helper()
		s.Requeue = true
		if done, err := d.Settle(t.Context(), d.id, s, s.Address, "op"); err != nil || done.Changed != want {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	requeue(notice.Settlement{Address: "c2@example.com"}, 1)

	w := d.sender("w", "c3@example.com")
	agree(w)
	c = w.claim("w")
	if len(c.Due) != 1 || c.Due[0].Recipient.Address != "c3@example.com" || c.OnlyTo.Mark() == "" {
		t.Fatalf("the claim is %+v", c)
	}
	if !w.mark(attempt(c, 2)) {
		t.Fatal("what matches can't be marked")
	}
	w.answer(attempt(c, 2), notice.DeliverySent, 250)
	w.closeChunk(c)
	// The attempt at 1 may have arrived, which the setting does not hide.
	d.wantCounts(map[string]int{"sent": 1, "suppressed": 4, "uncertain": 1})
	d.wantState(1, notice.DeliveryUncertain)
	d.wantNotice(notice.Sent)
	r, err := d.Report(t.Context(), d.ref)
	d.must(err)
	if len(r.Outcomes) == 0 || r.Outcomes[0].Reason != notice.ReasonOnlyTo || r.Outcomes[0].Count != 4 {
		t.Errorf("the report has %+v", r.Outcomes)
	}

	requeue(notice.Settlement{Address: "c4@example.com"}, 1)
	w.closeChunk(w.claim("w"))
	d.wantState(3, notice.DeliverySuppressed)
	d.exec(`INSERT INTO outcome (notice_id, seq, state, reason) VALUES ($1, 4, 6, 'no_address') ON CONFLICT (notice_id, seq) DO UPDATE SET reason = excluded.reason`, d.id)

	// The setting is gone: the rest can be sent, in bulk, as an operator says so; not those that are suppressed for their own sake.
	d.must(w.Resign(t.Context()))
	requeue(notice.Settlement{State: "suppressed"}, 3)
	c = d.claim("after")
	if len(c.Due) != 3 || c.OnlyTo.Mark() != "" {
		t.Fatalf("the claim is %+v", c)
	}
	d.closeChunk(c)
	d.deliver()
	d.wantCounts(map[string]int{"sent": 4, "suppressed": 1, "uncertain": 1})
	if s, err := d.Status(t.Context(), d.ref); err != nil || len(s.OnlyTo) > 0 {
		t.Errorf("the status still has %v, %v", s.OnlyTo, err)
	}
}

// TestNothingIsSentWhileWorkersDoNotAgree, until one of them has gone.
func TestNothingIsSentWhileWorkersDoNotAgree(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	everybody, rehearsal, same := d.sender("everybody"), d.sender("rehearsal", "c1@example.com"), d.sender("same", "c1@example.com")
	agree(everybody)
	c := everybody.claim("everybody")
	if len(c.Due) != 3 || !everybody.mark(attempt(c, 0)) {
		t.Fatalf("alone it sends nothing: %+v", c)
	}
	everybody.answer(attempt(c, 0), notice.DeliverySent, 250)

	agree(everybody, rehearsal, same)
	if everybody.mark(attempt(c, 1)) {
		t.Error("it marked under its claim of before")
	}
	everybody.closeChunk(c)
	for _, w := range []*desk{everybody, rehearsal, same} {
		if _, ok, err := w.Claim(t.Context(), c.ChunkID, "w"); ok || err != nil {
			t.Errorf("a claim was given: %v", err)
		}
		if err := w.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "everybody sends to everybody, and rehearsal to c1@example.com alone") {
			t.Errorf("ready: %v", err)
		}
	}
	// One that slept, and does not know of it yet, claims nothing either.
	if _, ok, err := d.Claim(t.Context(), c.ChunkID, "slept"); ok || err != nil {
		t.Errorf("a claim was given to one that has not asked: %v", err)
	}
	s, err := d.Status(t.Context(), d.ref)
	if err != nil || s.Disagree == "" || cmp.Diff(notice.OnlyTo{"c1@example.com"}, s.OnlyTo) != "" {
		t.Errorf("the status: %q, %v, %v", s.Disagree, s.OnlyTo, err)
	}
	if f := ledger.CheckOnlyTo(t.Context(), d.url, nil); f.Count(notice.LevelError) != 1 {
		t.Errorf("check finds %+v", f)
	}

	d.must(everybody.Resign(t.Context()))
	agree(rehearsal, same)
	if f := ledger.CheckOnlyTo(t.Context(), d.url, nil); f.Count(notice.LevelWarning) != 1 {
		t.Errorf("check finds %+v", f)
	}
	rehearsal.closeChunk(rehearsal.claim("rehearsal"))
	d.wantCounts(map[string]int{"sent": 1, "suppressed": 2})

	// One that was killed is forgotten with its lease.
	d.exec(`UPDATE sender SET alive_until = clock_timestamp() - interval '1 second' WHERE process = 'same'`)
	d.must(rehearsal.Resign(t.Context()))
	agree(everybody)
	if err := everybody.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}
