package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// container is a server that runs in a Docker container.
type container struct {
	docker, id string
	answers    func(context.Context) error
}

// fetchImages shows that a Docker engine answers, and has it fetch the images of the services.
func fetchImages(ctx context.Context, docker string, services []service, log io.Writer) error {
	asked, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := runDocker(asked, docker, "info"); err != nil {
		return err
	}
	for _, s := range services {
		if _, err := runDocker(ctx, docker, "image", "inspect", s.image); err == nil {
			continue
		}
		fmt.Fprintf(log, "fetching %s: docker pull %s\n", s.name, s.image)
		if _, err := runDocker(ctx, docker, "pull", "--quiet", s.image); err != nil {
			return err
		}
	}
	return nil
}

func (s *Services) startPostgresContainer(ctx context.Context, docker string, o Options) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	password := rand.Text()
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("tocsin", password), Host: fmt.Sprintf("127.0.0.1:%d", port),
		Path: "/postgres", RawQuery: "sslmode=disable",
	}
	s.DatabaseURL = u.String()
	args := []string{
		"-p", fmt.Sprintf("127.0.0.1:%d:5432", port), "-e", "POSTGRES_USER=tocsin", "-e", "POSTGRES_PASSWORD=" + password,
		"-e", "POSTGRES_INITDB_ARGS=--encoding=UTF8 --locale=C", postgresService.image,
		"-c", "max_connections=300", "-c", "dynamic_shared_memory_type=mmap",
	}
	for _, setting := range unsafeSettings(o.Unsafe) {
		args = append(args, "-c", setting)
	}
	s.postgres, err = s.home.runContainer(ctx, docker, args, func(ctx context.Context) error {
		return pingPostgres(ctx, s.DatabaseURL)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Log, "Postgres in a container of %s, on a private port\n", postgresService.image)
	return nil
}

func (s *Services) startRedisContainer(ctx context.Context, docker, password string, o Options) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	s.RedisURL = redisURL(port, password)
	args := []string{
		"-p", fmt.Sprintf("127.0.0.1:%d:6379", port), redisService.image, "redis-server",
		"--requirepass", password, "--databases", strconv.Itoa(queues),
		"--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction",
	}
	s.redis, err = s.home.runContainer(ctx, docker, args, func(ctx context.Context) error {
		return pingRedis(ctx, s.RedisURL)
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Log, "Redis in a container of %s, on a private port\n", redisService.image)
	return nil
}

// runContainer starts a container that the watchdog removes, and waits until it answers.
func (h *home) runContainer(ctx context.Context, docker string, args []string, answers func(context.Context) error) (server, error) {
	c := &container{docker: docker, id: "tocsin-" + strings.ToLower(rand.Text()), answers: answers}
	h.watch.tell("container", c.id)
	if _, err := runDocker(ctx, docker, append([]string{"run", "--detach", "--name", c.id}, args...)...); err != nil {
		return nil, err
	}
	return c, c.await(ctx)
}

func (c *container) start(ctx context.Context) error {
	if _, err := runDocker(ctx, c.docker, "start", c.id); err != nil {
		return err
	}
	return c.await(ctx)
}

func (c *container) stop(ctx context.Context, immediate bool) error {
	verb := "stop"
	if immediate {
		verb = "kill"
	}
	_, err := runDocker(ctx, c.docker, verb, c.id)
	return err
}

// pid is 0: the container's process may be another machine's.
func (c *container) pid() int { return 0 }

// await waits until the server in the container answers.
func (c *container) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.answers(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			logs, _ := runDocker(context.WithoutCancel(ctx), c.docker, "logs", "--tail", "20", c.id)
			return fmt.Errorf("container %s: no answer: %w\n%s", c.id, err, logs)
		case <-tick.C:
		}
	}
}

// runDocker runs a docker command and returns its output.
func runDocker(ctx context.Context, docker string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, docker, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", errors.Join(fmt.Errorf("docker %s: %w", args[0], err), errors.New(tail(out)))
	}
	return strings.TrimSpace(string(out)), nil
}
