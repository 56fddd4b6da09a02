package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"tocsin/internal/api"
	"tocsin/internal/config"
	"tocsin/internal/delivery"
	"tocsin/internal/ledger"
	"tocsin/internal/metrics"
	"tocsin/internal/notice"
	"tocsin/internal/pace"
	"tocsin/internal/queue"
	"tocsin/internal/send"
)

type workCmd struct{}

// Run sends until it is told to stop, and then finishes what is under way. Postgres and Redis may be away when
// it starts, and later.
func (*workCmd) Run(ctx context.Context, a *app) error {
	set, err := a.settings.Work()
	if err != nil {
		return usage(err)
	}
	logger := a.logger(set.Log)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // a worker holds little, and makes a mail after the other
	}
	hangups, logins := hangups(), make(chan struct{}, 1)
	relays, err := pool(ctx, set.Mail, send.Options{Logger: logger, Silence: set.RelaySilence, OpenMarks: set.MaxOpenMarks, LoginFailed: func() {
		select {
		case logins <- struct{}{}:
		default:
		}
	}})
	if err != nil {
		return err
	}
	defer relays.Close()
	sign, err := signing(set.Mail)
	if err != nil {
		return usage(err)
	}
	tasks, err := queue.Open(set.RedisURL, logger)
	if err != nil {
		return usage(err)
	}
	defer tasks.Close()
	mirrors := []ledger.Mirror{tasks}
	if set.MarksDir != "" {
		mirrors = append(mirrors, ledger.MarksDir(set.MarksDir))
	}
	db, err := ledger.Open(ctx, set.DatabaseURL, ledger.Options{
		Lease: set.Lease, Worker: holder(), Process: processName(), OnlyTo: set.OnlyTo, Mirrors: mirrors, Logger: logger})
	if err != nil {
		return usage(err)
	}
	defer db.Close()
	go keepHolds(ctx, db, set.Holds, logger)
	go suspend(ctx, db, tasks, logger)
	if len(set.OnlyTo) > 0 {
		logger.Warn("only_to is set: all other mailboxes end suppressed", slog.Any("patterns", set.OnlyTo))
	}
	go deskOf(db, tasks, set.Mail, logger).Leaving(ctx)
	pacer, err := pacing(set, relays, logger)
	if err != nil {
		return usage(err)
	}
	untilDrained, stopPacing := context.WithCancel(context.WithoutCancel(ctx)) // a worker that drains is paced too
	var paced sync.WaitGroup
	paced.Go(func() { pacer.Run(untilDrained) })
	paced.Go(func() { (&delivery.Quotas{Ledger: db, Relays: relays, Logger: logger}).Run(untilDrained) })
	defer paced.Wait()
	defer stopPacing()
	reg := registry()
	measure := metrics.NewWorker(reg)
	traces, err := tracing("work", set.Traces, logger)
	if err != nil {
		return err
	}
	defer traces.Close()
	worker, err := delivery.NewWorker(traces.Ledger(measure.Ledger(db)), tasks, mailSet(set.Mail), measure.Sender(relays), delivery.Options{
		Name:        holder(),
		From:        set.Mail.From,
		ReplyTo:     set.Mail.ReplyTo,
		Zone:        set.Mail.Zone,
		PublicURL:   set.Mail.PublicURL,
		Connections: relays.Connections(),
		OpenMarks:   set.MaxOpenMarks,
		Drain:       set.Drain,
		FirstRetry:  set.FirstRetry,
		Pacer:       measure.Pacer(pacer),
		Sign:        sign,
		Logger:      logger,
		Levers:      (&levers{db: db, relays: relays, pacer: pacer, sends: true}).pull,
		Compare:     func(ctx context.Context) error { return errors.Join(db.CompareMarks(ctx), db.Agree(ctx)) },
	})
	if err != nil {
		return usage(err)
	}
	again := reloader{settings: a.settings, set: set, db: db, relays: relays, pacer: pacer, worker: worker, logger: logger}
	go again.watch(ctx, hangups, logins)
	measure.OpenMarks(worker.Open, set.MaxOpenMarks)
	measure.Limits(relays.Health, pacer.Throttled)
	if set.Listen != "" {
		stop, err := watch(set.Listen, api.Options{Tokens: set.Tokens, Keys: db.Keys, Ready: readiness(db.Ready, tasks.Ready), Registry: reg, Log: logger, Version: version(), Drain: time.Second})
		if err != nil {
			return err
		}
		defer stop()
	}
	err = worker.Run(ctx)
	resign(ctx, db, logger)
	return err
}

// pacing returns what says when a mail may leave, by the limits of the settings.
func pacing(set config.Work, relays *send.Pool, logger *slog.Logger) (*pace.Pacer, error) {
	o := paceOptions(set, relays)
	o.Worker, o.Next, o.Health, o.Logger = processName(), relays.Next, relays.Health, logger
	return pace.New(set.RedisURL, o)
}

// paceOptions are those that the settings have.
func paceOptions(set config.Work, relays *send.Pool) pace.Options {
	o := pace.Options{Version: version(), Relays: map[string]notice.Rate{}, Connections: relays.Connections()}
	for i, r := range relays.Relays() {
		o.Relays[r.Name] = set.Mail.Relays[i].Rate
	}
	for _, l := range set.Limits {
		o.Limits = append(o.Limits, pace.Limit(l))
	}
	return o
}

// hangups is told of each SIGHUP from now on.
func hangups() <-chan os.Signal {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c
}

// holder names this process in leases, for people.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d", host, os.Getpid())
}

// processName names this process apart from an earlier one that had its host name and number.
func processName() string { return fmt.Sprintf("%s/%d", holder(), time.Now().UnixMilli()) }

// watch serves a worker's health and metrics until stop is called.
func watch(addr string, o api.Options) (stop func(), err error) {
	if err := api.CheckListen(addr, o.Tokens); err != nil {
		return nil, usage(err)
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("serve health and metrics: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background()) // a worker that drains is watched too
	var served sync.WaitGroup
	served.Go(func() {
		if err := api.NewProbes(o).Serve(ctx, ln); err != nil {
			o.Log.Error("health and metrics are not served any more", slog.Any("error", err))
		}
	})
	o.Log.Info("health and metrics", slog.String("listen", ln.Addr().String()))
	return func() { cancel(); served.Wait() }, nil
}

// suspend has the worker mark nothing while Redis is not fit for it. While Redis is only away, claimed chunks finish.
func suspend(ctx context.Context, db *ledger.DB, tasks *queue.Queue, logger *slog.Logger) {
	said := ""
	for {
		err := tasks.Ready(ctx)
		why, unready := errors.AsType[notice.Unready](err)
		if err == nil || unready {
			db.Suspend(unready)
		}
		if err == nil {
			said = ""
		}
		if unready && why.Error() != said {
			logger.Error("nothing is marked", slog.Any("error", err))
			said = why.Error()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(5 * time.Second):
		}
	}
}
