// Package send hands messages to SMTP relays and reports the outcome of each: sent, later, never or uncertain.
//
// A connection carries one mail after the other. Where the relay offers PIPELINING (RFC 2920) a mail's message, its dot
// and the envelope of the next go out in one write. Elsewhere it is one command at a time. The dot waits for the permit
// and for the other conditions that docs/guarantees.md lists. A mail that fails before the dot is safe to try again;
// one that fails after it is uncertain.
package send

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"tocsin/internal/notice"
)

// ErrNoRelay is wrapped by the errors of Send: there was no connection to be had, so nothing was tried.
var ErrNoRelay = errors.New("no relay can be reached")

var errClosed = errors.New("the pool is closed")

// Options are the settings of a Pool; the zero value of each stands for the value in its comment.
type Options struct {
	Logger         *slog.Logger  // nothing is logged
	Hello          string        // the name in EHLO of relays that have none of their own: the address of the connection
	AcquireTimeout time.Duration // how long a mail waits for a connection: 20 s
	ConnectTimeout time.Duration // of one attempt to connect, greeting, TLS and AUTH included: 30 s
	StepTimeout    time.Duration // of each step before the dot (RFC 5321 §4.5.3.2): 5 min
	AnswerTimeout  time.Duration // how long the answer to the dot is waited for: 10 min
	IdleTimeout    time.Duration // after which an unused connection is closed: 60 s
	Silence        time.Duration // after which a relay that answers none of several mails is taken for silent: 30 s
	OpenMarks      int           // how many mails may be under way, of which each of several relays gets its share; 0 = any number

	patience time.Duration // how long a mail waits behind the dot of another before it goes to another connection: 1 s

	LoginFailed func() // called when a relay refused the password or token; returns at once

	dns *net.Resolver // for the names of relays: the system's
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	o.AcquireTimeout = cmp.Or(o.AcquireTimeout, 20*time.Second)
	o.ConnectTimeout = cmp.Or(o.ConnectTimeout, 30*time.Second)
	o.StepTimeout = cmp.Or(o.StepTimeout, 5*time.Minute)
	o.AnswerTimeout = cmp.Or(o.AnswerTimeout, 10*time.Minute)
	o.IdleTimeout = cmp.Or(o.IdleTimeout, time.Minute)
	o.Silence = cmp.Or(o.Silence, 30*time.Second)
	o.dns = cmp.Or(o.dns, net.DefaultResolver)
	o.patience = cmp.Or(o.patience, time.Second)
	return o
}

// share is how many connections one of several relays has at most: one that answers nothing is not to have all open marks.
func (o Options) share(relays int) int {
	if o.OpenMarks == 0 || relays < 2 {
		return math.MaxInt
	}
	return max(1, o.OpenMarks/relays)
}

// lingers is how long a relay that has said its last word may take to hang up, or to say more.
func (o Options) lingers() time.Duration { return min(2*time.Second, o.StepTimeout) }

// Pool keeps connections to relays, and the jobs that wait for one. It is safe for concurrent use.
type Pool struct {
	o      Options
	relays []*relayState

	life     context.Context // ends with Halt
	end      context.CancelFunc
	dialling sync.WaitGroup

	mu      sync.Mutex
	wanting chan struct{}  // told that a part of a quota is wanted
	parts   []*quotaPart   // that may have to be given back
	rests   []notice.Rest  // in force
	queue   []*task        // that wait for a connection
	overdue *time.Timer    // when the first of them gives up
	conns   map[*conn]bool // all that are open
	closed  bool
}

// New returns a pool for the relays, the most wanted first. It connects when there is something to send.
// Relays of the same name get numbers, so that an answer says which one it came from.
func New(relays []Relay, o Options) *Pool {
	p := &Pool{o: o.withDefaults(), conns: map[*conn]bool{}, wanting: make(chan struct{}, 1)}
	p.life, p.end = context.WithCancel(context.Background())
	p.overdue = time.AfterFunc(time.Hour, p.giveUp)
	p.overdue.Stop()
	for _, r := range p.distinct(relays) {
		p.relays = append(p.relays, newState(r))
	}
	return p
}

// newState is the state of a relay that nothing is known of.
func newState(r Relay) *relayState {
	return &relayState{Relay: r, since: time.Now(), bad: map[netip.Addr]time.Time{}, aimed: map[netip.Addr]int{}}
}

// distinct returns relays of which each has a name of its own, and a number of connections.
func (p *Pool) distinct(relays []Relay) (all []Relay) {
	taken := map[string]bool{}
	for _, r := range relays {
		r.Connections = cmp.Or(max(r.Connections, 0), DefaultConnections)
		base := cmp.Or(r.Name, r.Host)
		r.Name = base
		for n := 2; taken[r.Name]; n++ {
			r.Name = fmt.Sprintf("%s-%d", base, n)
		}
		taken[r.Name] = true
		if share := p.o.share(len(relays)); share < r.Connections {
			p.o.Logger.LogAttrs(context.Background(), slog.LevelWarn, "relay gets fewer connections than are set: relays share the open marks",
				slog.String("relay", r.Name), slog.Int("connections", share))
			r.Connections = share
		}
		all = append(all, r)
	}
	return all
}

// Connections is how many mails can be at the dot at once: one relay serves at a time, the one that takes most.
func (p *Pool) Connections() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, r := range p.relays {
		n = max(n, r.Connections)
	}
	return n
}

// Send takes m to the first relay that can be reached and returns the answer.
//
// An error wraps ErrNoRelay: no connection was to be had before ctx or the AcquireTimeout ended, so nothing was tried.
// The end of ctx stops a transaction as long as the dot has not been written. After it, nothing cuts the wait for the
// answer short.
func (p *Pool) Send(ctx context.Context, m notice.Mail, permit notice.Permit) (notice.Answer, error) {
	j := &single{Permit: permit, ctx: ctx, mail: m, done: make(chan struct{})}
	t := &task{Job: j}
	p.submit(t)
	stop := context.AfterFunc(ctx, func() { p.abandon(t, context.Cause(ctx)) })
	defer stop()
	<-j.done
	return j.answer, j.err
}

// single is a job that somebody waits for.
type single struct {
	notice.Permit
	ctx    context.Context
	mail   notice.Mail
	answer notice.Answer
	err    error
	done   chan struct{}
}

func (s *single) Via() string               { return s.mail.Via }
func (s *single) Shuns() string             { return "" }
func (s *single) Refused() bool             { return false }
func (s *single) Unanswered()               {}
func (s *single) Mail() (notice.Mail, bool) { return s.mail, true }

func (s *single) Wait(context.Context) (time.Time, error) {
	until, err := s.Permit.Wait(s.ctx)
	if err == nil {
		err = context.Cause(s.ctx)
	}
	return until, err
}

func (s *single) Done(a notice.Answer, err error) {
	s.answer, s.err = a, err
	close(s.done)
}

// Halt ends everything but the wait for answers to dots that were written, and returns when that is done. Jobs that
// wait for a connection end as if no relay could be reached.
func (p *Pool) Halt() {
	p.mu.Lock()
	p.closed = true
	waiting := p.queue
	p.queue = nil
	p.overdue.Stop()
	busy := maps.Clone(p.conns)
	for _, r := range p.relays {
		if r.probe != nil {
			r.probe.Stop()
		}
		if r.watcher != nil {
			r.watcher.Stop()
		}
		for _, c := range r.idle {
			delete(busy, c)
		}
	}
	p.mu.Unlock()
	for _, t := range waiting {
		t.Done(notice.Answer{}, fmt.Errorf("%w: %w", ErrNoRelay, errClosed))
	}
	p.end()
	for c := range busy {
		p.stop(c)
	}
}

// Close halts, and takes leave of the relays on connections that wait for no answer. Those that do are closed when it
// has come.
func (p *Pool) Close() {
	p.Halt()
	p.dialling.Wait()
	p.mu.Lock()
	conns := slices.Collect(maps.Keys(p.conns))
	p.mu.Unlock()
	for _, c := range conns {
		if !c.answering() {
			<-c.gone
		}
	}
}
