package notice

import "time"

// Suppression is an entry of the list of suppressions: an address, or all of a domain, to which the notices of its scope are
// not mailed.
type Suppression struct {
	Number  int64     `json:"number"`
	Address string    `json:"address"` // its key, lower-cased, or *@ and a domain; "" where the customer was erased and only a hash is kept
	Reason  string    `json:"reason"`
	Scope   Scope     `json:"scope"`
	AddedBy string    `json:"added_by"`
	AddedAt time.Time `json:"added_at"`
}

// Scope says for which notices a suppression holds.
type Scope string

// The scopes of a suppression.
const (
	ScopeAll       Scope = "all"        // for every notice
	ScopeNotUrgent Scope = "not_urgent" // for those that are not Body.Urgent
)

// Scopes lists every scope.
var Scopes = []Scope{ScopeAll, ScopeNotUrgent}

// Holds reports whether a suppression of that scope keeps the notice from its mailboxes.
func (s Scope) Holds(b Body) bool { return s == ScopeAll || !b.Urgent() }

// The usual reasons of a suppression; any other short text will do.
const (
	SuppressedBounced   = "bounced"
	SuppressedComplaint = "complaint"
	SuppressedRequest   = "request"
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
