// Package metrics measures the commands serve and work, for Prometheus. docs/metrics.md lists every metric. No label
// holds an address, a customer or a text: labels are states, classes of answers, and the names of relays.
package metrics

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/internal/delivery"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// Worker measures one worker, by standing between it and its ledger and relays.
type Worker struct {
	answers       *prometheus.CounterVec
	answerSeconds *prometheus.HistogramVec
	unreached     prometheus.Counter
	commitRows    *prometheus.HistogramVec
	commitSeconds prometheus.Histogram
	sweepSeconds  prometheus.Histogram
	found         *prometheus.CounterVec
	failures      *prometheus.CounterVec
	waits         *prometheus.HistogramVec
	registry      prometheus.Registerer
}

// NewWorker registers a worker's metrics.
func NewWorker(r prometheus.Registerer) *Worker {
	w := &Worker{
		registry: r,
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_answers_total",
			Help: "Attempts by the relay and the class of its last answer: 2xx, 4xx, 5xx, or none where no answer was heard."}, []string{"relay", "class"}),
		answerSeconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tocsin_answer_seconds",
			Help: "Time of an attempt, from waiting for a connection to the last answer.", Buckets: []float64{.005, .025, .1, .5, 2.5, 10, 60, 600}}, []string{"relay"}),
		unreached: prometheus.NewCounter(prometheus.CounterOpts{Name: "tocsin_no_relay_total",
			Help: "Attempts that were put off because no relay could be reached."}),
		commitRows: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tocsin_commit_rows",
			Help: "Marks and outcomes that one commit wrote.", Buckets: prometheus.ExponentialBuckets(1, 2, 9)}, []string{"kind"}),
		commitSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tocsin_commit_seconds",
			Help: "Time of a commit of marks and outcomes.", Buckets: prometheus.ExponentialBuckets(.001, 2, 13)}),
		sweepSeconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "tocsin_sweep_seconds",
			Help: "Time of a sweep.", Buckets: prometheus.ExponentialBuckets(.001, 2, 13)}),
		found: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_sweep_found_total",
			Help: "What sweeps found to be due: chunks."}, []string{"kind"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_ledger_failures_total",
			Help: "Commits and sweeps that the ledger did not take; they are tried again."}, []string{"call"}),
		waits: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "tocsin_limit_wait_seconds",
			Help: "How long mails were told to wait before they ask again, by the limit: of the relay or of their domain.", Buckets: []float64{.01, .1, 1, 5, 30, 300}}, []string{"limit"}),
	}
	r.MustRegister(w.answers, w.answerSeconds, w.unreached, w.commitRows, w.commitSeconds, w.sweepSeconds, w.found, w.failures, w.waits)
	for _, kind := range []string{"chunk"} {
		w.found.WithLabelValues(kind)
	}
	for _, call := range []string{"commit", "sweep"} {
		w.failures.WithLabelValues(call)
	}
	return w
}

// OpenMarks has the open marks of a worker, and how many it may have, told along.
func (w *Worker) OpenMarks(now func() int, limit int) {
	w.registry.MustRegister(
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tocsin_open_marks",
			Help: "Mails under way: what a crash of this worker would leave uncertain at most."}, func() float64 { return float64(now()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tocsin_open_marks_limit",
			Help: "The most mails that this worker has under way (TOCSIN_MAX_OPEN_MARKS)."}, func() float64 { return float64(limit) }))
}

// Sender measures a sender.
func (w *Worker) Sender(s delivery.Sender) delivery.Sender { return sender{s, w} }

type sender struct {
	delivery.Sender
	*Worker
}

// Submit passes on, and counts when the job is done.
func (s sender) Submit(j notice.Job) { s.Sender.Submit(&job{j, s.Worker, time.Now()}) }

// job counts its own end.
type job struct {
	notice.Job
	w     *Worker
	began time.Time
}

// Done counts and passes on.
func (j *job) Done(a notice.Answer, err error) {
	if err != nil {
		j.w.unreached.Inc()
	} else {
		j.w.answers.WithLabelValues(a.Relay, class(a.Code)).Inc()
		j.w.answerSeconds.WithLabelValues(a.Relay).Observe(time.Since(j.began).Seconds())
	}
	j.Job.Done(a, err)
}

// class is that of an SMTP reply code.
func class(code int) string {
	if code == 0 {
		return "none"
	}
	return fmt.Sprintf("%dxx", code/100)
}

// Ledger measures a ledger.
func (w *Worker) Ledger(l delivery.Ledger) delivery.Ledger { return measured{l, w} }

type measured struct {
	delivery.Ledger
	*Worker
}

// Commit passes on and measures.
func (m measured) Commit(ctx context.Context, marks []ledger.Attempt, outcomes []ledger.Outcome) ([]bool, error) {
	began := time.Now()
	granted, err := m.Ledger.Commit(ctx, marks, outcomes)
	m.commitSeconds.Observe(time.Since(began).Seconds())
	if err != nil {
		m.failures.WithLabelValues("commit").Inc()
		return granted, err
	}
	m.commitRows.WithLabelValues("mark").Observe(float64(len(marks)))
	m.commitRows.WithLabelValues("outcome").Observe(float64(len(outcomes)))
	return granted, nil
}

// Sweep passes on and measures.
func (m measured) Sweep(ctx context.Context) (ledger.Work, error) {
	began := time.Now()
	work, err := m.Ledger.Sweep(ctx)
	m.sweepSeconds.Observe(time.Since(began).Seconds())
	if err != nil {
		m.failures.WithLabelValues("sweep").Inc()
		return work, err
	}
	m.found.WithLabelValues("chunk").Add(float64(len(work.Chunks)))
	return work, nil
}
