// Package local runs a throwaway Postgres and Redis. They are private servers from the programs or containers that
// this machine has, or private databases on servers that it is given. They end when the process ends, however it ends.
package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrUnavailable says that there is no way to a Postgres or a Redis on this machine. The text around it names the ways
// out.
var ErrUnavailable = errors.New("no Postgres or Redis to be had")

// Options says which services Start runs, and how.
type Options struct {
	// DatabaseURL is a Postgres server to use instead of a private one. Start creates a database of its own there, and
	// Close drops it; no other is touched.
	DatabaseURL string
	// RedisURL is a Redis server to use instead of a private one. Start takes an empty database number other than 0
	// there, and Close empties it; no other is touched.
	RedisURL string
	// NoPostgres and NoRedis leave that service out; its URL stays empty.
	NoPostgres, NoRedis bool
	// Unsafe saves Postgres the waiting for the disk. Commits then survive a crash of Postgres, but not one of
	// the machine.
	Unsafe bool
	// Dir is where the servers' private directory goes if it can; otherwise it goes to the temporary directory.
	Dir string
	// Log takes a line for each thing of note; nil drops them.
	Log io.Writer
}

// Services are a running Postgres and Redis. Both URLs stay the same while the services are stopped and started.
type Services struct {
	DatabaseURL string // for pgx and psql
	RedisURL    string // for go-redis, asynq and redis-cli

	home            *home
	postgres, redis server
	release         []func(context.Context) error // gives back the databases that were taken on servers that are not ours
	close           sync.Once
	closeErr        error
}

// server is a Postgres or Redis that can be stopped and started at the same address.
type server interface {
	start(ctx context.Context) error
	stop(ctx context.Context, immediate bool) error
	pid() int
}

// Start returns a Postgres and a Redis that answer. For each it takes the first of: the server that o names; the
// programs installed here; a container, where a Docker engine answers. If there is none of these the error is
// ErrUnavailable.
func Start(ctx context.Context, o Options) (*Services, error) {
	return start(ctx, o, thisMachine())
}

func start(ctx context.Context, o Options, m machine) (s *Services, err error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	s = &Services{}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if err := s.attach(ctx, o); err != nil {
		return s, err
	}
	plan := plan{
		wantPostgres: !o.NoPostgres && s.DatabaseURL == "",
		wantRedis:    !o.NoRedis && s.RedisURL == "",
	}
	if !plan.wantPostgres && !plan.wantRedis {
		return s, nil
	}
	if err := plan.make(ctx, m, o.Log); err != nil {
		return s, err
	}
	if o.Dir != "" {
		m.temp = append([]string{o.Dir}, m.temp...)
	}
	if s.home, err = newHome(m); err != nil {
		return s, err
	}
	if plan.wantPostgres {
		if err := s.startPostgres(ctx, plan, o); err != nil {
			return s, err
		}
	}
	if plan.wantRedis {
		if err := s.startRedis(ctx, plan, o); err != nil {
			return s, err
		}
	}
	return s, nil
}

// attach takes a database and a queue of our own on the servers that o names.
func (s *Services) attach(ctx context.Context, o Options) error {
	if o.DatabaseURL != "" && !o.NoPostgres {
		url, drop, err := NewDatabase(ctx, o.DatabaseURL)
		if err != nil {
			return err
		}
		s.DatabaseURL, s.release = url, append(s.release, drop)
		fmt.Fprintln(o.Log, "Postgres as given, in a new database of its own")
	}
	if o.RedisURL != "" && !o.NoRedis {
		url, empty, err := NewQueue(ctx, o.RedisURL)
		if err != nil {
			return err
		}
		s.RedisURL, s.release = url, append(s.release, empty)
		fmt.Fprintln(o.Log, "Redis as given, in an empty database of its own")
	}
	return nil
}

// Close ends the services at once and removes everything they kept. It may be called twice.
func (s *Services) Close() error {
	s.close.Do(func() {
		var errs []error
		for _, release := range s.release {
			errs = append(errs, release(context.Background()))
		}
		if s.home != nil {
			errs = append(errs, s.home.close())
		}
		s.closeErr = errors.Join(errs...)
	})
	return s.closeErr
}

// StopPostgres ends Postgres and returns once it has ended; its data stay. Immediate means without a word to its
// clients and without a checkpoint, as in a crash. Otherwise Postgres rolls back open transactions and shuts down.
func (s *Services) StopPostgres(immediate bool) error {
	return stopServer(s.postgres, "Postgres", immediate)
}

// StartPostgres starts a stopped Postgres on the same data and URL, and returns once it answers.
func (s *Services) StartPostgres(ctx context.Context) error {
	return startServer(ctx, s.postgres, "Postgres")
}

// StopRedis kills Redis and returns once it has ended. It keeps nothing: StartRedis gives an empty one.
func (s *Services) StopRedis() error { return stopServer(s.redis, "Redis", true) }

// StartRedis starts a stopped Redis, empty, at the same URL, and returns once it answers.
func (s *Services) StartRedis(ctx context.Context) error { return startServer(ctx, s.redis, "Redis") }

// PostgresPID is the process of the Postgres postmaster; 0 while it is stopped, or not a process of ours.
func (s *Services) PostgresPID() int { return serverPID(s.postgres) }

// RedisPID is the process of Redis; 0 while it is stopped, or not a process of ours.
func (s *Services) RedisPID() int { return serverPID(s.redis) }

func stopServer(v server, name string, immediate bool) error {
	if v == nil {
		return fmt.Errorf("stop %s: it was not started here", name)
	}
	return v.stop(context.Background(), immediate)
}

func startServer(ctx context.Context, v server, name string) error {
	if v == nil {
		return fmt.Errorf("start %s: it was not started here", name)
	}
	return v.start(ctx)
}

func serverPID(v server) int {
	if v == nil {
		return 0
	}
	return v.pid()
}
