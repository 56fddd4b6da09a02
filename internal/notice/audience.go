package notice

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Everybody is the audience of every customer, in JSON and in notice.yaml. It is no filter: a filter has no bare word.
const Everybody = "all"

// Audience says who is to be told: every customer, or those that match the filter. The filter chooses from a list, from
// the customers of an earlier notice, or from all. In JSON every customer is "all", a filter alone is a string, and
// anything else is an object.
//
// A body is kept without All: the zero Audience of a body that is kept is every customer.
type Audience struct {
	All bool `json:"-"` // every customer, said in so many words
	// Empty is the name of a member of the object that was given and says nothing, such as a state of []. A new notice
	// is refused then: without the member it would go to more customers.
	Empty string `json:"-"`

	Filter    string   `json:"filter,omitempty"`
	Customers []string `json:"customers,omitempty"` // external ids
	Notice    string   `json:"notice,omitempty"`    // the key of an earlier notice
	// IncludeNew adds the customers who match the earlier notice's own audience now, though they did not stand on it.
	IncludeNew bool `json:"include_new,omitempty"`
	// State narrows the earlier notice to the customers on its rows in one of these states.
	State []DeliveryState `json:"state,omitempty"`

	// Contact is Alternate where the earlier notice's customers are to be told at their alternates; "": at their primary
	// ones. A mailbox where the earlier notice stood in one of the states is not told again.
	Contact Role `json:"contact,omitempty"`

	// Digest and Size stand for the list in a body that is kept: two lists of the same ids have the same digest.
	Digest string `json:"customers_sha256,omitempty"`
	Size   int    `json:"customers_count,omitempty"`
}

// MaxListed is how many customers a list may name.
const MaxListed = 1_000_000

// Given reports whether the audience says who is meant. An audience that is absent or empty does not: it may be a
// line that somebody forgot.
func (a Audience) Given() bool {
	return a.All || a.Filter != "" || a.Customers != nil || a.Notice != "" || a.Digest != ""
}

// ContactFault returns the fault of Contact, as the end of a sentence about it, "" for none.
func (a Audience) ContactFault() string {
	switch {
	case a.Contact == "":
		return ""
	case a.Contact != Alternate:
		return "is alternate, or absent: then each is told at the primary address"
	case a.Notice == "":
		return "goes with notice: it tells an earlier notice's customers at their alternate addresses; for others, broken says which mailboxes are down"
	case a.IncludeNew:
		return "does not go with include_new: nothing came back from customers who have come since; send them a notice of their own"
	}
	return ""
}

// Kept returns the body as it is kept and compared: with the digest of its list in the place of the ids.
func (b Body) Kept() Body {
	b.Audience.All, b.Audience.Customers, b.Audience.Empty = false, nil, ""
	return b
}

// Sum sets Digest and Size from Customers. The key of the notice goes into the digest, so that two notices to the
// same list don't show that they are.
func (a *Audience) Sum(key string) {
	a.Digest, a.Size = "", 0
	if a.Customers == nil {
		return
	}
	ids := slices.Compact(slices.Sorted(slices.Values(a.Customers)))
	sum := sha256.Sum256([]byte(key + "\x00" + strings.Join(ids, "\x00")))
	a.Digest, a.Size = hex.EncodeToString(sum[:]), len(ids)
}

// bareAudience is an Audience without its methods.
type bareAudience Audience

// MarshalJSON writes a string where there is a filter alone, or every customer.
func (a Audience) MarshalJSON() ([]byte, error) {
	if a.All {
		return json.Marshal(Everybody)
	}
	if a.Empty != "" {
		return a.marshalEmpty()
	}
	if a.Customers == nil && a.Notice == "" && !a.IncludeNew && a.State == nil && a.Contact == "" && a.Digest == "" {
		return json.Marshal(a.Filter)
	}
	return json.Marshal(bareAudience(a))
}

// marshalEmpty writes an object with the member that says nothing as null.
func (a Audience) marshalEmpty() ([]byte, error) {
	text, err := json.Marshal(bareAudience(a))
	if err != nil {
		return nil, err
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, err
	}
	members[a.Empty] = json.RawMessage("null")
	return json.Marshal(members)
}

// UnmarshalJSON reads all three forms.
func (a *Audience) UnmarshalJSON(text []byte) error {
	*a = Audience{}
	if len(text) > 0 && text[0] == '"' {
		if err := json.Unmarshal(text, &a.Filter); err != nil || a.Filter != Everybody {
			return err
		}
		*a = Audience{All: true}
		return nil
	}
	if err := json.Unmarshal(text, (*bareAudience)(a)); err != nil {
		return err
	}
	members := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &members); err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if slices.Contains([]string{"null", `""`, "[]"}, string(members[name])) {
			a.Empty = name
			break
		}
	}
	return nil
}
