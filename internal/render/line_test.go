package render

import (
	"testing"

	"github.com/rivo/uniseg"
	"pgregory.net/rapid"
)

// TestColumnsAreThoseOfUnicode: letters that are counted one by one are as wide as a library that knows all of Unicode
// says.
func TestColumnsAreThoseOfUnicode(t *testing.T) {
	t.Parallel()
	for r := rune(' '); r < 0x20000; r++ {
		if w := columnsOf(r); w != 0 && r != 0x7F && w != uniseg.StringWidth(string(r)) {
			t.Errorf("%U %q: %d columns, want %d", r, string(r), w, uniseg.StringWidth(string(r)))
		}
	}
	letters := []rune("aé1 \u0301\u200D\u20E3\uFE0FώЖא\u05B0عـ\u064B漢かー가\u1100\u1161\u11A8हि😀🇳🇱\u2068\u2069")
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.SampledFrom(letters)).Draw(t, "s")
		if got, want := columns(s), uniseg.StringWidth(s); got != want {
			t.Errorf("%q: %d columns, want %d", s, got, want)
		}
	})
}
