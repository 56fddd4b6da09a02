package send

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// quota is how this process stands with the quota of a relay; the pool's mutex guards it.
type quota struct {
	part   *quotaPart // mails go by this one; nil: there is none yet
	wanted bool       // a job waits for a part
	asked  time.Time
	until  time.Time // all of the quota was taken when it was last asked for, and has room then; zero: there was some
}

// quotaPart is a part of a relay's quota that this process took.
type quotaPart struct {
	relay  string
	bucket time.Time // that the ledger counts it in
	ends   time.Time // from then on no mail goes by it
	left   int       // mails that may still go
	out    int       // jobs under way that have one each
	spent  time.Time // when the last job took one
}

const (
	// mostPart is the largest part that is asked for at once: else it is a hundredth of the quota.
	mostPart = 256
	// partLasts is how long mails go by a part. The ledger counts it for so much longer than a day.
	partLasts = 10 * time.Minute
	// partIdle is how long a part lies unused before the rest is given back: another worker may want it.
	partIdle = 2 * time.Second
	// quotaAgain is how often is asked whether a quota that is used up has room sooner, since others gave some back.
	quotaAgain = 5 * time.Second
)

// Demand is a pool's wish for mails of the quota of a relay, or gives some back.
type Demand struct {
	Relay  string
	PerDay int
	Want   int       // mails
	Back   int       // mails that did not go
	Bucket time.Time // that those are counted in
}

// Demands returns the mails that are wanted of quotas now, and those that are given back. At the end the process sends
// no more, and gives back all.
func (p *Pool) Demands(end bool) (all []Demand) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.parts = slices.DeleteFunc(p.parts, func(part *quotaPart) bool {
		if !end && p.goesBy(part) && !part.idle(now) && !reached(now, part.ends) {
			return false
		}
		for _, r := range p.relays {
			if r.quota.part == part {
				r.quota.part = nil
			}
		}
		if part.left > 0 {
			all = append(all, Demand{Relay: part.relay, Back: part.left, Bucket: part.bucket})
			part.left = 0
		}
		return part.out == 0
	})
	for _, r := range p.relays {
		q := &r.quota
		again := !q.until.IsZero() && now.Sub(q.asked) >= quotaAgain
		if end || r.has() || !(q.wanted && !r.usedUp() || again) {
			continue
		}
		q.asked = now
		all = append(all, Demand{Relay: r.Name, PerDay: r.Quota, Want: max(1, min(mostPart, r.Quota/100))})
	}
	return all
}

// goesBy reports whether mails still go by a part; the caller holds the mutex.
func (p *Pool) goesBy(part *quotaPart) bool {
	return slices.ContainsFunc(p.relays, func(r *relayState) bool { return r.quota.part == part })
}

func (part *quotaPart) idle(now time.Time) bool {
	return part.left > 0 && now.Sub(part.spent) > partIdle
}

// Wanting is told that a job waits for a part of a quota.
func (p *Pool) Wanting() <-chan struct{} { return p.wanting }

// Allow has so many more mails go to a relay, which the ledger counts in a bucket of its quota. With 0 mails all of the
// quota is taken until then. The next relay gets the mails, and where there is none, they end with an error that wraps
// ErrNoRelay.
func (p *Pool) Allow(relay string, mails int, bucket, until time.Time) {
	p.mu.Lock()
	named := p.named(relay)
	if mails > 0 {
		now := time.Now()
		part := &quotaPart{relay: relay, bucket: bucket, left: mails, ends: now, spent: now} // of a relay that is gone: to be given back
		p.parts = append(p.parts, part)
		for _, r := range named {
			part.ends = r.quota.asked.Add(partLasts)
			r.quota.part = part
		}
	}
	for _, r := range named {
		r.quota.wanted = false
		r.allowed(p.o.Logger, mails > 0, until)
	}
	end := p.rematch()
	p.mu.Unlock()
	end()
}

// allowed notes whether there was some of a relay's quota to be had; the caller holds the pool's mutex.
func (r *relayState) allowed(log *slog.Logger, some bool, until time.Time) {
	wasUsedUp := !r.quota.until.IsZero()
	switch {
	case some && wasUsedUp:
		log.LogAttrs(context.Background(), slog.LevelInfo, "relay's quota has room again", slog.String("relay", r.Name))
	case !some && !wasUsedUp:
		log.LogAttrs(context.Background(), slog.LevelWarn, "relay's quota is used up", slog.String("relay", r.Name), slog.Time("until", until))
	}
	if r.quota.until = until; some {
		r.quota.until = time.Time{}
	} else if r.usedUp() {
		r.leaveIdle()
	}
}

// has reports whether a mail may go to a relay by its quota; the caller holds the pool's mutex.
func (r *relayState) has() bool {
	part := r.quota.part
	return r.Quota == 0 || part != nil && part.left > 0 && !reached(time.Now(), part.ends)
}

// mayGo is how many of so many mails a relay takes by the part of its quota. The caller holds the pool's mutex.
func (r *relayState) mayGo(mails int) int {
	switch {
	case r.Quota == 0:
		return mails
	case !r.has():
		return 0
	}
	return min(mails, r.quota.part.left)
}

// usedUp reports whether a relay takes no mail since its quota is used up; the caller holds the pool's mutex.
func (r *relayState) usedUp() bool { return !r.has() && time.Now().Before(r.quota.until) }

// usedUpError is the error of a mail that no relay takes, and that r would take but for its quota.
func (r *relayState) usedUpError() error {
	return fmt.Errorf("%w: the quota of %s is used up until %s", ErrNoRelay, r.Name, r.quota.until.UTC().Format(time.RFC3339))
}

// want has a part of a relay's quota asked for; the caller holds the mutex.
func (p *Pool) want(r *relayState) {
	r.quota.wanted = true
	select {
	case p.wanting <- struct{}{}:
	default:
	}
}

// pay takes one mail of a relay's quota for a job. The caller holds the pool's mutex, and has seen that there is one.
func (t *task) pay(r *relayState) {
	if r.Quota == 0 {
		return
	}
	part := r.quota.part
	part.left--
	part.out++
	part.spent = time.Now()
	t.paid, t.dotted = part, false
}

// refund gives back the mail of a quota that a job has, unless its dot may have been written. The caller holds the
// pool's mutex.
func (t *task) refund() {
	if t.paid == nil {
		return
	}
	if t.paid.out--; !t.dotted {
		t.paid.left++
	}
	t.paid = nil
}
