package notice

import (
	"fmt"
	"strings"
)

// Drift counts how the mails that would go now differ from a plan that was shown, customer by customer.
type Drift struct {
	Added    int                 `json:"added"`          // customers who are told now and were not on the plan
	Lost     int                 `json:"lost"`           // customers who were on the plan and are not told now
	Address  int                 `json:"other_address"`  // customers who are told at another mailbox, or at none
	Language int                 `json:"other_language"` // customers who are told in another language
	Examples map[string][]string `json:"examples"`       // some of their external ids, by the names above
}

// DriftExamples is how many customers a Drift names for each of its counts.
const DriftExamples = 5

// String says the changes in words.
func (d Drift) String() string {
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{d.Added, "added"}, {d.Lost, "lost"}, {d.Address, "with another address"}, {d.Language, "in another language"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	if parts == nil {
		return "no customer has changed, but a text or a template has"
	}
	return "customers: " + strings.Join(parts, ", ")
}
