package notice

import (
	"context"
	"time"
)

// Outcome is the result of one attempt.
type Outcome int

// The outcomes of an attempt.
const (
	OutcomeSent      Outcome = iota + 1 // 250 to the dot
	OutcomeLater                        // a definite 4xx, or no dot went out: safe to try again
	OutcomeNever                        // a definite 5xx
	OutcomeUncertain                    // the dot may have gone out, and no answer was heard
)

func (o Outcome) String() string {
	switch o {
	case OutcomeSent:
		return "sent"
	case OutcomeLater:
		return "later"
	case OutcomeNever:
		return "never"
	case OutcomeUncertain:
		return "uncertain"
	}
	return "no outcome"
}

// Answer holds the facts that are known of an attempt after it.
type Answer struct {
	Outcome Outcome
	NoDot   bool   // it is certain that no dot was written
	Relay   string // the relay's name
	// OfRelay says, of an OutcomeLater, that the relay may refuse everybody's mail, or that another relay is to be asked:
	// the delivery stays owed.
	OfRelay  bool
	Command  string // the command that was answered: "MAIL", "RCPT", "DATA" or "the end of the message"; "" if none was
	Code     int    // the SMTP reply code that settled it, 0 if none was heard
	Enhanced string // RFC 3463 status code such as "4.2.1", "" if none
	Text     string // the reply's text, or the fault where no reply was heard
}

// Mail is one message ready for the wire.
type Mail struct {
	From string // RFC 5321 reverse-path, without brackets, where the relay has none of its own
	To   string // forward-path: local part as written, domain as A-label
	Raw  []byte // RFC 5322 message with CRLF line ends, not yet dot-stuffed
	// Token names the attempt to the system that its bounces come back to: the ENVID (RFC 3461) and a part of the relay's
	// reverse-path. It is lower-case base32; empty = bounces of this mail are nobody's.
	Token string
	Via   string // the relay that counts it in its rate, if there are several; empty = any
}

// Permit is the leave to write one dot: a row marked "sending" in the ledger.
type Permit interface {
	// Ask starts to have the row marked and returns at once. It may come before the recipient was accepted. It is called
	// again when the leave that it led to came too late: for the same attempt, as long as no dot of it was written.
	Ask()
	// Wait returns when the mark was refused or its commit was acknowledged. After an error no dot may be
	// written. Otherwise the dot may be written, and the write finished, before until (by both the monotonic
	// and the wall clock).
	Wait(ctx context.Context) (until time.Time, err error)
}

// Job is one mail on its way to a relay. Package send calls its methods, from one goroutine at a time.
type Job interface {
	Permit
	Via() string   // the relay that counts it in its rate, if there are several; empty = any
	Shuns() string // a relay that refused it before, which gets it only where no other is up; empty = none
	Refused() bool // the leave was refused already: nothing needs to be begun
	// Mail makes the message, once. Where it returns false there is none: the job has ended by itself.
	Mail() (Mail, bool)
	// Unanswered says that the relay leaves many mails without an answer, and this one for long. The job should count
	// against no limit any more. Unanswered comes once or more, at any point of the job; Done still tells the result.
	Unanswered()
	// Done tells the result, once. An error means that no relay could be reached and nothing was tried; the
	// permit may have been asked for all the same.
	Done(Answer, error)
}
