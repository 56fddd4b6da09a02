package ledger_test

import (
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// TestALargeMailingStarvesNoOtherNotice: a mailing with more chunks than a sweep brings keeps back neither an urgent notice
// nor another notice's chunk that was given back.
func TestALargeMailingStarvesNoOtherNotice(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO customer (id, name, email, email_key) VALUES ('c', 'C', 'c@example.com', 'c@example.com')`)
	want := map[int64]bool{}
	set := func(key string, b notice.Body) int64 {
		d.send(notice.Body{Key: key})
		d.exec(`UPDATE notice SET body = body || jsonb_build_object('kind', $2::text, 'phase', $3::text, 'severity', $4::text) WHERE id = $1`,
			d.id, b.Kind, b.Phase, b.Severity)
		return d.id
	}
	chunks := func(id int64) {
		d.exec(`INSERT INTO chunk (notice_id, plan_id, lo, hi, open, due_at, dots, sent, stopped, counts)
			SELECT notice_id, plan_id, hi + i, hi + i + 1, true, due_at - interval '1 hour', dots, sent, stopped, counts FROM chunk, generate_series(1, 1200) i WHERE notice_id = $1`, id)
	}
	large := set("mailing", notice.Body{Kind: notice.Maintenance, Phase: "scheduled"})
	chunks(large)
	outages := set("large-outage", notice.Body{Kind: notice.Outage, Phase: "identified"})
	chunks(outages)
	for _, small := range []struct {
		key string
		notice.Body
	}{
		{"outage", notice.Body{Kind: notice.Outage, Phase: "identified"}},
		{"post-mortem", notice.Body{Kind: notice.Outage, Phase: "postmortem"}},
		{"critical-post-mortem", notice.Body{Kind: notice.Outage, Phase: "postmortem", Severity: "critical"}},
		{"maintenance", notice.Body{Kind: notice.Maintenance, Phase: "scheduled", Severity: "minor"}},
		{"critical-maintenance", notice.Body{Kind: notice.Maintenance, Phase: "scheduled", Severity: "critical"}},
	} {
		var chunk int64
		d.must(d.pool.QueryRow(t.Context(), `SELECT id FROM chunk WHERE notice_id = $1`, set(small.key, small.Body)).Scan(&chunk))
		want[chunk] = small.Body.Urgent()
	}
	w, err := d.Sweep(t.Context())
	d.must(err)
	urgent := 0
	for i, c := range w.Chunks {
		if c.Urgent {
			if urgent++; urgent != i+1 {
				t.Fatalf("chunk %d of the sweep is urgent, after one that is not", i)
			}
		}
		if is, ok := want[c.ID]; ok && c.Urgent != is {
			t.Errorf("a small notice's chunk %+v: urgent %v, want %v", c, c.Urgent, is)
		}
		delete(want, c.ID)
	}
	if most := 2*64 + 5; len(w.Chunks) != most || urgent != 64+3-1+1 || len(want) > 0 || w.NextDue > time.Second {
		t.Errorf("swept %d chunks, %d of them urgent, and not %d of other notices; the next in %v", len(w.Chunks), urgent, len(want), w.NextDue)
	}
}

func TestATaskIsReplacedOnlyWhenItMayBeLost(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for s := range 3600 {
		names[ledger.DueChunk{Epoch: 7, Overdue: time.Duration(s) * time.Second}.Generation()] = true
	}
	if len(names) > 10 {
		t.Errorf("a chunk that nobody claims for an hour is enqueued %d times", len(names))
	}
	long := func(d time.Duration) string {
		return ledger.DueChunk{Epoch: 7, Overdue: 8*time.Hour + d}.Generation()
	}
	if long(0) == long(15*time.Minute) {
		t.Error("a chunk that was paused for hours and then lost is not replaced within a quarter of an hour")
	}
	if (ledger.DueChunk{Epoch: 7}).Generation() == (ledger.DueChunk{Epoch: 8}).Generation() {
		t.Error("a claim does not change the name of the next task")
	}
}
