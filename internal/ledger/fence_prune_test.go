package ledger_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// prune has workers' last marks be two months old, and all that are so old pruned.
func (d *desk) prune(workers ...string) {
	d.t.Helper()
	for _, w := range workers {
		d.exec(`UPDATE mark_number SET changed_at = changed_at - interval '60 days' WHERE worker = $1`, w)
	}
	_, _, err := d.PruneMarks(d.t.Context(), 30*24*time.Hour)
	d.must(err)
}

// markOne has a worker mark a delivery of the notice, and returns whether it was given the mark.
func (d *desk) markOne(w *ledger.DB, c ledger.Claim, seq int) bool {
	d.t.Helper()
	granted, err := w.Commit(d.t.Context(), []ledger.Attempt{attempt(c, seq)}, nil)
	return err == nil && granted[0]
}

// TestAWorkerThatWasPrunedRaisesNoFence when an old mirror, or the worker itself, comes back, and counts on.
func TestAWorkerThatWasPrunedRaisesNoFence(t *testing.T) {
	t.Parallel()
	d := release(t, 6)
	m, stale := &mirror{}, &mirror{}
	w, other := d.worker("w", m), d.worker("other", m)
	old := d.worker("old", stale)
	for _, db := range []*ledger.DB{w, other, old} {
		d.must(db.CompareMarks(t.Context()))
	}
	c := d.claim("w")
	for seq := range 3 {
		if !d.markOne(w, c, seq) {
			t.Fatal("no mark")
		}
	}
	for _, db := range []*ledger.DB{w, other, old} {
		d.must(db.CompareMarks(t.Context()))
	}
	d.prune("w")
	for _, db := range []*ledger.DB{other, old, d.worker("fresh", m)} {
		d.must(db.CompareMarks(t.Context()))
	}
	name := d.ledgerName()
	if _, kept := m.numbers[name]["w"]; kept || m.numbers[name]["pruned"] != 3 {
		t.Errorf("the mirror holds %v", m.numbers[name])
	}
	if !d.markOne(w, c, 3) {
		t.Error("the worker that came back was given no mark")
	}
	stale.numbers[name]["w"] = 3 // a mirror on another host, as it was left
	for _, db := range []*ledger.DB{w, other, old} {
		d.must(db.CompareMarks(t.Context()))
	}
	if got := m.numbers[name]["w"]; got != 4 {
		t.Errorf("it has counted on to %d", got)
	}
	d.prune("w")
	d.must(old.CompareMarks(t.Context()))
	d.wantNotice(notice.Sending)
}

// TestALedgerThatLostMarksOfAPrunedWorkerIsRecognised by whatever knows of them: the sum in the mirror, an old mirror, the
// worker that comes back.
func TestALedgerThatLostMarksOfAPrunedWorkerIsRecognised(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		pruned bool // the backup is one of after the worker was pruned once, and came back
		found  func(d *desk, m *mirror, w *ledger.DB, c ledger.Claim)
	}{
		"by the sum in the mirror": {false, func(d *desk, m *mirror, _ *ledger.DB, _ ledger.Claim) {
			d.must(d.worker("fresh", m).CompareMarks(t.Context()))
		}},
		"by the sum, once more": {true, func(d *desk, m *mirror, _ *ledger.DB, _ ledger.Claim) {
			d.must(d.worker("fresh", m).CompareMarks(t.Context()))
		}},
		"by the worker that comes back": {false, func(d *desk, _ *mirror, w *ledger.DB, c ledger.Claim) { d.markOne(w, c, 4) }},
		"by the worker, once more":      {true, func(d *desk, _ *mirror, w *ledger.DB, c ledger.Claim) { d.markOne(w, c, 4) }},
		"by a mirror that was left long ago": {true, func(d *desk, _ *mirror, _ *ledger.DB, _ ledger.Claim) {
			stale := &mirror{numbers: map[string]map[string]int64{d.ledgerName(): {"w": 3}}}
			d.must(d.worker("fresh", stale).CompareMarks(t.Context()))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := release(t, 6)
			m := &mirror{}
			w := d.worker("w", m)
			d.must(w.CompareMarks(t.Context()))
			claim := d.claim("w")
			d.markOne(w, claim, 0)
			d.must(w.CompareMarks(t.Context()))
			if c.pruned {
				d.prune("w")
				d.markOne(w, claim, 1)
				d.must(w.CompareMarks(t.Context()))
			}
			d.exec(`CREATE TABLE numbers AS SELECT * FROM mark_number; CREATE TABLE pruned AS SELECT * FROM mark_pruned`)
			d.markOne(w, claim, 2)
			d.must(w.CompareMarks(t.Context()))
			d.prune("w")
			d.must(d.worker("another", m).CompareMarks(t.Context()))
			d.exec(`DELETE FROM mark_number; INSERT INTO mark_number SELECT * FROM numbers; DELETE FROM mark_pruned; INSERT INTO mark_pruned SELECT * FROM pruned`)
			c.found(d, m, w, claim)
			d.wantHeld()
		})
	}
}

// TestTheFenceIsRaisedAfterALossAlone has workers mark, sleep, be pruned, come back and compare at random, with two mirrors, and
// now and then a ledger that was restored.
func TestTheFenceIsRaisedAfterALossAlone(t *testing.T) {
	t.Parallel()
	for seed := range testkit.Size(uint64(4), 12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 1))
			d := release(t, 200)
			mirrors := []*mirror{{}, {}}
			var workers []*ledger.DB
			for i := range 4 {
				w := d.worker(fmt.Sprint("w", i), mirrors[i%2])
				d.must(w.CompareMarks(t.Context()))
				workers = append(workers, w)
			}
			c := d.claim("w0")
			seq, lost := 0, false // marks were made since the backup
			backup := func() {
				d.exec(`DROP TABLE IF EXISTS numbers, pruned; CREATE TABLE numbers AS SELECT * FROM mark_number; CREATE TABLE pruned AS SELECT * FROM mark_pruned`)
				lost = false
			}
			backup()
			for range 60 {
				switch i := r.IntN(len(workers)); r.IntN(8) {
				case 0, 1, 2:
					if !d.markOne(workers[i], c, seq) {
						t.Fatalf("worker %d was given no mark", i)
					}
					seq++
					d.must(workers[i].CompareMarks(t.Context())) // as it does every half second
					lost = true
				case 3, 4:
					d.must(workers[i].CompareMarks(t.Context()))
				case 5:
					d.prune(fmt.Sprint("w", i))
				case 6:
					workers[i] = d.worker(fmt.Sprint("w", i), mirrors[i%2]) // started again
					d.must(workers[i].CompareMarks(t.Context()))
				case 7:
					backup()
				}
			}
			d.wantNotice(notice.Sending)
			if !lost {
				return
			}
			d.exec(`DELETE FROM mark_number; INSERT INTO mark_number SELECT * FROM numbers; DELETE FROM mark_pruned; INSERT INTO mark_pruned SELECT * FROM pruned`)
			for _, m := range mirrors { // some worker of each mirror is left, or comes
				d.must(d.worker("fresh", m).CompareMarks(t.Context()))
			}
			d.wantHeld()
		})
	}
}

func (d *desk) ledgerName() (name string) {
	d.t.Helper()
	d.must(d.pool.QueryRow(d.t.Context(), `SELECT ledger::text FROM fence`).Scan(&name))
	return name
}
