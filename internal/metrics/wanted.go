package metrics

import (
	"math"
	"time"
)

// Reckoning is how many workers some mails call for.
type Reckoning struct {
	WorkerRate int           // mails per second that one worker sends; 0 = 1 worker is enough for everything
	Within     time.Duration // in which all that is due should leave
	RelayRate  float64       // mails per second that all relays take together; 0 = one of them has no rate
}

// workers is at least 1, since a worker also looks after schedules, retries and answers. More than the relays' rates
// keep busy would wait for each other.
func (r Reckoning) workers(due int) int {
	if r.WorkerRate <= 0 {
		return 1
	}
	perWorker := float64(r.WorkerRate)
	n := math.Ceil(float64(due) / (perWorker * max(1, r.Within.Seconds())))
	if r.RelayRate > 0 {
		n = min(n, math.Ceil(r.RelayRate/perWorker))
	}
	return max(1, int(n))
}
