package notice

import "fmt"

// State is where a notice stands.
type State string

// The states of a notice.
const (
	Draft     State = "draft"     // not released; may be changed
	Scheduled State = "scheduled" // released, its send_at is still to come
	Sending   State = "sending"
	Paused    State = "paused"
	Held      State = "held" // a fence, a planned hold, the brake or its canary stopped it, or it could not leave; the reason says which
	Sent      State = "sent" // nothing is queued, sending or deferred any more
	Cancelled State = "cancelled"
)

// Finished reports whether nothing more will leave by itself.
func (s State) Finished() bool { return s == Sent || s == Cancelled }

// Released reports whether the notice's body and audience are frozen.
func (s State) Released() bool { return s != Draft }

// DeliveryState is where a delivery stands; the ledger stores its number, which never changes.
type DeliveryState int16

// The states of a delivery.
const (
	DeliveryQueued     DeliveryState = 0 // owed, not tried
	DeliverySending    DeliveryState = 1 // marked: the dot may go out
	DeliverySent       DeliveryState = 2 // the relay answered 250 to the dot
	DeliveryDeferred   DeliveryState = 3 // a definite 4xx, or a failure before the dot: safe to try again
	DeliveryFailed     DeliveryState = 4 // a definite 5xx, or tried for too long
	DeliveryUncertain  DeliveryState = 5 // the dot may have gone out and no answer was heard
	DeliverySuppressed DeliveryState = 6 // on the audience but not to be mailed
	DeliveryCancelled  DeliveryState = 7 // not sent any more
	DeliveryBounced    DeliveryState = 8 // accepted, and returned later
)

var deliveryStates = [...]string{"queued", "sending", "sent", "deferred", "failed", "uncertain", "suppressed", "cancelled", "bounced"}

// DeliveryStates lists every state in the order of its number, which is also the order of reports.
var DeliveryStates = func() (all []DeliveryState) {
	for i := range deliveryStates {
		all = append(all, DeliveryState(i))
	}
	return all
}()

// Owed reports whether the delivery is still to be tried: queued or deferred.
func (s DeliveryState) Owed() bool { return s == DeliveryQueued || s == DeliveryDeferred }

// Open reports whether the delivery keeps its chunk open: owed or sending.
func (s DeliveryState) Open() bool { return s.Owed() || s == DeliverySending }

func (s DeliveryState) String() string {
	if s < 0 || int(s) >= len(deliveryStates) {
		return fmt.Sprintf("state %d", int16(s))
	}
	return deliveryStates[s]
}

// ParseDeliveryState returns the state of that name. Its error is an *Error.
func ParseDeliveryState(name string) (DeliveryState, error) {
	for i, s := range deliveryStates {
		if s == name {
			return DeliveryState(i), nil
		}
	}
	return 0, Invalid("state", "%q is none of %v", name, deliveryStates)
}

// MarshalText gives the state its name in JSON, CSV and logs.
func (s DeliveryState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a state's name.
func (s *DeliveryState) UnmarshalText(b []byte) (err error) {
	*s, err = ParseDeliveryState(string(b))
	return err
}

// Why a delivery is suppressed or cancelled, or a notice was stopped.
const (
	ReasonNoAddress       = "no_address"       // suppressed: the customer has no primary address
	ReasonUnreachable     = "unreachable"      // suppressed: a broken domain and no alternate elsewhere
	ReasonSuppressionList = "suppression_list" // suppressed: the address is on the list
	ReasonOnlyTo          = "only_to"          // suppressed: the worker sends to others alone
	ReasonCancelled       = "cancelled"        // cancelled by an operator
	ReasonExpired         = "expired"          // cancelled: expires_at went by
	ReasonSuperseded      = "superseded"       // cancelled: a later phase was released
	ReasonAmended         = "amended"          // cancelled: an amendment took its place
	ReasonErased          = "erased"           // cancelled: all its customers were erased
	// ReasonReachedByNeither ends the reason of a delivery in a whole report: a notice of the incident was superseded at its mailbox, and
	// neither the later notice nor another arrived there.
	ReasonReachedByNeither = "reached by neither"
	ReasonRestored         = "restored"       // held, or uncertain: the ledger came from a backup
	ReasonHole             = "hole"           // failed: the text would have had an empty field
	ReasonUnsendable       = "unsendable"     // failed: no mail could be made for this address
	ReasonTooLong          = "tried_too_long" // failed: deferred until it was given up
)

// Counts holds how many deliveries of a notice stand in each state, indexed by the state's number.
type Counts [len(deliveryStates)]int

// Total is the sum of all states: the notice's recipients.
func (c Counts) Total() (n int) {
	for _, k := range c {
		n += k
	}
	return n
}

// ByName returns the counts under the names of the states, all nine of them.
func (c Counts) ByName() map[string]int {
	m := make(map[string]int, len(c))
	for i, n := range c {
		m[deliveryStates[i]] = n
	}
	return m
}
