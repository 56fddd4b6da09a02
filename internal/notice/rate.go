package notice

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Rate is how many mails may leave per second; 0 = no limit.
type Rate float64

// Measurable is the least time in which a rate can be measured. In less time, the few mails of one commit of the ledger
// make it absurd.
const Measurable = time.Second

var (
	rateForm = regexp.MustCompile(`^([0-9]{1,9})\s*/\s*(s|m|h|d)$`)
	ratePer  = map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
)

// ParseRate reads a rate such as 200/s, 600/m, 5000/h or 50000/d. Its error is an *Error.
func ParseRate(s string) (Rate, error) {
	m := rateForm.FindStringSubmatch(strings.TrimSpace(s))
	if m == nil {
		return 0, Invalid("", "%q is not a rate such as 200/s, 600/m, 5000/h or 50000/d", s)
	}
	n, _ := strconv.Atoi(m[1])
	if n == 0 {
		return 0, Invalid("", "%q would let nothing leave: pause the notice instead", s)
	}
	return Rate(float64(n) / ratePer[m[2]].Seconds()), nil
}

// String writes a rate by the second, the minute, the hour or the day: the first that makes it a whole number of mails.
func (r Rate) String() string {
	for _, unit := range []string{"s", "m", "h", "d"} {
		exact := float64(r) * ratePer[unit].Seconds()
		if n := math.Round(exact); n >= 1 && math.Abs(n-exact) < 1e-6*n {
			return strconv.Itoa(int(n)) + "/" + unit
		}
	}
	return fmt.Sprintf("%.2g/s", float64(r))
}

// Pace lists the things that keep mails from leaving as fast as they could. People see it next to a notice's status.
type Pace struct {
	Workers   int           `json:"workers"` // that are alive
	Relays    []RelayHealth `json:"relays"`
	Throttled []Throttled   `json:"throttled"` // slowed down since the far side asked for it
	Limited   []Limited     `json:"limited"`   // configured limits that hold mails up
	Rests     []Rest        `json:"rests"`     // relays that operators let rest
	// Files are the limits of the workers' files, and Learnt is all throttling: Throttled leaves out domains with a rate that is set.
	Files  []DomainLimit `json:"-"`
	Learnt []Throttled   `json:"-"`
	Quotas []Quota       `json:"quotas"` // of relays that take so many mails a day
	// Unheard says that Redis is away, and the workers can't be heard: only the rests and quotas are known.
	Unheard bool `json:"unheard,omitempty"`
	// Alive are the workers that are alive, by name.
	Alive []Worker `json:"-"`
}

// Limited is a configured limit of all workers together: the rate of a relay or of a recipient domain, or the connections
// of a domain.
type Limited struct {
	Relay       string  `json:"relay,omitempty"`
	Domain      string  `json:"domain,omitempty"`
	RatePerS    float64 `json:"rate_per_s,omitempty"`
	Connections int     `json:"connections,omitempty"`
}

// RelayHealth is the state of a relay as one worker finds it.
type RelayHealth struct {
	Worker string    `json:"worker"`
	Relay  string    `json:"relay"`
	State  string    `json:"state"` // RelayUp, RelayResting, RelaySilent, RelayUsedUp or RelayAtRest
	Since  time.Time `json:"since"`
	Error  string    `json:"error,omitempty"` // why it is not up
	Rest   *Rest     `json:"rest,omitempty"`  // of RelayAtRest
	// Unanswered mails wait for its answer for longer than a relay may be silent, and perhaps for a mailbox's sake alone.
	Unanswered int `json:"unanswered,omitempty"`
}

// The states of a relay.
const (
	RelayUp      = "up"
	RelayResting = "resting" // nothing is handed to it until a probe finds it back
	RelaySilent  = "silent"  // it takes mails and does not answer them: it gets one now and then, to find out whether it does again
	RelayUsedUp  = "used up" // it has taken its quota
	RelayAtRest  = "at rest" // an operator lets it rest
)

// Throttled is a domain that asked for fewer mails through a relay.
type Throttled struct {
	Relay    string  `json:"relay"`
	Domain   string  `json:"domain"`     // "" = all domains: the relay asked for fewer mails on its own account
	RatePerS float64 `json:"rate_per_s"` // the rate that is let through now
	UpTo     float64 `json:"up_to"`      // mails a second to which that grows again
}
