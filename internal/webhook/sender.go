package webhook

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"tocsin/internal/notice"
)

// Ledger keeps messages and their outcomes.
type Ledger interface {
	// KeepWebhooks says which receivers there are; it is called again and again.
	KeepWebhooks(ctx context.Context, all []notice.Webhook) error
	// TakeWebhook takes the oldest message that is due for a receiver, and gives it to nobody else during the lease.
	TakeWebhook(ctx context.Context, name string, lease time.Duration) (m notice.WebhookMessage, ok bool, err error)
	// SettleWebhook records the outcome of a try. A message that failed is due again after wait, or given up after patience.
	SettleWebhook(ctx context.Context, m notice.WebhookMessage, a notice.WebhookAnswer, wait, patience time.Duration) (givenUp bool, err error)
}

// Sender delivers messages. Several may run on one ledger: each message is taken by one of them.
type Sender struct {
	Ledger    Ledger
	Receivers []*Receiver
	Origin    Origin
	Logger    *slog.Logger
	// Count is called with the outcome of each try: delivered, failed or given_up.
	Count func(receiver, result string)
}

const (
	lookEvery = time.Second // for messages that are due
	keepEvery = time.Minute
	lease     = patience + 10*time.Second // an answer is waited for and recorded within it

	firstWait = 2 * time.Second // after a first failure, doubling up to mostWait
	mostWait  = time.Hour
	giveUp    = 3 * 24 * time.Hour
)

// Run delivers until ctx ends. Without receivers it has the ledger forget those that were.
func (s *Sender) Run(ctx context.Context) {
	var all sync.WaitGroup
	all.Go(func() { s.keep(ctx) })
	client := newClient()
	for _, r := range s.Receivers {
		all.Go(func() {
			for ctx.Err() == nil {
				if !s.deliver(ctx, client, r) {
					pause(ctx, lookEvery)
				}
			}
		})
	}
	all.Wait()
}

// keep tells the ledger the receivers.
func (s *Sender) keep(ctx context.Context) {
	var all []notice.Webhook
	for _, r := range s.Receivers {
		all = append(all, notice.Webhook{Name: r.Name, Events: r.Events})
	}
	for ctx.Err() == nil {
		next := keepEvery
		if err := s.Ledger.KeepWebhooks(ctx, all); err != nil && ctx.Err() == nil {
			s.Logger.Warn("tell the ledger who takes webhooks, trying again", slog.Any("error", err))
			next = 2 * time.Second
		}
		pause(ctx, next)
	}
}

// deliver tries one message, and reports whether there may be another one.
func (s *Sender) deliver(ctx context.Context, client *http.Client, r *Receiver) bool {
	m, ok, err := s.Ledger.TakeWebhook(ctx, r.Name, lease)
	if err != nil || !ok {
		if err != nil && ctx.Err() == nil {
			s.Logger.Warn("look for webhooks", slog.String("webhook", r.Name), slog.Any("error", err))
		}
		return false
	}
	a := r.post(ctx, client, m, s.Origin, time.Now())
	if a.Fault != "" && ctx.Err() != nil {
		a.Fault = "serve was stopped before it answered"
	}
	// A message that was taken is recorded though this server is told to stop.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	givenUp, err := s.Ledger.SettleWebhook(ctx, m, a, waitAfter(m.Tries), giveUp)
	result, level := "delivered", slog.LevelInfo
	switch {
	case givenUp:
		result, level = "given_up", slog.LevelError
	case a.Fault != "":
		result, level = "failed", slog.LevelWarn
	}
	s.Logger.Log(ctx, level, "webhook "+result, slog.String("webhook", r.Name), slog.String("event", string(m.Event)), slog.String("id", m.ID),
		slog.Int("tries", m.Tries), slog.Int("status", a.Status), slog.String("fault", a.Fault))
	s.Count(r.Name, result)
	if err != nil {
		s.Logger.Warn("record a webhook", slog.String("webhook", r.Name), slog.Any("error", err))
	}
	return err == nil
}

// waitAfter is how long is waited after so many tries, jittered, so that a receiver that comes back is not overrun.
func waitAfter(tries int) time.Duration {
	wait := mostWait
	if tries < 12 {
		wait = min(mostWait, firstWait<<max(0, tries-1))
	}
	return wait/2 + rand.N(wait)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
