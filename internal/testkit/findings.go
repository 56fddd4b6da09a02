package testkit

import (
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// Findings compares the findings of a check with the wanted ones: the level and a part of the message of each. A
// finding of a fault must say how to mend it.
func Findings(t testing.TB, got notice.Findings, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %+v, want %q", got, want)
	}
	for i, f := range got {
		level, part, _ := strings.Cut(want[i], " ")
		if string(f.Level) != level || !strings.Contains(f.Message, part) {
			t.Errorf("finding %d is %+v, want %q", i, f, want[i])
		}
		if (f.Advice == "") != (f.Level == notice.LevelOK) {
			t.Errorf("finding %d says to do %q: %+v", i, f.Advice, f)
		}
	}
}
