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

// Run sends until it is told to stop, and then finishes the mails that are under way. Postgres and Redis may be away
// when it starts, and later.
func (*workCmd) Run(ctx context.Context, a *app) error {
	set, err := a.settings.Work()
	if err != nil {
		return usage(err)
	}
	logger := a.logger(set.Log)
	hangups, logins := hangups(), make(chan struct{}, 1)
	relays, err := pool(ctx, set.Mail, send.Options{Logger: logger, Silence: set.RelaySilence, OpenMarks: set.MaxOpenMarks, LoginFailed: func() { nudge(logins) }})
	if err != nil {
		return err
	}
	defer relays.Close()
	tasks, err := queue.Open(set.RedisURL, logger)
	if err != nil {
		return usage(err)
	}
	defer tasks.Close()
	db, err := workersLedger(ctx, set, tasks, logger)
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
	defer pacePool(ctx, pacer, &delivery.Quotas{Ledger: db, Relays: relays, Logger: logger})()
	reg := registry()
	measure := metrics.NewWorker(reg)
	traces, err := tracing("work", set.Traces, logger)
	if err != nil {
		return err
	}
	defer traces.Close()
	o := workerOptions(set, logger)
	o.Connections, o.Pacer = relays.Connections(), measure.Pacer(pacer)
	if o.Sign, err = signing(set.Mail); err != nil {
		return usage(err)
	}
	o.Levers = (&levers{db: db, relays: relays, pacer: pacer, sends: true}).pull
	o.Compare = func(ctx context.Context) error { return errors.Join(db.CompareMarks(ctx), db.Agree(ctx)) }
	worker, err := delivery.NewWorker(traces.Ledger(measure.Ledger(db)), tasks, mailSet(set.Mail), measure.Sender(relays), o)
	if err != nil {
		return usage(err)
	}
	again := reloader{settings: a.settings, set: set, db: db, relays: relays, pacer: pacer, worker: worker, logger: logger}
	go again.watch(ctx, hangups, logins)
	measure.OpenMarks(worker.Open, set.MaxOpenMarks)
	measure.Limits(relays.Health, pacer.Throttled)
	stop, err := watch(set.Listen, api.Options{Tokens: set.Tokens, Keys: db.Keys, Ready: readiness(db.Ready, tasks.Ready), Registry: reg, Log: logger, Version: version(), Drain: time.Second})
	if err != nil {
		return err
	}
	defer stop()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400) // a worker holds little, and makes one mail after the other
	}
	err = worker.Run(ctx)
	resign(ctx, db, logger)
	return err
}

// workerOptions returns the options of a worker by the settings.
func workerOptions(set config.Work, logger *slog.Logger) delivery.Options {
	return delivery.Options{
		Name:       holder(),
		From:       set.Mail.From,
		ReplyTo:    set.Mail.ReplyTo,
		Zone:       set.Mail.Zone,
		PublicURL:  set.Mail.PublicURL,
		OpenMarks:  set.MaxOpenMarks,
		Drain:      set.Drain,
		FirstRetry: set.FirstRetry,
		Logger:     logger,
	}
}

// nudge wakes the goroutine that receives from c, now or when it next does.
func nudge(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// workersLedger is the ledger of a process that marks.
func workersLedger(ctx context.Context, set config.Work, tasks *queue.Queue, logger *slog.Logger) (*ledger.DB, error) {
	mirrors := []ledger.Mirror{tasks}
	if set.MarksDir != "" {
		mirrors = append(mirrors, ledger.MarksDir(set.MarksDir))
	}
	return ledger.Open(ctx, set.DatabaseURL, ledger.Options{
		Lease: set.Lease, Worker: holder(), Process: processName(), OnlyTo: set.OnlyTo, Mirrors: mirrors, Logger: logger})
}

// pacePool keeps the limits and the quotas until stop is called: a worker that drains has them too.
func pacePool(ctx context.Context, pacer *pace.Pacer, quotas *delivery.Quotas) (stop func()) {
	untilDrained, end := context.WithCancel(context.WithoutCancel(ctx))
	var both sync.WaitGroup
	both.Go(func() { pacer.Run(untilDrained) })
	both.Go(func() { quotas.Run(untilDrained) })
	return func() { end(); both.Wait() }
}

// pacing returns the pacer, which says when a mail may leave, by the limits of the settings.
func pacing(set config.Work, relays *send.Pool, logger *slog.Logger) (*pace.Pacer, error) {
	o := paceOptions(set, relays)
	o.Worker, o.Next, o.Health, o.Logger = processName(), relays.Next, relays.Health, logger
	return pace.New(set.RedisURL, o)
}

// paceOptions returns the options of a pacer by the settings.
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

// hangups returns a channel that gets each SIGHUP from now on.
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

// watch serves a worker's health and metrics until stop is called; without an address it serves nothing.
func watch(addr string, o api.Options) (stop func(), err error) {
	if addr == "" {
		return func() {}, nil
	}
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
