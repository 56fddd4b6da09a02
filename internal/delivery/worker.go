package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/mail"
	"sync"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/queue"
	"tocsin/internal/render"
	"tocsin/internal/send"
)

// Tasks hands tasks to handlers until it is shut down; package queue implements it.
type Tasks interface {
	ledger.Queue
	Serve(h queue.Handlers, concurrency int, drain time.Duration) (shutdown func(), err error)
}

// Options are a worker's settings; the numbers' zero is their default.
type Options struct {
	Name        string        // who holds the leases, for people: host and process
	From        string        // RFC 5322 mailbox
	ReplyTo     string        // where a notice has none; may be empty
	Zone        string        // IANA, where a notice has none; empty = UTC
	PublicURL   string        // where readers stop mails; empty: they can't
	Chunks      int           // chunks at once with mails being begun, of those that are urgent and of the others; 4
	Connections int           // deliveries under way at once: the connections of all relays; 16
	OpenMarks   int           // deliveries marked and not yet recorded, the most that a crash leaves uncertain; 64
	SweepEvery  time.Duration // 10 s
	Drain       time.Duration // how long answers are waited for when the worker is told to stop; 30 s
	GiveUp      time.Duration // how long a delivery without expires_at is tried; 4 h
	FirstRetry  time.Duration // mean delay of the first retry, which doubles up to 15 min; 30 s
	Pacer       Pacer         // nil: nothing is limited
	// Sign returns a message with its signature; at is the instant of the signature. Nil: mails are not signed here.
	Sign   func(message []byte, at time.Time) ([]byte, error)
	Logger *slog.Logger
	// Levers takes over the settings of operators at run time, and reports whether they have changed. Nothing is sent
	// before it succeeded once, and then it is asked twice a second. Nil: nothing can be set.
	Levers func(ctx context.Context) (changed bool, err error)
	// Compare compares the ledger with the knowledge outside of it, so that a restored one is recognised. Nothing is
	// sent before it succeeded once. Nil: there is nothing to compare with.
	Compare func(ctx context.Context) error
	backoff func(base, ceiling time.Duration, failures int) time.Duration // the simulation's is not random
}

func (o Options) withDefaults() Options {
	o.Chunks, o.Connections, o.OpenMarks = cmp.Or(o.Chunks, 4), cmp.Or(o.Connections, 16), cmp.Or(o.OpenMarks, 64)
	o.SweepEvery, o.Drain = cmp.Or(o.SweepEvery, 10*time.Second), cmp.Or(o.Drain, 30*time.Second)
	o.GiveUp, o.FirstRetry = cmp.Or(o.GiveUp, 4*time.Hour), cmp.Or(o.FirstRetry, 30*time.Second)
	if o.Pacer == nil {
		o.Pacer = unpaced{}
	}
	if o.backoff == nil {
		o.backoff = backoff
	}
	return o
}

// placesOf is how many deliveries are under way at most: for each connection as many as may have their marks asked ahead.
func (o Options) placesOf(connections int) int {
	return min(o.OpenMarks, send.Ring(o.OpenMarks)*connections)
}

// Worker carries out the deliveries that are owed by the ledger.
type Worker struct {
	Options
	ledger     Ledger
	tasks      Tasks
	sender     Sender
	set        *render.Set
	returnPath string // reverse-path
	writer     *writer
	notices    *programs
	brake      brake
	places     int            // deliveries under way at most
	owed       chan struct{}  // a chunk was given back, and there may be more to be done
	kick       chan struct{}  // the dispatcher is to look again
	under      sync.WaitGroup // tasks and claims under way

	mu         sync.Mutex
	draining   bool // nothing more is begun
	dispatcher dispatcher
	runs       map[*line]*run // by their lines, which the dispatcher has
	open       int            // deliveries that were begun, and have no acknowledged outcome
}

// NewWorker returns a worker. The error names a setting that is wrong.
func NewWorker(l Ledger, tasks Tasks, set *render.Set, sender Sender, o Options) (*Worker, error) {
	from, err := mail.ParseAddress(o.From)
	if err != nil {
		return nil, notice.Invalid("TOCSIN_FROM", "is not a mailbox like \"Example Status <status@example.net>\"")
	}
	path, err := audience.ParseAddress(from.Address)
	if err != nil {
		return nil, notice.Invalid("TOCSIN_FROM", "%v", err)
	}
	o = o.withDefaults()
	w := &Worker{Options: o, ledger: l, tasks: tasks, sender: sender, set: set, returnPath: path.Wire(),
		places: o.placesOf(o.Connections), owed: make(chan struct{}, 1), kick: make(chan struct{}, 1),
		dispatcher: dispatcher{pacer: o.Pacer, places: o.Chunks}, runs: map[*line]*run{}}
	w.writer = newWriter(l, o.Logger, w.places)
	w.writer.backoff = o.backoff
	w.brake = brake{after: brakeAfter, late: brakeLate, broad: brakeBroad, rows: map[int64]*refusals{}}
	w.notices = &programs{load: w.load}
	return w, nil
}

// Open is how many deliveries are marked, or about to be, and not yet recorded.
func (w *Worker) Open() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.open
}

// SetConnections has so many deliveries under way at once as go with that many connections of all relays.
func (w *Worker) SetConnections(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.places = w.placesOf(n)
	w.wake()
}

// Run works until ctx ends, then drains. No attempt is begun any more, answers are waited for as long as Options.Drain,
// and all that is under way is recorded and given back.
func (w *Worker) Run(ctx context.Context) error {
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	var background sync.WaitGroup
	writing, stopWriting := context.WithCancel(context.WithoutCancel(ctx))
	background.Go(func() { w.writer.run(writing) })
	background.Go(func() { w.dispatch(writing) })
	background.Go(func() { w.sweepUntil(ctx) })
	for _, q := range w.questions() {
		w.first(ctx, q)
		background.Go(func() { w.keepAsking(ctx, q) })
	}

	shutdown, err := w.tasks.Serve(queue.Handlers{Chunk: func(id int64) error { return w.chunk(life, id) }}, w.Chunks+1, w.Drain)
	if err != nil {
		stopWriting()
		return fmt.Errorf("take tasks: %w", err)
	}
	w.Logger.Info("working", slog.String("holder", w.Name), slog.Int("open_marks", w.OpenMarks))
	<-ctx.Done()
	w.Logger.Info("draining", slog.Duration("at_most", w.Drain))
	over := time.AfterFunc(w.Drain, func() { w.sender.Halt(); end() })
	w.drain()
	background.Go(shutdown)
	w.under.Wait()
	over.Stop()
	stopWriting()
	background.Wait()
	w.Logger.Info("drained")
	return nil
}

// begin counts a task as under way, unless the worker drains.
func (w *Worker) begin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.draining {
		return false
	}
	w.under.Add(1)
	return true
}

// drain has nothing more begun.
func (w *Worker) drain() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = true
	for _, r := range w.runs {
		w.look(r)
	}
}

func (w *Worker) sweepUntil(ctx context.Context) {
	for ctx.Err() == nil {
		wait := w.SweepEvery
		next, err := sweep(ctx, w.ledger, w.tasks, w.Logger)
		switch {
		case err != nil && ctx.Err() == nil:
			w.Logger.Warn("sweep", slog.Any("error", err))
		case err == nil && next >= 0:
			wait = min(wait, next)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-w.owed:
		}
		timer.Stop()
		// Chunks are given back several at a time: one sweep sees to all of them.
		pause(ctx, sweepAfter)
		select {
		case <-w.owed:
		default:
		}
	}
}

// sweepAfter is how long after something fell due, or a chunk was given back, a sweep begins.
const sweepAfter = 10 * time.Millisecond

// askTimeout bounds one question to the ledger: a Postgres that drops packets answers nothing for a long time.
const askTimeout = 10 * time.Second

var errDraining = errors.New("the worker is draining")
