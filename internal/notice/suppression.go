package notice

import "time"

// Suppression is an address that is never mailed.
type Suppression struct {
	Number  int64     `json:"number"`
	Address string    `json:"address"` // its key, lower-cased; "" where the customer was erased and only a hash is kept
	Reason  string    `json:"reason"`
	AddedBy string    `json:"added_by"`
	AddedAt time.Time `json:"added_at"`
}

// The usual reasons of a suppression; any other short text will do.
const (
	SuppressedBounced   = "bounced"
	SuppressedComplaint = "complaint"
	SuppressedRequest   = "request"
)

// MaxReason is how long the reason of a suppression may be, in bytes.
const MaxReason = 200

// SuppressionRow is one good row of a file of suppressions.
type SuppressionRow struct {
	Line   int
	Key    string // the address key
	Reason string
}
