package notice

import (
	"slices"
	"time"
)

// Brake is why the mails of a notice do not leave, or leave more slowly than they could.
type Brake struct {
	Why       string
	Limited   []Limited  // of BrakeLimits
	Throttled *Throttled // of BrakeThrottled
	Quota     *Quota     // of BrakeQuota
	Rest      *Rest      // of BrakeRest
	Relay     string     // of BrakeSilent and BrakeUnreachable
	Error     string     // the relay's last error
	Deferred  int        // of BrakeDeferred
}

// Why mails do not leave.
const (
	BrakePaused      = "paused"
	BrakeHeld        = "held" // the status has the reason
	BrakeScheduled   = "scheduled"
	BrakeDisagree    = "disagree"    // the workers' settings only_to differ
	BrakeNoWorker    = "no_worker"   // no worker is alive
	BrakeSilent      = "silent"      // a relay takes mails and does not answer
	BrakeUnreachable = "unreachable" // no relay can be reached
	BrakeQuota       = "quota"       // relays have taken their quotas
	BrakeRest        = "rest"        // operators let the relays rest
	BrakeDeferred    = "deferred"    // all that is owed was put off
	BrakeLimits      = "limits"      // of relays and domains
	BrakeThrottled   = "throttled"   // the far side asked for fewer
)

// Brake returns the brake that matters most, nil where nothing is known to keep the mails. Pace tells, where it is there.
func (s Status) Brake() *Brake {
	switch s.State {
	case Paused:
		return &Brake{Why: BrakePaused}
	case Held:
		return &Brake{Why: BrakeHeld}
	case Scheduled:
		return &Brake{Why: BrakeScheduled}
	case Sending:
	default:
		return nil
	}
	switch {
	case s.Disagree != "":
		return &Brake{Why: BrakeDisagree}
	case s.Pace == nil || s.Pace.Unheard:
		return nil
	case s.Pace.Workers == 0:
		return &Brake{Why: BrakeNoWorker}
	}
	if b := s.Pace.noRelay(); b != nil {
		return b
	}
	waiting, deferred := s.Counts[DeliveryQueued.String()]+s.Counts[DeliverySending.String()], s.Counts[DeliveryDeferred.String()]
	switch {
	case waiting == 0 && deferred > 0:
		return &Brake{Why: BrakeDeferred, Deferred: deferred}
	case len(s.Pace.Limited) > 0:
		return &Brake{Why: BrakeLimits, Limited: s.Pace.Limited}
	case len(s.Pace.Throttled) > 0:
		return &Brake{Why: BrakeThrottled, Throttled: &s.Pace.Throttled[0]}
	}
	return nil
}

// noRelay is why no relay takes mails, nil where one does.
func (p *Pace) noRelay() *Brake {
	var silent, down, rest *Brake
	for _, r := range p.Relays {
		switch {
		case r.Rest != nil:
			rest = &Brake{Why: BrakeRest, Rest: r.Rest, Relay: r.Relay}
		case r.State == RelaySilent:
			silent = &Brake{Why: BrakeSilent, Relay: r.Relay, Error: r.Error}
		case r.State == RelayUsedUp || r.State == RelayUp && p.usedUp(r.Relay):
		case r.State == RelayUp:
			return nil
		default:
			down = &Brake{Why: BrakeUnreachable, Relay: r.Relay, Error: r.Error}
		}
	}
	quota := p.firstRoom()
	switch {
	case silent != nil:
		return silent
	case down != nil:
		return down
	case rest == nil && quota != nil:
		return &Brake{Why: BrakeQuota, Quota: quota, Relay: quota.Relay}
	}
	return rest
}

// usedUp reports whether all of a relay's quota was taken, by the ledger: a worker learns it when it wants some.
func (p *Pace) usedUp(relay string) bool {
	return slices.ContainsFunc(p.Quotas, func(q Quota) bool { return q.Relay == relay && q.Until != nil })
}

// firstRoom is the quota that has room again soonest, of those that are used up.
func (p *Pace) firstRoom() (first *Quota) {
	for _, q := range p.Quotas {
		if q.Until != nil && (first == nil || q.Until.Before(*first.Until)) {
			first = &q
		}
	}
	return first
}

// Worker is a worker that was heard lately.
type Worker struct {
	Name    string
	Version string    // "" = of before versions were told
	HeardAt time.Time // by its own clock
}
