package notice

import (
	"cmp"
	"slices"
)

// Report counts the mails of a notice, or of all notices of an incident, by outcome. All of it is of one moment.
type Report struct {
	Incident   string         `json:"incident"`   // its key
	Notices    []Status       `json:"notices"`    // the oldest first
	Recipients int            `json:"recipients"` // of all notices together
	Counts     map[string]int `json:"counts"`     // of all notices together, each of the nine states
	// ByLanguage counts deliveries per language of the mail, "" where none is made, and state. It leaves out notices
	// with dropped rows.
	ByLanguage map[string]map[string]int `json:"by_language"`
	// ReachedByNeither is how many mailboxes no notice reached although one was superseded there for the sake of a later one.
	ReachedByNeither int        `json:"reached_by_neither"`
	Outcomes         []Outcomes `json:"outcomes"` // why deliveries are not simply sent, the most frequent first
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
	for _, st := range notices {
		r.Incident = st.Incident
		r.Recipients += st.Recipients
		for _, state := range DeliveryStates {
			all[state] += st.Counts[state.String()]
		}
	}
	r.Counts = all.ByName()
	return r
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
