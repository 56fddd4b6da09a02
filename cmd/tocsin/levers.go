package main

import (
	"context"
	"log/slog"
	"maps"
	"reflect"
	"slices"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/pace"
	"tocsin/internal/send"
)

// levers takes over the rests and limits that operators have set in the ledger.
type levers struct {
	db     *ledger.DB
	relays *send.Pool
	pacer  *pace.Pacer    // nil: nothing is limited here
	sends  bool           // the process is a worker, and tells which relays it has
	told   time.Time      // when it last told of its relays
	names  map[string]int // the relays that it told of, with their quotas
	rests  []notice.Rest
	limits []notice.DomainLimit
}

// tellEvery is how often the ledger is told which relays this process has.
const tellEvery = time.Minute

// pull asks the ledger, and reports whether something has changed since.
func (l *levers) pull(ctx context.Context) (changed bool, err error) {
	if err := l.tell(ctx); err != nil {
		return false, err
	}
	rests, err := l.db.Rests(ctx)
	if err != nil {
		return false, err
	}
	limits, err := l.db.Limits(ctx)
	if err != nil {
		return false, err
	}
	if !reflect.DeepEqual(rests, l.rests) {
		l.rests, changed = rests, true
		l.relays.Rest(rests)
	}
	if !reflect.DeepEqual(limits, l.limits) && l.pacer != nil {
		l.limits, changed = limits, true
		l.pacer.Override(paced(limits))
	}
	return changed, nil
}

// tell has the ledger know which relays a worker has.
func (l *levers) tell(ctx context.Context) error {
	names := map[string]int{}
	for _, r := range l.relays.Relays() {
		names[r.Name] = r.Quota
	}
	if !l.sends || maps.Equal(names, l.names) && time.Since(l.told) < tellEvery {
		return nil
	}
	err := l.db.KeepRelays(ctx, names)
	if err == nil {
		l.told, l.names = time.Now(), names
	}
	return err
}

// keep pulls until ctx ends: for a process that is no worker, and sends tests alone.
func (l *levers) keep(ctx context.Context) {
	for ctx.Err() == nil {
		_, _ = l.pull(ctx) // harmless: the ledger is asked again a second later
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

// paceOf joins the pace that the workers tell with the rests, limits and quotas of the ledger.
func paceOf(workers *pace.Watcher, db *ledger.DB, logger *slog.Logger) func(context.Context) (*notice.Pace, error) {
	return func(ctx context.Context) (*notice.Pace, error) {
		rests, err := db.Rests(ctx)
		if err != nil {
			return nil, err
		}
		limits, err := db.Limits(ctx)
		if err != nil {
			return nil, err
		}
		quotas, err := db.Quotas(ctx)
		if err != nil {
			return nil, err
		}
		p, err := workers.Pace(ctx)
		if err != nil {
			logger.Warn("hear what paces the workers", slog.Any("error", err))
			p = &notice.Pace{Unheard: true, Relays: []notice.RelayHealth{}, Throttled: []notice.Throttled{}, Limited: []notice.Limited{}}
		}
		p.Rests, p.Quotas = append([]notice.Rest{}, rests...), append([]notice.Quota{}, quotas...)
		// A rate that was learnt about a domain is not in force while an operator has set one.
		p.Learnt = slices.Clone(p.Throttled)
		p.Throttled = slices.DeleteFunc(p.Throttled, func(t notice.Throttled) bool {
			return slices.ContainsFunc(limits, func(l notice.DomainLimit) bool { return l.Domain == t.Domain && l.RatePerS > 0 })
		})
		return p, nil
	}
}

// paced are the limits that operators have set as package pace knows them.
func paced(set []notice.DomainLimit) (limits []pace.Limit) {
	for _, l := range set {
		limits = append(limits, pace.Limit{Domain: l.Domain, Rate: notice.Rate(l.RatePerS), Connections: l.Connections})
	}
	return limits
}
