package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"

	"golang.org/x/sync/errgroup"

	"tocsin/internal/api"
	"tocsin/internal/config"
	"tocsin/internal/console"
	"tocsin/internal/control"
	"tocsin/internal/delivery"
	"tocsin/internal/hook"
	"tocsin/internal/ledger"
	"tocsin/internal/metrics"
	"tocsin/internal/notice"
	"tocsin/internal/oidc"
	"tocsin/internal/optout"
	"tocsin/internal/pace"
	"tocsin/internal/queue"
	"tocsin/internal/send"
)

type serveCmd struct{}

// Run serves the API until it is told to stop, and then lets running requests finish. Postgres and Redis may be
// away when it starts, and later.
func (*serveCmd) Run(ctx context.Context, a *app) error {
	set, err := a.settings.Serve()
	if err != nil {
		return usage(err)
	}
	if err := api.CheckListen(set.Listen, set.Tokens); err != nil {
		return usage(err)
	}
	logger := a.logger(set.Log)
	if shortToken(set.Tokens) {
		logger.Warn("TOCSIN_TOKEN is short and may be guessed", slog.Int("least_characters", leastToken))
	}
	if set.Mail.From == "" {
		logger.Warn("TOCSIN_FROM is not set: plans keep no mails, and the workers compile them")
	}
	tasks, err := queue.Open(set.RedisURL, logger)
	if err != nil {
		return usage(err)
	}
	defer tasks.Close()
	db, err := ledger.Open(ctx, set.DatabaseURL, ledger.Options{Lease: set.Lease, Process: processName(), OnlyTo: set.OnlyTo, Mirrors: []ledger.Mirror{tasks}, Logger: logger})
	if err != nil {
		return usage(err)
	}
	defer db.Close()
	pacers, err := pace.NewWatcher(set.RedisURL)
	if err != nil {
		return usage(err)
	}
	defer pacers.Close()
	keepHouse(ctx, db, set, logger)
	traces, err := tracing("serve", set.Traces, logger)
	if err != nil {
		return err
	}
	defer traces.Close()
	reg := registry()
	desk := deskOf(db, tasks, set.Mail, logger)
	desk.Approvals, desk.OnlyTo, desk.Released, desk.Count = set.Approvals, set.OnlyTo, traces.Released, metrics.NewReturned(reg).Count
	if len(set.OnlyTo) > 0 {
		go keepAgreeing(ctx, db, logger)
		defer resign(ctx, db, logger)
	}
	closeRelays, err := giveRelays(ctx, desk, db, set.Mail, logger)
	if err != nil {
		return err
	}
	defer closeRelays()
	reg.MustRegister(metrics.NewStanding(db.Standing, reckoning(set), logger))
	stopTelling, err := tell(ctx, db, set, reg, logger)
	if err != nil {
		return usage(err)
	}
	defer stopTelling()
	pace := paceOf(pacers, db, logger)
	desk.Pace, desk.WorkerRate, desk.RelayRate = pace, float64(set.WorkerRate), reckoning(set).RelayRate
	page := console.New(console.Options{Book: db, Desk: desk, Log: logger, Queues: tasks.Standing, Pace: pace, URL: set.ConsoleURL, Idle: set.Session,
		OIDC: issuer(set), Registry: reg, Version: version()})
	return serveBoth(ctx, set, api.Options{
		Desk: desk, Book: db, Pace: pace, Console: page, Log: logger, Registry: reg, Span: traces.Request, Version: version(),
		Ready: readiness(db.Ready, tasks.Ready), Keys: db.Keys,
		Tokens: set.Tokens, Holds: fileHolds(set.Holds), Proxies: set.Proxies, ConsoleURL: set.ConsoleURL,
	}, optout.New(desk.Set, set.Mail.From))
}

// keepHouse starts the duties that a server has besides its answers, until ctx ends.
func keepHouse(ctx context.Context, db *ledger.DB, set config.Serve, logger *slog.Logger) {
	go sayAtHangup(ctx, logger)
	go keepComparing(ctx, db, logger)
	go keepHolds(ctx, db, set.Holds, logger)
	go func() { // a database that is away now may come
		if err := db.Ready(ctx); err != nil && ctx.Err() == nil {
			logger.Error("the ledger can't be used yet", slog.Any("error", err))
		}
	}()
	go drop(ctx, "old rows", set.Retention, retentionEvery, db.DropOldRows, logger)
	go drop(ctx, "saved drafts", set.Retention, retentionEvery, db.DropOldSavedDrafts, logger)
	go drop(ctx, "numbers of marks", marksIdle, retentionEvery, db.PruneMarks, logger)
	go drop(ctx, "plans", set.PlanKeep, plansEvery, db.DropOldPlans, logger)
}

// giveRelays lets a desk send the mails that need no worker, over the relays of the settings. Without relays it sends
// none.
func giveRelays(ctx context.Context, desk *control.Desk, db *ledger.DB, mail config.Mail, logger *slog.Logger) (stop func(), err error) {
	if len(mail.Relays) == 0 {
		return func() {}, nil
	}
	if desk.Sign, err = signing(mail); err != nil {
		return nil, usage(err)
	}
	relays, err := pool(ctx, mail, send.Options{Logger: logger})
	if err != nil {
		return nil, err
	}
	desk.Sender = relays
	go (&levers{db: db, relays: relays}).keep(ctx)
	go (&delivery.Quotas{Ledger: db, Relays: relays, Logger: logger}).Run(ctx)
	return relays.Close, nil
}

// reckoning is how many workers are wanted, by the settings of serve. A relay without a rate takes any number of mails.
func reckoning(set config.Serve) metrics.Reckoning {
	r := metrics.Reckoning{WorkerRate: set.WorkerRate, Within: set.SendWithin}
	for _, relay := range set.Mail.Relays {
		if relay.Rate == 0 {
			r.RelayRate = 0
			return r
		}
		r.RelayRate += float64(relay.Rate)
	}
	return r
}

// issuer returns the client of the OpenID Connect issuer at which people sign in, nil for none.
func issuer(set config.Serve) *oidc.Client {
	if set.OIDC.Issuer == "" {
		return nil
	}
	return oidc.New(oidc.Settings{Issuer: set.OIDC.Issuer, Client: set.OIDC.Client, Secret: set.OIDC.Secret, Scopes: set.OIDC.Scopes,
		Claim: set.OIDC.Claim, Roles: set.OIDC.Roles, Back: set.ConsoleURL + "/sign-in/oidc/back"})
}

// serveBoth serves the API, and the pages and hooks for the internet where the settings ask for them. When one of the
// two servers ends, so does the other.
func serveBoth(ctx context.Context, set config.Serve, o api.Options, pages *optout.Pages) error {
	ln, err := net.Listen("tcp", set.Listen)
	if err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	o.Log.Info("serving", slog.String("listen", ln.Addr().String()))
	if set.Public.Listen == "" {
		return api.NewServer(o).Serve(ctx, ln)
	}
	hooks := &hook.Hooks{SNSTopics: set.Public.SNSTopics, PostmarkPassword: set.Public.PostmarkPassword, MailgunKey: set.Public.MailgunKey}
	if set.Public.SendGridKey != "" {
		if hooks.SendGridKey, err = hook.ParseSendGridKey(set.Public.SendGridKey); err != nil {
			return errors.Join(usage(notice.Invalid("TOCSIN_SENDGRID_KEY", "%v", err)), ln.Close())
		}
	}
	open, err := net.Listen("tcp", set.Public.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("serve the webhooks and the pages of readers: %w", err), ln.Close())
	}
	o.Log.Info("serving webhooks and pages of readers", slog.String("listen", open.Addr().String()))
	both, ctx := errgroup.WithContext(ctx)
	both.Go(func() error { return api.NewServer(o).Serve(ctx, ln) })
	both.Go(func() error { return api.NewPublic(o, hooks, pages).Serve(ctx, open) })
	return both.Wait()
}

// deskOf returns the Desk that the settings of a process make.
func deskOf(db *ledger.DB, tasks *queue.Queue, mail config.Mail, logger *slog.Logger) *control.Desk {
	return &control.Desk{Ledger: db, Queue: tasks, Set: mailSet(mail), From: mail.From, ReplyTo: mail.ReplyTo, Zone: mail.Zone, PublicURL: mail.PublicURL,
		Logger: logger}
}

// sayAtHangup logs at each SIGHUP that serve has to be started anew for other settings. Unheard, the signal would end
// the process.
func sayAtHangup(ctx context.Context, logger *slog.Logger) {
	hangups := hangups()
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			logger.Warn("SIGHUP: serve reads its settings when it starts; only a worker reads them again")
		}
	}
}
