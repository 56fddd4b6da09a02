package main

import (
	"context"
	"strings"
	"testing"
	"time"

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

func TestADraftIsDeletedAtAWord(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]int{"yes": exitDone, "no": exitFailed} {
		c := setup(t)
		code, shown := c.typing(t, "Type yes", typed, "notice", "delete", "feeds.1")
		if code != want || (c.st.Key == "") != (want == exitDone) || !strings.Contains(shown, "Delete the draft feeds.1?") {
			t.Errorf("typed %s: exit code %d; the terminal showed:\n%s", typed, code, shown)
		}
	}
	c := setup(t)
	code, stdout, stderr := c.run(t, "notice", "delete", "feeds.1", "--json")
	if doc := theDocument(t, stdout); code != exitDone || doc["deleted"] != true || c.st.Key != "" {
		t.Errorf("off a terminal: exit code %d, %v, %s", code, doc, stderr)
	}
}

func (in *installation) DeleteDraft(context.Context, string, string) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.st = notice.Status{}
	return nil
}

func TestSendingNowIsAskedAboutOnATerminal(t *testing.T) {
	t.Parallel()
	at := time.Date(2099, 7, 1, 13, 0, 0, 0, time.UTC)
	for typed, want := range map[string]int{"yes": exitDone, "no": exitFailed} {
		c := setup(t)
		c.st.State, c.st.Recipients, c.st.SendAt = notice.Scheduled, 1180, &at
		code, shown := c.typing(t, "Type yes", typed, "notice", "send-now", "feeds.1")
		if code != want || (c.st.State == notice.Sending) != (want == exitDone) || !strings.Contains(shown, "Send feeds.1 to 1,180 recipients now, and not at ") {
			t.Errorf("typed %s: exit code %d; the terminal showed:\n%s", typed, code, shown)
		}
	}
}

func (in *installation) SendNow(context.Context, string, string) (notice.Status, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.st.State = notice.Sending
	return in.st, nil
}

func (in *installation) Cancel(context.Context, string, string) (notice.Status, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.st.State = notice.Cancelled
	return in.st, nil
}
