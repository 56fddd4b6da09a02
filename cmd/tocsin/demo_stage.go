package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"tocsin/internal/api"
	"tocsin/internal/ledger"
	"tocsin/internal/local"
	"tocsin/internal/sink"
)

// stage has the parts of the demo: servers, an inbox that is the whole outside world, and Tocsin's own processes.
type stage struct {
	say      *speaker
	fail     context.CancelCauseFunc // ends the demo when a part of it ends
	services *local.Services
	inbox    *sink.Sink
	env      []string // of the processes
	url      string   // of the API
	token    string
	client   *api.Client
	serve    *child
	workers  []*child
	taking   sync.WaitGroup // the inbox
}

// setStage starts all parts. After an error s has the parts that were started, for the caller to close.
func setStage(ctx context.Context, a *app, say *speaker, fail context.CancelCauseFunc) (s *stage, err error) {
	s = &stage{say: say, fail: fail, token: rand.Text()}
	say.step("Postgres and Redis of our own, thrown away afterwards")
	// Servers that the settings name are used, in a database of our own. Other gaps in the settings do not matter here.
	named, _ := a.settings.Serve()
	s.services, err = local.Start(ctx, local.Options{DatabaseURL: named.DatabaseURL, RedisURL: named.RedisURL, Log: say})
	if err != nil {
		return s, err
	}
	if _, err := ledger.Migrate(ctx, s.services.DatabaseURL); err != nil {
		return s, err
	}
	say.step("tocsin serve, tocsin work, tocsin work, and an inbox that answers after %s", demoAnswer)
	if err := s.openInbox(ctx); err != nil {
		return s, err
	}
	return s, s.startTocsin(ctx)
}

// openInbox starts the inbox, which takes the workers' mails.
func (s *stage) openInbox(ctx context.Context) error {
	s.inbox = sink.New(sink.Options{OnMail: func(sink.Mail) { <-time.After(demoAnswer) }})
	if err := s.inbox.Listen("127.0.0.1:0"); err != nil {
		return fmt.Errorf("open the inbox: %w", err)
	}
	s.taking.Go(func() {
		if err := s.inbox.Serve(context.WithoutCancel(ctx)); err != nil {
			s.fail(fmt.Errorf("the inbox: %w", err))
		}
	})
	return nil
}

// startTocsin starts the processes as they run anywhere else: by their commands and the environment.
func (s *stage) startTocsin(ctx context.Context) (err error) {
	listen, err := freePort()
	if err != nil {
		return err
	}
	s.url = "http://" + listen
	s.env = append(withoutSettings(os.Environ()),
		"DATABASE_URL="+s.services.DatabaseURL, "REDIS_URL="+s.services.RedisURL,
		"TOCSIN_LISTEN="+listen, "TOCSIN_TOKEN="+s.token, "TOCSIN_FROM="+demoFrom,
		"TOCSIN_SMTP_URL=smtp://"+s.inbox.Addr().String(), "TOCSIN_DRAIN=2s",
		"TOCSIN_LEASE="+demoLease.String(), "TOCSIN_FIRST_RETRY="+demoFirstRetry.String())
	if s.serve, err = s.start("tocsin serve", "serve"); err != nil {
		return err
	}
	for _, name := range []string{"worker 1", "worker 2"} {
		worker, err := s.start(name, "work")
		if err != nil {
			return err
		}
		s.workers = append(s.workers, worker)
	}
	if s.client, err = api.NewClient(s.url, s.token, operator()); err != nil {
		return err
	}
	if err := s.client.Ready(ctx); err != nil {
		return fmt.Errorf("wait for the API: %w", err)
	}
	return nil
}

// close ends everything, the processes before the servers that they use.
func (s *stage) close() {
	var stopping sync.WaitGroup
	for _, c := range append(s.workers, s.serve) {
		if c != nil {
			stopping.Go(c.stop)
		}
	}
	stopping.Wait()
	if s.inbox != nil {
		s.inbox.Close()
		s.taking.Wait()
	}
	if s.services != nil {
		if err := s.services.Close(); err != nil {
			s.say.line("Stopping the servers: %v", err)
		}
	}
}

// freePort returns an address that nobody listens on.
func freePort() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return ln.Addr().String(), ln.Close()
}

// withoutSettings leaves out the variables that would set up Tocsin in another way. A variable that begins with
// TOCSIN_TEST_ is no setting.
func withoutSettings(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(e string) bool {
		return strings.HasPrefix(e, "TOCSIN_") && !strings.HasPrefix(e, "TOCSIN_TEST_") ||
			strings.HasPrefix(e, "DATABASE_URL") || strings.HasPrefix(e, "REDIS_URL")
	})
}
