package notice

import "time"

// Suppression is an entry of the list of suppressions: an address, or all of a domain, to which the notices of its scope are
// not mailed.
type Suppression struct {
	Number  int64     `json:"number"`
	Address string    `json:"address"` // its key, lower-cased, or *@ and a domain; "" where the customer was erased and only a hash is kept
	Reason  string    `json:"reason"`
	Scope   Scope     `json:"scope"`
	AddedBy string    `json:"added_by"` // Reader for an entry that its reader made, and can take back
	AddedAt time.Time `json:"added_at"`
}

// Scope says for which notices a suppression holds.
type Scope string

// The scopes of a suppression.
const (
	ScopeAll        Scope = "all"        // for every notice
	ScopeNotUrgent  Scope = "not_urgent" // for those that are not Body.Urgent
	ScopeAdvisory   Scope = "advisory"   // for advisories in every phase but postmortem, critical ones too
	ScopePostmortem Scope = "postmortem" // for post-mortems of every kind, critical ones too
)

// Scopes lists every scope.
var Scopes = []Scope{ScopeAll, ScopeNotUrgent, ScopeAdvisory, ScopePostmortem}

// Topics are the scopes of notices that their readers can stop by themselves.
var Topics = []Scope{ScopeAdvisory, ScopePostmortem}

// Topic is the scope by which a reader can stop notices like this one; "" for those of an outage or of maintenance that is going on.
func (b Body) Topic() Scope {
	switch {
	case b.Phase == "postmortem":
		return ScopePostmortem
	case b.Kind == Advisory:
		return ScopeAdvisory
	}
	return ""
}

// Scopes returns the scopes of suppressions that keep the notice from their mailboxes.
func (b Body) Scopes() (all []Scope) {
	for _, s := range Scopes {
		if s == ScopeAll || s == ScopeNotUrgent && !b.Urgent() || s == b.Topic() {
			all = append(all, s)
		}
	}
	return all
}

// The usual reasons of a suppression; any other short text will do.
const (
	SuppressedBounced   = "bounced"
	SuppressedComplaint = "complaint"
	SuppressedRequest   = "request"

	SuppressedUnsubscribed = "unsubscribed" // by its reader
)

// MaxReason is how long the reason of a suppression may be, in bytes.
const MaxReason = 200

// SuppressionRow is a suppression that is to be kept: one good row of a file, or one by itself.
type SuppressionRow struct {
	Line   int    // in its file
	Key    string // the address key, or *@ and a domain
	Reason string
	Scope  Scope
}
