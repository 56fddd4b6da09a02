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

// scripted is a ledger of which only Commit is asked; each call is answered by the next of its steps, the last
// of them for ever.
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

// writing runs f beside a writer on a ledger that answers so, on a simulated clock.
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

func TestADotIsPermittedOnlyByAnAcknowledgedMark(t *testing.T) {
	t.Parallel()
	type step = func([]ledger.Attempt, []ledger.Outcome) ([]bool, error)
	tests := map[string]struct {
		steps []step
		want  error
	}{
		"granted":                      {[]step{grant}, nil},
		"refused":                      {[]step{refuse}, errRefused},
		"unacknowledged, then granted": {[]step{away, away, grant}, nil},
		"unacknowledged, then refused": {[]step{away, refuse}, errRefused},
		"never acknowledged":           {[]step{away}, errTooLate},
		"acknowledged after the grace": {[]step{late}, errTooLate},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := &scripted{steps: tt.steps}
			writing(t, s, func(t *testing.T, w *writer) {
				began := time.Now()
				p := w.permit(ledger.Attempt{NoticeID: 1, Seq: 2, ChunkID: 3, Epoch: 4})
				p.Ask()
				until, err := p.Wait(t.Context())
				if !errors.Is(err, tt.want) {
					t.Errorf("Wait: %v, want %v", err, tt.want)
				}
				if got := until.Sub(began); got != 20*time.Second {
					t.Errorf("the dot may be written for %v, want 20s from before the mark was asked for", got)
				}
				synctest.Wait()
				for _, c := range s.calls {
					for _, m := range c.marks {
						if m.Epoch != 4 {
							t.Errorf("asked again under epoch %d", m.Epoch)
						}
					}
				}
			})
		})
	}
}

func TestAnOutcomeIsGivenUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	s := &scripted{steps: []func([]ledger.Attempt, []ledger.Outcome) ([]bool, error){away, away, away, grant}}
	writing(t, s, func(t *testing.T, w *writer) {
		done := make(chan struct{})
		w.record(ledger.Outcome{State: notice.DeliverySent}, func() { close(done) })
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
		p := w.permit(ledger.Attempt{Epoch: 4})
		p.Ask()
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := p.Wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Wait: %v", err)
		}
		done := make(chan struct{})
		w.record(ledger.Outcome{Attempt: ledger.Attempt{Epoch: 4}, State: notice.DeliveryDeferred, NoDot: true}, func() { close(done) })
		<-done
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
			w.record(ledger.Outcome{Attempt: ledger.Attempt{Seq: i}}, all.Done)
			synctest.Wait()
		}
		all.Wait()
		if len(s.calls) != 2 || len(s.calls[1].outcomes) != 49 {
			t.Errorf("%d commits, the second of %d outcomes; want 2 and 49", len(s.calls), len(s.calls[len(s.calls)-1].outcomes))
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
