package send

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// Some relays offer PIPELINING and break off when the envelope of the next mail comes with a dot. Dovecot 2.3 is one:
// it hands the mail on, aborts, and never answers, so that each mail would be uncertain. A relay has to show that it
// can. First one such dot is under way, and more with the number of those that were answered.
const (
	eachMore   = 8         // answered dots for one more at once
	proven     = 100       // answered dots after which one that is lost says nothing
	apartAgain = time.Hour // how long a relay that failed gets each envelope by itself
)

// overlaps is the record of a relay with dots that an envelope goes out with, guarded by the pool's mutex.
type overlaps struct {
	under, answered int
	failedAt        time.Time
}

// apart reports whether a relay says that it is one of those.
func (r reply) apart() bool { return strings.Contains(r.text, "Dovecot") }

// mayOverlap reports whether an envelope may go to a relay with a dot, and counts it; overlapped must follow.
func (p *Pool) mayOverlap(r *relayState) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := &r.overlaps
	if o.under > o.answered/eachMore || !o.failedAt.IsZero() && time.Since(o.failedAt) < apartAgain {
		return false
	}
	o.under++
	return true
}

// overlapped notes that a dot with an envelope, if they went out, was answered well or lost.
func (p *Pool) overlapped(r *relayState, well, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := &r.overlaps
	o.under--
	switch {
	case well:
		o.answered++
	case lost:
		if o.answered < proven {
			o.failedAt = time.Now()
			p.o.Logger.LogAttrs(context.Background(), slog.LevelWarn, "relay breaks off when an envelope comes with the end of a message; it gets them apart",
				slog.String("relay", r.Name))
		}
		o.answered = 0
	}
}
