// Package notice holds the nouns of Tocsin, their states and their errors, and nothing that does I/O.
// Every other package speaks in these words; the vocabulary is that of docs/guarantees.md.
package notice

import (
	"regexp"
	"strings"
	"time"
)

// Kind is the sort of an incident.
type Kind string

// The kinds of an incident.
const (
	Outage      Kind = "outage"
	Maintenance Kind = "maintenance"
	Advisory    Kind = "advisory"
)

// Kinds lists every kind.
var Kinds = []Kind{Outage, Maintenance, Advisory}

// Phases lists, per kind, the phases that a notice of such an incident can have.
// An advisory has those of an outage.
var Phases = map[Kind][]string{
	Outage:      {"investigating", "identified", "monitoring", "resolved", "postmortem"},
	Maintenance: {PhaseScheduled, PhaseRescheduled, PhaseReminder, "in-progress", PhaseCompleted, PhaseCancelled, "postmortem"},
	Advisory:    {"investigating", "identified", "monitoring", "resolved", "postmortem"},
}

// Severities lists the severities, mildest first.
var Severities = []string{"minor", "major", "critical"}

// Impacts lists the impacts of a maintenance, mildest first.
var Impacts = []string{"no-impact", "reduced-redundancy", "degraded", "outage"}

// CalendarMethods lists the methods that the calendar of a maintenance may have.
var CalendarMethods = []string{"publish", "request"}

// Stacking says when a mail carries two languages: the recipient's and the notice's default.
type Stacking string

// The values of a notice's "stacked".
const (
	StackNever     Stacking = "never"     // one language a mail
	StackUnmatched Stacking = "unmatched" // two where the recipient's language has no text of its own
	StackAlways    Stacking = "always"    // two wherever the recipient's language is not the default one
)

// Moment is when the audience of a notice is resolved.
type Moment string

// The values of a notice's "audience_at".
const (
	AtRelease Moment = "release" // it goes to the customers that were shown; kept as ""
	AtSend    Moment = "send"    // it goes to the customers on the audience when it leaves
)

// Body is a notice as it is written down: the body of POST /v1/notices, and notice.yaml with its texts.
// Two bodies that are equal after Normalize are the same notice.
type Body struct {
	Key             string               `json:"key"`
	Incident        string               `json:"incident,omitempty"`
	Kind            Kind                 `json:"kind"`
	Phase           string               `json:"phase"`
	Severity        string               `json:"severity,omitempty"`
	Template        string               `json:"template,omitempty"`
	Parameters      map[string]Parameter `json:"parameters,omitempty"`
	Details         Parameter            `json:"details,omitzero"` // Markdown: a paragraph of the notice's own in a ready text
	Phrases         []Phrase             `json:"phrases,omitempty"`
	Audience        Audience             `json:"audience,omitzero"`
	AudienceAt      Moment               `json:"audience_at,omitempty"`
	MaxRecipients   int                  `json:"max_recipients,omitempty"` // the most that it may mail, where the audience is resolved when it leaves
	Canary          int                  `json:"canary,omitempty"`         // how many mailboxes it goes to before it is held; 0 = none
	DefaultLanguage string               `json:"default_language,omitempty"`
	Stacked         Stacking             `json:"stacked,omitempty"`
	Zone            string               `json:"zone,omitempty"`
	Windows         []Window             `json:"windows,omitempty"`
	Was             []Window             `json:"was,omitempty"`             // of a maintenance that was moved: the windows that it had
	Places          []int                `json:"places,omitempty"`          // set by Tocsin: the place, from 0, of each window in the announcement; empty = the same
	Remind          []string             `json:"remind,omitempty"`          // how long before each window there is a reminder, such as 72h
	ReminderOf      string               `json:"reminder_of,omitempty"`     // of a reminder that a release made: the key of the notice
	CalendarMethod  string               `json:"calendar_method,omitempty"` // PUBLISH or REQUEST (RFC 5546), in small letters; empty = none
	CalendarImpact  string               `json:"calendar_impact,omitempty"` // of a maintenance, one of Impacts; empty = by the severity
	CalendarObject  string               `json:"calendar_object,omitempty"` // the attribute that names the maintained object; empty = the customer is it
	BrokenDomains   []string             `json:"broken_domains,omitempty"`
	Broken          Broken               `json:"broken,omitzero"`
	ReplyTo         string               `json:"reply_to,omitempty"`
	SendAt          Time                 `json:"send_at,omitempty"`
	ExpiresAt       Time                 `json:"expires_at,omitempty"`
	Texts           map[string]Text      `json:"texts,omitempty"`

	// Amends is the key of the notice that this one stops and puts right; its audience is that notice's. Corrections are the
	// texts, one in each language, for readers who may have got an earlier version.
	Amends      string          `json:"amends,omitempty"`
	Corrections map[string]Text `json:"corrections,omitempty"`
}

// Correction returns the body of the mails with the corrections.
func (b Body) Correction() Body {
	b.Template, b.Details, b.Phrases, b.Texts, b.Corrections = "", Parameter{}, nil, b.Corrections, nil
	return b
}

// Urgent reports whether the notice goes before others that are being sent: something is broken now, or critical.
func (b Body) Urgent() bool {
	return b.Kind == Outage && b.Phase != "postmortem" || b.Severity == "critical"
}

// Broken says which mailboxes are down, so that their customers are reached at their alternates: those at domains, and
// the primary ones of customers that match a filter. A body that is kept has its domains in BrokenDomains alone.
type Broken struct {
	Domains []string `json:"domains,omitempty"`
	Filter  string   `json:"filter,omitempty"`
}

// Text is the subject and the body of a notice in one language: Go template syntax in both, Markdown in the body.
type Text struct {
	Subject string `json:"subject"`
	Body    string `json:"body"`
}

// Window is a span of time, written as wall-clock time in an IANA zone ("2026-11-09T21:00"), or with its offset from UTC.
// A window without a zone is in the notice's.
type Window struct {
	Start string `json:"start"`
	End   string `json:"end"`
	Zone  string `json:"zone,omitempty"`
}

// Span resolves the window to instants; zone is the notice's zone, used where the window names none.
// Its error is an *Error that names the field at fault.
func (w Window) Span(zone string) (start, end time.Time, err error) {
	if w.Zone != "" {
		zone = w.Zone
	}
	loc, err := LoadZone(zone)
	if err != nil {
		return start, end, err
	}
	if start, err = WallClock(w.Start, loc); err != nil {
		return start, end, Invalid("start", "%v", err)
	}
	if end, err = WallClock(w.End, loc); err != nil {
		return start, end, Invalid("end", "%v", err)
	}
	if !end.After(start) {
		return start, end, Invalid("end", "is not after start: %s – %s", w.Start, w.End)
	}
	return start, end, nil
}

// LoadZone returns the IANA time zone of that name, UTC for none. Its error is an *Error.
func LoadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	loc, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return nil, Invalid("zone", "%q is not an IANA time zone such as Europe/Amsterdam", name)
	}
	return loc, nil
}

var keyForm = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,100}$`)

// ValidKey reports whether s can be the key of a notice or an incident:
// 1 to 100 of [A-Za-z0-9._~-], with at least one letter, so that no key is also a number.
func ValidKey(s string) bool {
	return keyForm.MatchString(s) &&
		strings.ContainsAny(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
}
