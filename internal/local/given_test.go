package local

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGivenServersGetDatabasesOfTheirOwnAndKeepTheRest(t *testing.T) {
	t.Parallel()
	given := private(t, Options{Unsafe: true})
	existing := redisAt(t, strings.TrimSuffix(given.RedisURL, "/0")+"/1")
	if err := existing.Set(t.Context(), "theirs", "kept", 0).Err(); err != nil {
		t.Fatal(err)
	}
	const databases = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database"
	before := askPostgres(t, given.DatabaseURL, databases)

	s, err := Start(t.Context(), Options{DatabaseURL: given.DatabaseURL, RedisURL: given.RedisURL})
	if err != nil {
		t.Fatal(err)
	}
	got := askPostgres(t, s.DatabaseURL, "SELECT current_database() || ' ' || datcollate FROM pg_database WHERE datname = current_database()")
	if !strings.HasPrefix(got, "tocsin_throwaway_") || !strings.HasSuffix(got, " C") {
		t.Errorf("the database and its collation are %q", got)
	}
	queue := redisAt(t, s.RedisURL)
	if number := queue.Options().DB; number != 2 {
		t.Errorf("the queue has number %d, want 2: 0 is never taken, and 1 is in use", number)
	}
	if err := queue.Set(t.Context(), "ours", "gone", 0).Err(); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{s.StopPostgres(false), s.StartPostgres(t.Context()), s.StopRedis(), s.StartRedis(t.Context())} {
		if err == nil || !strings.Contains(err.Error(), "not started here") {
			t.Errorf("stop or start of a given server: %v", err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after := askPostgres(t, given.DatabaseURL, databases); after != before {
		t.Errorf("databases %s, then %s", before, after)
	}
	if size, err := queue.DBSize(t.Context()).Result(); err != nil || size != 0 {
		t.Errorf("the queue still holds %d keys, %v", size, err)
	}
	if value, err := existing.Get(t.Context(), "theirs").Result(); err != nil || value != "kept" {
		t.Errorf("the existing key is %q, %v", value, err)
	}
}

func TestQueuesAreTakenOnce(t *testing.T) {
	t.Parallel()
	given := private(t, Options{NoPostgres: true})
	const free = 5
	taken := redisAt(t, given.RedisURL).Pipeline()
	for number := 1; number < queues-free; number++ {
		taken.Do(t.Context(), "SELECT", number)
		taken.Set(t.Context(), "theirs", "kept", 0)
	}
	if _, err := taken.Exec(t.Context()); err != nil {
		t.Fatal(err)
	}
	urls := map[string]bool{}
	for range free {
		queue, _, err := NewQueue(t.Context(), given.RedisURL)
		if err != nil {
			t.Fatal(err)
		}
		urls[queue] = true
	}
	if len(urls) != free {
		t.Errorf("%d different queues, want %d", len(urls), free)
	}
	if _, _, err := NewQueue(t.Context(), given.RedisURL); err == nil {
		t.Error("there was one more")
	}
}

func TestAServerURLThatIsNoneIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"host=db password=secret", "mysql://u:secret@h/d", "postgres://u:secret@h:port/d", "\x00secret"} {
		_, _, err1 := NewDatabase(t.Context(), bad)
		_, _, err2 := NewQueue(t.Context(), bad)
		for _, err := range []error{err1, err2} {
			if err == nil || strings.Contains(err.Error(), "secret") {
				t.Errorf("%q: %v", bad, err)
			}
		}
	}
}

func TestADatabaseIsDroppedUnderItsClients(t *testing.T) {
	t.Parallel()
	given := private(t, Options{Unsafe: true, NoRedis: true})
	database, drop, err := NewDatabase(t.Context(), given.DatabaseURL+"&dbname=postgres&application_name=kept")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	if q := u.Query(); q.Has("dbname") || q.Get("application_name") != "kept" {
		t.Errorf("the URL became %s", database)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sleeping := make(chan error)
	go func() { sleeping <- execute(ctx, database, "SELECT pg_sleep(60)") }()
	if err := drop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-sleeping; err == nil {
		t.Error("the client slept on")
	}
}

func TestTheQueueNumberStandsWhereTheSchemeHasIt(t *testing.T) {
	t.Parallel()
	got := []string{
		withNumber("redis://:pw@h:6379", 3), withNumber("rediss://h/0?protocol=3", 3),
		withNumber("redis://h:1?db=7", 3), withNumber("unix:///run/redis.sock?db=1", 3),
	}
	want := []string{"redis://:pw@h:6379/3", "rediss://h/3?protocol=3", "redis://h:1/3", "unix:///run/redis.sock?db=3"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("URLs (-want +got):\n%s", diff)
	}
}
