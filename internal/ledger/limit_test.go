package ledger_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tocsin/internal/notice"
)

func TestLimitsAreSetUntilTheyAreCleared(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	if err := failure(d.ClearLimit(ctx, "a.example", "ada")); notice.CodeOf(err) != notice.CodeNotFound || !strings.Contains(err.Error(), "any other domain") {
		t.Errorf("cleared one that is not set: %v", err)
	}
	kept, err := d.SetLimit(ctx, notice.DomainLimit{Domain: "a.example", RatePerS: 20}, 0, "ada (laptop)")
	d.must(err)
	if kept.Until != nil || kept.By != "ada (laptop)" || kept.Of != notice.LimitSet {
		t.Errorf("set %+v", kept)
	}
	// The last word counts, and all of it.
	kept, err = d.SetLimit(ctx, notice.DomainLimit{Domain: "a.example", Connections: 4}, time.Hour, "bob")
	d.must(err)
	if left := time.Until(*kept.Until); kept.RatePerS != 0 || left < 59*time.Minute || left > 61*time.Minute {
		t.Errorf("set %+v", kept)
	}
	all, err := d.Limits(ctx)
	d.must(err)
	if diff := cmp.Diff([]notice.DomainLimit{kept}, all, cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := failure(d.ClearLimit(ctx, "b.example", "ada")); !strings.Contains(err.Error(), "there are those of: a.example") {
		t.Errorf("cleared another: %v", err)
	}
	gone, err := d.ClearLimit(ctx, "a.example", "ada")
	d.must(err)
	if all, err = d.Limits(ctx); err != nil || len(all) != 0 || gone.Connections != 4 {
		t.Errorf("after %+v was cleared: %+v, %v", gone, all, err)
	}
	acts, err := d.Acts(ctx, notice.ActPage{Limit: 10})
	d.must(err)
	if len(acts) != 3 || acts[0].What != "clear limit" || acts[2].Detail != "a.example, 20/s until it is cleared" {
		t.Errorf("the log: %+v", acts)
	}
}

func TestALimitEndsByItself(t *testing.T) {
	t.Parallel()
	d := open(t)
	_, err := d.SetLimit(t.Context(), notice.DomainLimit{Domain: "a.example", RatePerS: 1}, time.Hour, "ada")
	d.must(err)
	d.exec(`UPDATE domain_limit SET until_at = clock_timestamp()`)
	if all, err := d.Limits(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("a limit that has ended: %+v, %v", all, err)
	}
	if err := failure(d.ClearLimit(t.Context(), "a.example", "ada")); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("cleared one that has ended: %v", err)
	}
}

// TestAChangedLimitWakesWhatRestsForIt: a chunk that rests for a domain's limit, half a minute at most, is due at once when a
// limit changes. One that waits for a later retry is not.
func TestAChangedLimitWakesWhatRestsForIt(t *testing.T) {
	t.Parallel()
	for rest, due := range map[time.Duration]int{20 * time.Second: 1, 10 * time.Minute: 0} {
		d := release(t, 1)
		c := d.claim("a")
		c.Rest = rest
		d.closeChunk(c)
		if w, err := d.Sweep(t.Context()); err != nil || len(w.Chunks) != 0 {
			t.Fatalf("%d chunks are due, %v", len(w.Chunks), err)
		}
		_, err := d.SetLimit(t.Context(), notice.DomainLimit{Domain: "example.com", RatePerS: 100}, 0, "ada")
		d.must(err)
		if w, err := d.Sweep(t.Context()); err != nil || len(w.Chunks) != due {
			t.Errorf("after a rest of %v %d chunks are due, want %d (%v)", rest, len(w.Chunks), due, err)
		}
	}
}
