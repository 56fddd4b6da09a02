package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/creack/pty"

	"tocsin/internal/notice"
)

func TestACancellingIsAskedAboutOnATerminal(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]int{"yes": exitDone, "no": exitFailed} {
		c := setup(t)
		c.st.State = notice.Sending
		screen, terminal, err := pty.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer screen.Close()
		read := make(chan string, 1)
		go func() {
			var seen bytes.Buffer
			answered := false
			b := make([]byte, 4096)
			for {
				n, err := screen.Read(b)
				seen.Write(b[:n])
				if !answered && strings.Contains(seen.String(), "Type yes") {
					answered = true
					fmt.Fprintln(screen, typed)
				}
				if err != nil {
					read <- seen.String()
					return
				}
			}
		}()
		var out bytes.Buffer
		code := Run(t.Context(), []string{"notice", "cancel", "feeds.1"}, terminal, &out, terminal, []string{c.env})
		terminal.Close()
		if shown := <-read; code != want || (c.st.State == notice.Cancelled) != (want == exitDone) || !strings.Contains(shown, "Cancel feeds.1 for good?") {
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
