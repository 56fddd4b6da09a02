package pace

import (
	"testing"
	"time"

	"tocsin/internal/notice"
)

// The highest rate that the settings take has less than a microsecond for a mail.
func TestTheHighestRateIsShared(t *testing.T) {
	t.Parallel()
	rate, err := notice.ParseRate("9999999/s")
	if err != nil {
		t.Fatal(err)
	}
	for _, workers := range []int{1, 4} {
		now := time.Now()
		b := &bucket{rate: float64(rate), block: 1, wanted: now}
		b.share(now, workers)
		if len(b.leased) != 1 || b.leased[0].left < 100_000 {
			t.Errorf("%d workers: leased %+v", workers, b.leased)
		}
		if wait := b.ready(now); wait > 0 {
			t.Errorf("%d workers: the first mail waits for %v", workers, wait)
		}
	}
}
