package notice

import (
	"fmt"
	"strings"
	"time"
)

// ReasonCanary is the reason of a notice that is held after its canary; where too many of its mails were not taken, ": " and
// how many follow.
const ReasonCanary = "canary"

// MostCanary is how many mailboxes a canary has at most.
const MostCanary = 1000

// CanaryRoom is the time that a notice with a canary must have from its beginning to its expires_at: somebody looks at the canary and has it go on.
const CanaryRoom = time.Hour

// A canary is stopped, also before its end, once so many mails were not taken, and they are such a share of the tried ones.
const (
	canaryBad   = 5
	canaryShare = 5 // one in so many
)

// Canary are the mailboxes to which a notice goes first.
type Canary struct {
	Mailboxes int            `json:"mailboxes"`
	Waits     bool           `json:"rest_waits"` // nothing leaves to the others until the notice is resumed
	Counts    map[string]int `json:"counts"`     // of the canary, each of the nine states
}

// CanaryOver returns why a notice is to be held for its canary, "" while that goes on: each was tried once, or too many were not taken.
func CanaryOver(c Counts) string {
	tried := c[DeliverySent] + c[DeliveryDeferred] + c[DeliveryFailed] + c[DeliveryUncertain] + c[DeliveryBounced]
	switch bad := tried - c[DeliverySent]; {
	case bad >= canaryBad && bad*canaryShare >= tried:
		return fmt.Sprintf("%s: %d of the first %d mails were not taken (%d deferred, %d failed, %d uncertain, %d bounced)",
			ReasonCanary, bad, tried, c[DeliveryDeferred], c[DeliveryFailed], c[DeliveryUncertain], c[DeliveryBounced])
	case c[DeliveryQueued]+c[DeliverySending] == 0:
		return ReasonCanary
	}
	return ""
}

// AtCanary reports whether a notice in that state and for that reason is held after its canary.
func AtCanary(s State, reason string) bool {
	return s == Held && (reason == ReasonCanary || StoppedCanary(reason))
}

// StoppedCanary reports whether that reason is of a canary that was stopped.
func StoppedCanary(reason string) bool { return strings.HasPrefix(reason, ReasonCanary+": ") }

// AtCanary reports whether the notice is held after its canary.
func (s Status) AtCanary() bool { return AtCanary(s.State, s.Reason) }

// NormalCanary checks how many mailboxes a canary is to have; 0: there is none.
func NormalCanary(n int) error {
	if n < 0 || n > MostCanary {
		return Invalid("canary", "%d is not a number of mailboxes from 1 to %d", n, MostCanary)
	}
	return nil
}
