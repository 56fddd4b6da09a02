package pace

import (
	"cmp"
	"slices"
	"time"

	"tocsin/internal/notice"
)

// watched is the time for which mails are counted before a limit is judged. nearly is the share of a limit that counts as all.
const (
	watched = 2 * time.Second
	nearly  = 0.9
)

// use is how much of a configured limit a worker takes.
type use struct {
	notice.Limited
	PerS float64 `json:"per_s,omitempty"` // mails that a rate let pass
	Used int     `json:"used,omitempty"`  // connections
}

// gauge measures how much of each rate a worker takes.
type gauge struct {
	since  time.Time // the counts begin
	passed map[notice.Limited]int
	found  []use // in the time before
}

// count notes that a mail asked a rate, and whether it passed. A rate that nobody configured has no name.
func (g *gauge) count(rate notice.Limited, passed bool) {
	if rate == (notice.Limited{}) {
		return
	}
	if g.passed == nil {
		g.passed = map[notice.Limited]int{}
	}
	n := g.passed[rate]
	if passed {
		n++
	}
	g.passed[rate] = n
}

// uses returns how much this worker takes of each limit that its mails asked; the caller holds the mutex.
func (p *Pacer) uses(now time.Time) []use {
	g := &p.gauge
	if span := now.Sub(g.since); span >= watched {
		g.found = nil
		for rate, n := range g.passed {
			g.found = append(g.found, use{Limited: rate, PerS: float64(n) / span.Seconds()})
		}
		g.since, g.passed = now, nil
	}
	all := slices.Clip(g.found)
	for domain, s := range p.slots {
		all = append(all, use{Limited: notice.Limited{Domain: domain, Connections: s.limit}, Used: s.used})
	}
	return all
}

// reached returns the limits that all workers together use up, or nearly. It adds one mail to each rate: at a low rate
// there may be no mail in the time that is watched.
func reached(uses []use) []notice.Limited {
	sums := map[notice.Limited]float64{}
	for _, u := range uses {
		sums[u.Limited] += u.PerS + float64(u.Used)
	}
	limits := []notice.Limited{}
	for l, sum := range sums {
		if l.Connections > 0 && sum >= float64(l.Connections) || l.Connections == 0 && sum+1/watched.Seconds() >= nearly*l.RatePerS {
			limits = append(limits, l)
		}
	}
	slices.SortFunc(limits, func(a, b notice.Limited) int {
		return cmp.Or(cmp.Compare(b.Relay, a.Relay), cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.Connections, b.Connections))
	})
	return limits
}
