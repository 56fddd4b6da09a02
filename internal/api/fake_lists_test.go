package api

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

func (f *fake) Suppressions(_ context.Context, after int64, limit int) (page []notice.Suppression, err error) {
	defer f.lock()()
	for _, s := range f.suppressed {
		if s.Number > after && len(page) < limit {
			page = append(page, s)
		}
	}
	return page, f.fail
}

func (f *fake) Suppress(_ context.Context, row notice.SuppressionRow, who string) (notice.Suppression, bool, error) {
	defer f.lock()()
	for i, s := range f.suppressed {
		if s.Address == row.Key {
			f.suppressed[i].Reason, f.suppressed[i].Scope = row.Reason, row.Scope
			return f.suppressed[i], false, f.fail
		}
	}
	s := notice.Suppression{Number: int64(len(f.suppressed) + 1), Address: row.Key, Reason: row.Reason, Scope: row.Scope, AddedBy: who,
		AddedAt: time.Date(2026, 11, 9, 3, 14, 7, 0, time.UTC)}
	f.suppressed = append(f.suppressed, s)
	return s, true, f.fail
}

func (f *fake) Unsuppress(_ context.Context, key string) error {
	return f.unsuppress(func(s notice.Suppression) bool { return s.Address == key })
}

func (f *fake) UnsuppressNumber(_ context.Context, number int64) error {
	return f.unsuppress(func(s notice.Suppression) bool { return s.Number == number })
}

func (f *fake) unsuppress(which func(notice.Suppression) bool) error {
	defer f.lock()()
	n := len(f.suppressed)
	if f.suppressed = slices.DeleteFunc(f.suppressed, which); len(f.suppressed) == n {
		return notice.NotFound("it is not on the list of suppressions")
	}
	return f.fail
}

func (f *fake) ImportSuppressions(ctx context.Context, rows ledger.SuppressionRows, who string) (r notice.ImportReport, err error) {
	for {
		row, rejected, err := rows.Next()
		if errors.Is(err, io.EOF) {
			return r, nil
		}
		if err != nil {
			return r, err
		}
		r.Read++
		if rejected != nil {
			r.Reject(*rejected)
			continue
		}
		if _, _, err := f.Suppress(ctx, row, who); err != nil {
			return r, err
		}
		r.Inserted++
	}
}

func (f *fake) Keys(context.Context) ([]ledger.Key, error) {
	defer f.lock()()
	return slices.Clone(f.keys), f.fail
}

func (f *fake) Tokens(context.Context) (all []notice.Token, err error) {
	defer f.lock()()
	for _, k := range f.keys {
		all = append(all, k.Token)
	}
	return all, f.fail
}

func (f *fake) AddToken(_ context.Context, t notice.Token, hash [32]byte, who string) (notice.Token, error) {
	defer f.lock()()
	t.CreatedBy = who
	f.keys = append(f.keys, ledger.Key{Token: t, Hash: hash})
	return t, f.fail
}

func (f *fake) RevokeToken(_ context.Context, name, who string) (notice.Token, error) {
	defer f.lock()()
	for i := range f.keys {
		if k := &f.keys[i]; k.Name == name {
			at := time.Date(2026, 11, 9, 3, 14, 7, 0, time.UTC)
			k.RevokedAt, k.RevokedBy = &at, who
			return k.Token, f.fail
		}
	}
	return notice.Token{}, notice.NotFound("there is no token of that name")
}

func (f *fake) Acts(_ context.Context, p notice.ActPage) (page []notice.Act, err error) {
	defer f.lock()()
	for _, a := range f.acts {
		if (p.Before == 0 || a.Number < p.Before) && (p.Notice == "" || a.Notice == p.Notice) && (p.Who == "" || a.Who == p.Who) && (p.What == "" || a.What == p.What) && !a.At.Before(p.Since) && len(page) < p.Limit {
			page = append(page, a)
		}
	}
	return page, f.fail
}

func (f *fake) Holds(context.Context) ([]notice.Hold, error) {
	defer f.lock()()
	return slices.Clone(f.holds), f.fail
}

func (f *fake) AddHold(_ context.Context, h notice.Hold, who string) (notice.Hold, error) {
	defer f.lock()()
	h.Number, h.Owner = int64(len(f.holds)+1), who
	f.holds = append(f.holds, h)
	return h, f.fail
}

func (f *fake) RemoveHold(_ context.Context, number int64, who string) (notice.Hold, error) {
	defer f.lock()()
	f.who = who
	for i, h := range f.holds {
		if h.Number == number {
			f.holds = slices.Delete(f.holds, i, i+1)
			return h, f.fail
		}
	}
	return notice.Hold{}, notice.NotFound("there is no hold %d", number)
}

func (f *fake) Relays(context.Context) ([]notice.Relay, error) {
	defer f.lock()()
	return slices.Clone(f.relays), f.fail
}

func (f *fake) RestRelay(_ context.Context, name string, span time.Duration, reason, who string) (notice.Relay, error) {
	defer f.lock()()
	f.span = span
	return f.setRelay(name, &notice.Rest{Relay: name, Reason: reason, By: who})
}

func (f *fake) ResumeRelay(_ context.Context, name, who string) (notice.Relay, error) {
	defer f.lock()()
	f.who = who
	return f.setRelay(name, nil)
}

func (f *fake) setRelay(name string, rest *notice.Rest) (notice.Relay, error) {
	for i := range f.relays {
		if f.relays[i].Name == name {
			f.relays[i].Rest = rest
			return f.relays[i], f.fail
		}
	}
	return notice.Relay{}, notice.NotFound("there is no relay %q", name)
}

func (f *fake) Limits(context.Context) ([]notice.DomainLimit, error) {
	defer f.lock()()
	return slices.Clone(f.limits), f.fail
}

func (f *fake) SetLimit(_ context.Context, l notice.DomainLimit, span time.Duration, who string) (notice.DomainLimit, error) {
	defer f.lock()()
	f.span, l.By, l.Of = span, who, notice.LimitSet
	f.limits = append(f.limits, l)
	return l, f.fail
}

func (f *fake) ClearLimit(_ context.Context, domain, who string) (notice.DomainLimit, error) {
	defer f.lock()()
	f.who = who
	for i, l := range f.limits {
		if l.Domain == domain {
			f.limits = slices.Delete(f.limits, i, i+1)
			return l, f.fail
		}
	}
	return notice.DomainLimit{}, notice.NotFound("no limit of %s is set", domain)
}

func (f *fake) Senders(context.Context) (notice.Senders, error) {
	defer f.lock()()
	return notice.Senders{}, f.fail
}
