package ledger

import (
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestACanaryIsDrawnOverTheLanguages: each has one of the first, and its share of all that follow; the same seed draws the same, another seed others.
func TestACanaryIsDrawnOverTheLanguages(t *testing.T) {
	t.Parallel()
	language := func(seq int32) string {
		switch {
		case seq == 4711:
			return "ar"
		case seq%4 == 0:
			return "nl"
		}
		return "en"
	}
	draw := func(seed string) []int32 {
		sum := sha256.Sum256([]byte(seed))
		l := newLots(sum[:])
		for seq := range int32(10_000) {
			l.add(language(seq), seq)
		}
		return l.order(1000)
	}
	order := draw("a")
	if !slices.Equal(order, draw("a")) || slices.Equal(order, draw("b")) {
		t.Error("the draw is not that of its seed")
	}
	if all := slices.Compact(slices.Sorted(slices.Values(order))); len(all) != 1000 {
		t.Errorf("%d mailboxes were drawn", len(all))
	}
	for _, n := range []int{3, 40, 200, 1000} {
		got := map[string]int{}
		for _, seq := range order[:n] {
			got[language(seq)]++
		}
		if share := float64(n) / 4; got["ar"] != 1 || float64(got["nl"]) < share-1.5 || float64(got["nl"]) > share+1.5 {
			t.Errorf("of the first %d: %v", n, got)
		}
	}
	// They come from everywhere: no tenth of the rows has less than half of its share, or more than twice.
	tenths := map[int32]int{}
	for _, seq := range order {
		tenths[seq/1000]++
	}
	for tenth, n := range tenths {
		if n < 50 || n > 200 {
			t.Errorf("%d of 1000 are of tenth %d", n, tenth)
		}
	}
}

func TestChunksAroundACanary(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rows   int
		canary []int32
		want   [][3]int
	}{
		"none":            {300, nil, [][3]int{{0, 256, 0}, {256, 300, 0}}},
		"at both ends":    {300, []int32{299, 0}, [][3]int{{0, 1, 1}, {1, 257, 0}, {257, 299, 0}, {299, 300, 1}}},
		"side by side":    {4, []int32{1, 2}, [][3]int{{0, 1, 0}, {1, 2, 1}, {2, 3, 1}, {3, 4, 0}}},
		"nobody is there": {0, nil, nil},
	} {
		lo, hi, alone := chunksAround(c.rows, c.canary)
		var got [][3]int
		for i := range lo {
			got = append(got, [3]int{int(lo[i]), int(hi[i]), map[bool]int{true: 1}[alone[i]]})
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
