package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tocsin/internal/notice"
)

// SendNow sends a scheduled notice at once.
func (d *Desk) SendNow(ctx context.Context, ref, who string) (notice.Status, error) {
	return d.change(ctx, ref, who, d.Ledger.SendNow)
}

// TakeBack makes a draft of a notice that waits for its time.
func (d *Desk) TakeBack(ctx context.Context, ref, who string) (notice.Status, error) {
	return d.change(ctx, ref, who, d.Ledger.TakeBack)
}

// Move sets another send_at for a notice that waits for its time. The rules for a new notice with that send_at apply.
func (d *Desk) Move(ctx context.Context, ref string, m notice.Moving, who string) (st notice.Status, err error) {
	if err := checkAllowed(m.Allow); err != nil {
		return st, err
	}
	n, err := d.find(ctx, ref)
	if err != nil {
		return st, err
	}
	b := n.Body
	b.SendAt = m.SendAt
	if b, err = normalTimes(b); err != nil {
		return st, err
	}
	if err := b.SendAt.Check(b.Zone); err != nil {
		return st, notice.Invalid("send_at", "%v", err)
	}
	to, err := b.SendAt.Instant(b.Zone)
	now := time.Now()
	switch {
	case err != nil:
		return st, err
	case to == nil || !to.After(now):
		return st, notice.Invalid("send_at", "is not in the future; to send it now there is send-now")
	}
	if e := past(b, cmp.Or(b.Zone, d.Zone), now); e != nil && !slices.Contains(m.Allow, notice.CheckPast) {
		return st, refused(notice.Refusal{Check: notice.CheckPast, Field: e.Field, Reason: e.Message})
	}
	return d.change(ctx, ref, who, func(ctx context.Context, id int64, who string) error {
		return d.Ledger.Move(ctx, id, *to, m.Allow, who)
	})
}
