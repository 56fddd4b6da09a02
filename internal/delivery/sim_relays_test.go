package delivery

import (
	"time"

	"tocsin/internal/notice"
)

// In some schedules there are two relays, which take each other's place. A mail that one refuses for a reason of its
// own goes to the other. A mail that it was given and did not answer for does not.

// relays are the names of the relays of a schedule.
func (w *world) relays() []string {
	if w.seed%3 == 1 && w.lines > 1 {
		return []string{"main", "second"}
	}
	return []string{"main"}
}

// relayRefuses reports whether one of two relays refuses everybody now.
func (w *world) relayRefuses(relay string) bool {
	return len(w.relays()) == 2 && !w.calm && relay == w.relays()[int64(time.Since(simStart)/(30*time.Second))%2] && w.seed%2 == 0
}

// fits reports whether a connection may carry a job: one to the relay that refused it before may not where there is
// another.
func (s *simSender) fits(j notice.Job, relay string) bool {
	return len(s.world.relays()) == 1 || j.Shuns() != relay
}

// denied is the answer of a relay that refuses everybody: the mail goes to the other, and has failed where that was
// asked before.
func (r *simRelay) denied(x *exchange) notice.Answer {
	w := r.world
	w.fault("relay: one of two refuses everybody")
	a := notice.Answer{Outcome: notice.OutcomeLater, OfRelay: true, NoDot: true, Command: "RCPT", Code: 554, Relay: x.relay, Text: "relay access denied"}
	if before := x.job.Shuns(); before != "" && before != x.relay || w.memory.mutant == refusalOfOneFails {
		a.Outcome, a.OfRelay = notice.OutcomeNever, false
	}
	if x.job.Shuns() != "" && x.job.Shuns() != x.relay {
		w.fault("relay: both refused")
		r.never[x.at] = true
	}
	return a
}

// goesOn has a mail that one relay did not answer for go to the other: only a mutant does that.
func (s *simSender) goesOn(x *exchange) bool {
	w := s.world
	return w.memory.mutant == nextRelayGetsUnanswered && len(w.relays()) == 2 && x.answer.Outcome == notice.OutcomeUncertain && !x.elsewhere
}
