package main

import (
	"context"
	"log/slog"
	"os"
	"slices"

	"tocsin/internal/config"
	"tocsin/internal/delivery"
	"tocsin/internal/ledger"
	"tocsin/internal/pace"
	"tocsin/internal/send"
)

// reloader has a worker take over settings that were changed while it runs.
type reloader struct {
	settings *config.Settings
	set      config.Work // in use
	db       *ledger.DB
	relays   *send.Pool
	pacer    *pace.Pacer
	worker   *delivery.Worker
	logger   *slog.Logger
	said     string // the last error
}

// reloadable are the settings that take effect without a start.
var reloadable = []string{"TOCSIN_SMTP_URL", "TOCSIN_RETURN_PATH", "limits", "holds"}

// watch reads the settings again at each hangup, and when a relay refused a login, until ctx ends.
func (r *reloader) watch(ctx context.Context, hangups <-chan os.Signal, logins <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			r.said = ""
			r.read(ctx, "SIGHUP", slog.LevelInfo)
		case <-logins:
			r.read(ctx, "a relay refused the login", slog.LevelDebug)
		}
	}
}

// read takes over the settings as they are now, and none of them where one is wrong. Where nothing has changed it logs
// that at the level.
func (r *reloader) read(ctx context.Context, cause string, level slog.Level) {
	set, relays, err := r.again()
	if err != nil {
		if err.Error() != r.said {
			r.logger.Error("settings can't be read again: the old ones are kept", slog.String("cause", cause), slog.Any("error", err))
		}
		r.said = err.Error()
		return
	}
	r.said = ""
	var changed, later []string
	for _, id := range config.Changed(r.set, set) {
		if slices.Contains(reloadable, id) {
			changed = append(changed, id)
		} else {
			later = append(later, id)
		}
	}
	if len(later) > 0 && level == slog.LevelInfo {
		r.logger.Warn("settings that take effect at the next start", slog.Any("settings", later))
	}
	if len(changed) > 0 {
		level = slog.LevelInfo
		r.take(ctx, set, relays)
	}
	r.logger.Log(ctx, level, "settings read again", slog.String("cause", cause), slog.Any("changed", changed))
}

// again reads the settings, and finds all that is wrong with them.
func (r *reloader) again() (set config.Work, relays []send.Relay, err error) {
	settings, err := r.settings.Again()
	if err != nil {
		return set, nil, err
	}
	if set, err = settings.Work(); err != nil {
		return set, nil, err
	}
	relays, err = relaysOf(set.Mail)
	return set, relays, err
}

func (r *reloader) take(ctx context.Context, set config.Work, relays []send.Relay) {
	if !slices.EqualFunc(r.set.Holds, set.Holds, func(a, b config.Hold) bool { return a == b }) {
		go keepHolds(ctx, r.db, set.Holds, r.logger)
	}
	r.set.Mail.ReturnPath = set.Mail.ReturnPath
	r.set.Mail.Relays, r.set.Limits, r.set.Holds = set.Mail.Relays, set.Limits, set.Holds
	r.relays.SetRelays(relays)
	r.pacer.Settings(paceOptions(r.set, r.relays))
	r.worker.SetConnections(r.relays.Connections())
}
