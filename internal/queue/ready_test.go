package queue_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/notice"
	"tocsin/internal/queue"
	"tocsin/internal/testkit"
)

func TestARedisThatWaitingDoesNotMend(t *testing.T) {
	t.Parallel()
	url := testkit.OwnRedis(t).RedisURL
	q, err := queue.Open(url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { q.Close() })
	opts, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	admin := redis.NewClient(opts)
	t.Cleanup(func() { admin.Close() })
	do := func(args ...any) {
		t.Helper()
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	want := func(text string) {
		t.Helper()
		err := q.Ready(t.Context())
		why, unready := errors.AsType[notice.Unready](err)
		if unready != (text != "") || err != nil && !unready || !strings.Contains(string(why), text) {
			t.Errorf("got %v, want %q", err, text)
		}
	}
	want("")
	do("CONFIG", "SET", "maxmemory", "100mb")
	want("")
	do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	want("tasks are thrown away")
	do("CONFIG", "SET", "maxmemory-policy", "noeviction")
	want("")
	do("REPLICAOF", "127.0.0.1", "1")
	want("nothing can be written")
	do("REPLICAOF", "NO", "ONE")
	want("")
	other, err := queue.Open(strings.Replace(url, "redis://", "redis+cluster://", 1), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	q = other
	want("no Cluster; write redis://")
}
