package queue_test

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"tocsin/internal/queue"
	"tocsin/internal/testkit"
)

func open(t *testing.T) *queue.Queue {
	t.Helper()
	q, err := queue.Open(testkit.Redis(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	return q
}

func TestATaskOfOneGenerationIsQueuedOnce(t *testing.T) {
	q := open(t)
	for _, generation := range []string{"0.0", "0.0", "7.0", "0.0"} {
		if err := q.EnqueueChunk(t.Context(), 1, generation, false); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	chunks := map[int64]int{}
	all := make(chan struct{})
	var got int
	count := func(id int64) error {
		mu.Lock()
		defer mu.Unlock()
		chunks[id]++
		if got++; got == 2 {
			close(all)
		}
		return nil
	}
	stop, err := q.Serve(queue.Handlers{Chunk: count}, 2, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	<-all
	stop()
	if chunks[1] != 2 {
		t.Errorf("chunk 1 was handled %d times, want 2: it had two generations", chunks[1])
	}
	// The tasks are done: the same generation may come again.
	if err := q.EnqueueChunk(t.Context(), 1, "0.0", false); err != nil {
		t.Fatal(err)
	}
	again := make(chan struct{})
	if stop, err = q.Serve(queue.Handlers{Chunk: func(int64) error { close(again); return nil }}, 1, time.Second); err != nil {
		t.Fatal(err)
	}
	<-again
	stop()
}

func TestAHandlerThatCanNotNowIsAskedAgain(t *testing.T) {
	q := open(t)
	if err := q.EnqueueChunk(t.Context(), 9, "0.0", true); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	calls := 0
	done := make(chan struct{})
	stop, err := q.Serve(queue.Handlers{Chunk: func(int64) error {
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls == 1 {
			return errBusy
		}
		close(done)
		return nil
	}}, 1, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	<-done
	stop()
}

func TestRedisAwayIsAnErrorAndNoPanic(t *testing.T) {
	q, err := queue.Open("redis://127.0.0.1:1/0", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	if err := q.EnqueueChunk(t.Context(), 1, "0.0", false); err == nil {
		t.Error("enqueued into nowhere")
	}
	if err := q.Ready(t.Context()); err == nil {
		t.Error("a Redis that is away is ready")
	}
	if _, err := queue.Open("http://example.com", slog.Default()); err == nil {
		t.Error("an http URL was taken for Redis")
	}
}

func TestMarksAreKeptPerLedger(t *testing.T) {
	q := open(t)
	ctx := t.Context()
	if got, err := q.Marks(ctx, "a"); err != nil || len(got) != 0 {
		t.Errorf("marks before any were kept: %v, %v", got, err)
	}
	for _, numbers := range []map[string]int64{{"w/1": 1, "w/2": 2}, {"w/1": 3}} {
		if err := q.KeepMarks(ctx, "a", numbers); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.KeepMarks(ctx, "b", map[string]int64{"w/1": 9}); err != nil {
		t.Fatal(err)
	}
	if got, err := q.Marks(ctx, "a"); err != nil || len(got) != 2 || got["w/1"] != 3 || got["w/2"] != 2 {
		t.Errorf("marks: %v, %v", got, err)
	}
	if err := q.DropMarks(ctx, "a", []string{"w/1", "w/3"}); err != nil {
		t.Fatal(err)
	}
	if got, err := q.Marks(ctx, "a"); err != nil || len(got) != 1 || got["w/2"] != 2 {
		t.Errorf("marks after a drop: %v, %v", got, err)
	}
}

type busy string

func (b busy) Error() string { return string(b) }

const errBusy = busy("busy")
