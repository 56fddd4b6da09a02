package metrics

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tocsin/internal/delivery"
	"tocsin/internal/notice"
	"tocsin/internal/pace"
)

// limiter refuses each domain but free.example.
type limiter struct{ delivery.Pacer }

func (limiter) Ask(domain string) (*pace.Leave, pace.Refusal) {
	if domain == "free.example" {
		return &pace.Leave{}, pace.Refusal{}
	}
	return nil, pace.Refusal{Wait: time.Second, Domain: domain == "slow.example"}
}

func TestWaitsForLimitsAreMeasured(t *testing.T) {
	t.Parallel()
	r := prometheus.NewRegistry()
	w := NewWorker(r)
	w.Limits(func() []notice.RelayHealth {
		return []notice.RelayHealth{{Relay: "main", State: "resting"}, {Relay: "austin", State: "up", Unanswered: 1}, {Relay: "third", State: "silent", Unanswered: 16}}
	}, func() int { return 2 })
	p := w.Pacer(limiter{})
	for domain, gets := range map[string]bool{"free.example": true, "slow.example": false, "other.example": false} {
		if leave, refusal := p.Ask(domain); (leave != nil) != gets || (refusal.Wait > 0) == gets {
			t.Errorf("%s: passed on %v, %v", domain, leave, refusal)
		}
	}
	want := map[string]float64{"tocsin_limit_wait_seconds domain": 1, "tocsin_limit_wait_seconds relay": 1, "tocsin_throttled": 2,
		"tocsin_relay_up main": 0, "tocsin_relay_up austin": 1, "tocsin_relay_up third": 0,
		"tocsin_relay_silent main": 0, "tocsin_relay_silent austin": 0, "tocsin_relay_silent third": 1,
		"tocsin_relay_unanswered main": 0, "tocsin_relay_unanswered austin": 1, "tocsin_relay_unanswered third": 16}
	got := told(t, r)
	for name := range got {
		if _, ok := want[name]; !ok {
			delete(got, name)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
