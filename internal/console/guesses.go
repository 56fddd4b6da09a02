package console

import (
	"net/netip"
	"strings"
	"sync"
	"time"
)

// How many wrong sign-ins there may be within guessSpan: of one name from one network, of a network, and of a name from anywhere.
// The last leaves room for its owner while somebody else guesses; a one-time link is never counted.
const (
	guessSpan    = 10 * time.Minute
	mostOfBoth   = 5
	mostFrom     = 30
	mostOfName   = 100
	mostGuessers = 10_000 // that are remembered
)

// guesses counts wrong sign-ins.
type guesses struct {
	mu   sync.Mutex
	seen map[string]guessed
	now  func() time.Time
}

type guessed struct {
	n     int
	until time.Time
}

func newGuesses() *guesses { return &guesses{seen: map[string]guessed{}, now: time.Now} }

// begin counts a sign-in as wrong. Where there were too many, it returns instead how long the next one has to wait. It counts
// before the password is looked at, so that guesses at the same time do not pass together.
func (g *guesses) begin(name, origin string) (wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	kinds := guessKinds(name, origin)
	for key, most := range kinds {
		if seen := g.seen[key]; seen.n >= most && seen.until.After(now) {
			wait = max(wait, seen.until.Sub(now))
		}
	}
	if wait > 0 {
		return wait
	}
	if len(g.seen) > mostGuessers {
		g.tidy(now)
	}
	for key := range kinds {
		seen := g.seen[key]
		if !seen.until.After(now) {
			seen = guessed{until: now.Add(guessSpan)}
		}
		seen.n++
		g.seen[key] = seen
	}
	return 0
}

// right takes back the count of begin: the sign-in was right.
func (g *guesses) right(name, origin string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key := range guessKinds(name, origin) {
		if seen, ok := g.seen[key]; ok {
			seen.n = max(0, seen.n-1)
			g.seen[key] = seen
		}
	}
}

func (g *guesses) tidy(now time.Time) {
	for key, seen := range g.seen {
		if !seen.until.After(now) {
			delete(g.seen, key)
		}
	}
	if len(g.seen) > mostGuessers {
		clear(g.seen)
	}
}

func guessKinds(name, origin string) map[string]int {
	name, from := strings.ToLower(name), network(origin)
	return map[string]int{"name " + name + " from " + from: mostOfBoth, "from " + from: mostFrom, "name " + name: mostOfName}
}

// network is an address, of IPv6 the 64 bits that one host may have.
func network(origin string) string {
	ip, err := netip.ParseAddr(origin)
	if err != nil || ip.Is4() {
		return origin
	}
	p, _ := ip.Prefix(64) // no error: the address has as many bits
	return p.String()
}
