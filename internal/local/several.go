package local

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redises are several Redis servers of ours that belong together: a Cluster, or a primary, a replica and Sentinels.
type Redises struct {
	URL   string   // as REDIS_URL has it
	Addrs []string // of the servers, without Sentinels; primaries first, as it was at the start

	Sentinels []string

	password  string // of each server and user
	watchword string // password of Sentinels and their user
	secure    *secured
	program   program
	home      *home
	servers   map[string]*daemon // by address, Sentinels too
}

// primaries is how many nodes of a Cluster have slots.
const primaries = 3

// Several says how servers that belong together are set up.
type Several struct {
	Replicas  int              // of each primary of a Cluster
	TLS       *tls.Certificate // valid for 127.0.0.1: servers and Sentinels speak TLS alone
	Authority string           // file with the authority that signed it
	Program   string           // of Redis or Valkey; "": the newest that is installed
}

// StartCluster returns a Cluster of three primaries that takes commands. The error is ErrUnavailable where Redis is not installed.
func StartCluster(ctx context.Context, o Several) (*Redises, error) {
	return startRedises(ctx, o, func(r *Redises) error {
		for range primaries * (1 + o.Replicas) {
			if err := r.startNode(ctx, true); err != nil {
				return err
			}
		}
		r.URL = fmt.Sprintf("%s+cluster://%s:%s@%s", r.scheme(), redisUser, r.password, strings.Join(r.Addrs[:primaries], ","))
		return r.join(ctx, o.Replicas)
	})
}

// SentinelMaster is the name of the primary among the Sentinels of StartSentinel.
const SentinelMaster = "main"

// StartSentinel returns a primary with a replica that follows it, and three Sentinels that take the primary for dead after
// 1.5 s. The error is ErrUnavailable where Redis is not installed.
func StartSentinel(ctx context.Context, o Several) (*Redises, error) {
	return startRedises(ctx, o, func(r *Redises) error {
		for range 2 {
			if err := r.startNode(ctx, false); err != nil {
				return err
			}
		}
		host, port, _ := net.SplitHostPort(r.Addrs[0])
		if _, err := r.Do(ctx, r.Addrs[1], "REPLICAOF", host, port); err != nil {
			return err
		}
		if err := r.awaitInfo(ctx, r.Addrs[1], "master_link_status:up", "INFO", "replication"); err != nil {
			return err
		}
		for range 3 {
			addr, err := r.startServer(ctx, r.watchword, fmt.Sprintf("sentinel monitor %s %s %s 2\nsentinel auth-pass %[1]s %[4]s\n"+
				"sentinel down-after-milliseconds %[1]s 1500\nsentinel failover-timeout %[1]s 6000\nuser %[5]s on >%[6]s %[7]s\n",
				SentinelMaster, host, port, r.password, watcher, r.watchword, watcherRights), "--sentinel")
			if err != nil {
				return err
			}
			r.Sentinels = append(r.Sentinels, addr)
		}
		r.URL = fmt.Sprintf("%s+sentinel://%s:%s@%s/%s/0?sentinel_username=%s&sentinel_password=%s",
			r.scheme(), redisUser, r.password, strings.Join(r.Sentinels, ","), SentinelMaster, watcher, r.watchword)
		for _, addr := range r.Sentinels {
			if err := r.awaitInfo(ctx, addr, "slaves=1,sentinels=3", "INFO", "sentinel"); err != nil {
				return err
			}
		}
		return nil
	})
}

// redisUser and watcher are the users of the URLs, at servers and at Sentinels. They have the rights that
// docs/operations.md asks for.
const (
	redisUser     = "tocsin"
	watcher       = "watcher"
	watcherRights = "&* -@all +auth +hello +ping +client +subscribe +sentinel|get-master-addr-by-name +sentinel|master +sentinel|replicas +sentinel|sentinels +sentinel|ckquorum"
)

// startRedises has servers started in a home of their own.
func startRedises(ctx context.Context, o Several, set func(*Redises) error) (*Redises, error) {
	m, p := thisMachine(), plan{wantRedis: o.Program == "", redis: program{path: o.Program}}
	if lacking, old := p.look(ctx, m); len(lacking) > 0 {
		return nil, unavailable(lacking, old, nil)
	}
	home, err := newHome(m)
	if err != nil {
		return nil, err
	}
	r := &Redises{password: rand.Text(), watchword: rand.Text(), program: p.redis, home: home, servers: map[string]*daemon{}}
	if o.TLS != nil {
		r.secure, err = secure(home, o)
	}
	if err == nil {
		err = set(r)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// startNode starts a server that keeps data in memory.
func (r *Redises) startNode(ctx context.Context, cluster bool) error {
	conf := fmt.Sprintf("masterauth %s\nuser %s on >%[1]s ~* &* +@all -@admin\nsave \"\"\nappendonly no\nmaxmemory-policy noeviction\nrepl-diskless-sync-delay 0\n",
		r.password, redisUser)
	if cluster {
		bus, err := freePort()
		if err != nil {
			return err
		}
		conf += fmt.Sprintf("cluster-enabled yes\ncluster-port %d\ncluster-config-file nodes-%[1]d.conf\ncluster-node-timeout 2000\n", bus)
	}
	addr, err := r.startServer(ctx, r.password, conf)
	r.Addrs = append(r.Addrs, addr)
	return err
}

// startServer starts one server on a port of its own.
func (r *Redises) startServer(ctx context.Context, password, conf string, flags ...string) (addr string, err error) {
	port, err := freePort()
	if err != nil {
		return "", err
	}
	name := fmt.Sprintf("redis-%d", port)
	conf += fmt.Sprintf("bind 127.0.0.1\nrequirepass %s\ndaemonize no\n", password) + r.secure.listen(port)
	if err := r.home.write(name+".conf", conf); err != nil {
		return "", fmt.Errorf("set up Redis: %w", err)
	}
	addr = fmt.Sprintf("127.0.0.1:%d", port)
	r.servers[addr] = &daemon{
		home: r.home, name: name, argv: append([]string{r.program.path, name + ".conf"}, flags...), polite: syscall.SIGTERM, headlong: syscall.SIGKILL,
		answers: func(ctx context.Context) error { return pingServer(ctx, r.options(addr, password)) },
	}
	return addr, r.servers[addr].start(ctx)
}

// join makes a Cluster of the servers.
func (r *Redises) join(ctx context.Context, replicas int) error {
	const slots = 16384
	ids := make([]any, len(r.Addrs))
	host, port, _ := net.SplitHostPort(r.Addrs[0])
	bus, err := r.Do(ctx, r.Addrs[0], "CONFIG", "GET", "cluster-port")
	for i, addr := range r.Addrs {
		if err == nil {
			ids[i], err = r.Do(ctx, addr, "CLUSTER", "MYID")
		}
		if err == nil {
			_, err = r.Do(ctx, addr, "CLUSTER", "SET-CONFIG-EPOCH", i+1)
		}
		if err == nil && i < primaries {
			_, err = r.Do(ctx, addr, "CLUSTER", "ADDSLOTSRANGE", i*slots/primaries, (i+1)*slots/primaries-1)
		}
		if err == nil && i > 0 {
			_, err = r.Do(ctx, addr, "CLUSTER", "MEET", host, port, bus.(map[any]any)["cluster-port"])
		}
	}
	for _, addr := range r.Addrs {
		if err == nil {
			err = r.awaitInfo(ctx, addr, fmt.Sprintf("cluster_known_nodes:%d", len(r.Addrs)), "CLUSTER", "INFO")
		}
		if err == nil {
			err = r.awaitInfo(ctx, addr, "cluster_state:ok", "CLUSTER", "INFO")
		}
	}
	for i := primaries; i < len(r.Addrs) && err == nil; i++ {
		if _, err = r.Do(ctx, r.Addrs[i], "CLUSTER", "REPLICATE", ids[i%primaries]); err == nil {
			err = r.awaitInfo(ctx, r.Addrs[i], "master_link_status:up", "INFO", "replication")
		}
	}
	for _, addr := range r.Addrs[:primaries] {
		if err == nil && replicas > 0 {
			err = r.awaitInfo(ctx, addr, fmt.Sprintf("connected_slaves:%d", replicas), "INFO", "replication")
		}
	}
	return err
}

// Do runs a command on one of the servers, or Sentinels, as a user who may do anything.
func (r *Redises) Do(ctx context.Context, addr string, command ...any) (any, error) {
	password := r.watchword
	if slices.Contains(r.Addrs, addr) {
		password = r.password
	}
	client := redis.NewClient(r.options(addr, password))
	defer client.Close()
	answer, err := client.Do(ctx, command...).Result()
	if err != nil {
		return nil, fmt.Errorf("%v at %s: %w", command[0], addr, err)
	}
	return answer, nil
}

// awaitInfo waits until the answer to a command has a text in it.
func (r *Redises) awaitInfo(ctx context.Context, addr, want string, command ...any) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		answer, err := r.Do(ctx, addr, command...)
		if err == nil && strings.Contains(fmt.Sprint(answer), want) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s does not say %q: %v %w", addr, want, answer, errors.Join(err, ctx.Err()))
		case <-tick.C:
		}
	}
}

// Primary returns the address of the primary that a Sentinel knows.
func (r *Redises) Primary(ctx context.Context) (string, error) {
	answer, err := r.Do(ctx, r.Sentinels[0], "SENTINEL", "GET-MASTER-ADDR-BY-NAME", SentinelMaster)
	if err != nil {
		return "", err
	}
	addr := answer.([]any)
	return net.JoinHostPort(addr[0].(string), addr[1].(string)), nil
}

// Kill kills the server at an address, with all its data, and returns once it has ended.
func (r *Redises) Kill(addr string) error { return r.servers[addr].stop(context.Background(), true) }

// Start starts a killed server, empty, at its address, and returns once it answers.
func (r *Redises) Start(ctx context.Context, addr string) error { return r.servers[addr].start(ctx) }

// Close ends all servers and removes everything they kept.
func (r *Redises) Close() error { return r.home.close() }
