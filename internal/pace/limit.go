package pace

import (
	"cmp"
	"fmt"
	"slices"

	"tocsin/internal/notice"
)

// Settings takes over limits, rates of relays and connections of settings that were read again.
func (p *Pacer) Settings(o Options) {
	p.relimit(func() { p.limits, p.rates, p.most = byDomain(o.Limits), o.Relays, o.Connections })
}

// Override takes over the limits that operators have set. A rate or a number of connections of theirs replaces that of
// the settings. Their rate also goes before the one that throttling has taught about the domain.
func (p *Pacer) Override(set []Limit) {
	p.relimit(func() { p.set = byDomain(set) })
}

// relimit changes limits.
func (p *Pacer) relimit(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	for domain := range p.slots {
		if l, _ := p.limitOf(domain); l.Connections == 0 {
			delete(p.slots, domain)
		}
	}
	p.nudge()
}

// limitOf is the limit of a domain that is in force, and whether an operator set its rate; the caller holds the mutex.
func (p *Pacer) limitOf(domain string) (l Limit, set bool) {
	l, over := p.limits[domain], p.set[domain]
	l.Domain = domain
	if over.Rate > 0 {
		l.Rate = over.Rate
	}
	if over.Connections > 0 {
		l.Connections = over.Connections
	}
	return l, over.Rate > 0
}

// key names the timeline of the limit's rate. Each rate that was set has one of its own: on that of the file the next
// moment may be an hour away.
func (l Limit) key(set bool) string {
	if set {
		return fmt.Sprintf("set:%s:%g", l.Domain, float64(l.Rate))
	}
	return "domain:" + l.Domain
}

func byDomain(limits []Limit) map[string]Limit {
	by := map[string]Limit{}
	for _, l := range limits {
		by[l.Domain] = l
	}
	return by
}

// fileLimits are the limits of the settings, for people; the caller holds the mutex.
func (p *Pacer) fileLimits() (all []notice.DomainLimit) {
	for _, l := range p.limits {
		all = append(all, notice.DomainLimit{Domain: l.Domain, RatePerS: float64(l.Rate), Connections: l.Connections, Of: notice.LimitFile})
	}
	return all
}

// together counts the workers that have the same limit.
func together(files []notice.DomainLimit) (all []notice.DomainLimit) {
	for _, l := range files {
		i := slices.IndexFunc(all, func(had notice.DomainLimit) bool {
			return had.Domain == l.Domain && had.RatePerS == l.RatePerS && had.Connections == l.Connections
		})
		if i < 0 {
			i = len(all)
			all = append(all, l)
		}
		all[i].Workers++
	}
	slices.SortFunc(all, func(a, b notice.DomainLimit) int {
		return cmp.Or(cmp.Compare(a.Domain, b.Domain), cmp.Compare(a.RatePerS, b.RatePerS), cmp.Compare(a.Connections, b.Connections))
	})
	return all
}
