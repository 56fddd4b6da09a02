package notice

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

// Frozen is what a recipient keeps of a customer from the moment of release: what the texts may use.
type Frozen struct {
	ID         string            `json:"id"`
	Name       string            `json:"name"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// Recipient is one mailbox of a released notice, with every customer that shares it.
type Recipient struct {
	Address   string   // the first customer's spelling
	Language  string   // the language tag that most of the customers share; empty = unknown
	TimeZone  string   // the IANA zone that most of them share; empty = unknown
	Customers []Frozen // by external id; never empty
}

// Rejection is one row of a customer file that was not imported.
type Rejection struct {
	Line   int    `json:"line"`   // 1 is the header of a CSV, the first record of NDJSON
	Column string `json:"column"` // empty where the whole row is at fault
	Reason string `json:"reason"`
}

// ImportReport says what became of a customer file.
type ImportReport struct {
	Read      int         `json:"read"`
	Inserted  int         `json:"inserted"`
	Updated   int         `json:"updated"`
	Unchanged int         `json:"unchanged"`
	Rejected  []Rejection `json:"rejected"`
}

// CustomerRow is one good row of a customer file, with the keys of its addresses.
type CustomerRow struct {
	Line              int
	Customer          Customer
	EmailKey          string // address_key of Email, "" for none
	AlternateEmailKey string
}
