package control

import (
	"slices"
	"testing"
	"time"
)

// TestAWindowIsFoundAmongThoseThatWereAnnounced by its times, or as the one that it overlaps.
func TestAWindowIsFoundAmongThoseThatWereAnnounced(t *testing.T) {
	t.Parallel()
	at := func(from, to int) [2]time.Time {
		return [2]time.Time{time.Unix(int64(from), 0), time.Unix(int64(to), 0)}
	}
	announced := [][2]time.Time{at(10, 20), at(30, 40), at(35, 60)}
	for name, c := range map[string]struct {
		windows [][2]time.Time
		want    []int
	}{
		"all":          {announced, nil},
		"the first":    {announced[:1], nil},
		"the second":   {announced[1:2], []int{1}},
		"the last two": {announced[1:], []int{1, 2}},
		"one late":     {[][2]time.Time{at(32, 50)}, []int{1}},
		"the same one": {[][2]time.Time{at(35, 60)}, []int{2}},
		"another":      {[][2]time.Time{at(20, 30)}, nil},
		"two for one":  {[][2]time.Time{at(41, 42), at(43, 44)}, nil},
	} {
		if got := places(c.windows, announced); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
