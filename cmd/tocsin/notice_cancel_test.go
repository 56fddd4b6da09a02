package main

import (
	"context"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

func TestACancellingIsAskedAboutOnATerminal(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]int{"yes": exitDone, "no": exitFailed} {
		c := setup(t)
		c.st.State = notice.Sending
		code, shown := c.typing(t, "Type yes", typed, "notice", "cancel", "feeds.1")
		if code != want || (c.st.State == notice.Cancelled) != (want == exitDone) || !strings.Contains(shown, "Cancel feeds.1 for good?") {
			t.Errorf("typed %s: exit code %d; the terminal showed:\n%s", typed, code, shown)
		}
	}
}

func (in *installation) Cancel(context.Context, string, string) (notice.Status, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.st.State = notice.Cancelled
	return in.st, nil
}
