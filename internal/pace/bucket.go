package pace

import (
	"math"
	"slices"
	"time"
)

const (
	// blockOf is how much of a timeline is leased at once, at most, where Redis answers soon; never less than one mail.
	blockOf = 60 * time.Millisecond
	// ahead is how far in the future a lease may begin, in such blocks. The leases of a killed worker are lost: ahead
	// bounds that loss.
	ahead = 5
	// lag is how far in the past a lease may begin: the most that can burst after an idle time.
	lag = 100 * time.Millisecond
	// aloneFor is the length of a worker's own lease while Redis is away. The absence may take some time to be found
	// out.
	aloneFor = 1500 * time.Millisecond
	// early is how long before the end of a lease without Redis the worker leases more.
	early = 60 * time.Millisecond
	// behind is how late the next mail may be for that: a worker that has fewer mails than moments leases no more. It
	// is long enough for a mail that waits for its moment on another timeline too.
	behind = 500 * time.Millisecond
	// late is how long after its moment a leased mail may still leave: a worker that was held up catches up.
	late = time.Second
)

// bucket holds the leases that this worker has on one rate's timeline.
type bucket struct {
	key    string
	rate   float64       // mails per second, of all workers together
	reach  time.Duration // how much of the timeline is leased at once, and how long before its end more is asked for
	leased []stretch
	block  int       // how many mails to lease next: doubled when a stretch was spent, halved when some of it went to waste
	wanted time.Time // last by a mail
	not    time.Time // no use in asking Redis before
}

// stretch is a run of mails with a moment each.
type stretch struct {
	from        time.Time
	every       time.Duration
	left, spent int
	alone       bool // leased without Redis
}

func (s stretch) next() time.Time { return s.from.Add(time.Duration(s.spent) * s.every) }
func (s stretch) end() time.Time  { return s.from.Add(time.Duration(s.spent+s.left) * s.every) }

// reachFor is the reach where Redis took so long to answer. Leases come one after the other, and each has to last
// until the next is there. The reach comes down slowly, since one answer in time says little.
func reachFor(took, before time.Duration) time.Duration {
	return max(blockOf, 2*took, before*7/8)
}

// bucket returns the bucket of a rate; the caller holds the mutex.
func (p *Pacer) bucket(key string, rate float64) *bucket {
	b := p.buckets[key]
	if b == nil {
		b = &bucket{key: key, block: 1}
		p.buckets[key] = b
	}
	b.rate, b.reach = rate, p.reach
	b.block = min(b.block, b.most())
	return b
}

// most is how many mails are leased at once.
func (b *bucket) most() int { return max(1, int(b.rate*b.reach.Seconds())) }

// ready returns how long the next mail has to wait: 0 = it may go.
func (b *bucket) ready(now time.Time) time.Duration {
	b.wanted = now
	for len(b.leased) > 0 {
		s := &b.leased[0]
		for s.left > 0 && now.Sub(s.next()) > late {
			s.left--
			s.spent++
			b.block = max(1, b.block/2)
		}
		if s.left > 0 {
			return max(0, s.next().Sub(now))
		}
		b.leased = b.leased[1:]
	}
	return max(atLeast, b.not.Sub(now))
}

// spend takes the mail that is ready.
func (b *bucket) spend() {
	s := &b.leased[0]
	s.left--
	s.spent++
	if s.left == 0 {
		b.block = min(2*b.block, b.most())
	}
}

// needs reports whether to lease more now: the last lease ends soon, and the worker spends its mails in time.
func (b *bucket) needs(now time.Time) bool {
	if now.Sub(b.wanted) > late || now.Before(b.not) {
		return false
	}
	n := len(b.leased)
	if n == 0 || b.leased[n-1].left == 0 {
		return true
	}
	head := b.leased[0]
	return b.leased[n-1].end().Sub(now) < b.reach && (head.left == 0 || now.Sub(head.next()) < behind)
}

// span is how long n mails take at the bucket's rate: never nothing, so no more than a million a second leave.
func (b *bucket) span(n int) time.Duration {
	return max(1, time.Duration(math.Round(float64(n)/b.rate*1e6))) * time.Microsecond
}

// lease adds n mails that begin after delay.
func (b *bucket) lease(now time.Time, delay, span time.Duration, n int) {
	b.leased = append(b.leased, stretch{from: now.Add(delay), every: span / time.Duration(n), left: n})
}

// share leases this worker's part of the timeline without Redis; so many workers share it.
func (b *bucket) share(now time.Time, workers int) {
	if !b.needs(now) {
		return
	}
	from := now
	if n := len(b.leased); n > 0 && b.leased[n-1].end().After(from) {
		from = b.leased[n-1].end()
	}
	if b.not.After(from) {
		from = b.not
	}
	span := b.span(workers)
	n := max(1, int(aloneFor/span))
	b.lease(from, 0, time.Duration(n)*span, n)
	b.leased[len(b.leased)-1].alone = true
	b.not = from.Add(time.Duration(n) * span).Add(-early)
}

// together gives up the rest of the share that was leased without Redis, which leases to others again.
func (b *bucket) together() {
	b.leased = slices.DeleteFunc(b.leased, func(s stretch) bool { return s.alone })
	b.not = time.Time{}
}

// nudgeFor has Redis asked soon where a bucket runs out.
func (p *Pacer) nudgeFor(b *bucket, now time.Time) {
	if b.needs(now) {
		p.nudge()
	}
}

// alone carries on without Redis: to each worker its last known share.
func (p *Pacer) alone(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.workers == 0 {
		return
	}
	for _, b := range p.buckets {
		b.share(now, p.workers)
	}
	for _, s := range p.slots {
		if !s.heard { // its limit was set meanwhile
			s.granted = s.limit / p.workers
		}
	}
}
