package notice

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"
)

// Forecast says when the mails of a plan leave if it is released now, at the limits of this moment. A canary, a pause and mails that are put
// off come on top.
type Forecast struct {
	Begins   time.Time  `json:"begins"`           // the first mail leaves: now, at send_at, or when a hold ends
	Last     *time.Time `json:"last"`             // the last mail leaves; null = nobody can say
	RatePerS float64    `json:"rate_per_s"`       // of all mails together, without holds; 0 = nobody can say
	Why      string     `json:"why"`              // the last mail waits for it: one of the Forecast constants
	Domain   string     `json:"domain,omitempty"` // of ForecastDomain
}

// The last mail of a forecast waits for one of these.
const (
	ForecastWorkers  = "workers"   // as many mails a second as the living workers are reckoned to send
	ForecastRelays   = "relays"    // the rates of the relays
	ForecastDomain   = "domain"    // the limit of a recipient domain, set or learnt
	ForecastQuota    = "quota"     // the mails that the relays take a day
	ForecastNoWorker = "no_worker" // no worker is alive
	ForecastHold     = "hold"      // a hold without an end
)

// Capacity is how fast mails can leave.
type Capacity struct {
	Workers    int     // that are alive
	WorkerRate float64 // mails per second that one is reckoned to send
	RelayRate  float64 // of all relays together; 0 = no limit
	Limits     []DomainLimit
	// Quotas are those of the relays, where each has one.
	Quotas []Quota
	Holds  []Hold // now and to come
}

// Forecast reckons with a number of mails by recipient domain, which begin at a time. More mails than those of the domains may leave.
func (c Capacity) Forecast(begins time.Time, mails int, domains map[string]int) Forecast {
	f := Forecast{Begins: begins}
	if c.Workers == 0 {
		f.Why = ForecastNoWorker
		return f
	}
	span := float64(mails) / (float64(c.Workers) * c.WorkerRate)
	f.Why = ForecastWorkers
	slower := func(than float64, why, domain string) {
		if than > span {
			span, f.Why, f.Domain = than, why, domain
		}
	}
	if c.RelayRate > 0 {
		slower(float64(mails)/c.RelayRate, ForecastRelays, "")
	}
	rates := c.domainRates()
	for _, domain := range slices.Sorted(maps.Keys(rates)) {
		slower(float64(domains[domain])/rates[domain], ForecastDomain, domain)
	}
	slower(c.days(mails).Seconds(), ForecastQuota, "")
	if span > 0 {
		f.RatePerS = math.Round(1000*float64(mails)/span) / 1000
	}
	var last time.Time
	if f.Begins, last = c.around(begins, time.Duration(span*float64(time.Second))); last.IsZero() {
		f.Why, f.Domain = ForecastHold, ""
	} else {
		f.Last = &last
	}
	return f
}

// domainRates are the rates in force, by domain: of several the lowest.
func (c Capacity) domainRates() map[string]float64 {
	rates := map[string]float64{}
	for _, l := range c.Limits {
		if l.RatePerS > 0 && !slices.Contains(l.Overridden, "rate") {
			if other, is := rates[l.Domain]; !is || l.RatePerS < other {
				rates[l.Domain] = l.RatePerS
			}
		}
	}
	return rates
}

// days is how long the relays' quotas take: a quota that is used up has room again after at most a day.
func (c Capacity) days(mails int) time.Duration {
	perDay := 0
	for _, q := range c.Quotas {
		mails -= max(0, q.PerDay-q.Used)
		perDay += q.PerDay
	}
	if perDay == 0 || mails <= 0 {
		return 0
	}
	return time.Duration((mails+perDay-1)/perDay) * 24 * time.Hour
}

// around returns when something begins that takes a span and stands still in holds, and its end; the latter is zero behind a hold without one.
func (c Capacity) around(begins time.Time, span time.Duration) (first, last time.Time) {
	holds := slices.SortedFunc(slices.Values(c.Holds), func(a, b Hold) int { return a.From.Compare(b.From) })
	first, last = begins, begins.Add(span)
	for _, h := range holds {
		if h.From.After(last) || h.Until != nil && !h.Until.After(first) {
			continue
		}
		if h.Until == nil {
			return first, time.Time{}
		}
		at := first
		if h.From.After(first) {
			at = h.From
		} else {
			first = *h.Until
		}
		last = last.Add(h.Until.Sub(at))
	}
	return first, last
}

// MostDomains is how many recipient domains a plan names, those with the most mails.
const MostDomains = 50

// DomainCount is how many mails go to a recipient domain.
type DomainCount struct {
	Domain     string `json:"domain"` // A-label; "" = all further ones
	Domains    int    `json:"domains,omitempty"`
	Recipients int    `json:"recipients"`
}

// LargestDomains lists the domains with the most mails first, and then all the others together. others are mails to domains that are not counted.
func LargestDomains(domains map[string]int, others int) []DomainCount {
	all := []DomainCount{}
	for domain, n := range domains {
		all = append(all, DomainCount{Domain: domain, Recipients: n})
	}
	slices.SortFunc(all, func(a, b DomainCount) int { return cmp.Or(b.Recipients-a.Recipients, cmp.Compare(a.Domain, b.Domain)) })
	rest := DomainCount{Recipients: others}
	if len(all) > MostDomains {
		for _, d := range all[MostDomains:] {
			rest.Domains, rest.Recipients = rest.Domains+1, rest.Recipients+d.Recipients
		}
		all = all[:MostDomains]
	}
	if rest.Recipients > 0 {
		all = append(all, rest)
	}
	return all
}
