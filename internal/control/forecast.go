package control

import (
	"context"
	"time"

	"tocsin/internal/notice"
)

// forecast says when the mails of a plan would leave; nil where nothing is known of the workers.
func (d *Desk) forecast(ctx context.Context, p prepared, plan notice.Plan, now time.Time) (*notice.Forecast, error) {
	if d.Pace == nil {
		return nil, nil
	}
	pace, err := d.Pace(ctx)
	if err != nil || pace == nil || pace.Unheard {
		return nil, err
	}
	c := notice.Capacity{Workers: pace.Workers, WorkerRate: d.WorkerRate, RelayRate: d.RelayRate}
	set, err := d.Ledger.Limits(ctx)
	if err != nil {
		return nil, err
	}
	c.Limits = notice.JoinLimits(set, pace.Files, pace.Learnt)
	if c.Holds, err = d.Ledger.Holds(ctx); err != nil {
		return nil, err
	}
	if limited := quotas(pace); limited != nil {
		c.Quotas = limited
	}
	begins := now
	if at, err := p.body.SendAt.Instant(p.zone); err == nil && at != nil && at.After(now) {
		begins = at.UTC()
	}
	mails := 0
	for _, n := range plan.ByLanguage {
		mails += n
	}
	if plan.OnlyTo != nil {
		mails = plan.OnlyTo.Mailed
	}
	f := c.Forecast(begins, mails, plan.Domains)
	return &f, nil
}

// quotas are those of the workers' relays, nil where one of them has none: that takes the rest.
func quotas(pace *notice.Pace) (all []notice.Quota) {
	has := map[string]notice.Quota{}
	for _, q := range pace.Quotas {
		has[q.Relay] = q
	}
	seen := map[string]bool{}
	for _, r := range pace.Relays {
		q, is := has[r.Relay]
		if !is {
			return nil
		}
		if !seen[r.Relay] {
			seen[r.Relay] = true
			all = append(all, q)
		}
	}
	return all
}
