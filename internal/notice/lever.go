package notice

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Rest is an operator's decision that a relay gets no mails for a time.
type Rest struct {
	Relay  string     `json:"relay"`
	Since  time.Time  `json:"since"`
	Until  *time.Time `json:"until"` // null: until it is resumed
	Reason string     `json:"reason"`
	By     string     `json:"by"`
}

// Relay is a relay of the workers' settings.
type Relay struct {
	Name    string        `json:"name"`
	SeenAt  time.Time     `json:"seen_at"` // a worker last had it in its settings
	Rest    *Rest         `json:"rest"`    // null: nobody lets it rest
	Quota   *Quota        `json:"quota"`   // null: it has none
	Workers []RelayHealth `json:"workers"` // the state in which each living worker finds it
}

// Quota is how many mails a relay takes in any 24 hours, of all workers together.
type Quota struct {
	Relay  string     `json:"relay"`
	PerDay int        `json:"per_day"`
	Used   int        `json:"used"`            // in the last 24 hours, with those that workers have taken and not handed over yet
	Until  *time.Time `json:"until,omitempty"` // it is used up, and there is room again then; absent: there is
}

// The shortest and the longest time for which something can be set.
const (
	leastSpan = time.Second
	mostSpan  = 366 * 24 * time.Hour
)

// ParseSpan reads how long something that is set is to last, such as 30m or 2h; "" is 0, for as long as nobody ends it.
func ParseSpan(field, text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < leastSpan || d > mostSpan {
		return 0, Invalid(field, "%q is not a time such as 30m or 2h, of a year at most", text)
	}
	return d, nil
}

// The sources of a domain's limit. One that was set goes before that of a file, and a rate that was set before one that was learnt.
const (
	LimitSet    = "set"    // by an operator, while workers run
	LimitFile   = "file"   // of some worker
	LimitLearnt = "learnt" // from a relay that asked for fewer mails
)

// DomainLimit is a limit of a recipient domain, of all workers together.
type DomainLimit struct {
	Domain      string     `json:"domain"`                // A-label, lower case
	RatePerS    float64    `json:"rate_per_s,omitempty"`  // 0: no limit
	Connections int        `json:"connections,omitempty"` // mails under way at once; 0: no limit
	Of          string     `json:"of"`                    // set, file or learnt
	Workers     int        `json:"workers,omitempty"`     // of a file: how many living workers have it
	Relay       string     `json:"relay,omitempty"`       // learnt: of mails through this relay
	By          string     `json:"by,omitempty"`          // set: by this person
	Since       *time.Time `json:"since,omitempty"`       // set
	Until       *time.Time `json:"until,omitempty"`       // set: when it ends by itself; absent: when it is cleared
	Overridden  []string   `json:"overridden,omitempty"`  // its parts that are not in force, as another limit is set: rate, connections
}

// Check returns an error that says how a limit that is to be set is wrong, nil for a right one.
func (l DomainLimit) Check() error {
	switch {
	case l.RatePerS == 0 && l.Connections == 0:
		return Invalid("rate", "is missing, and connections too: say how many mails may go, such as 20/s, or how many at once")
	case l.Connections < 0 || l.Connections > MostConnections:
		return Invalid("connections", "is not a whole number from 1 to %d", MostConnections)
	}
	return nil
}

// MostConnections is the highest number of connections of a relay or a domain.
const MostConnections = 1000

// Says writes the limit: "20/s, 8 at once".
func (l DomainLimit) Says() string {
	var words []string
	if l.RatePerS > 0 {
		words = append(words, Rate(l.RatePerS).String())
	}
	if l.Connections > 0 {
		words = append(words, fmt.Sprintf("%d at once", l.Connections))
	}
	return strings.Join(words, ", ")
}

// JoinLimits returns all limits by domain: those that are set, those of files, and the throttling that was learnt. Each names
// its parts that are not in force.
func JoinLimits(set, files []DomainLimit, learnt []Throttled) []DomainLimit {
	all := slices.Clone(set)
	for _, l := range files {
		all = append(all, l.under(set))
	}
	for _, t := range learnt {
		if t.Domain != "" {
			all = append(all, DomainLimit{Domain: t.Domain, RatePerS: t.RatePerS, Of: LimitLearnt, Relay: t.Relay}.under(set))
		}
	}
	slices.SortStableFunc(all, func(a, b DomainLimit) int { return cmp.Compare(a.Domain, b.Domain) })
	return all
}

// under returns the limit with the names of its parts that a limit of set replaces.
func (l DomainLimit) under(set []DomainLimit) DomainLimit {
	l.Overridden = nil
	for _, s := range set {
		if s.Domain != l.Domain {
			continue
		}
		if l.RatePerS > 0 && s.RatePerS > 0 {
			l.Overridden = append(l.Overridden, "rate")
		}
		if l.Connections > 0 && s.Connections > 0 {
			l.Overridden = append(l.Overridden, "connections")
		}
	}
	return l
}
