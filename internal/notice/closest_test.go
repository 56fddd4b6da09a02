package notice

import (
	"strings"
	"testing"
)

func TestClosest(t *testing.T) {
	t.Parallel()
	known := []string{"from", "zone", "template_dir", "url"}
	for name, want := range map[string]string{
		"form": "from", "Zone": "zone", "templatedir": "template_dir", "template-dir": "template_dir", "ul": "url",
		"listen": "", "": "", strings.Repeat("zone", 1_000_000): "",
	} {
		if got := Closest(name, known); got != want {
			t.Errorf("Closest(%.20q) = %q, want %q", name, got, want)
		}
	}
}
