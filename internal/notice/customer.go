package notice

import (
	"slices"
	"strings"
)

// Customer is an account that notices may concern.
type Customer struct {
	ID             string            `json:"id"` // external id, unique
	Name           string            `json:"name"`
	Email          string            `json:"email"`           // the primary contact's address as written; empty = none
	AlternateEmail string            `json:"alternate_email"` // a mailbox kept elsewhere; empty = none
	Language       string            `json:"language"`        // BCP 47, canonical; empty = unknown
	TimeZone       string            `json:"time_zone"`       // IANA; empty = unknown
	Attributes     map[string]string `json:"attributes"`      // an empty value is absent
}

// Role says which contact of a customer an address is.
type Role string

// The roles of a contact.
const (
	Primary   Role = "primary"
	Alternate Role = "alternate"
)

// Frozen holds the fields of a customer that a recipient keeps from the moment of release. The texts may use them.
type Frozen struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Attribute returns the value of an attribute, "" where there is none. Names that differ by case alone are one attribute.
func (f Frozen) Attribute(name string) string {
	if value, ok := f.Attributes[name]; ok {
		return value
	}
	for spelled, value := range f.Attributes {
		if strings.EqualFold(spelled, name) {
			return value
		}
	}
	return ""
}

// Recipient is one mailbox of a released notice, with every customer that shares it.
type Recipient struct {
	Address   string   // the first customer's spelling
	Language  string   // the list of languages that most of the customers share; empty = unknown
	TimeZone  string   // the IANA zone that most of them share; empty = unknown
	Customers []Frozen // by external id; never empty
	Newcomer  bool     // of a moved maintenance: no notice of its old windows went to any of them
}

// Rejection is one row of a customer file that was not imported.
type Rejection struct {
	Line   int    `json:"line"`   // 1 is the header of a CSV, the first record of NDJSON
	Column string `json:"column"` // empty where the whole row is at fault
	Reason string `json:"reason"`
}

// RejectionReason is why rows were rejected, and how many of them.
type RejectionReason struct {
	Column string `json:"column"`
	Reason string `json:"reason"`
	Count  int    `json:"count"`
	Line   int    `json:"line"` // of the first
}

// The bounds of an ImportReport: however bad a file is, the report can be read.
const (
	MaxRejections = 1000
	maxReasons    = 100
)

// OtherReasons is the reason of the rows that are counted together because a report has enough others.
const OtherReasons = "other reasons"

// ImportOptions say how far an import may go.
type ImportOptions struct {
	Strict     bool    // keep nothing if any row is bad
	KeepGood   bool    // keep the good rows, however many are bad
	DryRun     bool    // report, and keep nothing
	Sync       bool    // the file is the whole list: retire customers who are not in it; keep nothing if any row is bad
	MaxRetired float64 // with Sync: the most customers to retire, in percent of all
}

// DefaultMaxRetired is the MaxRetired of those who give none.
const DefaultMaxRetired = 5

// KeepsNothing reports whether so many rows are bad that the good ones are not kept either. In a file of a hundred rows
// or more one in twenty is too much: something is wrong with the file, not with the rows.
func (o ImportOptions) KeepsNothing(r ImportReport) bool {
	if o.Strict || o.Sync {
		return r.RejectedCount > 0
	}
	return !o.KeepGood && r.Read >= 100 && 20*r.RejectedCount > r.Read
}

// ImportReport counts the rows of a customer file by their fate.
type ImportReport struct {
	Read          int               `json:"read"`
	Inserted      int               `json:"inserted"`
	Updated       int               `json:"updated"`
	Unchanged     int               `json:"unchanged"`
	Cleared       map[string]int    `json:"cleared"`            // values that were taken away, per field, such as email or attributes.plan
	Retired       int               `json:"retired"`            // customers who are not in the file, of one that is the whole list
	Rejected      []Rejection       `json:"rejected"`           // the first of them, by line
	RejectedCount int               `json:"rejected_count"`     // all of them
	Reasons       []RejectionReason `json:"reasons"`            // of all of them, the most frequent first
	Warnings      []RejectionReason `json:"warnings,omitempty"` // of rows that are kept, and may have another meaning than they say
	Kept          bool              `json:"kept"`               // false: nothing was changed
	Encoding      string            `json:"encoding,omitempty"` // of the file, by its name in the Encoding Standard
}

// Reject adds a rejected row.
func (r *ImportReport) Reject(one Rejection) {
	r.RejectedCount++
	if len(r.Rejected) < MaxRejections {
		r.Rejected = append(r.Rejected, one)
	}
	countReason(&r.Reasons, RejectionReason{Column: one.Column, Reason: one.Reason, Count: 1, Line: one.Line})
}

// RejectAll adds n rejected rows of one kind, of which shown are the first.
func (r *ImportReport) RejectAll(shown []Rejection, n int, kind string) {
	r.RejectedCount += n
	r.Rejected = append(r.Rejected, shown...)
	countReason(&r.Reasons, RejectionReason{Column: shown[0].Column, Reason: kind, Count: n, Line: shown[0].Line})
}

// Warn counts a row that is kept, and may have another meaning than its column says.
func (r *ImportReport) Warn(line int, column, reason string) {
	countReason(&r.Warnings, RejectionReason{Column: column, Reason: reason, Count: 1, Line: line})
}

func countReason(all *[]RejectionReason, one RejectionReason) {
	i := slices.IndexFunc(*all, func(known RejectionReason) bool {
		return known.Column == one.Column && known.Reason == one.Reason
	})
	switch {
	case i >= 0:
		known := &(*all)[i]
		known.Count += one.Count
		known.Line = min(known.Line, one.Line)
	case len(*all) < maxReasons:
		*all = append(*all, one)
	case one.Reason != OtherReasons:
		countReason(all, RejectionReason{Reason: OtherReasons, Count: one.Count, Line: one.Line})
	default:
		*all = append(*all, one)
	}
}

// Languages returns the languages of a customer's list, the most wanted first; none of an empty list.
func Languages(list string) (languages []string) {
	for language := range strings.SplitSeq(list, ",") {
		if language = strings.TrimSpace(language); language != "" {
			languages = append(languages, language)
		}
	}
	return languages
}

// Fields says which fields a row gives; those that it does not give stay as they are.
type Fields uint8

// The fields that a row may give. Without GivenAttributes the attributes that it names are given one by one; with it
// they are all that the customer has.
const (
	GivenName Fields = 1 << iota
	GivenEmail
	GivenAlternateEmail
	GivenLanguage
	GivenTimeZone
	GivenAttributes
	GivenAll = 1<<iota - 1
)

// CustomerRow is one good row of a customer file, with the keys of its addresses.
type CustomerRow struct {
	Line              int
	Given             Fields
	Customer          Customer // a field or attribute that is given and empty is to be emptied
	EmailKey          string   // address_key of Email, "" for none
	AlternateEmailKey string
	Warning           string // about the language, "" for none
}

// StoredCustomer is a customer as the ledger has it: with the keys of its addresses, and why one is refused today that was
// taken once. Such an address has no key.
type StoredCustomer struct {
	Customer
	EmailKey, EmailFault                   string
	AlternateEmailKey, AlternateEmailFault string
}

// CustomerFault is something that was kept once and is refused today.
type CustomerFault struct {
	Subject string `json:"subject"` // a customer's external id, or a notice's key
	Field   string `json:"field"`   // email, alternate_email, id or key
	Reason  string `json:"reason"`
}

// CustomerPage asks for customers.
type CustomerPage struct {
	After      string // only those with a greater id
	Limit      int
	Text       string // in the id, the name, an address or an attribute, in any case; "" = all
	AddressKey string // of an address that they have; "" = all
}
