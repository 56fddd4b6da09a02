package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"tocsin/internal/control"
	"tocsin/internal/queue"
	"tocsin/internal/render"
)

// The protocol's times in the simulation. The relay keeps to B: it drops a connection that is silent for its idle
// time-out, and takes the bytes that it was sent within five minutes of that.
const (
	simLease = 60 * time.Second
	simGrace = 20 * time.Second
	simGate  = 15 * time.Minute
	simIdle  = 10 * time.Minute
)

// simTarries is after how many steps a commit arrives that its sender has given up.
const simTarries = 24

// world is one schedule: workers and operators, which run the real code, over a ledger, a queue and a relay that obey a
// seed. Each call of an actor to those is parked until the seed lets it go on. It lets one call go at a time, and only
// when everybody waits. So nothing depends on how goroutines are scheduled.
type world struct {
	rng        *rand.Rand
	seed       uint64
	memory     *memory
	rows       *rowMemory // the ledger of the version before; nil: there is none, or it was migrated
	relay      *simRelay
	queue      *simQueue
	checker    *checker
	set        *render.Set
	program    *render.Program
	correct    *render.Program // of an amendment
	workers    []*actor        // those that run now
	gone       []*actor        // those that crashed or have drained
	actors     int
	operators  []*actor
	informed   bool          // the operator who acts now has looked at the relay's log
	thorough   bool          // operators release through the Desk
	profile    profile       // which acts of operators are the most
	backup     tables        // the last; none while home is 0
	imported   int           // customers who came with an import
	amendments int           // notices that an operator drafted to amend others
	erased     int           // customers who were erased, always fewer than
	founders   int           // those at the start
	calm       bool          // no more faults
	quiet      int           // how often, in peace, time went by since the last task
	jitter     time.Duration // out of 4: how much of its range every backoff of this schedule takes
	options    Options
	lines      int    // connections of a worker
	ahead      bool   // marks are asked for before there is a connection
	anew       int    // marks that were asked for again because they came too late; guarded by mu
	pacing     uint64 // which spans of time nothing may leave in
	pacer      *simPacer
	down       time.Time // until then the ledger is away
	tally      tally
	hash       uint64
	tell       func(string) // is given each event, for people; nil in most runs

	mu     sync.Mutex
	parked []*simCall
}

// actor is a worker's process, or an operator's request.
type actor struct {
	n        int
	name     string
	worker   *Worker // nil: an operator
	end      context.CancelFunc
	dead     bool // nothing that it asks succeeds any more
	exited   chan struct{}
	asleep   time.Time // until then it gets no further
	draining bool
	old      bool // a worker of the version before
	informed bool // an operator who looks at the relay's log first

	// Of a worker: its handlers of tasks, how many at once, and how many it has now.
	handlers queue.Handlers
	capacity int
	tasks    int
}

// simCall is something that an actor asked for and waits for.
type simCall struct {
	ctx     context.Context
	actor   *actor
	kind    string
	a, b    int64
	step    int
	do      func() error // a transaction
	attempt *exchange    // a step at the relay
	reply   chan error
	left    bool // its ctx ended, guarded by world.mu: nobody waits, but the call may still arrive
	hangs   bool // it is never answered
}

var (
	errDead = errors.New("the process is gone")
	errAway = errors.New("the ledger can't be reached")
	errLost = errors.New("the connection broke before the answer")
)

// park waits until the seed lets a call go on.
func (w *world) park(c *simCall) error {
	c.reply = make(chan error, 1)
	w.mu.Lock()
	if c.actor.dead {
		w.mu.Unlock()
		return errDead
	}
	c.step = w.tally.steps
	w.parked = append(w.parked, c)
	w.mu.Unlock()
	select {
	case err := <-c.reply:
		return err
	case <-c.ctx.Done():
		w.mu.Lock()
		c.left = true
		w.mu.Unlock()
		return c.ctx.Err()
	}
}

// session is the ledger as an actor uses it.
func (w *world) session(a *actor) *session {
	return newSession(w.memory, w.tx(a))
}

// tx returns how an actor's transactions reach the simulated ledger.
func (w *world) tx(a *actor) func(ctx context.Context, kind string, x, y int64, do func() error) error {
	return func(ctx context.Context, kind string, x, y int64, do func() error) error {
		return w.park(&simCall{ctx: ctx, actor: a, kind: kind, a: x, b: y, do: do})
	}
}

// waiting returns the calls that may go on now, in an order that does not depend on goroutines.
func (w *world) waiting() []*simCall {
	w.mu.Lock()
	w.parked = slices.DeleteFunc(w.parked, func(c *simCall) bool {
		return c.left && (c.kind != "commit" || w.calm)
	})
	slices.SortStableFunc(w.parked, func(c, d *simCall) int {
		return cmp.Or(cmp.Compare(c.actor.n, d.actor.n), strings.Compare(c.kind, d.kind), cmp.Compare(c.a, d.a), cmp.Compare(c.b, d.b),
			cmp.Compare(c.step, d.step))
	})
	ready := make([]*simCall, 0, len(w.parked))
	now := time.Now()
	for _, c := range w.parked {
		tarries := c.left && w.tally.steps < c.step+simTarries // on the network
		if !tarries && (!c.hangs || c.left) && !now.Before(c.actor.asleep) {
			ready = append(ready, c)
		}
	}
	w.mu.Unlock()
	return ready
}

func (w *world) unpark(c *simCall) {
	w.mu.Lock()
	w.parked = slices.DeleteFunc(w.parked, func(d *simCall) bool { return d == c })
	w.mu.Unlock()
}

// settle lets everybody run until all wait, then looks whether the promise still holds.
func (w *world) settle(what string, numbers ...int64) error {
	synctest.Wait()
	w.queue.catchUp()
	w.note(what, numbers...)
	w.tally.steps++
	return w.checker.check(what)
}

// note adds to the trace.
func (w *world) note(what string, numbers ...int64) {
	for i := range len(what) {
		w.hash = (w.hash ^ uint64(what[i])) * 1099511628211
	}
	for _, n := range append(numbers, time.Now().UnixNano()) {
		w.hash = (w.hash ^ uint64(n)) * 1099511628211
	}
	if w.tell != nil {
		w.tell(fmt.Sprintf("%4d %12s %s %v", w.tally.steps, time.Since(simStart), what, numbers))
	}
}

var simStart = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) // when the clock of every synctest bubble starts

func (w *world) fault(kind string) { w.tally.faults[kind]++ }

// oneIn is true once in n times, and never once the world is calm.
func (w *world) oneIn(n int) bool { return n > 0 && !w.calm && w.rng.IntN(n) == 0 }

// start starts a worker.
func (w *world) start() {
	w.actors++
	a := &actor{n: w.actors, name: fmt.Sprint("worker ", w.actors), exited: make(chan struct{})}
	o := w.options
	o.Name, o.From, o.Logger, o.backoff = a.name, "status@example.net", slog.New(slog.DiscardHandler), w.backoff
	var s Ledger = w.session(a)
	if a.old = w.rows != nil; a.old {
		s = w.rowSession(a)
	}
	worker, err := NewWorker(s, &simTasks{simQueue: w.queue, actor: a}, w.set, w.sender(a), o)
	if err != nil {
		panic(err)
	}
	if w.braking() {
		worker.brake.after, worker.brake.late, worker.brake.broad = simBrakeAfter, simBrakeLate, simBrakeBroad
	}
	worker.notices.load = func(ctx context.Context, id int64) (*program, error) {
		n, err := s.Notice(ctx, id)
		if err == nil && time.Now().Before(w.down) {
			err = errAway
		}
		return &program{Notice: n, compile: func() (*render.Program, error) { return w.program, nil }, correct: func() (*render.Program, error) { return w.correct, nil }}, err
	}
	worker.writer.gather = func(ctx context.Context, _ time.Duration) {
		_ = w.park(&simCall{ctx: ctx, actor: a, kind: "gather", do: func() error { return nil }})
	}
	a.worker = worker
	ctx, end := context.WithCancel(context.Background())
	a.end = end
	go func() {
		defer close(a.exited)
		if err := worker.Run(ctx); err != nil {
			panic(err)
		}
	}()
	w.workers = append(w.workers, a)
}

// backoff is a worker's, with all the jitter of a schedule the same.
func (w *world) backoff(base, ceiling time.Duration, failures int) time.Duration {
	d := min(base<<min(max(failures-1, 0), 20), ceiling)
	return d/2 + d/4*w.jitter
}

// crash kills a worker: nothing that it asked for is answered, and the calls that it sent may still arrive.
func (w *world) crash(a *actor) {
	w.mu.Lock()
	a.dead = true
	var theirs []*simCall
	for _, c := range w.parked {
		if c.actor == a {
			theirs = append(theirs, c)
		}
	}
	w.mu.Unlock()
	for _, c := range theirs {
		w.mu.Lock()
		sent := c.kind == "commit" && !c.left
		c.left = true
		w.mu.Unlock()
		if !sent {
			w.unpark(c)
		}
		select {
		case c.reply <- errDead:
		default:
		}
	}
	a.end() // its goroutines end with the drain
	w.retire(a)
}

func (w *world) isDead(a *actor) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return a.dead
}

// drain tells a worker to stop, as an orchestrator does.
func (w *world) drain(a *actor) {
	a.draining = true
	a.end()
}

// retire has somebody else in a worker's place.
func (w *world) retire(a *actor) {
	w.workers = slices.DeleteFunc(w.workers, func(b *actor) bool { return b == a })
	w.gone = append(w.gone, a)
	w.queue.orphan(a)
}

// bury ends the goroutines of a process that is gone.
func (w *world) bury(a *actor) {
	a.worker.sender.Halt()
	for range 4 {
		a.worker.writer.mu.Lock()
		left := a.worker.writer.outcomes
		a.worker.writer.outcomes = nil
		a.worker.writer.mu.Unlock()
		for _, o := range left {
			o.by.acknowledged()
		}
		synctest.Wait()
	}
}

// reap replaces the workers that have drained.
func (w *world) reap() {
	for _, a := range slices.Clone(w.workers) {
		select {
		case <-a.exited:
			w.crash(a)
			w.start()
		default:
		}
	}
}

// operate has an operator do something through a Desk.
func (w *world) operate(what string, informed bool, do func(ctx context.Context, d *control.Desk) error) {
	w.actors++
	a := &actor{n: w.actors, name: what, informed: informed}
	w.operators = append(w.operators, a)
	var s control.Register
	if w.rows != nil {
		s = w.rowSession(a)
	} else {
		of := w.session(a)
		if informed {
			of.looks = w.relay.has
		}
		s = of
	}
	d := &control.Desk{Ledger: s, Queue: w.queue, Set: w.set, From: "status@example.net", Logger: slog.New(slog.DiscardHandler)}
	w.fault("operator: " + what)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		_ = do(ctx, d) // an operator may try an act again that is refused, or fails
	}()
}
