package notice

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// Audience says who is to be told: the customers for whom the filter holds, out of a list, out of those who stood on
// an earlier notice, or out of all. The zero Audience is every customer. In JSON one that is a filter alone is a
// string, any other an object.
type Audience struct {
	Filter    string   `json:"filter,omitempty"`
	Customers []string `json:"customers,omitempty"` // external ids
	Notice    string   `json:"notice,omitempty"`    // the key of an earlier notice
	// IncludeNew adds whoever matches the earlier notice's own audience now, though they did not stand on it.
	IncludeNew bool `json:"include_new,omitempty"`

	// Digest and Size stand for the list in a body that is kept: two lists of the same ids have the same digest.
	Digest string `json:"customers_sha256,omitempty"`
	Size   int    `json:"customers_count,omitempty"`
}

// MaxListed is how many customers a list may name.
const MaxListed = 1_000_000

// Kept returns the body as it is kept and compared: with the digest of its list in the place of the ids.
func (b Body) Kept() Body {
	b.Audience.Customers = nil
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

// MarshalJSON writes the filter alone where there is nothing else.
func (a Audience) MarshalJSON() ([]byte, error) {
	if a.Customers == nil && a.Notice == "" && !a.IncludeNew && a.Digest == "" {
		return json.Marshal(a.Filter)
	}
	return json.Marshal(bareAudience(a))
}

// UnmarshalJSON reads both forms.
func (a *Audience) UnmarshalJSON(text []byte) error {
	*a = Audience{}
	if len(text) > 0 && text[0] == '"' {
		return json.Unmarshal(text, &a.Filter)
	}
	return json.Unmarshal(text, (*bareAudience)(a))
}
