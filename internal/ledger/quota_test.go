package ledger_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tocsin/internal/ledger"
)

// TestNoMoreThanAQuotaIsTaken: processes that take at the same time take the quota together, and no more.
func TestNoMoreThanAQuotaIsTaken(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	d.must(d.KeepRelays(ctx, map[string]int{"main": 500, "spare": 0}))
	var taken atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				s, err := d.TakeQuota(ctx, "main", 500, 7)
				if err != nil {
					t.Error(err)
					return
				}
				if s.Mails == 0 {
					if in := time.Until(s.Until); in < 24*time.Hour || in > 25*time.Hour {
						t.Errorf("used up for %v", in)
					}
					return
				}
				taken.Add(int64(s.Mails))
			}
		})
	}
	all.Wait()
	if n := taken.Load(); n != 500 {
		t.Errorf("%d mails of a quota of 500 were taken", n)
	}
	quotas, err := d.Quotas(ctx)
	d.must(err)
	if len(quotas) != 1 || quotas[0].Relay != "main" || quotas[0].Used != 500 || quotas[0].PerDay != 500 || quotas[0].Until == nil {
		t.Errorf("quotas %+v", quotas)
	}
}

func TestAQuotaHasRoomAgainByWhatIsGivenBackAndAfterADay(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	d.must(d.KeepRelays(ctx, map[string]int{"main": 10}))
	var last ledger.Share
	for range 10 {
		var err error
		last, err = d.TakeQuota(ctx, "main", 10, 5)
		d.must(err)
		if last.Mails != 1 {
			t.Fatalf("few are left, and one process took %d of them", last.Mails)
		}
	}
	d.must(d.GiveBackQuota(ctx, "main", last))
	if s, err := d.TakeQuota(ctx, "main", 10, 5); err != nil || s.Mails != 1 {
		t.Errorf("of what was given back: %+v, %v", s, err)
	}
	// Two were taken a day ago, and eight in the last hour: with a quota of 5, these have to become a day old first.
	d.exec(`DELETE FROM relay_quota`)
	d.exec(`INSERT INTO relay_quota SELECT 'main', clock_timestamp() - ago, n FROM (VALUES (interval '24 hours 29 minutes', 2), (interval '1 hour', 8)) v(ago, n)`)
	for quota, want := range map[int]time.Duration{10: time.Minute, 5: 23*time.Hour + 30*time.Minute} {
		s, err := d.TakeQuota(ctx, "main", quota, 1)
		d.must(err)
		if in := time.Until(s.Until); s.Mails != 0 || in > want || in < want-time.Minute {
			t.Errorf("a quota of %d: %+v, in %v, want %v", quota, s, in, want)
		}
	}
	d.exec(`UPDATE relay_quota SET bucket = bucket - interval '2 minutes'`)
	if s, err := d.TakeQuota(ctx, "main", 10, 2); err != nil || s.Mails != 1 {
		t.Errorf("after a day: %+v, %v", s, err)
	}
}
