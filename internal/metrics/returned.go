package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"tocsin/internal/notice"
)

// Returned measures the reports that come back.
type Returned struct{ reports *prometheus.CounterVec }

// NewReturned registers the metrics.
func NewReturned(r prometheus.Registerer) *Returned {
	in := &Returned{prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_returned_total",
		Help: "Reports about mails that were recorded, by kind, each once; of a bounce, which ended a delivery, the class. unknown: they name no mail of ours."},
		[]string{"kind", "class"})}
	r.MustRegister(in.reports)
	for _, class := range notice.BounceClasses {
		in.reports.WithLabelValues(string(notice.KindBounce), string(class))
	}
	for _, kind := range []notice.BounceKind{notice.KindDelay, notice.KindDelivery, notice.KindComplaint, notice.KindAutoReply, notice.KindUnknown} {
		in.reports.WithLabelValues(string(kind), "")
	}
	return in
}

// Count counts a report; class is "" where nothing bounced.
func (in *Returned) Count(kind notice.BounceKind, class notice.BounceClass) {
	in.reports.WithLabelValues(string(kind), string(class)).Inc()
}
