package delivery

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// scripted is a ledger of which only Commit is asked. The next of its steps answers each call, the last of them for
// ever.
type scripted struct {
	Ledger
	mu    sync.Mutex
	steps []func(marks []ledger.Attempt, outcomes []ledger.Outcome) ([]bool, error)
	calls []call
}

type call struct {
	marks    []ledger.Attempt
	outcomes []ledger.Outcome
}

func (s *scripted) Commit(_ context.Context, marks []ledger.Attempt, outcomes []ledger.Outcome) ([]bool, error) {
	s.mu.Lock()
	s.calls = append(s.calls, call{marks, outcomes})
	step := s.steps[0]
	if len(s.steps) > 1 {
		s.steps = s.steps[1:]
	}
	s.mu.Unlock()
	return step(marks, outcomes)
}

func (s *scripted) DotGrace() time.Duration { return 20 * time.Second }

func grant(marks []ledger.Attempt, _ []ledger.Outcome) ([]bool, error) {
	granted := make([]bool, len(marks))
	for i := range granted {
		granted[i] = true
	}
	return granted, nil
}

func refuse(marks []ledger.Attempt, _ []ledger.Outcome) ([]bool, error) {
	return make([]bool, len(marks)), nil
}

func away([]ledger.Attempt, []ledger.Outcome) ([]bool, error) {
	return nil, errors.New("connection refused")
}

// late grants after half a minute of the simulated clock.
func late(m []ledger.Attempt, o []ledger.Outcome) ([]bool, error) {
	<-time.After(30 * time.Second)
	return grant(m, o)
}

// writing runs f along with a writer on a ledger that answers so, on a simulated clock.
func writing(t *testing.T, s *scripted, f func(t *testing.T, w *writer)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		w := newWriter(s, slog.New(slog.DiscardHandler), 64)
		var wg sync.WaitGroup
		wg.Go(func() { w.run(ctx) })
		f(t, w)
		stop()
		wg.Wait()
	})
}

// told is who hears that an outcome is durable.
type told func()

func (f told) acknowledged() { f() }

func TestADotIsPermittedOnlyByAnAcknowledgedMark(t *testing.T) {
	t.Parallel()
	type step = func([]ledger.Attempt, []ledger.Outcome) ([]bool, error)
	tests := map[string]struct {
		steps []step
		want  error
		late  bool
	}{
		"granted":                      {[]step{grant}, nil, false},
		"refused":                      {[]step{refuse}, errRefused, false},
		"unacknowledged, then granted": {[]step{away, away, grant}, nil, false},
		"unacknowledged, then refused": {[]step{away, refuse}, errRefused, false},
		"never acknowledged":           {[]step{away}, errTooLate, true},
		"acknowledged after the grace": {[]step{late}, nil, true}, // which its end says
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := &scripted{steps: tt.steps}
			writing(t, s, func(t *testing.T, w *writer) {
				began := time.Now()
				m := w.mark(ledger.Attempt{NoticeID: 1, Seq: 2, ChunkID: 3, Epoch: 4})
				m.Ask()
				until, err := m.Wait(t.Context())
				if !errors.Is(err, tt.want) || m.Refused() != errors.Is(err, errRefused) {
					t.Errorf("Wait: %v, want %v", err, tt.want)
				}
				if got := until.Sub(began); got != 20*time.Second || inTime(until) == tt.late {
					t.Errorf("the dot may be written for %v, want 20s from before the mark was asked for", got)
				}
				synctest.Wait()
				for i, c := range s.calls {
					for _, m := range c.marks {
						if m.Epoch != 4 || m.Again != (i > 0) {
							t.Errorf("call %d asks for %+v", i, m)
						}
					}
				}
			})
		})
	}
}

// TestAMarkThatIsAskedForAnewWaitsForItsOwnAnswer: a mark that is asked for anew lasts from then on; the answer to the
// earlier ask would not cover that.
func TestAMarkThatIsAskedForAnewWaitsForItsOwnAnswer(t *testing.T) {
	t.Parallel()
	s := &scripted{steps: []func([]ledger.Attempt, []ledger.Outcome) ([]bool, error){late, grant}}
	writing(t, s, func(t *testing.T, w *writer) {
		m := w.mark(ledger.Attempt{Epoch: 4})
		m.Ask()
		time.Sleep(25 * time.Second) // the first commit is under way for 30
		m.Ask()
		until, err := m.Wait(t.Context())
		if err != nil || time.Until(until) != 15*time.Second-gathers || len(s.calls) != 2 || !s.calls[1].marks[0].Again {
			t.Errorf("%v, until %v from now, %d commits", err, time.Until(until), len(s.calls))
		}
	})
}

// TestWhatIsEnoughIsCommittedAtOnce: after a slow commit the writer waits a moment for more, and no longer than until
// enough has come.
func TestWhatIsEnoughIsCommittedAtOnce(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]time.Duration{1: gathers, 2: 0} {
		s := &scripted{steps: []func([]ledger.Attempt, []ledger.Outcome) ([]bool, error){late, grant}}
		writing(t, s, func(t *testing.T, w *writer) {
			w.enough = 2
			first := w.mark(ledger.Attempt{Seq: 9})
			first.Ask()
			first.Wait(t.Context())
			synctest.Wait()
			began := time.Now()
			marks := make([]mark, n)
			for i := range marks {
				marks[i] = w.mark(ledger.Attempt{Seq: i})
				marks[i].Ask()
				synctest.Wait()
			}
			marks[n-1].Wait(t.Context())
			if waited := time.Since(began); waited != want || len(s.calls) != 2 || len(s.calls[1].marks) != n {
				t.Errorf("%d marks waited for %v in %d commits, want %v in the second", n, waited, len(s.calls), want)
			}
		})
	}
}

func TestAnOutcomeIsGivenUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	s := &scripted{steps: []func([]ledger.Attempt, []ledger.Outcome) ([]bool, error){away, away, away, grant}}
	writing(t, s, func(t *testing.T, w *writer) {
		done := make(chan struct{})
		w.record(ledger.Outcome{State: notice.DeliverySent}, told(func() { close(done) }))
		<-done
		if len(s.calls) != 4 {
			t.Errorf("the ledger was asked %d times, want 4", len(s.calls))
		}
	})
}

func TestAMarkThatWasGivenUpIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	s := &scripted{steps: []func([]ledger.Attempt, []ledger.Outcome) ([]bool, error){away, away, grant}}
	writing(t, s, func(t *testing.T, w *writer) {
		worker := &Worker{writer: w, runs: map[*line]*run{}}
		r := &run{begun: make(chan struct{}), end: func() {}, underway: 1}
		j := newJob(worker, r, pending{}, nil)
		j.Ask()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := j.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Wait: %v", err)
		}
		w.record(ledger.Outcome{Attempt: j.at, State: notice.DeliveryDeferred, NoDot: true}, j)
		<-r.begun
		last := s.calls[len(s.calls)-1]
		if len(last.marks) != 0 || len(last.outcomes) != 1 {
			t.Errorf("the commit that was acknowledged had %d marks and %d outcomes, want the no-dot alone", len(last.marks), len(last.outcomes))
		}
	})
}

func TestWhatComesWhileACommitIsUnderWayGoesIntoTheNext(t *testing.T) {
	t.Parallel()
	s := &scripted{steps: []func([]ledger.Attempt, []ledger.Outcome) ([]bool, error){func(m []ledger.Attempt, o []ledger.Outcome) ([]bool, error) {
		<-time.After(time.Second)
		return grant(m, o)
	}}}
	writing(t, s, func(t *testing.T, w *writer) {
		var all sync.WaitGroup
		for i := range 50 {
			all.Add(1)
			w.record(ledger.Outcome{Attempt: ledger.Attempt{Seq: i}}, told(all.Done))
			synctest.Wait()
		}
		all.Wait()
		if len(s.calls) != 2 || len(s.calls[1].outcomes) != 49 {
			t.Errorf("%d commits, the second of %d outcomes; want 2 and 49", len(s.calls), len(s.calls[len(s.calls)-1].outcomes))
		}
	})
}

// TestWhatComesCloseTogetherSharesACommit: where a commit costs something, outcomes within a millisecond share one.
func TestWhatComesCloseTogetherSharesACommit(t *testing.T) {
	t.Parallel()
	s := &scripted{steps: []func([]ledger.Attempt, []ledger.Outcome) ([]bool, error){func(m []ledger.Attempt, o []ledger.Outcome) ([]bool, error) {
		<-time.After(2 * time.Millisecond)
		return grant(m, o)
	}}}
	writing(t, s, func(t *testing.T, w *writer) {
		var all sync.WaitGroup
		for i := range 10 {
			all.Add(1)
			w.record(ledger.Outcome{Attempt: ledger.Attempt{Seq: i}}, told(all.Done))
			if i == 0 {
				all.Wait()
			}
			time.Sleep(100 * time.Microsecond)
		}
		all.Wait()
		if len(s.calls) != 2 || len(s.calls[1].outcomes) != 9 {
			t.Errorf("%d commits, the last of %d outcomes; want 2 and 9", len(s.calls), len(s.calls[len(s.calls)-1].outcomes))
		}
	})
}

func TestBackoffDoublesWithJitterUpToItsCeiling(t *testing.T) {
	t.Parallel()
	for range 1000 {
		for failures, want := range map[int][2]time.Duration{
			1: {15 * time.Second, 45 * time.Second}, 2: {30 * time.Second, 90 * time.Second},
			3: {time.Minute, 3 * time.Minute}, 99: {450 * time.Second, 1350 * time.Second},
		} {
			if d := backoff(30*time.Second, 15*time.Minute, failures); d < want[0] || d > want[1] {
				t.Fatalf("after %d failures %v, want between %v and %v", failures, d, want[0], want[1])
			}
		}
	}
}
