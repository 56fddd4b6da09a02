package ledger_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// TestTwoReleasesOfDifferentPlans at once: one goes, and nobody stands on the notice twice or is forgotten.
func TestTwoReleasesOfDifferentPlans(t *testing.T) {
	t.Parallel()
	for range 5 {
		d, b := drafted(t, 20)
		digests := []string{d.freeze(b).Digest}
		d.customer("more")
		digests = append(digests, d.freeze(b).Digest)
		var all sync.WaitGroup
		results := make([]error, 6)
		released := make([]bool, 6)
		for i := range results {
			all.Go(func() { released[i], results[i] = d.Take(context.Background(), d.id, press(digests[i%2])) })
		}
		all.Wait()
		n := 0
		for i, err := range results {
			if err != nil && (i%2 == 1 || notice.CodeOf(err) != notice.CodePlanChanged) {
				t.Errorf("release of plan %d: %v", i%2, err)
			}
			if released[i] {
				n++
			}
			if released[i] && i%2 == 0 {
				t.Error("the plan that was replaced went")
			}
		}
		if n != 1 {
			t.Errorf("%d of them released it", n)
		}
		d.wantCounts(map[string]int{"queued": 21})
	}
}

// TestAReleaseMeetsWhatDropsItsPlan: the collector, an erasure, another look, another body. The plan goes as a whole or not at
// all, and of an erased customer nothing is left.
func TestAReleaseMeetsWhatDropsItsPlan(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]func(*desk, notice.Body) error{
		"the collector": func(d *desk, _ notice.Body) error {
			for more := true; more; {
				var err error
				if _, more, err = d.DropOldPlans(context.Background(), time.Nanosecond); err != nil {
					return err
				}
			}
			return nil
		},
		"an erasure":   func(d *desk, _ notice.Body) error { return d.DeleteCustomer(context.Background(), "c7") },
		"another look": func(d *desk, b notice.Body) error { _, err := d.Freeze(context.Background(), d.id, all(b)); return err },
		"another body": func(d *desk, b notice.Body) error {
			b.Severity = "major"
			_, _, err := d.PutDraft(context.Background(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := open(t)
			for round := range 12 {
				d.exec(`DELETE FROM customer`)
				d.customers(30)
				b := d.draft("n"+string(rune('a'+round)), "")
				digest := d.freeze(b).Digest
				d.exec(`UPDATE customer SET name = 'Changed'`) // another look finds another plan
				var both sync.WaitGroup
				var released bool
				var takeErr, dropErr error
				both.Go(func() { released, takeErr = d.Take(context.Background(), d.id, press(digest)) })
				both.Go(func() { dropErr = drop(d, b) })
				both.Wait()
				if takeErr != nil && notice.CodeOf(takeErr) != notice.CodePlanChanged || takeErr == nil && !released {
					t.Fatalf("released %v, %v", released, takeErr)
				}
				if released {
					st, err := d.Status(t.Context(), d.ref)
					d.must(err)
					if st.Counts["queued"]+st.Counts["cancelled"] != 30 || len(d.addresses()) != 30 {
						t.Errorf("the notice went to %d rows: %v", len(d.addresses()), st.Counts)
					}
				} else if state, _ := d.State(t.Context(), d.ref); state != notice.Draft {
					t.Errorf("refused, and yet %s", state)
				}
				if code := notice.CodeOf(dropErr); dropErr != nil && (code != notice.CodeConflict || !released) {
					t.Errorf("%s: %v", name, dropErr)
				}
				if name == "an erasure" {
					d.wantGone("c7@example.com", "Customer 7")
				}
			}
		})
	}
}
