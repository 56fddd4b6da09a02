package testkit

import (
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// Findings compares what a check found with what is wanted: the level and a part of the message of each finding.
// What is not well must say what to do.
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
