package queue

import (
	"errors"
	"strconv"
	"strings"

	"tocsin/internal/notice"
	"tocsin/internal/redisurl"
)

// fields reads the answer to INFO: lines of name:value.
func fields(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// checkVersion asks for 6.2: archiving a task takes a command that came with it. Valkey says with which Redis it is compatible.
func checkVersion(f *notice.Findings, info map[string]string) bool {
	version, name := info["redis_version"], "Redis"
	parts := append(strings.Split(version, "."), "0", "0")
	major, err := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	switch {
	case errors.Join(err, err2) != nil:
		f.Error("use Redis 6.2 or newer", "the server does not say which version of Redis it is")
	case major < 6 || major == 6 && minor < 2:
		f.Error("upgrade it to 6.2 or newer", "Redis %s is too old", version)
	default:
		if valkey := info["valkey_version"]; valkey != "" {
			version, name = valkey, "Valkey"
		}
		f.OK("%s %s", name, version)
		return true
	}
	return false
}

// isReplica reports whether a server copies another, and takes no writes.
func isReplica(info map[string]string) bool { return info["role"] == "slave" }

// checkRole compares a server with the kind that the URL says.
func checkRole(f *notice.Findings, kind redisurl.Kind, info map[string]string) {
	mode := info["redis_mode"]
	switch {
	case mode == "sentinel":
		f.Error("write redis+sentinel://host/master in REDIS_URL, with the name of the master", "this is a Sentinel, which keeps no data")
	case mode == "cluster" && kind != redisurl.Cluster:
		f.Error("write redis+cluster://host,host,host in REDIS_URL", "this is a node of a Redis Cluster")
	case mode != "cluster" && mode != "" && kind == redisurl.Cluster:
		f.Error(noClusterAdvice, noCluster)
	case isReplica(info) && kind == redisurl.Single:
		f.Error("name the primary in REDIS_URL, or the Sentinels that know it", "this server is a replica: nothing can be written")
	case isReplica(info) && info["master_link_status"] == "down":
		f.Warning("see why; its log says more", "this replica does not hear its primary: should it take over, all that came since is lost")
	}
}

func checkEviction(f *notice.Findings, info map[string]string) {
	const advice = "set maxmemory-policy noeviction in redis.conf, and now: redis-cli CONFIG SET maxmemory-policy noeviction"
	policy := info["maxmemory_policy"]
	switch {
	case policy == "noeviction":
		f.OK("maxmemory-policy is noeviction")
	case policy == "":
		f.Warning(advice, "the server does not tell its maxmemory-policy, which matters when its memory is full")
	case info["maxmemory"] == "0":
		f.Warning(advice, "maxmemory-policy is %s: once maxmemory is set, tasks are thrown away", policy)
	default:
		f.Error(advice, "maxmemory-policy is %s: when memory is full, tasks are thrown away", policy)
	}
}

func checkPersistence(f *notice.Findings, info map[string]string) {
	switch {
	case info["aof_enabled"] == "1" && info["aof_last_write_status"] == "ok":
		f.OK("it keeps an append-only file")
	case info["aof_enabled"] == "1":
		f.Error("make room on its disk; its log says more", "the append-only file can't be written")
	case info["aof_enabled"] == "":
		f.Warning("see that it keeps an append-only file", "the server does not say whether it keeps its data on disk")
	default:
		f.Warning("set appendonly yes in redis.conf, and now: redis-cli CONFIG SET appendonly yes",
			"no append-only file: after a crash of Redis tasks wait for the sweep, and a restored ledger may not be recognised")
	}
}
