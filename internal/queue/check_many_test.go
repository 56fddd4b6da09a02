package queue

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"tocsin/internal/local"
	"tocsin/internal/notice"
	"tocsin/internal/redisurl"
	"tocsin/internal/testkit"
)

// ofEach are the findings about several servers that are all as local starts them.
const ofEach = "ok reached, ok Redis 7, ok noeviction, warning no append-only file, ok scripts"

func TestSentinelsAreTried(t *testing.T) {
	t.Parallel()
	r := testkit.RedisSentinel(t, local.Several{})
	user, rest, _ := strings.Cut(r.URL, "@")
	hosts, rest, _ := strings.Cut(rest, "/")
	sentinels := r.Sentinels
	const all = "ok 3 Sentinels with a quorum of 2, "
	tries(t, r.URL, all+ofEach)
	tries(t, user+"@"+sentinels[0]+"/"+rest, all+"warning names one Sentinel, "+ofEach)
	tries(t, strings.Replace(r.URL, "/main/", "/mine/", 1), "error no master of the name, error no master of the name, error no master of the name")
	tries(t, r.URL+"hunter2", "error refuses the password, error refuses the password, error refuses the password")
	tries(t, user+"hunter2@"+hosts+"/"+rest, all+"error refuses the password, error refuses the password")
	tries(t, strings.Replace(user, "+sentinel", "", 1)+"@"+r.Addrs[1], "ok reached, ok Redis 7, error a replica: nothing can be written, ok noeviction, warning no append-only, error a script")
	do(t, r, r.Addrs[1], "CONFIG", "SET", "maxmemory", "100mb")
	do(t, r, r.Addrs[1], "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	got := Check(t.Context(), r.URL)
	if !said(got, notice.LevelError, r.Addrs[1]+": maxmemory-policy is allkeys-lru") || !said(got, notice.LevelOK, r.Addrs[0]+": maxmemory-policy is noeviction") {
		t.Errorf("a replica evicts: %+v", got)
	}
	if err := r.Kill(sentinels[1]); err != nil {
		t.Fatal(err)
	}
	if got := Check(t.Context(), r.URL); !said(got, notice.LevelError, "nothing listens for the Sentinel at "+sentinels[1]) {
		t.Errorf("a Sentinel is away: %+v", got)
	}
}

func TestAClusterIsTried(t *testing.T) {
	t.Parallel()
	r := testkit.RedisCluster(t, local.Several{})
	tries(t, r.URL, "ok 3 primaries and 0 replicas, warning no replica takes over, "+ofEach)
	first, _, _ := strings.Cut(r.URL, ",")
	tries(t, strings.Replace(first, "+cluster", "", 1), "ok reached, ok Redis 7, error a node of a Redis Cluster, ok noeviction, warning no append-only, error a script")
	isReady(t, r.URL, "")
	isReady(t, strings.Replace(first, "+cluster", "", 1), "a node of a Redis Cluster; write redis+cluster://")
	do(t, r, r.Addrs[2], "CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	do(t, r, r.Addrs[2], "CONFIG", "SET", "maxmemory", "100mb")
	isReady(t, r.URL, "tasks are thrown away")
	do(t, r, r.Addrs[2], "CONFIG", "SET", "maxmemory-policy", "noeviction")
	do(t, r, r.Addrs[2], "CONFIG", "SET", "appendonly", "yes")
	got := Check(t.Context(), r.URL)
	if !said(got, notice.LevelOK, r.Addrs[2]+": it keeps an append-only file") || !said(got, notice.LevelWarning, r.Addrs[0]) {
		t.Errorf("one node keeps its data: %+v", got)
	}
	if err := r.Kill(r.Addrs[2]); err != nil {
		t.Fatal(err)
	}
	if got := Check(t.Context(), r.URL); !said(got, notice.LevelError, "nothing listens for Redis at "+r.Addrs[2]) {
		t.Errorf("a node is away: %+v", got)
	}
}

// tries checks a URL; its password must not be told.
func tries(t *testing.T, url, want string) {
	t.Helper()
	got := Check(t.Context(), url)
	testkit.Findings(t, got, strings.Split(want, ", ")...)
	_, password, _ := strings.Cut(url[len("redis://"):], ":")
	if told := fmt.Sprintf("%+v", got); strings.Contains(told, "hunter2") || strings.Contains(told, strings.Split(password, "@")[0]) {
		t.Errorf("the password is told: %s", told)
	}
}

// isReady asks whether a queue can be used; where waiting would not help the answer has a text.
func isReady(t *testing.T, url, want string) {
	t.Helper()
	q, err := Open(url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	err = q.Ready(t.Context())
	why, unready := errors.AsType[notice.Unready](err)
	if unready != (want != "") || err != nil && !unready || !strings.Contains(string(why), want) {
		t.Errorf("got %v, want %q", err, want)
	}
}

// said reports whether a finding of the level has a text in its message.
func said(f notice.Findings, level notice.Level, text string) bool {
	for _, one := range f {
		if one.Level == level && strings.Contains(one.Message, text) {
			return true
		}
	}
	return false
}

func do(t *testing.T, r *local.Redises, addr string, command ...any) {
	t.Helper()
	if _, err := r.Do(t.Context(), addr, command...); err != nil {
		t.Fatal(err)
	}
}

func TestValkeyIsNamed(t *testing.T) {
	t.Parallel()
	var f notice.Findings
	info := fields("server_name:valkey\r\nredis_version:7.2.4\r\nvalkey_version:8.1.3\r\nredis_mode:standalone\r\nrole:master\r\n")
	if !checkVersion(&f, info) {
		t.Error("it is refused")
	}
	checkRole(&f, redisurl.Single, info)
	testkit.Findings(t, f, "ok Valkey 8.1.3")
}
