package metrics

import (
	"testing"
	"time"
)

func TestWantedWorkers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r         Reckoning
		due, want int
	}{
		"nothing is due":                        {Reckoning{100, 10 * time.Minute, 0}, 0, 1},
		"one does it":                           {Reckoning{100, 10 * time.Minute, 0}, 60_000, 1},
		"one mail too many for one":             {Reckoning{100, 10 * time.Minute, 0}, 60_001, 2},
		"a million in ten minutes":              {Reckoning{100, 10 * time.Minute, 0}, 1_000_000, 17},
		"relays take 300/s":                     {Reckoning{100, 10 * time.Minute, 300}, 1_000_000, 3},
		"relays take less than one worker does": {Reckoning{100, 10 * time.Minute, 0.5}, 1_000_000, 1},
		"relays take more than is wanted":       {Reckoning{100, 10 * time.Minute, 5000}, 120_000, 2},
		"no rate is known":                      {Reckoning{}, 1_000_000, 1},
	} {
		if got := c.r.workers(c.due); got != c.want {
			t.Errorf("%s: %d workers, want %d", name, got, c.want)
		}
	}
}
