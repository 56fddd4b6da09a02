package notice

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestAProgressHasFewSpans(t *testing.T) {
	t.Parallel()
	first := time.Date(2026, 11, 9, 3, 14, 7, 0, time.UTC)
	for span, want := range map[time.Duration]time.Duration{0: time.Second, 59 * time.Second: time.Second, time.Minute: 2 * time.Second, 10 * time.Minute: 20 * time.Second,
		4 * time.Hour: 5 * time.Minute, 90 * 24 * time.Hour: 48 * time.Hour} {
		p := NewProgress(first, first.Add(span))
		if p.Width != want || len(p.Taken) > mostSpans || time.Duration(len(p.Taken))*p.Width <= span {
			t.Errorf("over %s: %d spans of %s, want those of %s", span, len(p.Taken), p.Width, want)
		}
	}
	p := NewProgress(first, first.Add(2*time.Second))
	p.Add(0, "main", 3)
	p.Add(2, "austin", 1)
	p.Add(9, "main", 4) // which came while the notice was looked at
	p.Add(-1, "austin", 2)
	if diff := cmp.Diff(Progress{From: first, Width: time.Second, Relays: []string{"main", "austin"}, Taken: [][]int{{3, 2}, nil, {4, 1}}}, p); diff != "" {
		t.Errorf("(-want +got): %s", diff)
	}
}
