package main

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/testkit"
)

// TestNothingIsMarkedWhileRedisEvicts has a worker start at a Redis that would throw tasks away, and that is mended
// later.
func TestNothingIsMarkedWhileRedisEvicts(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestARedisThatWaitingDoesNotMend")
	s := startAlone(t)
	opts, err := redis.ParseURL(s.services.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	admin := redis.NewClient(opts)
	defer admin.Close()
	set := func(name, value string) {
		t.Helper()
		if err := admin.ConfigSet(t.Context(), name, value).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("maxmemory", "100mb")
	set("maxmemory-policy", "allkeys-lru")
	s.customers(20)
	worker := s.work()
	for tick := time.NewTicker(20 * time.Millisecond); !strings.Contains(worker.log.String(), "nothing is marked"); <-tick.C {
		if t.Context().Err() != nil {
			t.Fatal("the worker does not say that it marks nothing")
		}
	}
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	<-time.After(3 * time.Second) // in which a worker sends, as a rule
	if st := s.status("outage-1"); st.FirstSentAt != nil || st.Counts["queued"] != 20 {
		t.Errorf("while Redis evicts: %+v", st)
	}
	set("maxmemory-policy", "noeviction")
	s.await("outage-1", "finished", finished)
	s.settled("outage-1", 0)
}
