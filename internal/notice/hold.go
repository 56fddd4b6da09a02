package notice

import (
	"slices"
	"time"
)

// Hold is a time in which nothing leaves; mails that are due then leave afterwards.
type Hold struct {
	Number  int64      `json:"number"`
	From    time.Time  `json:"from"`
	Until   *time.Time `json:"until"` // null: until it is removed
	Reason  string     `json:"reason"`
	Owner   string     `json:"owner"` // "file", or the person who added it
	AddedAt time.Time  `json:"added_at"`
	InFile  bool       `json:"in_file"` // the settings of serve have it
}

// HoldOfFile is the owner of a hold that stands in a file of settings.
const HoldOfFile = "file"

// Check returns an error that says how a hold that is to be added now is wrong, nil for a right one.
func (h Hold) Check(now time.Time) error {
	switch {
	case h.Until != nil && !h.Until.After(h.From):
		return Invalid("until", "is not after from")
	case h.Until != nil && !h.Until.After(now):
		return Invalid("until", "is not in the future")
	case h.Until == nil && h.From.After(now):
		return Invalid("until", "is missing: only a hold that begins now may last until it is removed")
	case len(h.Reason) > 200:
		return Invalid("reason", "has more than 200 bytes")
	}
	return nil
}

// In reports whether one of the holds of a file is at the same time.
func (h Hold) In(file []Hold) bool {
	return slices.ContainsFunc(file, func(f Hold) bool {
		return h.Until != nil && f.Until != nil && h.From.Equal(f.From) && h.Until.Equal(*f.Until)
	})
}
