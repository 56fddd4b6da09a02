package queue_test

import (
	"log/slog"
	"testing"

	"tocsin/internal/queue"
	"tocsin/internal/testkit"
)

func TestTheStandingCountsTasks(t *testing.T) {
	t.Parallel()
	q, err := queue.Open(testkit.Redis(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	if all, err := q.Standing(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("before anything was sent: %+v, %v", all, err)
	}
	for id := range int64(3) {
		if err := q.EnqueueChunk(t.Context(), id+1, "1.0", id == 0); err != nil {
			t.Fatal(err)
		}
	}
	all, err := q.Standing(t.Context())
	if err != nil || len(all) != 2 || all[0].Queue != "chunks" || all[0].Pending != 2 || all[1].Queue != "urgent" || all[1].Pending != 1 || all[1].Paused {
		t.Errorf("%+v, %v", all, err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Standing(t.Context()); err == nil {
		t.Error("without Redis there is a standing")
	}
}
