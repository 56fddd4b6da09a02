package pace

import (
	"math"
	"time"
)

// traffic counts mails that went, the time that they took, and mails under way. Every five seconds it forgets half of
// the mails that went and of their time.
type traffic struct {
	mails, seconds float64
	since          time.Time // last halved; the same for all, so that a part is never more than the whole
	under          int
	began          time.Duration // of those under way, added up; since the pacer's beginning
	slow           bool
	asked          time.Time // last looked at
}

const forget = 5 * time.Second

func (t *traffic) age(now time.Time) {
	n := int(now.Sub(t.since) / forget)
	t.mails, t.seconds = math.Ldexp(t.mails, -n), math.Ldexp(t.seconds, -n)
	t.since = t.since.Add(time.Duration(n) * forget)
}

// domain returns the traffic of a domain; the caller holds the mutex.
func (p *Pacer) domain(domain string, now time.Time) *traffic {
	p.all.age(now)
	t := p.domains[domain]
	if t == nil {
		t = &traffic{since: p.all.since}
		p.domains[domain] = t
	}
	t.age(now)
	t.asked = now
	return t
}

// begins notes a mail that is under way from now; the caller holds the mutex.
func (p *Pacer) begins(domain string, now time.Time) {
	t := p.domain(domain, now)
	t.under++
	t.began += now.Sub(p.began)
	if t.slow {
		p.slow++
	}
}

// ends notes that a mail is no longer under way, and how long it took where it was tried; the caller holds the mutex.
func (p *Pacer) ends(l *Leave, tried bool, now time.Time) {
	t := p.domain(l.domain, now)
	t.under--
	t.began -= l.began.Sub(p.began)
	if t.slow {
		p.slow--
	}
	if !tried {
		return
	}
	for _, t := range []*traffic{t, &p.all} {
		t.mails++
		t.seconds += now.Sub(l.began).Seconds()
	}
}

// isSlow reports whether mails to a domain take much longer than those to others, so that they would come to have all
// connections. Among themselves nobody is slow. Mails under way count with the time that they have taken already. That
// can make their domain slow, but no other domain less so. p.slow keeps count of the mails under way to slow domains.
func (p *Pacer) isSlow(domain string, now time.Time) bool {
	t := p.domain(domain, now)
	slow := t.slower(p.all.mails-t.mails, p.all.seconds-t.seconds, now.Sub(p.began))
	if slow != t.slow {
		t.slow = slow
		if slow {
			p.slow += t.under
		} else {
			p.slow -= t.under
		}
	}
	return slow
}

// slower compares with the mails of others; clock is now as "began" counts.
func (t *traffic) slower(others, seconds float64, clock time.Duration) bool {
	mean, under := 0.0, float64(t.under)
	if t.mails >= 2 {
		mean = t.seconds / t.mails
	}
	if t.mails+under >= 2 {
		running := (time.Duration(t.under)*clock - t.began).Seconds()
		mean = max(mean, (t.seconds+running)/(t.mails+under))
	}
	return others >= 2 && mean > 0.05 && mean > 4*max(0, seconds)/others
}
