package notice

import "time"

// Proof says how sure it is that a mail that was made again is the one that was sent.
type Proof string

// The proofs of a mail that was made again.
const (
	ProofSame    Proof = "same"     // its bytes have the digest that was kept when the mail was sent
	ProofDiffers Proof = "differs"  // they have another one
	ProofNone    Proof = "unproven" // the mail was tried, and no digest of it is kept
	ProofNotSent Proof = "not_sent" // no mail has left: this is the one that would
	ProofNoMail  Proof = "no_mail"  // it can't be made
	ProofErased  Proof = "erased"   // it can't be made since its customers were erased
)

// Signature tells the fate of the DKIM-Signature of a mail that was made again.
type Signature string

// The signatures of a mail that was made again. The digest that is kept does not cover them.
const (
	SignatureAgain   Signature = "made_again" // with the keys of today: the same bytes, unless the keys were replaced
	SignatureNotKept Signature = "not_kept"   // the server that made the mail again has no key
)

// Message is the mail of a delivery, made again from its frozen row.
type Message struct {
	Number    int64         `json:"number"` // of the notice
	Key       string        `json:"key"`    // of the notice
	Seq       int           `json:"seq"`
	State     DeliveryState `json:"state"`
	SentAt    *time.Time    `json:"sent_at"`
	MessageID string        `json:"message_id"` // with angle brackets
	Proof     Proof         `json:"proof"`
	Why       string        `json:"why"` // the proof in words
	Signature Signature     `json:"signature,omitempty"`
	Subject   string        `json:"subject"`
	Headers   []Header      `json:"headers"` // without the signatures, in their order
	Text      string        `json:"text"`
	HTML      string        `json:"html"`
	Source    string        `json:"source"` // the message (RFC 5322, lines ended by CRLF); "" where it can't be made
}

// Header is a field of a mail's header.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"` // unfolded, its encoded words (RFC 2047) decoded
}
