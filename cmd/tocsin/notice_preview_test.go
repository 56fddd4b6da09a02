package main

import (
	"strings"
	"testing"
)

func TestThePreviewShowsTheMailOfACustomer(t *testing.T) {
	t.Parallel()
	c := setup(t)
	code, stdout, stderr := c.run(t, "notice", "preview", "DIR", "--customer", "c-7")
	if code != exitDone || !strings.Contains(stdout, "--- nl, one mail for c-7, c-8, as customer c-7 gets it ---\nSubject: Stroom\n") || strings.Contains(stdout, "--- en") {
		t.Errorf("exit code %d:\n%s%s", code, stdout, stderr)
	}
	code, stdout, stderr = c.run(t, "notice", "preview", "DIR", "--customer", "c-9\x1b[2J")
	if code != exitFailed || strings.Contains(stdout, "---") || !strings.Contains(stderr, "customer c-9 [2J would get no mail: the filter of the audience does not hold for them") {
		t.Errorf("outside the audience: exit code %d:\n%s%s", code, stdout, stderr)
	}
	code, stdout, _ = c.run(t, "notice", "preview", "DIR", "--customer", "c-9", "--json")
	if asked, _ := theDocument(t, stdout)["customer"].(map[string]any); code != exitFailed || asked["reason"] != "filter" {
		t.Errorf("as JSON: exit code %d: %v", code, asked)
	}
}
