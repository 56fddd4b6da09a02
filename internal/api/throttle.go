package api

import (
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// How a wrong token slows the next wrong one from its address.
const (
	firstGap  = 100 * time.Millisecond // doubles with each
	widestGap = 5 * time.Second
	longestIn = 10 * time.Second // that a wrong token waits in line for its answer
	forgets   = time.Minute      // without a wrong token
	addresses = 10_000           // that are remembered
)

// throttle makes guesses slow: wrong tokens from an address are answered one after the other, with growing gaps. A right token
// never comes here.
type throttle struct {
	mu   sync.Mutex
	seen map[netip.Prefix]wrongs
}

type wrongs struct {
	gap  time.Duration
	next time.Time // when the next one is answered at the earliest
}

// wait returns when the wrong token of r may be answered, or at once with false where too many wait before it.
func (t *throttle) wait(r *http.Request) bool {
	d, ok := t.queue(origin(r.RemoteAddr), time.Now())
	if !ok {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.Context().Done():
	}
	return true
}

// queue returns how long a wrong token that comes now waits; false where that would be too long.
func (t *throttle) queue(from netip.Prefix, now time.Time) (time.Duration, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := t.seen[from]
	if now.After(w.next.Add(forgets)) {
		w = wrongs{gap: firstGap, next: now}
	}
	d := max(0, w.next.Sub(now))
	if d > longestIn {
		return 0, false
	}
	if len(t.seen) >= addresses {
		t.tidy(now)
	}
	t.seen[from] = wrongs{gap: min(2*w.gap, widestGap), next: now.Add(d + w.gap)}
	return d, true
}

// tidy forgets the addresses that have been quiet, and all where that is none: then so many guess that it makes no difference.
func (t *throttle) tidy(now time.Time) {
	for from, w := range t.seen {
		if now.After(w.next) {
			delete(t.seen, from)
		}
	}
	if len(t.seen) >= addresses {
		clear(t.seen)
	}
}

// origin is the address of a peer, of IPv6 the network of 64 bits that one host may have.
func origin(remote string) netip.Prefix {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return netip.Prefix{}
	}
	ip := at.Addr().Unmap().WithZone("")
	bits := 32
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // no error: the address has as many bits
	return p
}
