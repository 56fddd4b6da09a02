package notice

import "time"

// BounceKind is the kind of a report, or of a mail, that came back.
type BounceKind string

// The kinds.
const (
	KindBounce    BounceKind = "bounce"     // it was not delivered
	KindDelay     BounceKind = "delay"      // it is still being tried
	KindDelivery  BounceKind = "delivery"   // the recipient's server took it
	KindComplaint BounceKind = "complaint"  // its reader calls it spam (RFC 5965)
	KindAutoReply BounceKind = "auto_reply" // a machine answered, such as out of office (RFC 3834)
	KindOther     BounceKind = "other"      // a person's answer, or nothing that can be told
	KindUnknown   BounceKind = "unknown"    // in metrics alone: it names no mail of ours
)

// The parts of a mail that came back by which the attempt is known.
const (
	MatchedByToken      = "token"       // in the address that it was sent to
	MatchedByEnvelopeID = "envelope_id" // Original-Envelope-Id (RFC 3464 §2.2.1)
	MatchedByMessageID  = "message_id"  // the Message-ID of the returned mail, together with its mailbox
)

// BounceReceipt is the answer to a mail that came back.
type BounceReceipt struct {
	Kind      BounceKind    `json:"kind"`
	Class     BounceClass   `json:"class,omitempty"`      // why it came back
	MatchedBy string        `json:"matched_by,omitempty"` // "" = it names no attempt of ours
	Effect    *BounceEffect `json:"effect,omitempty"`     // nil = nothing was recorded
}

// BounceEffect is the effect of a report that came back.
type BounceEffect struct {
	Notice     string        `json:"notice"` // key
	Seq        int           `json:"seq"`
	State      DeliveryState `json:"state"`      // of the delivery, after it
	Changed    bool          `json:"changed"`    // it was another one before
	Repeated   bool          `json:"repeated"`   // the same report came before
	Suppressed bool          `json:"suppressed"` // the mailbox is on the list of suppressions since
	Held       bool          `json:"held"`       // the notice is, since too many of its mails come back
	Warned     bool          `json:"warned"`     // the notice's log says since that its domain refuses too many by policy
}

// ReturnedReport is a report that came back about one attempt.
type ReturnedReport struct {
	Kind       BounceKind  `json:"kind"`
	At         time.Time   `json:"at"` // when it was recorded
	Class      BounceClass `json:"class,omitempty"`
	Code       int         `json:"smtp_code,omitempty"`     // 0 = none was told
	Status     string      `json:"enhanced_code,omitempty"` // RFC 3463
	Diagnostic string      `json:"diagnostic,omitempty"`    // the words of the server
	Remote     string      `json:"remote,omitempty"`        // that server, by its own name
	Changed    bool        `json:"changed"`                 // the delivery is in another state since
}
