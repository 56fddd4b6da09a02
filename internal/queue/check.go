package queue

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/notice"
)

// checkKey is written and removed by Check.
const checkKey = "tocsin:check"

// Check tries a Redis as serve and work need it. It writes one key and removes it again.
func Check(ctx context.Context, url string) (f notice.Findings) {
	opts, err := redis.ParseURL(url)
	if err != nil {
		// Not repeated: it may hold the password.
		f.Error("write it like redis://:password@redis.example.net:6379/0, special characters of the password as %XX", "REDIS_URL can't be read")
		return f
	}
	opts.DialTimeout, opts.MaxRetries, opts.DialerRetries = 5*time.Second, -1, 1
	redis.SetLogger(redisLogger{slog.New(slog.DiscardHandler)}) // what it would say comes back as an error
	client := redis.NewClient(opts)
	defer client.Close()
	began := time.Now()
	text, err := client.Info(ctx).Result()
	if err != nil {
		refused(&f, opts.Addr, err)
		return f
	}
	f.OK("reached %s in %s", opts.Addr, time.Since(began).Round(time.Millisecond))
	info := fields(text)
	if !checkVersion(&f, info) {
		return f
	}
	checkRole(&f, info)
	checkEviction(&f, info)
	checkPersistence(&f, info)
	// asynq works through scripts; a user of Redis' access lists may lack the right to.
	err = client.Eval(ctx, `redis.call("SET", KEYS[1], "1", "EX", 60) return redis.call("DEL", KEYS[1])`, []string{checkKey}).Err()
	if err != nil {
		f.Error("let the user read and write all keys and run scripts: ACL SETUSER … ~* +@all -@admin", "a script that writes a key is refused: %s", err)
	} else {
		f.OK("scripts may write")
	}
	return f
}

// refused says why Redis did not answer.
func refused(f *notice.Findings, addr string, err error) {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	_, isTLS := errors.AsType[*tls.CertificateVerificationError](err)
	said := err.Error()
	switch {
	case strings.HasPrefix(said, "WRONGPASS"), strings.HasPrefix(said, "NOAUTH"), strings.HasPrefix(said, "ERR AUTH"), strings.HasPrefix(said, "ERR Client sent AUTH"):
		f.Error("mend user and password in REDIS_URL: redis://user:password@host", "Redis at %s refuses the password", addr)
	case strings.HasPrefix(said, "NOPERM"):
		f.Error("let the user read and write all keys and run scripts: ACL SETUSER … ~* +@all -@admin", "the user lacks rights: %s", said)
	case strings.HasPrefix(said, "LOADING"):
		f.Error("wait until it is done", "Redis at %s is still reading its data from disk", addr)
	case isDNS && dns.IsNotFound:
		f.Error("mend the host name in REDIS_URL, or the DNS", "the name of %s is not known", addr)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		f.Error("start Redis, or mend host and port in REDIS_URL", "nothing listens at %s", addr)
	case isTLS:
		f.Error("renew the server's certificate, or let this machine know its authority", "the certificate of Redis does not verify: %s", said)
	default:
		f.Error("see that Redis runs, that no firewall is in between, and that rediss:// is used where it wants TLS", "%s can't be reached: %s", addr, said)
	}
}

// fields reads what INFO answers: lines of name:value.
func fields(text string) map[string]string {
	info := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
			info[name] = value
		}
	}
	return info
}

// checkVersion asks for 6.2: archiving a task takes a command that came with it.
func checkVersion(f *notice.Findings, info map[string]string) bool {
	version := info["redis_version"]
	parts := append(strings.Split(version, "."), "0", "0")
	major, err := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	switch {
	case errors.Join(err, err2) != nil:
		f.Error("use Redis 6.2 or newer", "the server does not say which version of Redis it is")
	case major < 6 || major == 6 && minor < 2:
		f.Error("upgrade it to 6.2 or newer", "Redis %s is too old", version)
	default:
		f.OK("Redis %s", version)
		return true
	}
	return false
}

func checkRole(f *notice.Findings, info map[string]string) {
	if info["redis_mode"] == "cluster" {
		f.Error("use a Redis that is no cluster", "this is a Redis Cluster, which is not supported")
	}
	if info["role"] == "slave" {
		f.Error("name the primary in REDIS_URL", "this server is a replica: nothing can be written")
	}
}

func checkEviction(f *notice.Findings, info map[string]string) {
	const advice = "set maxmemory-policy noeviction in redis.conf, and now: redis-cli CONFIG SET maxmemory-policy noeviction"
	policy := info["maxmemory_policy"]
	switch {
	case policy == "noeviction":
		f.OK("maxmemory-policy is noeviction")
	case policy == "":
		f.Warning(advice, "the server does not say what it does when its memory is full")
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
