package control

import (
	"context"
	"log/slog"

	"tocsin/internal/ledger"
)

// Reconcile settles uncertain deliveries of a notice by the evidence of a relay's log. A mail that the relay took is
// sent, and one that it never had is sent again.
func (d *Desk) Reconcile(ctx context.Context, ref string, r ledger.Reconciliation, who string) (done ledger.Reconciled, err error) {
	id, err := d.Ledger.Find(ctx, ref)
	if err != nil {
		return done, err
	}
	if done, err = d.Ledger.Reconcile(ctx, id, r, who); err != nil {
		return done, err
	}
	if done.Sent+done.Requeued > 0 {
		d.Logger.Info("reconciled", slog.Int64("notice_id", id), slog.String("who", who),
			slog.Int("sent", done.Sent), slog.Int("requeued", done.Requeued))
		d.sweep(ctx)
	}
	return done, nil
}

// Relayed records the lines of a relay's log about mails as the relay writes them.
func (d *Desk) Relayed(ctx context.Context, words []ledger.Relayed, who string) (done ledger.RelayedResult, err error) {
	if done, err = d.Ledger.Relayed(ctx, words, who); err == nil && done.Settled > 0 {
		d.Logger.Info("a relay's log settled deliveries", slog.String("who", who), slog.Int("sent", done.Settled))
	}
	return done, err
}
