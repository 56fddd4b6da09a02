package main

import (
	"cmp"
	"context"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"tocsin/internal/config"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/render"
	"tocsin/internal/send"
	"tocsin/templates"
)

// logger writes to stderr in a format, text or json.
func (a *app) logger(format string) *slog.Logger {
	if format == "json" {
		return slog.New(slog.NewJSONHandler(a.stderr, nil))
	}
	return slog.New(slog.NewTextHandler(a.stderr, nil))
}

// registry holds the metrics of this process.
func registry() *prometheus.Registry {
	r := prometheus.NewRegistry()
	build := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "tocsin_build_info", Help: "1, with the version of this process."}, []string{"version"})
	build.WithLabelValues(version()).Set(1)
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build)
	return r
}

// templateSet is the built-in templates with those of a directory in front, if there is one.
func templateSet(dir string) *render.Set {
	var overlay fs.FS
	if dir != "" {
		overlay = os.DirFS(dir)
	}
	return render.New(templates.FS, overlay)
}

// mailSet is the templates that the settings name, with their branding: serve and work make the same mails with it.
func mailSet(set config.Mail) *render.Set { return templateSet(set.TemplateDir).Branded(set.Branding) }

// pool connects to the relays of the settings, the most wanted first.
func pool(ctx context.Context, set config.Mail, o send.Options) (*send.Pool, error) {
	relays, err := relaysOf(set)
	if err != nil {
		return nil, usage(err)
	}
	o.Hello = hello(ctx, set)
	return send.New(relays, o), nil
}

// relaysOf are the relays of the settings as package send knows them.
func relaysOf(set config.Mail) (relays []send.Relay, err error) {
	for _, s := range set.Relays {
		r, err := relay(s)
		if err != nil {
			return nil, err
		}
		r.ReturnPath = cmp.Or(r.ReturnPath, set.ReturnPath)
		relays = append(relays, r)
	}
	return relays, nil
}

// hello is the name under which relays are greeted that have no other.
func hello(ctx context.Context, set config.Mail) string {
	if set.Hello != "" {
		return set.Hello
	}
	return send.HelloName(ctx, fromDomain(set.From))
}

// relay is a relay of the settings as package send knows it.
func relay(s config.Relay) (send.Relay, error) {
	r, err := send.ParseRelay(s.URL)
	if err != nil {
		return r, notice.Invalid(s.Origin, "%v", err)
	}
	switch {
	case s.Password != "" && r.Password != "":
		return r, notice.Invalid(s.Origin, "has a password in its url, and password_file too: keep one of the two")
	case (s.TokenFile != "" || len(s.Token) > 0) && (r.User == "" || r.Password != ""):
		return r, notice.Invalid(s.Origin, "has an access token, which wants a user and no password in its url: smtp://user@host:587")
	case s.Password != "" && r.User == "":
		return r, notice.Invalid(s.Origin, "has a password_file and no user: smtp://user@host:587")
	case s.Password != "":
		r.Password = s.Password
	}
	if s.Name != "" {
		r.Name = s.Name
	}
	r.Connections, r.Quota, r.Hello, r.ReturnPath = s.Connections, s.Quota, s.Hello, s.ReturnPath
	r.Family = map[string]string{"ipv4": "ip4", "ipv6": "ip6"}[s.Family]
	r.Auth, r.TokenFile, r.TokenCommand = s.Auth, s.TokenFile, s.Token
	return r, nil
}

// fileHolds are the holds of the settings.
func fileHolds(set []config.Hold) (holds []notice.Hold) {
	for _, h := range set {
		holds = append(holds, notice.Hold{From: h.From, Until: &h.Until, Reason: h.Reason})
	}
	return holds
}

// keepHolds adds the holds of the settings to those of the ledger, as soon as it can be reached.
func keepHolds(ctx context.Context, db *ledger.DB, set []config.Hold, logger *slog.Logger) {
	if set == nil {
		return
	}
	if len(set) == 0 {
		logger.Warn("an empty list of holds ends none: tocsin hold remove does")
		return
	}
	for {
		added, err := db.KeepFileHolds(ctx, fileHolds(set))
		if err == nil {
			logger.Info("planned holds are set", slog.Int("holds", len(set)), slog.Int64("new", added))
			return
		}
		logger.Warn("set planned holds, trying again", slog.Any("error", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(2 * time.Second):
		}
	}
}

// keepAgreeing tells the workers which mailboxes this process sends to.
func keepAgreeing(ctx context.Context, db *ledger.DB, logger *slog.Logger) {
	for ctx.Err() == nil {
		if err := db.Agree(ctx); err != nil && ctx.Err() == nil {
			logger.Warn("say that only_to is set, trying again", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(2 * time.Second):
		}
	}
}

// keepComparing has a process that marks nothing look at the marks too, since no standby may lack its commits either.
func keepComparing(ctx context.Context, db *ledger.DB, logger *slog.Logger) {
	failing := false
	for ctx.Err() == nil {
		asking, cancel := context.WithTimeout(ctx, 10*time.Second)
		err := db.CompareMarks(asking)
		cancel()
		if err != nil && !failing && ctx.Err() == nil {
			logger.Warn("compare the ledger with the mirror of marks, trying again", slog.Any("error", err))
		}
		failing = err != nil
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// resign says that this process sends no more, so that one with another setting need not wait for its end to be noticed.
func resign(ctx context.Context, db *ledger.DB, logger *slog.Logger) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := db.Resign(ctx); err != nil {
		logger.Warn("resign", slog.Any("error", err))
	}
}

// readiness asks several parts of the installation whether they can be used.
func readiness(parts ...func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		for _, ready := range parts {
			if err := ready(ctx); err != nil {
				return err
			}
		}
		return nil
	}
}
