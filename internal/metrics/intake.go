package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"tocsin/internal/intake"
)

// Intake measures the intake of mails that came back.
type Intake struct{ mails *prometheus.CounterVec }

// NewIntake registers the metrics.
func NewIntake(r prometheus.Registerer) *Intake {
	in := &Intake{prometheus.NewCounterVec(prometheus.CounterOpts{Name: "tocsin_intake_mails_total",
		Help: "Mails that came back and were handed to the API, by where they came in and the result: taken, left, denied or refused."},
		[]string{"source", "result"})}
	r.MustRegister(in.mails)
	for _, source := range intake.Sources {
		for _, result := range intake.Results {
			in.mails.WithLabelValues(source, string(result))
		}
	}
	return in
}

// Count counts a mail.
func (in *Intake) Count(source string, result intake.Result) {
	in.mails.WithLabelValues(source, string(result)).Inc()
}
