package main

import (
	"context"
	"log/slog"
	"time"

	"tocsin/internal/api"
	"tocsin/internal/ledger"
	"tocsin/internal/maillog"
	"tocsin/internal/notice"
)

// followCmd is tocsin reconcile.
type followCmd struct {
	Follow  bool   `required:"" help:"Read the log as it is written, until told to stop."`
	Maillog string `required:"" placeholder:"FILE" help:"The log of a Postfix that mails are handed to, such as /var/log/mail.log."`
	LogZone string `placeholder:"ZONE" help:"Zone of times that name none, such as Europe/Amsterdam (this machine's)."`
}

// Run settles uncertain mails by a relay's log, and notes when the recipients' servers took the mails. It reads the
// file from its first line, since to say the same again does no harm. It goes on trying while the API is away.
func (c *followCmd) Run(ctx context.Context, a *app) error {
	zone := time.Local
	if c.LogZone != "" {
		var err error
		if zone, err = notice.LoadZone(c.LogZone); err != nil {
			return usage(notice.Invalid("--log-zone", "%v", err))
		}
	}
	client, err := a.client()
	if err != nil {
		return usage(err)
	}
	f := &follower{client: client, logger: slog.New(slog.NewTextHandler(a.stderr, nil)), late: map[string]lateWord{}}
	err = maillog.Follower{Path: c.Maillog, Zone: zone}.Run(ctx, f.take)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

const (
	// followBatch is how many mails one call tells of.
	followBatch = 500
	// followAgain is the time until follower repeats a word about a mail that has no recorded answer yet. followFor is
	// the time for which it goes on: a worker waits ten minutes for an answer, and a mail is uncertain by then.
	followAgain = 15 * time.Second
	followFor   = 30 * time.Minute
	// followLate is how many such words are kept at most.
	followLate = 100_000
	// followRetry is how long a failed call rests.
	followRetry = 2 * time.Second
)

// follower tells the API the contents of a relay's log.
type follower struct {
	client *api.Client
	logger *slog.Logger
	late   map[string]lateWord // by Message-ID
	next   time.Time           // when the late words are repeated
	away   bool                // whether the API is away
}

// lateWord is a word about a mail that has no recorded answer yet.
type lateWord struct {
	ledger.Relayed
	until time.Time
}

// take tells of a batch, and repeats the words that came too early.
func (f *follower) take(ctx context.Context, events []maillog.Event) error {
	words := make([]ledger.Relayed, 0, len(events))
	for _, e := range events {
		words = append(words, ledger.Relayed{MessageID: e.MessageID, QueueID: e.QueueID, Status: e.Text, At: e.At, Server: e.Server})
	}
	now := time.Now()
	if len(f.late) > 0 && now.After(f.next) {
		for id, w := range f.late {
			if delete(f.late, id); now.Before(w.until) {
				words = append(words, w.Relayed)
			}
		}
	}
	for len(words) > 0 {
		n := min(followBatch, len(words))
		if err := f.tell(ctx, words[:n]); err != nil {
			return err
		}
		words = words[n:]
	}
	return nil
}

// tell reports some mails to the API, and tries again while the API is away. It returns an error where no waiting helps,
// or at the end of ctx.
func (f *follower) tell(ctx context.Context, words []ledger.Relayed) error {
	done, err := f.client.Relayed(ctx, words)
	for err != nil && notice.CodeOf(err) == "" {
		if !f.away {
			f.away = true
			f.logger.Warn("the API did not take what the log says, trying again", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followRetry):
		}
		done, err = f.client.Relayed(ctx, words)
	}
	if err != nil {
		return err
	}
	f.away = false
	f.keep(words, done.Open)
	if done.Settled+done.Delivered > 0 {
		f.logger.Info("told", slog.Int("settled", done.Settled), slog.Int("delivered", done.Delivered), slog.Int("unknown", done.Unknown), slog.Int("later", len(f.late)))
	}
	return nil
}

// keep keeps the words about mails that have no recorded answer yet; the last word counts.
func (f *follower) keep(words []ledger.Relayed, open []string) {
	now := time.Now()
	if len(open) > 0 {
		f.next = now.Add(followAgain)
	}
	waits := map[string]bool{}
	for _, id := range open {
		waits[id] = true
	}
	for _, w := range words {
		if waits[w.MessageID] && len(f.late) < followLate {
			f.late[w.MessageID] = lateWord{w, now.Add(followFor)}
		}
	}
}
