package metrics

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tocsin/internal/delivery"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// told returns the values of gauges and counters, and the counts of histograms, by name and labels.
func told(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return values
}

func TestTheLedgerIsAskedNowAndThen(t *testing.T) {
	t.Parallel()
	now, asked := time.Now(), 0
	var away error
	s := NewStanding(func(context.Context) (ledger.Standing, error) {
		asked++
		return ledger.Standing{Notices: map[notice.State]int{notice.Held: 2}, Deliveries: notice.Counts{7, 0, 5}, OldestOwed: time.Minute, Fenced: true, Failovers: 2, Standbys: 1, Refusing: 3, Due: 50}, away
	}, Reckoning{WorkerRate: 1, Within: 10 * time.Second}, slog.New(slog.DiscardHandler))
	s.clock = func() time.Time { return now }
	r := prometheus.NewRegistry()
	r.MustRegister(s)

	all := told(t, r)
	for name, want := range map[string]float64{"tocsin_ledger_up": 1, "tocsin_notices held": 2, "tocsin_notices sending": 0, "tocsin_deliveries queued": 7,
		"tocsin_deliveries sent": 5, "tocsin_oldest_owed_seconds": 60, "tocsin_overdue_seconds": 0, "tocsin_fence_up": 1, "tocsin_failovers_total": 2, "tocsin_synchronous_standbys": 1, "tocsin_policy_domains": 3, "tocsin_wanted_workers": 5} {
		if got, ok := all[name]; !ok || got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	now = now.Add(keep - time.Millisecond)
	told(t, r)
	if asked != 1 {
		t.Errorf("asked %d times within %s", asked, keep)
	}
	away, now = errors.New("away"), now.Add(keep)
	if diff := cmp.Diff(map[string]float64{"tocsin_ledger_up": 0}, told(t, r)); diff != "" || asked != 2 {
		t.Errorf("a ledger that is away (asked %d times): %s", asked, diff)
	}
	away, now = nil, now.Add(keep)
	if told(t, r)["tocsin_ledger_up"] != 1 {
		t.Error("a ledger that is back is not told")
	}
}

func TestReportsAreCountedByKindAndClass(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	in := NewReturned(r)
	if all := told(t, r); len(all) != 10 || all["tocsin_returned_total policy bounce"] != 0 {
		t.Errorf("before the first: %v", all)
	}
	in.Count(notice.KindBounce, notice.BouncePolicy)
	in.Count(notice.KindComplaint, "")
	in.Count(notice.KindComplaint, "")
	if all := told(t, r); len(all) != 10 || all["tocsin_returned_total policy bounce"] != 1 || all["tocsin_returned_total  complaint"] != 2 {
		t.Errorf("%v", all)
	}
}

// outside stands in for relays and Postgres.
type outside struct {
	delivery.Ledger
	answer notice.Answer
	err    error
}

func (o *outside) Submit(j notice.Job) { j.Done(o.answer, o.err) }
func (o *outside) Halt()               {}

// heard is a job that notes its own end.
type heard struct {
	notice.Job
	answer notice.Answer
	err    error
}

func (h *heard) Done(a notice.Answer, err error) { h.answer, h.err = a, err }

func (o *outside) Commit(_ context.Context, marks []ledger.Attempt, _ []ledger.Outcome) ([]bool, error) {
	return make([]bool, len(marks)), o.err
}

func (o *outside) Sweep(context.Context) (ledger.Work, error) {
	return ledger.Work{Chunks: make([]ledger.DueChunk, 3)}, o.err
}

func TestAWorkerIsMeasured(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	w := NewWorker(r)
	w.OpenMarks(func() int { return 12 }, 64)
	o := &outside{}
	sender, l := w.Sender(o), w.Ledger(o)
	for _, code := range []int{250, 250, 451, 550, 0} {
		o.answer = notice.Answer{Relay: "main", Code: code}
		var h heard
		if sender.Submit(&h); h.err != nil || h.answer != o.answer {
			t.Errorf("passed on %+v, %v", h.answer, h.err)
		}
	}
	if granted, err := l.Commit(t.Context(), make([]ledger.Attempt, 4), nil); err != nil || len(granted) != 4 {
		t.Errorf("passed on %v, %v", granted, err)
	}
	if work, err := l.Sweep(t.Context()); err != nil || len(work.Chunks) != 3 {
		t.Errorf("passed on %v, %v", work, err)
	}
	o.err = errors.New("away")
	var h heard
	sender.Submit(&h)
	for _, err := range []error{h.err, second(l.Commit(t.Context(), nil, nil)), second(l.Sweep(t.Context()))} {
		if !errors.Is(err, o.err) {
			t.Errorf("passed on %v", err)
		}
	}
	want := map[string]float64{"tocsin_answers_total 2xx main": 2, "tocsin_answers_total 4xx main": 1, "tocsin_answers_total 5xx main": 1,
		"tocsin_answers_total none main": 1, "tocsin_answer_seconds main": 5, "tocsin_no_relay_total": 1, "tocsin_commit_rows mark": 1, "tocsin_commit_rows outcome": 1,
		"tocsin_commit_seconds": 2, "tocsin_sweep_seconds": 2, "tocsin_sweep_found_total chunk": 3,
		"tocsin_ledger_failures_total commit": 1, "tocsin_ledger_failures_total sweep": 1, "tocsin_open_marks": 12, "tocsin_open_marks_limit": 64}
	if diff := cmp.Diff(want, told(t, r)); diff != "" {
		t.Error(diff)
	}
}

func second[T any](_ T, err error) error { return err }
