// Package bounce reads the mails that come back, and makes the envelope senders by which they are known again.
//
// Read tells kinds of mail apart: a bounce, a notice of delay, a confirmation, an automatic reply, a complaint, or
// something else. Reports for machines are read first: delivery status (RFC 3464, 6522, 6533) and feedback (RFC 5965).
// Many systems only tell in words. One set of rules reads them all, not one reader for each: where the returned mail
// begins, which addresses are named, the form of an SMTP reply, and phrases in several languages.
//
// An automatic reply must never be taken for a bounce, nor a refusal by policy for a dead mailbox: both would keep
// notices from people who are well reachable. In doubt a mail is something else, and a reason is Other.
//
// Read has bounds for everything and can't fail: the mails come from anybody.
package bounce

import (
	"bytes"
	"time"

	"tocsin/internal/notice"
)

// The kinds of mails, as the ledger keeps them.
const (
	Bounce    = notice.KindBounce
	Delay     = notice.KindDelay
	Delivery  = notice.KindDelivery
	AutoReply = notice.KindAutoReply
	Complaint = notice.KindComplaint
	Other     = notice.KindOther
)

// Action is the fate of a mail for a recipient (RFC 3464 §2.3.3).
type Action string

// The actions.
const (
	Failed    Action = "failed"
	Delayed   Action = "delayed"
	Delivered Action = "delivered"
	Relayed   Action = "relayed"
	Expanded  Action = "expanded"
)

// Mail is the content of a mail that came back.
type Mail struct {
	Kind         notice.BounceKind
	SentTo       []string // addresses that it came to: one of them may hold a token
	EnvelopeID   string   // Original-Envelope-Id, "" if it names none (RFC 3461 §4.4)
	MessageID    string   // of the mail that it is about, with angle brackets; "" if it is not told
	ReportingMTA string   // who reports
	Arrival      time.Time
	Feedback     string // of a complaint: its type, such as "abuse" or "auth-failure"
	Recipients   []Recipient
}

// Recipient is the part about one recipient of the mail.
type Recipient struct {
	Final      string // the address that was tried, "" if it is not told
	Original   string // the address as the sender wrote it, "" if it is not told
	Action     Action
	Status     string // RFC 3463, such as "5.1.1"; "" for none. The reply's own where the report has a general one.
	Code       int    // of the SMTP reply, 0 for none
	Diagnostic string // the words
	RemoteMTA  string // the server that said so
	At         time.Time
	Class      notice.BounceClass // why it failed, or waits; "" if neither

	comment string // behind the status
}

const (
	maxRecipients = 100
	maxDiagnostic = 1000 // bytes
)

// Complains reports whether a recipient complained. A report about a failed authentication or a mail that is no spam is
// no complaint by anybody.
func (m *Mail) Complains() bool {
	return m.Kind == Complaint && m.Feedback != "auth-failure" && m.Feedback != "not-spam"
}

// Read reads a mail, given with its header as it came. It looks at the first 2 MiB.
func Read(raw []byte) Mail {
	left := maxParts
	root := readPart(bytes.TrimLeft(cut(raw, maxMail), "\r\n"), 0, &left)
	l := gather(root)
	m := Mail{Kind: Other, SentTo: sentTo(root.header)}
	switch {
	case l.complains():
		m.readFeedback(l)
	case m.readNotification(l):
	case l.status != "" && l.machine():
		m.Kind = Bounce
		m.readStatus(l.status)
		if len(m.Recipients) == 0 { // the words may tell more than the report
			m.readProse(l)
		} else if r := &m.Recipients[0]; len(m.Recipients) == 1 && r.Final == "" && r.Original == "" {
			r.Final = first(m.failed(l))
		}
	case l.mailer() || !l.automatic():
		m.readProse(l)
	}
	if m.Kind == Other && l.automatic() {
		m.Kind = AutoReply
	}
	m.about(l)
	m.settle(l)
	return m
}
