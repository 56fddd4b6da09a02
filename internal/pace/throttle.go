package pace

import (
	"strings"
	"time"

	"tocsin/internal/notice"
)

// The course of throttling. A rate that a far side can't take is halved, once a second at most. Then it grows by the
// same amount each second: from nothing to where it may go takes two minutes.
const (
	growth  = 120.0 // seconds
	floor   = 0.1   // mails a second: something must be sent to find out
	unknown = 4.0   // a pair without a limit may grow to so many times the rate at which it was throttled, and is then free again
	share   = 0.05  // of the answers in a second: fewer may be about single mailboxes
	several = 5     // throttling answers, for the same reason
	least   = 0.1   // of the mails tried: a pair's rate is not put lower at once, however few mails went through
)

// within is the time in which several answers have to come where few mails go.
const within = 10 * time.Second

// answer counts the answers of a domain through a relay.
type answer struct {
	since                 time.Time // of this window: a second, and longer while it can't be told yet
	sent, throttled, all  int
	lastSent, lastSeconds float64 // of the window before
	last                  time.Time

	// Of a relay, for all its domains together: the same reply to many of them is about the relay itself.
	alike   notice.RefusedAlike // throttled are those that are equal to it
	domains map[string]bool     // which it was said to
	told    time.Time           // when the relay was last found to be throttling
}

// whole is the pair that stands for all domains of a relay.
func whole(relay string) pair { return pair{relay: relay} }

// manyDomains is how many domains are told alike by a relay that throttles on its own account.
const manyDomains = 3

// throttled is the rate that a pair is held to.
type throttled struct{ rate, upTo float64 }

// report is throttling to be told to Redis.
type report struct {
	pair
	rate, upTo float64
}

// isThrottling reports whether an answer asks for fewer mails (RFC 5321 §4.2.2: 421, 450, 451; RFC 3463 §3.8: X.7.X).
// An answer about one mailbox (§3.3: X.2.X), or about a host that is going down (§3.4: X.3.X), does not.
func isThrottling(a notice.Answer) bool {
	if a.OfRelay || strings.HasPrefix(a.Enhanced, "4.2.") || a.Code == 421 && strings.HasPrefix(a.Enhanced, "4.3.") {
		return false
	}
	return a.Code == 421 || a.Code == 450 || a.Code == 451 || strings.HasPrefix(a.Enhanced, "4.7.")
}

// heard takes an answer into account; the caller holds the mutex.
func (p *Pacer) heard(k pair, a notice.Answer, now time.Time) {
	all := p.counted(whole(k.relay), a, now)
	if isThrottling(a) {
		all.tells(a.Alike(""), k.domain)
	}
	if c := p.counted(k, a, now); isThrottling(a) {
		c.throttled++
	}
}

// counted counts an answer, and returns the window that it stands in; the caller holds the mutex.
func (p *Pacer) counted(k pair, a notice.Answer, now time.Time) *answer {
	c := p.pairs[k]
	if c == nil {
		c = &answer{since: now}
		p.pairs[k] = c
	}
	p.judge(k, c, now)
	c.last = now
	c.all++
	if a.Outcome == notice.OutcomeSent {
		c.sent++
	}
	return c
}

// tells counts a throttling answer of a relay to a domain, if it is like the others.
func (c *answer) tells(alike notice.RefusedAlike, domain string) {
	if c.domains == nil {
		c.alike, c.domains = alike, map[string]bool{}
	}
	if c.alike == alike {
		c.throttled++
		c.domains[domain] = true
	}
}

// ofRelay reports whether a relay throttles on its own account, or did so a moment ago; the caller holds the mutex.
func (p *Pacer) ofRelay(relay string, now time.Time) bool {
	c := p.pairs[whole(relay)]
	return c != nil && (len(c.domains) >= manyDomains || now.Sub(c.told) < within)
}

// judge ends a window of answers: was it throttling, or were some mailboxes out of order? A pair without a limit
// starts from the rate of the mails that went through.
func (p *Pacer) judge(k pair, c *answer, now time.Time) {
	seconds := now.Sub(c.since).Seconds()
	many := float64(c.throttled) > share*float64(c.all)
	if seconds < 1 || many && c.throttled < several && seconds < within.Seconds() {
		return
	}
	told := c.told
	wide := k == whole(k.relay)
	if _, set := p.limitOf(k.domain); set {
		many = false // an operator knows better
	}
	if many && c.throttled >= several && (wide && len(c.domains) >= manyDomains || !wide && !p.ofRelay(k.relay, now)) {
		if wide {
			told = now
		}
		took := (float64(c.sent) + c.lastSent) / (seconds + c.lastSeconds)
		rate := max(floor, max(took, least*float64(c.all)/seconds)*float64(max(1, p.workers)))
		r := report{pair: k, rate: rate, upTo: p.configured(k)}
		if r.upTo == 0 {
			r.upTo = unknown * rate
		}
		r.rate = min(rate, r.upTo/2)
		p.reports = append(p.reports, r)
		p.nudge()
	}
	*c = answer{since: now, told: told, last: c.last, lastSent: float64(c.sent), lastSeconds: min(seconds, within.Seconds())}
}

// slowDown takes over the pairs that Redis says are throttled; the caller holds the mutex.
func (p *Pacer) slowDown(all []reportWish, now time.Time) {
	before := p.slowed
	p.slowed = map[pair]throttled{}
	for _, t := range all {
		k, ok := pairOf(t.Pair)
		if !ok {
			continue
		}
		s := throttled{rate: max(floor, t.Rate/1000), upTo: t.UpTo / 1000}
		p.slowed[k] = s
		// The answers before say nothing about the new rate.
		if old, ok := before[k]; (!ok || s.rate < old.rate) && p.pairs[k] != nil {
			*p.pairs[k] = answer{since: now, told: p.pairs[k].told, last: p.pairs[k].last}
		}
	}
}

// configured is the rate that the settings allow a pair, 0 where they name none.
func (p *Pacer) configured(k pair) float64 {
	limit, _ := p.limitOf(k.domain)
	rate, domain := float64(p.rates[k.relay]), float64(limit.Rate)
	if rate == 0 || domain > 0 && domain < rate {
		rate = domain
	}
	return rate
}

// tidy judges the seconds that no answer ended. It forgets the pairs, domains and buckets that were idle for a minute.
// The caller holds the mutex.
func (p *Pacer) tidy(now time.Time) {
	if now.Sub(p.tidied) < time.Second { // there may be many domains
		return
	}
	p.tidied = now
	for k, c := range p.pairs {
		if p.judge(k, c, now); now.Sub(c.last) > time.Minute {
			delete(p.pairs, k)
		}
	}
	for domain, t := range p.domains {
		if t.under == 0 && now.Sub(t.asked) > time.Minute {
			delete(p.domains, domain)
		}
	}
	for key, b := range p.buckets {
		if now.Sub(b.wanted) > time.Minute {
			delete(p.buckets, key)
		}
	}
}
