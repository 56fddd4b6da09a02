package notice

import (
	"fmt"
	"strings"
	"time"
)

// Found answers a search of support: did they get it?
type Found struct {
	ReadAs  ReadAs  `json:"read_as"`
	Verdict Verdict `json:"verdict"`
	Answer  string  `json:"answer"` // the verdict in a sentence, its times in UTC
	// Customers are those who have the text or the address, the first 100 by id.
	Customers []Customer `json:"customers"`
	// Deliveries are those to the mailbox or the customer, the newest first. The answer is about the first.
	Deliveries []HistoryEntry `json:"deliveries"`
	Timeline   []Event        `json:"timeline"` // of the first delivery, the oldest event first
	// Outside says why the customer is not in the audience, with that verdict.
	Outside *Outside `json:"outside,omitempty"`
}

// Outside is why a customer is on no row of a notice.
type Outside struct {
	Why    string         `json:"why"`              // one of the constants that begin with Outside
	Notice string         `json:"notice,omitempty"` // with OutsideNotice: the key of the earlier one
	Has    []OutsideField `json:"has,omitempty"`    // with OutsideFilter: the fields that the filter looks at, as the customer has them today
	Filter string         `json:"filter,omitempty"` // with OutsideFilter
}

// OutsideField is a field of a customer; "" = they have none.
type OutsideField struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Why a customer is on no row of a notice.
const (
	OutsideNotice = "not_on_notice" // it is for those who stood on an earlier notice
	OutsideList   = "not_listed"    // it is for the customers of a list
	OutsideThen   = "later"         // its filter holds for them today, and did not when it was released
	OutsideFilter = "filter"        // its filter does not hold for them
)

// String says it in English.
func (o Outside) String() string {
	switch o.Why {
	case OutsideNotice:
		return "it is for customers who stood on notice " + o.Notice
	case OutsideList:
		return "they are not on its list"
	case OutsideThen:
		return "they were not among the customers that it was for when it was released, and are today"
	}
	var has []string
	for _, f := range o.Has {
		if f.Value == "" {
			has = append(has, "no "+f.Name)
			continue
		}
		has = append(has, f.Name+" = "+f.Value)
	}
	return strings.Join(has, ", ") + "; it is for " + o.Filter
}

// ReadAs is how a search took its text.
type ReadAs string

// The readings of a search's text.
const (
	ReadAddress   ReadAs = "address"
	ReadCustomer  ReadAs = "customer" // an external id
	ReadMessageID ReadAs = "message_id"
	ReadQueueID   ReadAs = "queue_id" // in the answer of a relay
	ReadText      ReadAs = "text"     // in a name, or another field of a customer
)

// Verdict says whether a mail arrived.
type Verdict string

// The verdicts.
const (
	VerdictYes         Verdict = "yes"
	VerdictNo          Verdict = "no"
	VerdictNotYet      Verdict = "not_yet"
	VerdictUnknown     Verdict = "unknown"
	VerdictNotInvited  Verdict = "not_in_audience"
	VerdictNoCustomer  Verdict = "no_customer"
	VerdictNoNotice    Verdict = "no_notice" // the customer or mailbox is known, and no notice was for it
	VerdictSeveral     Verdict = "several"   // customers have the text: one of them has to be chosen
	VerdictRowsDropped Verdict = "rows_dropped"
)

// Event is something that happened to a delivery.
type Event struct {
	At       time.Time `json:"at"`
	Kind     string    `json:"kind"` // released, began, added, requeued, accepted, due, delivered, a state, or the kind of a report that came back
	By       string    `json:"by"`   // a relay, a server, or an operator
	SMTPCode int       `json:"smtp_code,omitempty"`
	Enhanced string    `json:"enhanced_code,omitempty"`
	Text     string    `json:"text,omitempty"`
	Attempts int       `json:"attempts,omitempty"` // so far, where the event ends one
}

// DidItArrive says whether a mail arrived, and why not, with times in a zone.
func (e HistoryEntry) DidItArrive(zone *time.Location) (Verdict, string) {
	d := e.Delivery
	at := func(t time.Time) string { return t.In(zone).Format("2006-01-02 15:04:05 MST") }
	said := ""
	if d.SMTPCode != 0 {
		said = strings.TrimSpace(fmt.Sprintf("%s answered %d %s", d.Relay, d.SMTPCode, strings.TrimSpace(d.Enhanced+" "+d.SMTPText)))
	} else {
		said = strings.TrimSpace(d.SMTPText)
	}
	switch d.State {
	case DeliverySent:
		when := d.UpdatedAt
		if d.SentAt != nil {
			when = *d.SentAt
		}
		if said == "" {
			said = "as an operator or a log says"
		}
		if d.DeliveredAt != nil {
			said += fmt.Sprintf("; %s delivered it at %s", firstOf(d.DeliveredBy, "the recipient's server"), at(*d.DeliveredAt))
		}
		return VerdictYes, fmt.Sprintf("Yes, at %s, %s", at(when), said)
	case DeliveryUncertain:
		return VerdictUnknown, fmt.Sprintf("Unknown: the mail may have left by %s, and no answer was heard. The relay's log tells (notice reconcile), or the recipient", at(d.UpdatedAt))
	case DeliveryQueued, DeliverySending:
		return VerdictNotYet, "Not yet: it is " + map[DeliveryState]string{DeliveryQueued: "owed, and was not tried since", DeliverySending: "being sent"}[d.State]
	case DeliveryDeferred:
		return VerdictNotYet, fmt.Sprintf("Not yet: at %s %s; it is tried again", at(d.UpdatedAt), firstOf(said, "no relay could be reached"))
	case DeliveryBounced:
		return VerdictNo, fmt.Sprintf("No: it was taken, and came back at %s: %s", at(d.UpdatedAt), firstOf(strings.Trim(d.Reason+", "+said, ", "), "no reason is told"))
	case DeliveryFailed:
		return VerdictNo, fmt.Sprintf("No: at %s %s", at(d.UpdatedAt), firstOf(said, "it failed")+inBrackets(reasonInWords[d.Reason]))
	}
	return VerdictNo, "No: " + firstOf(reasonInWords[d.Reason], d.Reason, d.State.String())
}

// reasonInWords says why there was no mail.
var reasonInWords = map[string]string{
	ReasonNoAddress:       "the customer has no mailbox",
	ReasonUnreachable:     "the mailbox is on the broken platform, and there is no alternate",
	ReasonSuppressionList: "the address is on the list of suppressions",
	ReasonOnlyTo:          "the workers were set up to send to others alone (only_to)",
	ReasonCancelled:       "an operator cancelled the notice before",
	ReasonExpired:         "it had not left when the notice expired",
	ReasonSuperseded:      "a later notice of the incident took its place",
	ReasonAmended:         "an amendment took its place",
	ReasonErased:          "the customer was erased before",
	ReasonRestored:        "the ledger came from a backup",
	ReasonHole:            "the text would have had an empty field",
	ReasonUnsendable:      "no mail could be made for this address",
	ReasonTooLong:         "it was deferred until it was given up",
}

func inBrackets(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}
