package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// queues is how many database numbers a private Redis has.
const queues = 256

// startRedis starts a private Redis as planned.
func (s *Services) startRedis(ctx context.Context, p plan, o Options) error {
	password := rand.Text()
	if p.redis.path == "" {
		return s.startRedisContainer(ctx, p.docker, password, o)
	}
	var err error
	for range 3 { // somebody may take the port before Redis does
		if err = s.tryRedis(ctx, p.redis, password); err == nil {
			fmt.Fprintf(o.Log, "%s, on a private port\n", p.redis)
			return nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	return err
}

func (s *Services) tryRedis(ctx context.Context, program program, password string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	// It keeps nothing on disk: the ledger is the truth, and puts back the tasks that a restart loses.
	conf := fmt.Sprintf("bind 127.0.0.1\nport %d\nrequirepass %s\ndatabases %d\n"+
		"save \"\"\nappendonly no\nmaxmemory-policy noeviction\ndaemonize no\n", port, password, queues)
	if err := s.home.write("redis.conf", conf); err != nil {
		return fmt.Errorf("set up Redis: %w", err)
	}
	s.RedisURL = redisURL(port, password)
	s.redis = &daemon{
		home:     s.home,
		name:     "redis",
		argv:     []string{program.path, "redis.conf"},
		polite:   syscall.SIGTERM,
		headlong: syscall.SIGKILL,
		answers:  func(ctx context.Context) error { return pingRedis(ctx, s.RedisURL) },
	}
	return s.redis.start(ctx)
}

func redisURL(port int, password string) string {
	return fmt.Sprintf("redis://:%s@127.0.0.1:%d/0", password, port)
}

// freePort finds a port of the loopback that can be had again after a stop. It lies outside the range from which the
// kernel gives ports to clients: there a client that dials a stopped server may even be connected to itself.
func freePort() (int, error) {
	var err error
	for range 100 {
		port := 20000 + mathrand.IntN(12000)
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}

func pingRedis(ctx context.Context, url string) error {
	options, err := redis.ParseURL(url)
	if err != nil {
		return err
	}
	return pingServer(ctx, options)
}

func pingServer(ctx context.Context, options *redis.Options) error {
	// The client would try for seconds, and write to stderr, while nobody listens.
	conn, err := (&net.Dialer{}).DialContext(ctx, options.Network, options.Addr)
	if err != nil {
		return err
	}
	conn.Close()
	options.MaxRetries = -1
	client := redis.NewClient(options)
	return errors.Join(client.Ping(ctx).Err(), client.Close())
}
