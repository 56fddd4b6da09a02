package console

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/internal/notice"
)

// TestALargeReportIsCountedBesideItsPage: the page does not wait, and two readers have it counted once. It is counted anew when its numbers
// have changed, but not all the time.
func TestALargeReportIsCountedBesideItsPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tallies, counts := newTallies(slog.New(slog.DiscardHandler)), 0
		status := notice.Status{Key: "large", Recipients: tallyAtOnce + 1, Counts: map[string]int{"sent": 5, "queued": tallyAtOnce - 4}}
		var wrong error
		count := func(context.Context) (notice.Report, error) {
			counts++
			st := status
			time.Sleep(20 * time.Second) // of the bubble's clock
			r := notice.NewReport([]notice.Status{st})
			r.AsOf = time.Now()
			return r, wrong
		}
		look := func() (now, tables notice.Report) {
			t.Helper()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel() // the reader goes
			now, tables, err := tallies.counted(ctx, "/notices/large", []notice.Status{status}, count)
			if err != nil {
				t.Fatal(err)
			}
			return now, tables
		}
		pass := func(span time.Duration) {
			time.Sleep(span)
			synctest.Wait()
		}
		began := time.Now()
		for range 2 {
			if now, tables := look(); now.Counts["sent"] != 5 || !tables.AsOf.IsZero() {
				t.Errorf("%+v, %+v", now, tables)
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("a page waited for %s", took)
		}
		pass(time.Minute)
		if _, tables := look(); tables.Counts["sent"] != 5 || counts != 1 {
			t.Errorf("after %d counts: %+v", counts, tables)
		}
		status.Counts = map[string]int{"sent": 6, "queued": tallyAtOnce - 5}
		if now, tables := look(); now.Counts["sent"] != 6 || tables.Counts["sent"] != 5 || counts != 1 {
			t.Errorf("soon after a count of 20 s: %d counts, %+v", counts, tables.Counts)
		}
		pass(lazier * 20 * time.Second)
		wrong = errors.New("the database is away")
		look()
		pass(time.Minute)
		wrong = nil
		if _, tables := look(); tables.Counts["sent"] != 5 || counts != 2 {
			t.Errorf("after a count that failed: %d counts, %+v", counts, tables.Counts)
		}
		pass(lazier * 20 * time.Second)
		look()
		pass(time.Minute)
		if _, tables := look(); tables.Counts["sent"] != 6 || counts != 3 {
			t.Errorf("%d counts, %+v", counts, tables.Counts)
		}
		status.Recipients, status.Counts = 3, map[string]int{"sent": 3}
		if now, tables := look(); now.Counts["sent"] != 3 || !tables.AsOf.Equal(now.AsOf) || counts != 4 {
			t.Errorf("a small one: %d counts, %+v", counts, tables)
		}
	})
}
