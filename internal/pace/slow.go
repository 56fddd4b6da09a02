package pace

import "time"

// traffic is how many mails went and how long they took, of which every five seconds half is forgotten.
type traffic struct {
	mails, seconds float64
	since          time.Time
}

const forget = 5 * time.Second

func (t *traffic) age(now time.Time) {
	if t.since.IsZero() {
		t.since = now
	}
	for ; now.Sub(t.since) >= forget; t.since = t.since.Add(forget) {
		t.mails, t.seconds = t.mails/2, t.seconds/2
		if t.mails < 0.01 {
			*t = traffic{since: now}
			return
		}
	}
}

// took notes how long a mail took; the caller holds the mutex.
func (p *Pacer) took(domain string, d time.Duration, now time.Time) {
	t := p.domains[domain]
	if t == nil {
		t = &traffic{}
		p.domains[domain] = t
	}
	for _, t := range []*traffic{t, &p.all} {
		t.age(now)
		t.mails++
		t.seconds += d.Seconds()
	}
}

// isSlow reports whether mails to a domain take much longer than those to others do, so that they would come to have
// all connections. Among themselves nobody is slow.
func (p *Pacer) isSlow(domain string) bool {
	t := p.domains[domain]
	if t == nil || t.mails < 2 {
		return false
	}
	others := traffic{mails: p.all.mails - t.mails, seconds: p.all.seconds - t.seconds}
	mean := t.seconds / t.mails
	return others.mails >= 2 && mean > 0.05 && mean > 4*max(0, others.seconds)/others.mails
}
