package notice

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Report counts the mails of a notice, or of all notices of an incident, by outcome. All of it is of one moment.
type Report struct {
	Incident   string         `json:"incident"`   // its key
	Notices    []Status       `json:"notices"`    // the oldest first
	Recipients int            `json:"recipients"` // of all notices together
	Counts     map[string]int `json:"counts"`     // of all notices together, each of the nine states
	// AsOf is the moment of which all of the report is.
	AsOf time.Time `json:"as_of"`
	// Reach sums the counts up; its four numbers add up to Recipients.
	Reach Reach `json:"reach"`
	// NotReached is the audience that a notice did not reach, for a next one: YAML for its notice.yaml. It is "" in the
	// report on several notices, where all were reached, and where the rows were dropped.
	NotReached string `json:"not_reached_audience"`
	// ByLanguage counts deliveries per language of the mail, "" where none is made, and state. It leaves out notices
	// with dropped rows.
	ByLanguage map[string]map[string]int `json:"by_language"`
	// Fallback and LaterChoice are those of Plan, summed over all notices as they were released. They count recipients who
	// got the text of another language than the first that they want.
	Fallback    map[string]int `json:"fallback,omitempty"`
	LaterChoice map[string]int `json:"later_choice,omitempty"`
	// ReachedByNeither is how many mailboxes no notice reached although one was superseded there for the sake of a later one.
	ReachedByNeither int        `json:"reached_by_neither"`
	Bounces          Bounces    `json:"bounces"`  // of all notices together
	Outcomes         []Outcomes `json:"outcomes"` // why deliveries are not simply sent, the most frequent first
}

// Reach says how many recipients a mail reached.
type Reach struct {
	Reached    int     `json:"reached"`     // sent
	NotReached int     `json:"not_reached"` // failed, bounced, suppressed or cancelled
	Unknown    int     `json:"unknown"`     // uncertain
	Open       int     `json:"open"`        // queued, sending or deferred
	Percent    float64 `json:"percent"`     // reached of all, with one decimal, never rounded up to 100
}

// lost are the states of deliveries that reached nobody and are not tried any more.
var lost = []DeliveryState{DeliveryFailed, DeliverySuppressed, DeliveryCancelled, DeliveryBounced}

// reachOf sums counts up.
func reachOf(c Counts) (r Reach) {
	r.Reached, r.Unknown = c[DeliverySent], c[DeliveryUncertain]
	for _, s := range lost {
		r.NotReached += c[s]
	}
	all := c.Total()
	if r.Open = all - r.Reached - r.Unknown - r.NotReached; all > 0 {
		r.Percent = math.Floor(1000*float64(r.Reached)/float64(all)) / 10
	}
	return r
}

// lostAudience is the audience that a notice did not reach, as its YAML.
func lostAudience(key string, c Counts) string {
	var states []string
	for _, s := range lost {
		if c[s] > 0 {
			states = append(states, s.String())
		}
	}
	if len(states) == 0 {
		return ""
	}
	return fmt.Sprintf("audience: {notice: %q, state: [%s]}", key, strings.Join(states, ", "))
}

// Outcomes are deliveries that ended for the same reason.
type Outcomes struct {
	State    DeliveryState `json:"state"`
	Count    int           `json:"count"`
	Reason   string        `json:"reason,omitempty"`
	Relay    string        `json:"relay,omitempty"`     // that answered
	SMTPCode int           `json:"smtp_code,omitempty"` // 0 = none heard
	Enhanced string        `json:"enhanced_code,omitempty"`
	SMTPText string        `json:"smtp_text,omitempty"` // of one of the answers
}

// ReasonRetried is the reason of outcomes that were sent, but not at the first attempt.
const ReasonRetried = "retried"

// NewReport returns the report on notices, the oldest first, before the outcomes of their deliveries are added.
func NewReport(notices []Status) Report {
	r := Report{Notices: notices, ByLanguage: map[string]map[string]int{}, Outcomes: []Outcomes{}}
	var all Counts
	back, refusing := map[string]int{}, []string{}
	for _, st := range notices {
		refusing = append(refusing, st.Bounces.PolicyDomains...)
		back[string(KindComplaint)] += st.Bounces.Complaints
		for class, n := range st.Bounces.ByClass {
			back[class] += n
		}
		r.Fallback, r.LaterChoice = sum(r.Fallback, st.Fallback), sum(r.LaterChoice, st.LaterChoice)
		r.Incident = st.Incident
		r.Recipients += st.Recipients
		for _, state := range DeliveryStates {
			all[state] += st.Counts[state.String()]
		}
	}
	r.Counts, r.Reach = all.ByName(), reachOf(all)
	slices.Sort(refusing)
	r.Bounces = NewBounces(back, slices.Compact(refusing), r.Counts)
	if len(notices) == 1 && notices[0].RowsDroppedAt == nil {
		r.NotReached = lostAudience(notices[0].Key, all)
	}
	return r
}

// sum adds counts to others, which it makes where there are any.
func sum(all, more map[string]int) map[string]int {
	if all == nil && len(more) > 0 {
		all = map[string]int{}
	}
	for name, n := range more {
		all[name] += n
	}
	return all
}

// Add adds deliveries in one language that ended in the same way.
func (r *Report) Add(language string, o Outcomes) {
	if r.ByLanguage[language] == nil {
		r.ByLanguage[language] = map[string]int{}
	}
	r.ByLanguage[language][o.State.String()] += o.Count
	if o.Reason == "" && o.SMTPCode == 0 && o.SMTPText == "" {
		return
	}
	at := slices.IndexFunc(r.Outcomes, func(had Outcomes) bool {
		return had.State == o.State && had.Reason == o.Reason && had.Relay == o.Relay && had.SMTPCode == o.SMTPCode && had.Enhanced == o.Enhanced
	})
	if at < 0 {
		r.Outcomes = append(r.Outcomes, o)
	} else {
		r.Outcomes[at].Count += o.Count
	}
	slices.SortStableFunc(r.Outcomes, func(a, b Outcomes) int { return cmp.Compare(b.Count, a.Count) })
}
