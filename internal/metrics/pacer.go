package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"tocsin/internal/delivery"
	"tocsin/internal/notice"
	"tocsin/internal/pace"
)

// Pacer measures the pacer of mails: how long it has them wait, and for which limit.
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
	w.registry.MustRegister(relays{health,
		prometheus.NewDesc("tocsin_relay_up", "1 while mails go to the relay, 0 while it rests or is silent.", []string{"relay"}, nil),
		prometheus.NewDesc("tocsin_relay_silent", "1 while the relay takes mails and does not answer them.", []string{"relay"}, nil),
		prometheus.NewDesc("tocsin_relay_unanswered", "Mails that wait for the relay's answer for longer than TOCSIN_RELAY_SILENCE.", []string{"relay"}, nil)},
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "tocsin_throttled",
			Help: "Recipient domains that a relay asked to be slower with, as this worker knows."}, func() float64 { return float64(throttled()) }))
}

type relays struct {
	health                 func() []notice.RelayHealth
	up, silent, unanswered *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (r relays) Describe(descs chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{r.up, r.silent, r.unanswered} {
		descs <- d
	}
}

// Collect implements prometheus.Collector.
func (r relays) Collect(metrics chan<- prometheus.Metric) {
	for _, h := range r.health() {
		for desc, value := range map[*prometheus.Desc]float64{
			r.up:         one(h.State == notice.RelayUp),
			r.silent:     one(h.State == notice.RelaySilent),
			r.unanswered: float64(h.Unanswered),
		} {
			metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, h.Relay)
		}
	}
}

// one is 1 where something is so.
func one(so bool) float64 {
	if so {
		return 1
	}
	return 0
}
