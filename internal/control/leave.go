package control

import (
	"context"
	"log/slog"
	"time"

	"tocsin/internal/notice"
)

// leaveEvery is the interval between two looks for notices with an audience to be resolved.
const leaveEvery = 5 * time.Second

// Leaving plans the due notices with an audience that is resolved at sending, and lets them leave, until ctx ends. Several
// processes may do it at once: each notice is planned by one of them.
func (d *Desk) Leaving(ctx context.Context) {
	for ctx.Err() == nil {
		if err := d.leaveAll(ctx); err != nil && ctx.Err() == nil {
			d.Logger.Warn("have notices leave, trying again", slog.Any("error", err))
		}
		select {
		case <-ctx.Done():
		case <-time.After(leaveEvery):
		}
	}
}

func (d *Desk) leaveAll(ctx context.Context) error {
	ids, err := d.Ledger.Leaving(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := d.leave(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// leave plans a notice and lets it leave. If a release would be refused, it holds the notice with the reason. An operator
// mends that and unholds it, takes it back, or cancels it.
func (d *Desk) leave(ctx context.Context, id int64) error {
	n, err := d.Ledger.Notice(ctx, id)
	if err != nil {
		return err
	}
	p, err := d.prepare(ctx, n.Body, n)
	if err == nil {
		err = d.Ledger.Leave(ctx, id, p.audience(p.inspect(nil)))
	}
	switch {
	case notice.CodeOf(err) != "":
		d.Logger.Warn("held, since it can't leave", slog.Int64("notice_id", id))
		return d.Ledger.HoldLeaving(ctx, id, err.Error())
	case err != nil:
		return err
	}
	d.Logger.Info("left", slog.Int64("notice_id", id))
	d.sweep(ctx)
	return nil
}
