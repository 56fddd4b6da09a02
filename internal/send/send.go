// Package send hands messages to SMTP relays and says what became of them: sent, later, never or uncertain.
//
// It keeps connections open and reuses them, one transaction at a time on each, one command at a time. All of a
// message but the final dot may go out at once; the dot waits for the permit and for the other conditions that
// docs/guarantees.md lists. Whatever goes wrong before the dot is safe to try again; what goes wrong after it is
// uncertain.
package send

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"tocsin/internal/notice"
)

// ErrNoRelay is wrapped by the errors of Send: there was no connection to be had, so nothing was tried.
var ErrNoRelay = errors.New("no relay can be reached")

var errClosed = errors.New("the pool is closed")

// Options are the settings of a Pool; the zero value of each stands for what its comment says.
type Options struct {
	Logger         *slog.Logger  // nothing is logged
	Hello          string        // the name in EHLO: the host's
	AcquireTimeout time.Duration // how long Send looks for a connection: 20 s
	ConnectTimeout time.Duration // of one attempt to connect, greeting, TLS and AUTH included: 30 s
	StepTimeout    time.Duration // of each step before the dot (RFC 5321 §4.5.3.2): 5 min
	AnswerTimeout  time.Duration // how long the answer to the dot is waited for: 10 min
	IdleTimeout    time.Duration // after which an unused connection is closed: 60 s

	secured func(tls.ConnectionState) error // hears of each TLS handshake; nil: nobody does
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Hello == "" {
		if o.Hello, _ = os.Hostname(); o.Hello == "" {
			o.Hello = "localhost"
		}
	}
	o.AcquireTimeout = cmp.Or(o.AcquireTimeout, 20*time.Second)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 30*time.Second)
	o.StepTimeout = cmp.Or(o.StepTimeout, 5*time.Minute)
	o.AnswerTimeout = cmp.Or(o.AnswerTimeout, 10*time.Minute)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, time.Minute)
	return o
}

// lingers is how long a relay that has said its last word may take to hang up, or to say more.
func (o Options) lingers() time.Duration { return min(2*time.Second, o.StepTimeout) }

// Pool keeps connections to relays. It is safe for concurrent use.
type Pool struct {
	o      Options
	relays []*relayState

	life   context.Context // ends with Close
	end    context.CancelFunc
	probes sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed when a waiting Send should look again
	closed  bool
}

// New returns a pool for the relays, the most wanted first. It connects when there is something to send.
// Relays of the same name get numbers, so that an answer says which one it came from.
func New(relays []Relay, o Options) *Pool {
	p := &Pool{o: o.withDefaults(), changed: make(chan struct{})}
	p.life, p.end = context.WithCancel(context.Background())
	taken := map[string]bool{}
	for _, r := range relays {
		r.Connections = cmp.Or(max(r.Connections, 0), DefaultConnections)
		base := cmp.Or(r.Name, r.Host)
		r.Name = base
		for n := 2; taken[r.Name]; n++ {
			r.Name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[r.Name] = true
		p.relays = append(p.relays, &relayState{Relay: r, since: time.Now()})
	}
	return p
}

// Connections is how many mails can be under way at once: one relay serves at a time, the one that takes most.
func (p *Pool) Connections() (n int) {
	for _, r := range p.relays {
		n = max(n, r.Connections)
	}
	return n
}

// Send takes m to the first relay that can be reached and returns what became of it. The permit is asked for when
// the relay has accepted the recipient, and waited for before the dot.
//
// An error wraps ErrNoRelay: no connection was to be had before ctx or the AcquireTimeout ended, so nothing was
// tried and the permit was not asked for. The end of ctx stops a transaction as long as the dot has not been
// written; after it, nothing cuts the wait for the answer short.
func (p *Pool) Send(ctx context.Context, m notice.Mail, permit notice.Permit) (notice.Answer, error) {
	look, cancel := context.WithTimeout(ctx, p.o.AcquireTimeout)
	defer cancel()
	for {
		c, err := p.acquire(look, m.Via)
		if err != nil {
			return notice.Answer{}, fmt.Errorf("%w: %w", ErrNoRelay, err)
		}
		a, stale := c.send(ctx, m, permit)
		a.Relay = c.relay.Name
		c.tried = !stale
		c.lost, c.error = c.broken && !c.ours && ctx.Err() == nil && (a.Code == 0 || a.Code == 421), a.Text
		p.release(c) // and from here on it is another's: what it says of itself is about another mail
		if !stale {
			return a, nil
		}
	}
}

// Close takes leave of the relays on idle connections; a connection in use is closed when its mail is answered.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	var idle []*conn
	for _, r := range p.relays {
		idle = append(idle, r.idle...)
		r.idle = nil
		if r.probe != nil {
			r.probe.Stop()
		}
	}
	p.wake()
	p.mu.Unlock()
	p.end()

	var leaving sync.WaitGroup
	for _, c := range idle {
		c.expiry.Stop()
		leaving.Go(c.quit)
	}
	leaving.Wait()
	p.probes.Wait()
}
