package queue_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tocsin/internal/queue"
	"tocsin/internal/testkit"
)

func TestThePagesShowTheQueueAndChangeNothing(t *testing.T) {
	t.Parallel()
	q, err := queue.Open(testkit.Redis(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	if err := q.EnqueueChunk(t.Context(), 4711, "1.0", false); err != nil {
		t.Fatal(err)
	}
	pages := q.Pages("/queues")
	ask := func(method, path string) (int, string) {
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return w.Code, w.Body.String()
	}
	if code, body := ask("GET", "/queues"); code != http.StatusOK || !strings.Contains(body, `FLAG_READ_ONLY="true"`) {
		t.Errorf("the page: %d %s", code, body)
	}
	const tasks = "/queues/api/queues/chunks/pending_tasks"
	if code, body := ask("GET", tasks); code != http.StatusOK || !strings.Contains(body, "chunk:4711:1.0") {
		t.Errorf("the tasks: %d %s", code, body)
	}
	for _, act := range []string{"POST /queues/api/queues/chunks:pause", "DELETE " + tasks + "/chunk:4711:1.0", "DELETE " + tasks + ":delete_all",
		"POST " + tasks + ":archive_all", "DELETE /queues/api/queues/chunks"} {
		method, path, _ := strings.Cut(act, " ")
		if code, body := ask(method, path); code != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s", act, code, body)
		}
	}
	if _, body := ask("GET", tasks); !strings.Contains(body, "chunk:4711:1.0") {
		t.Errorf("the task is gone: %s", body)
	}
	if _, body := ask("GET", "/queues/api/queues/chunks"); !strings.Contains(body, `"paused":false`) {
		t.Errorf("the queue is paused: %s", body)
	}
}
