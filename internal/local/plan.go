package local

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// plan says where the wanted services come from: a program, or else a container.
type plan struct {
	wantPostgres, wantRedis bool

	postgres, redis program // no path: a container of docker
	docker          string
}

// make finds a way to each wanted service, in the order that Start documents.
func (p *plan) make(ctx context.Context, m machine, log io.Writer) error {
	lacking, found := p.look(ctx, m)
	if len(lacking) == 0 {
		return nil
	}
	var tried error
	if docker := m.lookPath("docker"); docker != "" {
		if tried = fetchImages(ctx, docker, lacking, log); tried == nil {
			p.docker = docker
			return nil
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return unavailable(lacking, found, tried)
}

// service names a Postgres or a Redis to each of the sources.
type service struct {
	name, image string
}

var (
	postgresService = service{"Postgres 15 or newer", "postgres:17-alpine"}
	redisService    = service{"Redis 6.2 or newer", "redis:7-alpine"}
)

// look finds installed programs, and returns the services that lack, with the program of each that is too old.
func (p *plan) look(ctx context.Context, m machine) (lacking []service, old []program) {
	if p.wantPostgres {
		found, ok := m.findPostgres(ctx)
		if ok {
			p.postgres = found
		} else {
			lacking, old = append(lacking, postgresService), append(old, found)
		}
	}
	if p.wantRedis {
		found, ok := m.findRedis(ctx)
		if ok {
			p.redis = found
		} else {
			lacking, old = append(lacking, redisService), append(old, found)
		}
	}
	return lacking, old
}

// unavailable is the error that names the ways out.
func unavailable(lacking []service, old []program, tried error) error {
	var b strings.Builder
	for i, s := range lacking {
		fmt.Fprintf(&b, "\n  %s is not installed", s.name)
		if old[i].path != "" {
			fmt.Fprintf(&b, " (%s is too old)", old[i])
		}
	}
	if tried != nil {
		fmt.Fprintf(&b, "\n  tried: %s", strings.ReplaceAll(tried.Error(), "\n", "\n    "))
	}
	return fmt.Errorf(`%w:%s
Any one of these helps:
  1. tools/install servers, in the source of Tocsin: as root on Debian or Ubuntu it installs what lacks, and
     starts no service
  2. DATABASE_URL and REDIS_URL: name servers that you have, as in
     DATABASE_URL=postgres://user:password@host:5432/postgres REDIS_URL=redis://host:6379
     (Tocsin makes a database of its own there and leaves the others alone)
  3. a container engine: start it, so that "docker info" answers
  4. packages:
     Debian, Ubuntu:  apt-get install postgresql redis-server
     Fedora:          dnf install postgresql-server valkey
     Homebrew:        brew install postgresql@17 redis`, ErrUnavailable, b.String())
}
