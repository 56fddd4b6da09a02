package control

import (
	"cmp"
	"context"
	"slices"
	"time"

	"tocsin/internal/notice"
)

// placed fills in the places of the windows of a maintenance that was announced, where these are others there: an event of a calendar is that of the same
// window in each notice. A notice that was released keeps its own.
func (d *Desk) placed(ctx context.Context, b notice.Body) (notice.Body, error) {
	b.Places = nil
	announces := b.Phase == notice.PhaseScheduled || b.Phase == notice.PhaseRescheduled
	if b.Kind != notice.Maintenance || announces || len(b.Windows) == 0 || len(b.Was) > 0 {
		return b, nil
	}
	switch n, err := d.find(ctx, b.Key); {
	case err == nil && n.State.Released():
		b.Places = n.Body.Places
		return b, nil
	case err != nil && notice.CodeOf(err) != notice.CodeNotFound:
		return b, err
	}
	before, err := d.Ledger.Announced(ctx, cmp.Or(b.Incident, b.Key), b.Key)
	if notice.CodeOf(err) == notice.CodeNotFound {
		return b, nil
	}
	if err == nil {
		b.Places = places(spans(b, d.Zone), spans(before.Body, d.Zone))
	}
	return b, err
}

// spans returns the windows of a normal body; zone is that of a body without one.
func spans(b notice.Body, zone string) (all [][2]time.Time) {
	for _, w := range b.Windows {
		if start, end, err := w.Span(cmp.Or(b.Zone, zone)); err == nil {
			all = append(all, [2]time.Time{start, end})
		}
	}
	return all
}

// places finds each window among those that were announced: the same one, or the first that it overlaps. It is nil where all have their own place
// there, and where one is not found, or two are found at one place.
func places(windows, announced [][2]time.Time) (all []int) {
	moved := false
	for i, w := range windows {
		at := slices.IndexFunc(announced, func(a [2]time.Time) bool { return a[0].Equal(w[0]) && a[1].Equal(w[1]) })
		if at < 0 {
			at = slices.IndexFunc(announced, func(a [2]time.Time) bool { return a[0].Before(w[1]) && w[0].Before(a[1]) })
		}
		if at < 0 || slices.Contains(all, at) {
			return nil
		}
		all, moved = append(all, at), moved || at != i
	}
	if !moved {
		return nil
	}
	return all
}
