package delivery

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/mail"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/pace"
	"tocsin/internal/render"
)

// oneClaim is a ledger with one claim to give, which grants and takes all, on a simulated clock.
type oneClaim struct {
	Ledger
	due  []ledger.Due
	lost time.Duration // after so long the lease is; 0 = never

	marked func(seq int) // is told of each mark before it is granted; nil: nobody

	mu     sync.Mutex
	claims int
	owed   map[int]bool
	closed []ledger.Claim
	at     time.Time // of the last close
}

// owing is a claim of one delivery to each address.
func owing(addresses ...string) *oneClaim {
	l := &oneClaim{owed: map[int]bool{}}
	for i, a := range addresses {
		l.owed[i] = true
		l.due = append(l.due, ledger.Due{Seq: i, Text: "en", Recipient: notice.Recipient{Address: a, Language: "en", Customers: []notice.Frozen{{ID: "c"}}}})
	}
	return l
}

func (l *oneClaim) Lease() time.Duration    { return simLease }
func (l *oneClaim) DotGrace() time.Duration { return simGrace }

func (l *oneClaim) Claim(context.Context, int64, string) (ledger.Claim, bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.claims++
	return ledger.Claim{ChunkID: 1, NoticeID: 1, Epoch: 1, Due: l.due}, true, nil
}

func (l *oneClaim) Renew(context.Context, int64, int64) (bool, error) {
	return l.lost == 0 || time.Since(simStart) < l.lost, nil
}

func (l *oneClaim) Commit(_ context.Context, marks []ledger.Attempt, outcomes []ledger.Outcome) ([]bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range marks {
		if l.marked != nil {
			l.marked(m.Seq)
		}
	}
	for _, o := range outcomes {
		if o.State == notice.DeliverySent {
			delete(l.owed, o.Seq)
		}
	}
	return grant(marks, outcomes)
}

func (l *oneClaim) CloseChunk(_ context.Context, c ledger.Claim) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed, l.at = append(l.closed, c), time.Now()
	return len(l.owed) > 0, nil
}

// relays takes as long for a mail as it says, by the local part of its address, and notes when each was begun. It has so
// many connections.
type relays struct {
	takes map[string]time.Duration
	conns chan struct{}

	mu    sync.Mutex
	began map[string][]time.Duration // since the start of the clock
}

func (r *relays) Halt() {}

// Submit has the mark asked for at once, as package send does for the jobs that are next.
func (r *relays) Submit(j notice.Job) {
	j.Ask()
	go func() {
		r.conns <- struct{}{}
		defer func() { <-r.conns }()
		m, ok := j.Mail()
		if !ok {
			return
		}
		local, _, _ := strings.Cut(m.To, "@")
		r.mu.Lock()
		r.began[local] = append(r.began[local], time.Since(simStart))
		r.mu.Unlock()
		if _, err := j.Wait(context.Background()); err != nil {
			j.Done(noDot(err.Error()), nil)
			return
		}
		time.Sleep(r.takes[local])
		j.Done(notice.Answer{Outcome: notice.OutcomeSent, Code: 250}, nil)
	}()
}

// pacing is a pacer that lets a mail to a domain go each so often, and any to another.
type pacing struct {
	every map[string]time.Duration

	mu     sync.Mutex
	next   map[string]time.Time
	hungry int
	spans  time.Duration // in which something urgent had others wait
	since  time.Time
	soon   int // how often more of it was said to come soon
}

func (p *pacing) Ask(domain string) (*pace.Leave, pace.Refusal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if every := p.every[domain]; every > 0 {
		if wait := time.Until(p.next[domain]); wait > 0 {
			return nil, pace.Refusal{Wait: wait, Domain: true, Interval: every}
		}
		p.next[domain] = time.Now().Add(every)
	}
	return &pace.Leave{}, pace.Refusal{}
}

func (p *pacing) Done(*pace.Leave, notice.Answer) {}

func (p *pacing) Urgent(runs int, soon bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.hungry += runs; p.hungry {
	case 1:
		p.since = time.Now()
	case 0:
		p.spans += time.Since(p.since)
		if soon {
			p.soon++
		}
	}
}

func (p *pacing) Yield() bool   { return false }
func (p *pacing) NoRelay() bool { return false }

// bench runs one chunk of a worker.
type bench struct {
	*Worker
	ledger *oneClaim
	relays *relays
	pacing *pacing
}

// workChunk has a worker's one chunk worked, and waits until it was given back. The function that it is given runs
// meanwhile.
func workChunk(t *testing.T, l *oneClaim, takes, every map[string]time.Duration, o Options, beside func(b *bench)) *bench {
	b := &bench{ledger: l, relays: &relays{takes: takes, began: map[string][]time.Duration{}}, pacing: &pacing{every: every, next: map[string]time.Time{}}}
	stage := newStage(t)
	synctest.Test(t, func(t *testing.T) {
		b.relays.conns = make(chan struct{}, 16) // a wait for one is known to the simulated clock
		o.From, o.Logger, o.Pacer = "status@example.net", slog.New(slog.DiscardHandler), b.pacing
		w, err := NewWorker(l, nil, stage.set, b.relays, o)
		if err != nil {
			t.Fatal(err)
		}
		b.Worker = w
		w.notices.load = func(context.Context, int64) (*program, error) {
			return &program{Notice: ledger.Notice{ID: 1, Key: "n1", Body: simBody("n1"), MessageDomain: "example.net"},
				compile: func() (*render.Program, error) { return stage.program, nil }}, nil
		}
		ctx, end := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		writing.Go(func() { w.writer.run(ctx) })
		writing.Go(func() { w.dispatch(ctx) })
		if beside != nil {
			writing.Go(func() { beside(b) })
		}
		if err := w.chunk(ctx, 1); err != nil {
			t.Error(err)
		}
		w.under.Wait()
		end()
		writing.Wait()
	})
	return b
}

// addresses are so many of a domain.
func addresses(n int, domain string) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("m%d@%s", i, domain))
	}
	return all
}

// TestWhatWaitsForItsDomainStopsNobody: an outage stops nobody while its only mails left wait for their own domain,
// though most places are in use.
func TestWhatWaitsForItsDomainStopsNobody(t *testing.T) {
	t.Parallel()
	l := owing(addresses(40, "limited.example")...)
	b := workChunk(t, l, nil, map[string]time.Duration{"limited.example": 200 * time.Millisecond}, Options{OpenMarks: 1},
		func(b *bench) {
			for range 1000 { // a mailing that has the place most of the time
				b.mu.Lock()
				b.open++
				b.mu.Unlock()
				time.Sleep(9 * time.Millisecond)
				b.mu.Lock()
				b.open--
				b.wake()
				b.mu.Unlock()
				time.Sleep(time.Millisecond)
			}
		})
	if len(l.owed) > 0 {
		t.Fatalf("%d are still owed", len(l.owed))
	}
	if b.pacing.spans > 50*time.Millisecond || b.pacing.soon > 1 {
		t.Errorf("it had all others wait for %v and %d times for a moment more", b.pacing.spans, b.pacing.soon)
	}
}

// TestWhatIsUrgentHasOthersMakeRoom: urgent mails without a limit of their own are waited for while they want places.
func TestWhatIsUrgentHasOthersMakeRoom(t *testing.T) {
	t.Parallel()
	b := workChunk(t, owing(addresses(3, "example.com")...), map[string]time.Duration{"m0": time.Second, "m1": time.Second}, nil, Options{OpenMarks: 1}, nil)
	if b.pacing.spans != 2*time.Second-standsInLine || b.pacing.soon != 1 || b.pacing.hungry != 0 {
		t.Errorf("others waited for %v and %d times for a moment more, want nearly 2s and once", b.pacing.spans, b.pacing.soon)
	}
}

// TestWhatRestsIsBegunBesideATarpit: a mail that is answered after ten minutes does not hold up those that had to rest
// in its chunk. Nor is the chunk given back before that answer.
func TestWhatRestsIsBegunBesideATarpit(t *testing.T) {
	t.Parallel()
	l := owing(append([]string{"tar@pit.example"}, addresses(20, "limited.example")...)...)
	b := workChunk(t, l, map[string]time.Duration{"tar": 10 * time.Minute}, map[string]time.Duration{"limited.example": 6 * time.Second}, Options{}, nil)
	if len(l.owed) > 0 || l.claims != 1 || len(l.closed) != 1 || l.closed[0].Rest != 0 {
		t.Errorf("%d are owed after %d claims, closed as %+v", len(l.owed), l.claims, l.closed)
	}
	if at := l.at.Sub(simStart); at < 10*time.Minute || at > 10*time.Minute+time.Second {
		t.Errorf("given back after %v, want the ten minutes of the last answer", at)
	}
	for to, began := range b.relays.began {
		if len(began) != 1 || began[0] > 10*time.Minute {
			t.Errorf("%s was begun at %v, want once, before the tarpit's answer", to, began)
		}
	}
}

// TestARestEndsWithTheLastAnswer: once all answers are there the rest is given back, to be claimed by any worker that
// has time.
func TestARestEndsWithTheLastAnswer(t *testing.T) {
	t.Parallel()
	l := owing(append([]string{"slow@pit.example"}, addresses(200, "limited.example")...)...)
	workChunk(t, l, map[string]time.Duration{"slow": 10 * time.Second}, map[string]time.Duration{"limited.example": 20 * time.Second}, Options{}, nil)
	if len(l.closed) != 1 || l.at.Sub(simStart) != 10*time.Second {
		t.Fatalf("closed %d times, at last after %v", len(l.closed), l.at.Sub(simStart))
	}
	if rest := l.closed[0].Rest; rest <= 0 || rest > 20*time.Second || len(l.owed) != 199 {
		t.Errorf("given back to rest for %v, %d are owed", rest, len(l.owed))
	}
}

// TestADrainBeginsNothingThatRests: a worker that is told to stop begins nothing that rests, and waits for the mails
// under way.
func TestADrainBeginsNothingThatRests(t *testing.T) {
	t.Parallel()
	l := owing(append([]string{"tar@pit.example"}, addresses(20, "limited.example")...)...)
	workChunk(t, l, map[string]time.Duration{"tar": time.Minute}, map[string]time.Duration{"limited.example": 6 * time.Second},
		Options{}, func(b *bench) { time.Sleep(20 * time.Second); b.Worker.tasks = noTasks{}; b.drain() })
	if len(l.closed) != 1 || l.at.Sub(simStart) != time.Minute || len(l.owed) < 15 {
		t.Errorf("closed %d times, after %v, %d are owed", len(l.closed), l.at.Sub(simStart), len(l.owed))
	}
}

// noTasks takes tasks, and nobody does them.
type noTasks struct{ Tasks }

func (noTasks) EnqueueChunk(context.Context, int64, string, bool) error { return nil }

// TestALostLeaseBeginsNothingMore: a run that loses its lease while it waits for a place begins nothing with it.
func TestALostLeaseBeginsNothingMore(t *testing.T) {
	t.Parallel()
	l := owing(addresses(2, "example.com")...)
	l.lost = time.Minute // is past when the place is free
	b := workChunk(t, l, map[string]time.Duration{"m0": 2 * time.Minute}, nil, Options{OpenMarks: 1}, nil)
	if len(b.relays.began) != 1 || b.Open() != 0 {
		t.Errorf("began %v, and %d places are taken", b.relays.began, b.Open())
	}
}

// TestALoneChunkRestsAsLongAsItsLimitAsks: a chunk rests no longer than its limit asks, if nobody wants its place.
func TestALoneChunkRestsAsLongAsItsLimitAsks(t *testing.T) {
	t.Parallel()
	l := owing(addresses(20, "limited.example")...)
	workChunk(t, l, map[string]time.Duration{"m0": time.Second}, map[string]time.Duration{"limited.example": 10 * time.Second}, Options{}, nil)
	if len(l.closed) != 1 || l.at.Add(l.closed[0].Rest).Sub(simStart) != 10*time.Second {
		t.Errorf("given back after %v: %+v", l.at.Sub(simStart), l.closed)
	}
}

// signatures makes one in the time that it takes, and knows which mails have theirs.
type signatures struct {
	takes time.Duration
	mu    sync.Mutex
	made  map[string]bool // by the local part of the recipient
	now   int             // being made
	most  int             // at once
}

func (s *signatures) sign(message []byte, _ time.Time) ([]byte, error) {
	m, err := mail.ReadMessage(bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	local, _, _ := strings.Cut(strings.TrimLeft(m.Header.Get("To"), "<"), "@")
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	time.Sleep(s.takes)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now--
	s.made[local] = true
	return append([]byte("DKIM-Signature: x\r\n"), message...), nil
}

// TestASignatureIsMadeBeforeTheMarkIsAskedFor: a signature that takes longer than G would come too late for a mark that
// was granted before it. All are made at once, as far as there are places, so that no core is idle while mails wait for
// theirs.
func TestASignatureIsMadeBeforeTheMarkIsAskedFor(t *testing.T) {
	t.Parallel()
	const mails = 40
	s := &signatures{takes: 2 * simGrace, made: map[string]bool{}}
	l := owing(addresses(mails, "example.org")...)
	marked := 0
	l.marked = func(seq int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		marked++
		if !s.made[fmt.Sprintf("m%d", seq)] {
			t.Errorf("mail %d was marked before it was signed", seq)
		}
	}
	workChunk(t, l, nil, nil, Options{Sign: s.sign}, nil)
	if marked != mails || len(l.owed) != 0 {
		t.Errorf("%d of %d mails were marked, %d are owed", marked, mails, len(l.owed))
	}
	if s.most < min(mails, runtime.GOMAXPROCS(0)) {
		t.Errorf("%d signatures were made at once, and there are %d cores", s.most, runtime.GOMAXPROCS(0))
	}
}

// TestTheConnectionsCanCarryAllOpenMarks that an operator allows, and a few of them have no more under way than their
// turns come soon.
func TestTheConnectionsCanCarryAllOpenMarks(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ marks, connections, want int }{{64, 16, 64}, {64, 2, 16}, {256, 16, 256}, {256, 4, 64}, {1, 16, 1}, {0, 0, 64}} {
		o := Options{OpenMarks: tt.marks}.withDefaults()
		if tt.connections == 0 {
			tt.connections = o.Connections
		}
		if got := o.placesOf(tt.connections); got != tt.want {
			t.Errorf("%d open marks, %d connections: %d mails under way, want %d", tt.marks, tt.connections, got, tt.want)
		}
	}
}
