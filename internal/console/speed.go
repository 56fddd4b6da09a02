package console

import (
	"sync"
	"time"

	"tocsin/internal/notice"
)

// A notice's rate is that of the last speedSpan, if somebody looked then; else that since its first mail.
const (
	speedSpan  = time.Minute
	leastSpan  = 5 * time.Second
	leastSince = time.Second // between two counts
)

// speeds remembers how many mails of the notices under way were taken when somebody looked.
type speeds struct {
	mu sync.Mutex
	by map[int64][]counted
}

type counted struct {
	at   time.Time
	done int
}

func newSpeeds() *speeds { return &speeds{by: map[int64][]counted{}} }

// of returns mails taken per second, as far as that is known; 0 = nothing is.
func (s *speeds) of(st notice.Status, now time.Time) float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := st.Counts[notice.DeliverySent.String()] + st.Counts[notice.DeliveryBounced.String()]
	all := s.by[st.Number]
	if n := len(all); n == 0 || now.Sub(all[n-1].at) >= leastSince {
		all = append(all, counted{now, done})
	}
	for len(all) > 1 && now.Sub(all[0].at) > speedSpan {
		all = all[1:]
	}
	s.by[st.Number] = all
	s.tidy(now)
	if span := now.Sub(all[0].at); span >= leastSpan && span <= speedSpan {
		return float64(done-all[0].done) / span.Seconds()
	}
	return st.RatePerS
}

// tidy forgets notices that nobody has looked at for a while.
func (s *speeds) tidy(now time.Time) {
	for number, all := range s.by {
		if now.Sub(all[len(all)-1].at) > speedSpan {
			delete(s.by, number)
		}
	}
}
