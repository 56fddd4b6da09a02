package main

import (
	"regexp"
	"strings"
	"testing"
)

// TestTheManualHasEverySetting compares the manual page with the README's table of settings.
func TestTheManualHasEverySetting(t *testing.T) {
	t.Parallel()
	_, page, _ := setup(t).run(t, "man")
	page = strings.ReplaceAll(page, `\`, "")
	named := regexp.MustCompile("(?m)^\\| `(\\w+)").FindAllStringSubmatch(string(read(t, "../../README.md")), -1)
	for _, name := range named {
		if !strings.Contains(page, name[1]) {
			t.Errorf("the manual page lacks %s", name[1])
		}
	}
	if len(named) < 50 {
		t.Errorf("the README has %d settings: its table is not found", len(named))
	}
}
