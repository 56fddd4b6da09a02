package metrics

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// How long an answer of the ledger is told again, and how long a question waits for it.
const (
	keep     = 5 * time.Second
	patience = 5 * time.Second
)

var (
	ledgerUp   = prometheus.NewDesc("tocsin_ledger_up", "Whether Postgres answered: 1, or 0, and then nothing else of the ledger is told.", nil, nil)
	notices    = prometheus.NewDesc("tocsin_notices", "Released notices that are not finished, by state.", []string{"state"}, nil)
	deliveries = prometheus.NewDesc("tocsin_deliveries", "Deliveries by state, of unfinished notices and of those of the last 24 hours.", []string{"state"}, nil)
	oldest     = prometheus.NewDesc("tocsin_oldest_owed_seconds", "How long what has been owed for longest, in a notice that is sending, is owed; 0: nothing is.", nil, nil)
	overdue    = prometheus.NewDesc("tocsin_overdue_seconds", "How long the chunk that has been due for longest waits for a worker; 0: none does.", nil, nil)
	braked     = prometheus.NewDesc("tocsin_braked_notices", "Notices that are held because a relay refuses everybody.", nil, nil)
	atCanary   = prometheus.NewDesc("tocsin_canary_notices", "Notices that are held after their canary, until somebody has them go on.", nil, nil)
	awaiting   = prometheus.NewDesc("tocsin_awaiting_approval", "Releases that wait for another person to approve them.", nil, nil)
	refusing   = prometheus.NewDesc("tocsin_policy_domains", "Domains of which the log of a notice said within a day that more than 5 % of its mails came back, refused by policy.", nil, nil)
	wanted     = prometheus.NewDesc("tocsin_wanted_workers", "How many workers the due mails call for, at least 1: by TOCSIN_WORKER_RATE and TOCSIN_SEND_WITHIN, capped by the rates of the relays.", nil, nil)
	untold     = prometheus.NewDesc("tocsin_webhook_oldest_seconds", "How long the oldest message that the receiver was not told yet waits; 0: none does.", []string{"webhook"}, nil)
	fenced     = prometheus.NewDesc("tocsin_fence_up", "Whether the ledger was restored from a backup, so that releases are held: 1 or 0.", nil, nil)
	failovers  = prometheus.NewDesc("tocsin_failovers_total", "Promotions of a standby of Postgres that needed no hand.", nil, nil)
	standbys   = prometheus.NewDesc("tocsin_synchronous_standbys", "Standbys of Postgres that have every commit: a failover to one of them needs no hand.", nil, nil)
)

// Standing tells how the ledger stands. Its zero value is not usable; see NewStanding.
type Standing struct {
	ask    func(ctx context.Context) (ledger.Standing, error)
	reckon Reckoning
	logger *slog.Logger

	mu    sync.Mutex
	at    time.Time // when it was asked
	said  ledger.Standing
	up    bool
	clock func() time.Time
}

// NewStanding returns a collector that asks at most every few seconds, however often it is asked itself.
func NewStanding(ask func(ctx context.Context) (ledger.Standing, error), r Reckoning, logger *slog.Logger) *Standing {
	return &Standing{ask: ask, reckon: r, logger: logger, clock: time.Now}
}

// Describe lists the metrics of a Standing.
func (s *Standing) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{ledgerUp, notices, deliveries, oldest, overdue, braked, atCanary, awaiting, refusing, wanted, untold, fenced, failovers, standbys} {
		ch <- d
	}
}

// Collect tells it.
func (s *Standing) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	said, up := s.current()
	gauge(ledgerUp, number(up))
	if !up {
		return
	}
	for _, state := range []notice.State{notice.Scheduled, notice.Sending, notice.Paused, notice.Held} {
		gauge(notices, float64(said.Notices[state]), string(state))
	}
	for _, state := range notice.DeliveryStates {
		gauge(deliveries, float64(said.Deliveries[state]), state.String())
	}
	gauge(oldest, said.OldestOwed.Seconds())
	gauge(overdue, said.Overdue.Seconds())
	gauge(braked, float64(said.Braked))
	gauge(atCanary, float64(said.AtCanary))
	gauge(awaiting, float64(said.Awaiting))
	gauge(refusing, float64(said.Refusing))
	gauge(wanted, float64(s.reckon.workers(said.Due)))
	for webhook, seconds := range said.Untold {
		gauge(untold, seconds, webhook)
	}
	gauge(fenced, number(said.Fenced))
	gauge(standbys, float64(said.Standbys))
	ch <- prometheus.MustNewConstMetric(failovers, prometheus.CounterValue, float64(said.Failovers))
}

func (s *Standing) current() (ledger.Standing, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock()
	if !s.at.IsZero() && now.Sub(s.at) < keep {
		return s.said, s.up
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	said, err := s.ask(ctx)
	if err != nil && (s.up || s.at.IsZero()) {
		s.logger.Warn("metrics lack the ledger", slog.Any("error", err))
	}
	s.at, s.said, s.up = now, said, err == nil
	return s.said, s.up
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
