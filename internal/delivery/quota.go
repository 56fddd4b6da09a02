package delivery

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/send"
)

// QuotaLedger counts the mails that processes take of the quotas of relays; package ledger implements it.
type QuotaLedger interface {
	TakeQuota(ctx context.Context, relay string, quota, want int) (ledger.Share, error)
	GiveBackQuota(ctx context.Context, relay string, s ledger.Share) error
}

// Quotas takes parts of the quotas of relays for a pool. Until Run does, no mail goes to a relay that has a quota.
type Quotas struct {
	Ledger QuotaLedger
	Relays *send.Pool
	Logger *slog.Logger
}

// Run takes and gives back parts until ctx ends, and then gives back the rest.
func (q *Quotas) Run(ctx context.Context) {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	failing := false
	for ctx.Err() == nil {
		err := q.meet(ctx, q.Relays.Demands(false))
		if err != nil && !failing && ctx.Err() == nil {
			q.Logger.Warn("take of a relay's quota, trying again", slog.Any("error", err))
		}
		if failing = err != nil; failing {
			pause(ctx, askEvery)
		}
		select {
		case <-ctx.Done():
		case <-ticker.C:
		case <-q.Relays.Wanting():
		}
	}
	if err := q.meet(context.WithoutCancel(ctx), q.Relays.Demands(true)); err != nil {
		q.Logger.Warn("give back of a relay's quota; it counts as used", slog.Any("error", err))
	}
}

// meet asks the ledger. A part counts as used if the answer is lost, or if it could not be given back.
func (q *Quotas) meet(ctx context.Context, demands []send.Demand) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var failed []error
	for _, d := range demands {
		if d.Back > 0 {
			failed = append(failed, q.Ledger.GiveBackQuota(ctx, d.Relay, ledger.Share{Mails: d.Back, Bucket: d.Bucket}))
			continue
		}
		s, err := q.Ledger.TakeQuota(ctx, d.Relay, d.PerDay, d.Want)
		if err == nil {
			q.Relays.Allow(d.Relay, s.Mails, s.Bucket, s.Until)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}
