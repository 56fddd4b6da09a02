package queue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"

	"tocsin/internal/notice"
	"tocsin/internal/redisurl"
)

// checkKey is written and removed by Check.
const checkKey = "tocsin:check"

// trying is how Check asks: once.
var trying = redisurl.Tuning{"dial_timeout": "5s", "max_retries": "-1"}

// Check tries a Redis as serve and work need it, each server of several. It writes one key and removes it again.
func Check(ctx context.Context, url string) (f notice.Findings) {
	servers, err := redisurl.Parse(url)
	if err != nil {
		f.Error("mend it; docs/operations.md has the forms, under Redis", "REDIS_URL %s", err)
		return f
	}
	redis.SetLogger(redisLogger{slog.New(slog.DiscardHandler)}) // all that it would say comes back as errors
	client := servers.Client(trying)
	defer client.Close()
	nodes := servers.Hosts
	switch servers.Kind {
	case redisurl.Sentinel:
		nodes = checkSentinels(ctx, &f, servers)
	case redisurl.Cluster:
		nodes = checkCluster(ctx, &f, client, servers)
	}
	if len(nodes) == 0 || !checkNodes(ctx, &f, servers, nodes) {
		return f
	}
	// asynq works through scripts; a user of Redis' access lists may lack the right to.
	err = client.Eval(ctx, `redis.call("SET", KEYS[1], "1", "EX", 60) return redis.call("DEL", KEYS[1])`, []string{checkKey}).Err()
	if err != nil {
		f.Error(allow, "a script that writes a key is refused: %s", err)
	} else {
		f.OK("scripts may write")
	}
	return f
}

// allow is the advice where a user lacks rights.
const allow = "let the user read and write all keys and channels and run scripts: ACL SETUSER … ~* &* +@all -@admin"

// node is one server and its answer to INFO.
type node struct {
	addr string
	info map[string]string
	took time.Duration
	err  error
}

// checkNodes looks at each server; a finding that several share is said once. It reports whether all can be used.
func checkNodes(ctx context.Context, f *notice.Findings, servers *redisurl.Servers, addrs []string) bool {
	var reached []string
	var slowest time.Duration
	said := shared{kinds: map[notice.Finding][]string{}}
	usable := true
	for _, n := range askAll(ctx, servers, addrs) {
		if n.err != nil {
			refused(f, "Redis at "+n.addr, n.err)
			usable = false
			continue
		}
		reached, slowest = append(reached, n.addr), max(slowest, n.took)
		var one notice.Findings
		if checkVersion(&one, n.info) {
			checkRole(&one, servers.Kind, n.info)
			checkEviction(&one, n.info)
			checkPersistence(&one, n.info)
		} else {
			usable = false
		}
		said.add(n.addr, one)
	}
	if len(reached) > 0 {
		f.OK("reached %s in %s", strings.Join(reached, ", "), slowest.Round(time.Millisecond))
	}
	*f = append(*f, said.findings(len(reached))...)
	return usable
}

func askAll(ctx context.Context, servers *redisurl.Servers, addrs []string) []node {
	nodes := make([]node, len(addrs))
	var asking sync.WaitGroup
	for i, addr := range addrs {
		asking.Go(func() {
			client := servers.Node(addr, trying)
			defer client.Close()
			began := time.Now()
			text, err := client.Info(ctx).Result()
			nodes[i] = node{addr, fields(text), time.Since(began), err}
		})
	}
	asking.Wait()
	return nodes
}

// shared are findings, and the servers at which each was made.
type shared struct {
	order []notice.Finding
	kinds map[notice.Finding][]string
}

func (s *shared) add(addr string, f notice.Findings) {
	for _, one := range f {
		if s.kinds[one] == nil {
			s.order = append(s.order, one)
		}
		s.kinds[one] = append(s.kinds[one], addr)
	}
}

// findings name the servers where not all of them share one.
func (s *shared) findings(all int) (f notice.Findings) {
	for _, one := range s.order {
		if at := s.kinds[one]; len(at) < all {
			one.Message = strings.Join(slices.Sorted(slices.Values(at)), ", ") + ": " + one.Message
		}
		f = append(f, one)
	}
	return f
}

// refused says why a server did not answer; name says which, such as Redis at 127.0.0.1:6379.
func refused(f *notice.Findings, name string, err error) {
	dns, isDNS := errors.AsType[*net.DNSError](err)
	_, isTLS := errors.AsType[*tls.CertificateVerificationError](err)
	said := err.Error()
	switch {
	case strings.HasPrefix(said, "WRONGPASS"), strings.HasPrefix(said, "NOAUTH"), strings.HasPrefix(said, "ERR AUTH"), strings.HasPrefix(said, "ERR Client sent AUTH"):
		f.Error("mend user and password in REDIS_URL: redis://user:password@host; Sentinels' own are ?sentinel_username=…&sentinel_password=…", "%s refuses the password", name)
	case strings.HasPrefix(said, "NOPERM"):
		f.Error(allow, "the user lacks rights: %s", said)
	case strings.HasPrefix(said, "LOADING"):
		f.Error("wait until it is done", "%s is still reading its data from disk", name)
	case strings.Contains(said, "unknown command 'sentinel'"):
		f.Error("write redis:// in REDIS_URL, or name the Sentinels' ports: 26379 as a rule", "%s is no Sentinel", strings.TrimPrefix(name, "the Sentinel at "))
	case isNoCluster(err):
		f.Error(noClusterAdvice, noCluster)
	case isDNS && dns.IsNotFound:
		f.Error("mend the host name in REDIS_URL, or the DNS", "the name of %s is not known", name)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, fs.ErrNotExist):
		f.Error("start it, or mend host and port in REDIS_URL", "nothing listens for %s", name)
	case isTLS:
		f.Error("renew the server's certificate, let this machine know its authority, or name the host that it is valid for: ?server_name=redis.example.net",
			"the certificate of %s does not verify: %s", name, said)
	default:
		f.Error("see that it runs, that no firewall is in between, and that rediss:// is used where it wants TLS", "%s can't be reached: %s", name, said)
	}
}

const (
	noCluster       = "this Redis is no Cluster"
	noClusterAdvice = "write redis:// with one host in REDIS_URL"
)

// isNoCluster recognises how a server that is no node of a Cluster refuses its commands.
func isNoCluster(err error) bool {
	return strings.Contains(fmt.Sprint(err), "cluster support disabled")
}
