package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"tocsin/internal/delivery"
	"tocsin/internal/notice"
	"tocsin/internal/pace"
)

// Pacer measures what paces mails: how long it has them wait, and for which limit.
func (w *Worker) Pacer(p delivery.Pacer) delivery.Pacer { return paced{p, w} }

type paced struct {
	delivery.Pacer
	*Worker
}

// Ask passes on and measures.
func (p paced) Ask(domain string) (*pace.Leave, pace.Refusal) {
	leave, refusal := p.Pacer.Ask(domain)
	if leave == nil {
		limit := "relay"
		if refusal.Domain {
			limit = "domain"
		}
		p.waits.WithLabelValues(limit).Observe(refusal.Wait.Seconds())
	}
	return leave, refusal
}

// Limits has told along which relays are up, and how many pairs of a relay and a domain are throttled.
func (w *Worker) Limits(health func() []notice.RelayHealth, throttled func() int) {
	w.registry.MustRegister(relays{health, prometheus.NewDesc("tocsin_relay_up", "1 while mails go to the relay, 0 while it rests.", []string{"relay"}, nil)},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tocsin_throttled",
			Help: "Recipient domains that a relay asked to be slower with, as this worker knows."}, func() float64 { return float64(throttled()) }))
}

type relays struct {
	health func() []notice.RelayHealth
	up     *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (r relays) Describe(descs chan<- *prometheus.Desc) { descs <- r.up }

// Collect implements prometheus.Collector.
func (r relays) Collect(metrics chan<- prometheus.Metric) {
	for _, h := range r.health() {
		up := 0.0
		if h.State == "up" {
			up = 1
		}
		metrics <- prometheus.MustNewConstMetric(r.up, prometheus.GaugeValue, up, h.Relay)
	}
}
