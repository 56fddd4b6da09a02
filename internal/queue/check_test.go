package queue

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

func TestARedisIsTried(t *testing.T) {
	t.Parallel()
	s := testkit.OwnRedis(t)
	opts, err := redis.ParseURL(s.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	admin := redis.NewClient(opts)
	defer admin.Close()
	do := func(command string) {
		t.Helper()
		args := []any{}
		for _, word := range strings.Fields(command) {
			args = append(args, word)
		}
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatalf("%s: %v", command, err)
		}
	}
	const usual = "ok reached, ok Redis, "
	for _, c := range []struct {
		name  string
		setUp string
		url   string
		want  string
	}{
		{"as it should not be left", "", s.RedisURL, usual + "ok noeviction, warning no append-only file, ok scripts"},
		{"as it should be", "CONFIG SET appendonly yes", s.RedisURL, usual + "ok noeviction, ok append-only, ok scripts"},
		{"evicting, without a limit", "CONFIG SET maxmemory-policy allkeys-lru", s.RedisURL, usual + "warning allkeys-lru, ok append-only, ok scripts"},
		{"evicting", "CONFIG SET maxmemory 100mb", s.RedisURL, usual + "error allkeys-lru: when memory is full, ok append-only, ok scripts"},
		{"a wrong password", "", strings.Replace(s.RedisURL, opts.Password, "hunter2", 1), "error refuses the password"},
		{"no password", "", "redis://" + opts.Addr, "error refuses the password"},
		{"a user who may not write", "ACL SETUSER reader on >hunter2 ~* +@read +info +eval +hello +client",
			"redis://reader:hunter2@" + opts.Addr, usual + "error allkeys-lru, ok append-only, error a script that writes"},
		{"a replica", "REPLICAOF 127.0.0.1 1", s.RedisURL, usual + "error replica, error allkeys-lru, ok append-only, error a script that writes"},
		{"no Cluster", "REPLICAOF NO ONE", strings.Replace(s.RedisURL, "redis://", "redis+cluster://", 1), "error no Cluster"},
		{"no Sentinel", "", strings.Replace(s.RedisURL, "redis://", "redis+sentinel://", 1) + "?master_name=main", "warning one Sentinel, error is no Sentinel"},
		{"nobody listens", "", "redis://:hunter2@127.0.0.1:1", "error nothing listens"},
		{"no URL", "", "http://:hunter2@127.0.0.1", "error REDIS_URL is not a URL"},
	} {
		// One after the other, as they change the same server.
		t.Run(c.name, func(t *testing.T) {
			if c.setUp != "" {
				do(c.setUp)
			}
			got := Check(t.Context(), c.url)
			testkit.Findings(t, got, strings.Split(c.want, ", ")...)
			if told := fmt.Sprintf("%+v", got); strings.Contains(told, "hunter2") || strings.Contains(told, opts.Password) {
				t.Errorf("it tells the password: %s", told)
			}
		})
	}
}

func TestAnOldRedisIsNamed(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"6.0.16": "error Redis 6.0.16 is too old", "5.0.7": "error Redis 5.0.7 is too old", "6.2.0": "ok Redis 6.2.0", "7.4.1": "ok Redis 7.4.1",
		"8": "ok Redis 8", "": "error does not say which version",
	} {
		var f notice.Findings
		if goOn := checkVersion(&f, map[string]string{"redis_version": version}); goOn != strings.HasPrefix(want, "ok") {
			t.Errorf("%q: goes on: %v", version, goOn)
		}
		testkit.Findings(t, f, want)
	}
}
