package send

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// diary is a log that can be waited for: a line is the message and the relay.
type diary chan string

func (diary) Enabled(context.Context, slog.Level) bool { return true }
func (d diary) WithAttrs([]slog.Attr) slog.Handler     { return d }
func (d diary) WithGroup(string) slog.Handler          { return d }
func (d diary) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "relay" {
			line += " " + a.Value.String()
		}
		return true
	})
	select {
	case d <- line:
	default:
	}
	return nil
}

// await returns when a line that begins and ends so was written; the lines before it are gone.
func (d diary) await(t *testing.T, begin, relay string) {
	t.Helper()
	for {
		if line := next(t, d); strings.HasPrefix(line, begin) && strings.HasSuffix(line, " "+relay) {
			return
		}
	}
}

// next returns the next of a channel, which has to come soon.
func next[T any](t *testing.T, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came for 20 s")
	}
	return v
}

// takes returns the next answers, which have to be 250 by a relay.
func (r *ring) takes(t *testing.T, n int, relay string) {
	t.Helper()
	for range n {
		if a := next(t, r.came); a.Outcome != notice.OutcomeSent || relay != "" && a.Relay != relay {
			t.Fatalf("%+v, want sent by %s", a, relay)
		}
	}
}
