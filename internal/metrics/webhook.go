package metrics

import "github.com/prometheus/client_golang/prometheus"

// Webhooks measures the tries of messages to receivers of events.
type Webhooks struct{ tries *prometheus.CounterVec }

// NewWebhooks registers the metrics, with a row for each receiver.
func NewWebhooks(r prometheus.Registerer, receivers ...string) *Webhooks {
	w := &Webhooks{prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_webhook_tries_total",
		Help: "Tries to tell a receiver of an event, by result: delivered; failed, which is tried again; or given_up."}, []string{"webhook", "result"})}
	r.MustRegister(w.tries)
	for _, name := range receivers {
		for _, result := range []string{"delivered", "failed", "given_up"} {
			w.tries.WithLabelValues(name, result)
		}
	}
	return w
}

// Count counts a try.
func (w *Webhooks) Count(webhook, result string) { w.tries.WithLabelValues(webhook, result).Inc() }
