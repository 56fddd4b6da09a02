package delivery

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/render"
	"tocsin/templates"
)

// tally counts the steps and faults of schedules.
type tally struct {
	steps  int
	faults map[string]int
}

// result is the result of a schedule.
type result struct {
	tally
	hash uint64
	err  error // the promise that was broken
}

var simTexts = map[string]notice.Text{"en": {Subject: "Outage", Body: "{{range .Customers}}{{.ID}} {{end}}"}}

var simCorrections = map[string]notice.Text{"en": {Subject: "Correction", Body: simTexts["en"].Body}}

// stage has the parts that all schedules share.
type stage struct {
	set     *render.Set
	program *render.Program
	correct *render.Program
	pins    simPins
}

func newStage(t testing.TB) stage {
	t.Helper()
	set := render.New(templates.FS, nil)
	p, err := set.Compile(render.SourceOf(simBody("n1"), simTexts, nil, render.Settings{From: "status@example.net"}))
	if err != nil {
		t.Fatal(err)
	}
	s, r := stage{set: set, program: p}, notice.Recipient{Language: "en"}
	if s.correct, err = set.Compile(render.SourceOf(simBody("n1"), simCorrections, nil, render.Settings{From: "status@example.net"})); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r.Customers = append(r.Customers, notice.Frozen{ID: "c"})
		m, err := p.Compiled(r, "en")
		if err != nil {
			t.Fatal(err)
		}
		s.pins = append(s.pins, m.Encode())
	}
	return s
}

func simBody(key string) notice.Body {
	return notice.Body{Key: key, Incident: key, Kind: notice.Outage, Phase: "identified", DefaultLanguage: "en", Stacked: notice.StackNever}
}

// simulate runs the schedule of a seed.
func simulate(t *testing.T, s stage, seed uint64, broken mutant, tell func(string)) (r result) {
	synctest.Test(t, func(*testing.T) {
		w := newWorld(s, seed, broken)
		w.tell = tell
		r.err = w.play()
		w.stop()
		w.tally.faults["pace: not yet"] = int(w.pacer.refused.Load())
		w.tally.faults["a mark was asked for anew"] = w.anew
		r.tally, r.hash = w.tally, w.hash
	})
	return r
}

func newWorld(s stage, seed uint64, broken mutant) *world {
	rng := rand.New(rand.NewPCG(seed, 0))
	w := &world{rng: rng, seed: seed, profile: profileOf(seed), set: s.set, program: s.program, correct: s.correct, jitter: time.Duration(rng.IntN(5)), tally: tally{faults: map[string]int{}}}
	w.checker = newChecker(w)
	w.memory = &memory{now: time.Now, opts: ledger.Options{Lease: simLease, DotGrace: simGrace, Gate: simGate}, mutant: broken,
		chunkSize: 1 + rng.IntN(3), backwards: rng.IntN(2) == 0, againSets: rng.IntN(2) == 0, watch: w.checker, pins: s.pins,
		tables: tables{listed: map[string]listing{}, home: 1}}
	w.memory.database.Store(1)
	w.relay = &simRelay{world: w, copies: map[mailbox]int{}, possible: map[mailbox]int{}, said: map[mailbox]bool{}, dots: map[ledger.Attempt]bool{}, never: map[ledger.Attempt]bool{}}
	w.queue = &simQueue{world: w, tasks: map[string]*simTask{}}
	// Either as many connections and marks as there is work, or one connection. A thing that several goroutines compete
	// for would go to the first that the Go scheduler runs.
	w.options = Options{Chunks: 1 + rng.IntN(2)}
	if rng.IntN(3) == 0 {
		w.options.Connections, w.options.OpenMarks = 1, 1+rng.IntN(2)
	}
	w.pacing, w.pacer = rng.Uint64(), &simPacer{world: w}
	w.options.Pacer = w.pacer
	w.options = w.options.withDefaults()
	w.lines, w.ahead = min(w.options.Connections, 1+rng.IntN(4)), rng.IntN(2) == 0
	w.thorough = rng.IntN(8) == 0
	for i := range 1 + rng.IntN(4) {
		w.memory.customers = append(w.memory.customers, simCustomer{fmt.Sprintf("customer%dx", i), fmt.Sprintf("m%d@%d.example.com", i, i%2)})
	}
	if rng.IntN(2) == 0 {
		w.memory.customers = append(w.memory.customers, simCustomer{"customer9x", "m0@0.example.com"})
	}
	if rng.IntN(4) == 0 {
		w.memory.customers = append(w.memory.customers, simCustomer{"customer8x", ""})
	}
	w.founders = len(w.memory.customers)
	count := 1 + rng.IntN(5)/4
	if w.profile == phases || w.profile == reminding {
		count = 2 + rng.IntN(2)
	}
	for i := range count {
		b := simBody(fmt.Sprint("n", i+1))
		if w.profile == phases {
			all := notice.Phases[b.Kind]
			b.Incident, b.Phase = "i", all[min(i+rng.IntN(2), len(all)-1)]
		} else if i%2 == 1 {
			b.Kind, b.Phase = notice.Maintenance, "scheduled" // has to make room
		}
		at := func(d time.Duration) notice.Time { return notice.At(time.Now().Add(d)) }
		if rng.IntN(8) == 0 {
			b.SendAt = at(time.Minute)
			if rng.IntN(2) == 0 && w.profile != restoring && w.profile != migrating {
				b.AudienceAt, b.MaxRecipients = notice.AtSend, 100
			}
		}
		b.Canary = w.canaries()
		if rng.IntN(8) == 0 {
			span := time.Duration(1+rng.IntN(10)) * time.Minute
			if b.Canary > 0 {
				span += notice.CanaryRoom
			}
			b.ExpiresAt = at(span)
		}
		if w.profile == reminding {
			w.plan(&b, i)
		}
		w.memory.draft(b, simTexts)
	}
	if w.profile == migrating {
		m := w.memory
		w.rows = &rowMemory{now: m.now, opts: m.opts, chunkSize: m.chunkSize, sliceSize: m.chunkSize, customers: m.customers}
		for _, n := range m.notices {
			w.rows.draft(n.Body, simTexts)
		}
		m.notices = nil
	}
	return w
}

// play has faults for a while, and then peace until every delivery has reached a final state.
func (w *world) play() error {
	for range 1 + w.rng.IntN(3) {
		w.start()
	}
	for _, n := range w.memory.notices {
		for range 1 + w.rng.IntN(2) {
			w.release(n)
		}
	}
	if w.rows != nil {
		for _, n := range w.rows.notices {
			w.releaseOld(n)
		}
	}
	if err := w.settle("start"); err != nil {
		return err
	}
	for range 30 + w.rng.IntN(150) {
		if err := w.step(); err != nil {
			return err
		}
	}
	w.calm, w.down = true, time.Time{}
	w.pacer.peace.Store(true)
	w.queue.setAway(false)
	for _, a := range w.workers {
		a.asleep = time.Time{}
	}
	for steps := 0; steps < 4000 && w.quiet < 100; steps++ { // by then nothing has happened for days
		if w.rows == nil && w.checker.final() == nil {
			return nil
		}
		if err := w.step(); err != nil {
			return err
		}
	}
	return fmt.Errorf("the faults stopped, and it never ends: %w", w.checker.final())
}

// step lets one thing happen.
func (w *world) step() error {
	w.reap()
	switch {
	case w.rows != nil && (w.calm && w.rng.IntN(4) == 0 || w.oneIn(40)):
		return w.upgrade()
	case w.profile == migrating && w.rows == nil && (w.calm || w.oneIn(20)):
		if err := w.replaceOld(); err != nil {
			return err
		}
	}
	if w.oneIn(14) {
		return w.disturb()
	}
	if w.oneIn(map[profile]int{phases: 20, planning: 8, reminding: 20}[w.profile]) {
		w.decide()
		return w.settle("operator")
	}
	if w.calm && len(w.relay.readable()) > 0 && w.rng.IntN(4) == 0 {
		return w.takeLate()
	}
	calls := w.waiting()
	tasks, idle := w.queue.all(false), w.idle()
	if len(idle) == 0 {
		tasks = nil
	}
	n := len(calls) + len(tasks)
	if n == 0 && w.calm && w.lookAfter() {
		return w.settle("operator")
	}
	if n == 0 || w.oneIn(16) {
		return w.advance()
	}
	if i := w.rng.IntN(n); i < len(calls) {
		return w.answer(calls[i])
	} else {
		t, a := tasks[i-len(calls)], idle[w.rng.IntN(len(idle))]
		w.queue.hand(t, a)
		w.quiet = 0
		return w.settle("task "+t.id, int64(a.n))
	}
}

// idle returns the workers that can take a task.
func (w *world) idle() (idle []*actor) {
	for _, a := range w.workers {
		if a.tasks < a.capacity && !a.draining && !time.Now().Before(a.asleep) {
			idle = append(idle, a)
		}
	}
	return idle
}

// answer lets a call go on, with whatever happens to it.
func (w *world) answer(c *simCall) error {
	if c.do != nil && c.kind != "gather" && !c.left && w.oneIn(60) {
		return w.hang(c)
	}
	w.unpark(c)
	var err error
	how := int64(0)
	switch {
	case c.kind == "gather":
	case c.attempt != nil:
		err = w.relay.exchange(c.kind, c.attempt)
	case c.left:
		if how = int64(w.rng.IntN(2)); how == 0 {
			w.fault("ledger: a commit arrived after its sender had given up")
			_ = c.do()
		}
	case time.Now().Before(w.down):
		how, err = 1, errAway
	case w.oneIn(20):
		w.fault("ledger: failed")
		how, err = 2, errAway
	case w.oneIn(20):
		w.fault("ledger: answer lost")
		_ = c.do()
		how, err = 3, errLost
	default:
		err = c.do()
	}
	c.reply <- err
	w.informed = c.actor.informed
	return w.settle(c.kind, int64(c.actor.n), c.a, c.b, how)
}

// hang never answers a call of the ledger, which is done or not. The caller gives it up when its time is over.
func (w *world) hang(c *simCall) error {
	w.fault("ledger: a call never returned")
	c.hangs = true
	how := int64(w.rng.IntN(2))
	if how == 0 && !time.Now().Before(w.down) {
		_ = c.do()
		c.do = func() error { return nil }
	}
	w.informed = c.actor.informed
	return w.settle(c.kind, int64(c.actor.n), c.a, c.b, 4+how)
}

// withdraw has the mail that waits behind a dot go to another connection.
func (w *world) withdraw() {
	w.mu.Lock()
	waiting := slices.DeleteFunc(slices.Clone(w.parked), func(c *simCall) bool { return c.left || c.kind != "answer" })
	w.mu.Unlock()
	for _, c := range waiting {
		if c.attempt.next != nil {
			w.fault("a slow answer gave up what waits behind it")
			c.attempt.sender.withdraw(c.attempt)
		}
	}
}

// advance lets time go by: a little, or until something runs out, or a nanosecond before or after that.
func (w *world) advance() error {
	now := time.Now()
	instants := w.instants(now)
	d := 10*time.Second + 20*time.Millisecond
	switch {
	case w.calm && len(instants) > 0:
		d = instants[0].Sub(now) + 1
	case w.calm:
		// A task that the queue has lost is replaced each time that the wait for it has doubled.
		d <<= min(w.quiet/8, 12)
		w.quiet++
	case len(instants) > 0 && w.rng.IntN(2) == 0:
		d = max(1, instants[w.rng.IntN(len(instants))].Sub(now)+time.Duration(w.rng.IntN(3)-1))
	default:
		d = []time.Duration{time.Millisecond, 200 * time.Millisecond, time.Second, 5 * time.Second, 15 * time.Second,
			61 * time.Second, 11 * time.Minute, 16 * time.Minute}[w.rng.IntN(8)]
	}
	w.fault("time went by")
	if d >= time.Second {
		w.withdraw()
	}
	time.Sleep(d)
	return w.settle("time", int64(d))
}
