package render

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// TestAColourThatWouldDoDoes, on each colour, and one that is legible stays as it is.
func TestAColourThatWouldDoDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		colour := rapid.Map(rapid.IntRange(0, 0xffffff), func(n int) string { return fmt.Sprintf("#%06x", n) })
		text, behind := colour.Draw(t, "text"), colour.Draw(t, "behind")
		shade := Legible(text, behind)
		if err := CheckLegible(shade, behind); err != nil {
			t.Fatalf("%s for %s on %s: %v", shade, text, behind, err)
		}
		if fine := CheckLegible(text, behind) == nil; fine != (shade == text) {
			t.Fatalf("%s on %s is legible: %v, and %s would do", text, behind, fine, shade)
		}
	})
}
