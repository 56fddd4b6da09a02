package notice

import "time"

// Plan tells the effect of a release, found by doing all of it but the release: the dry run.
type Plan struct {
	Digest      string          `json:"digest,omitempty"`       // names the plan to a release; empty where none was kept
	Draft       *Body           `json:"draft,omitempty"`        // of a review: the draft as it stands
	From        string          `json:"from"`                   // sender of the mails
	ReplyTo     string          `json:"reply_to"`               // where answers go; "" = to the sender
	Customers   int             `json:"customers"`              // members of the audience
	Recipients  int             `json:"recipients"`             // mailboxes, and customers without one
	ByLanguage  map[string]int  `json:"by_language"`            // recipients to be mailed, per language of the mail
	ByZone      map[string]int  `json:"by_zone"`                // recipients to be mailed, per time zone; "" = that of the notice
	ByDomain    []DomainCount   `json:"by_domain"`              // recipients to be mailed, per domain: the largest, and the others together
	Suppressed  map[string]int  `json:"suppressed"`             // recipients not to be mailed, per reason
	Alternates  int             `json:"alternates"`             // recipients reached at their alternate
	Fallback    map[string]int  `json:"fallback"`               // wanted languages without a text ("" = none wanted), and how many get the default
	LaterChoice map[string]int  `json:"later_choice,omitempty"` // lists of languages where the first has no text, and how many get the text of a later one
	OwedOld     int             `json:"owed_old,omitempty"`     // of a moved maintenance: recipients that an earlier notice still owes the old windows; newcomers if these have not left when this one begins
	Newcomers   int             `json:"newcomers,omitempty"`    // of a moved maintenance: recipients to be mailed who got nothing of the old windows, so that it announces the new ones
	Filter      string          `json:"filter"`                 // the audience's filter in its parenthesised form, "" = none
	Excluded    map[string]int  `json:"excluded"`               // customers who are not on the audience, by the reason
	Previous    *Difference     `json:"previous"`               // against the incident's notice before this one; null = it is the first
	Refused     []CustomerFault `json:"refused"`                // the first twenty customers with an address that was kept once and is refused today
	Hints       []string        `json:"hints"`                  // about the filter: values that no customer has
	Refusals    []Refusal       `json:"refusals"`               // why a release is refused unless that is allowed
	Reminders   []Reminder      `json:"reminders,omitempty"`    // that a release makes, the first to leave first
	Moved       *Moved          `json:"moved,omitempty"`        // of a moved maintenance: the fields that the body may have left out
	HoleCount   int             `json:"hole_count"`             // recipients with an empty field in their mail
	Holes       []Hole          `json:"holes"`                  // the first twenty of them
	Samples     []Sample        `json:"samples,omitempty"`      // one mail per language
	Asked       *Asked          `json:"customer,omitempty"`     // the customer that Previewing names
	Amends      *Amending       `json:"amends,omitempty"`       // null = it amends no notice
	OnlyTo      *Restriction    `json:"only_to,omitempty"`      // null = the mails go to everybody
	Unfit       *Unfit          `json:"unfit,omitempty"`        // null = serve has no relay to ask
	Forecast    *Forecast       `json:"forecast,omitempty"`     // null = nothing is known of the workers

	// Domains are the mails by recipient domain, those that were counted.
	Domains map[string]int `json:"-"`

	Branches     []Branch      `json:"branches"`     // of the texts, which some of the recipients get
	Placeholders []Placeholder `json:"placeholders"` // left over in the texts; they block the release unless that is allowed

	Drafts  []string            `json:"drafts,omitempty"`  // languages of mails with ready texts that no native reader has signed
	Foreign map[string][]string `json:"foreign,omitempty"` // by the language of the notice's own paragraph: languages of mails that have it in that one
}

// The reasons that leave customers out of an audience, in the order in which they are counted.
const (
	ExcludedByList   = "not_listed"    // they are not on the list
	ExcludedByNotice = "not_on_notice" // they did not stand on the earlier notice
	ExcludedByFilter = "filter"        // the filter does not hold for them
)

// Previewing asks a dry run for more than the plan.
type Previewing struct {
	Customer string // external id of the customer for the sample mail; "" = of nobody in particular
	// Source adds the source of each sample, and a sample in each language that nobody gets, made for the first recipient.
	Source bool
}

// Asked is the mail that a customer would get, or why they would get none.
type Asked struct {
	ID        string   `json:"id"`                  // external id
	Customers []string `json:"customers,omitempty"` // external ids of all who share the mail
	// Reason is why there is no mail: one of the reasons for a suppression, ReasonHole, one of the Excluded constants, or
	// UnknownCustomer. It is empty where there is one.
	Reason string  `json:"reason,omitempty"`
	Hole   *Hole   `json:"hole,omitempty"` // with ReasonHole
	Sample *Sample `json:"sample,omitempty"`
}

// UnknownCustomer is the reason for no mail where no customer has the id.
const UnknownCustomer = "unknown_customer"

// Difference compares a dry run with the incident's notice that was released last, mailbox by mailbox. A notice has
// reached a mailbox when it was sent there, may have been, or is still owed to it.
type Difference struct {
	Key           string     `json:"key"`                       // of that notice
	Same          int        `json:"same"`                      // recipients to be mailed that it has reached
	New           int        `json:"new"`                       // recipients to be mailed that it has not reached
	Left          int        `json:"left"`                      // mailboxes that it has reached and this one would not mail
	RowsDroppedAt *time.Time `json:"rows_dropped_at,omitempty"` // its rows are gone: nothing could be compared
}

// Hole is an empty field in the mail that a recipient would get.
type Hole struct {
	Customer string `json:"customer"` // external id
	Language string `json:"language"`
	Place    string `json:"place"`  // in the texts, such as texts.en.body:3
	Reason   string `json:"reason"` // which field is empty
}

// Placeholder is something in a text that its author probably meant to replace.
type Placeholder struct {
	Place string `json:"place"` // in the texts, such as texts.en.body:3
	Text  string `json:"text"`
}

// Branch is a part of a text that some recipients get and others do not.
type Branch struct {
	Language   string  `json:"language"`  // of the text
	Place      string  `json:"place"`     // of its condition
	Condition  string  `json:"condition"` // as it is written
	Recipients int     `json:"recipients"`
	Of         int     `json:"of"`               // recipients with the text in their mail
	Sample     *Sample `json:"sample,omitempty"` // the mail of the first of them, of the first twenty branches
}

// Sample is a mail as one recipient would get it.
type Sample struct {
	Language string `json:"language"`
	// Correction says that readers get it who may have had an earlier version.
	Correction bool `json:"correction,omitempty"`
	// Newcomer says that it is for readers who got nothing of the old windows.
	Newcomer bool   `json:"newcomer,omitempty"`
	Customer string `json:"customer"` // external id of the recipient it was made for
	Subject  string `json:"subject"`
	Text     string `json:"text"`
	HTML     string `json:"html"`
	Source   string `json:"source,omitempty"` // the message (RFC 5322, lines ended by CRLF), where it was asked for
}

// Status is where a notice stands. Its counts add up to Recipients at every moment.
type Status struct {
	Number     int64          `json:"number"`
	Key        string         `json:"key"`
	Incident   string         `json:"incident"`
	Kind       Kind           `json:"kind"`
	Phase      string         `json:"phase"`
	ReminderOf string         `json:"reminder_of,omitempty"` // of a reminder that a release made: the key of the notice
	State      State          `json:"state"`
	Reason     string         `json:"reason,omitempty"` // why cancelled or held
	Customers  int            `json:"customers"`
	Recipients int            `json:"recipients"`
	Added      int            `json:"added,omitempty"` // of the recipients, those that operators added: they stand for no customer
	Counts     map[string]int `json:"counts"`          // each of the nine states
	ByLanguage map[string]int `json:"by_language"`
	Suppressed map[string]int `json:"suppressed"` // as frozen at release, per reason
	// Fallback, LaterChoice and Newcomers are as of Plan, as frozen at release.
	Fallback    map[string]int `json:"fallback,omitempty"`
	LaterChoice map[string]int `json:"later_choice,omitempty"`
	Newcomers   int            `json:"newcomers,omitempty"`
	Bounces     Bounces        `json:"bounces"` // by class; by domain in reports alone
	CreatedAt   time.Time      `json:"created_at"`
	CreatedBy   string         `json:"created_by,omitempty"`
	SendAt      *time.Time     `json:"send_at,omitempty"`
	ExpiresAt   *time.Time     `json:"expires_at,omitempty"`
	HeldUntil   *time.Time     `json:"held_until,omitempty"` // when a planned hold ends
	ReleasedAt  *time.Time     `json:"released_at"`
	ReleasedBy  string         `json:"released_by,omitempty"` // of an approved one: the person that asked for its release
	ApprovedBy  string         `json:"approved_by,omitempty"` // "" = its release wanted no approval
	Override    string         `json:"override,omitempty"`    // why it went without another person; ApprovedBy says so
	// AwaitingApproval is the release of a draft that waits for another person; nil: none does.
	AwaitingApproval *AwaitedApproval `json:"awaiting_approval,omitempty"`

	// Canary are the mailboxes that it goes to first; nil: it goes to all at once.
	Canary *Canary `json:"canary,omitempty"`

	FirstSentAt *time.Time `json:"first_sent_at"`
	LastSentAt  *time.Time `json:"last_sent_at"`
	// ReachedByNeither is how many mailboxes were reached neither by this notice nor by the one that superseded it, or that it
	// superseded; nil: it was not counted, as in a list of notices, before a notice is finished, and where that takes long.
	ReachedByNeither *int    `json:"reached_by_neither,omitempty"`
	RatePerS         float64 `json:"rate_per_s"` // mails accepted per second between the first and the last; 0 = too short a time to be measured
	// RowsDroppedAt is when the notice's rows were dropped because they were old. The counts stay.
	RowsDroppedAt *time.Time `json:"rows_dropped_at,omitempty"`
	// OnlyTo are the mailboxes that the workers send it to alone; of a finished one, those that they sent it to last.
	OnlyTo   OnlyTo `json:"only_to,omitempty"`
	Disagree string `json:"workers_disagree,omitempty"` // as of Senders
	// Amends and AmendedBy are the keys of the notice that it stopped and put right, and of the one that did so with it.
	Amends    string `json:"amends,omitempty"`
	AmendedBy string `json:"amended_by,omitempty"`
	// Together sums it up with those; nil: there is none, or it is a list of notices.
	Together *Together `json:"together,omitempty"`
	// Pace says, while it is being sent, how the relays are and who is throttled.
	Pace *Pace `json:"pace,omitempty"`
}

// Settled reports whether nothing of the notice is under way any more: a cancelled one still has mails at relays for
// a moment.
func (s Status) Settled() bool {
	return s.State.Finished() && s.Counts[DeliveryQueued.String()]+s.Counts[DeliverySending.String()]+s.Counts[DeliveryDeferred.String()] == 0
}

// Delivery is one row of the ledger with its frozen customers and language: a row of the report.
type Delivery struct {
	Seq       int           `json:"seq"`
	Address   string        `json:"address"`
	Customers []string      `json:"customers"` // external ids
	Language  string        `json:"language"`  // of the mail
	TimeZone  string        `json:"time_zone"`
	State     DeliveryState `json:"state"`
	Reason    string        `json:"reason"`
	Attempts  int           `json:"attempts"`
	Relay     string        `json:"relay"`
	SMTPCode  int           `json:"smtp_code"` // 0 = none heard
	Enhanced  string        `json:"enhanced_code"`
	SMTPText  string        `json:"smtp_text"`
	MessageID string        `json:"message_id"` // with angle brackets
	SentAt    *time.Time    `json:"sent_at"`
	UpdatedAt time.Time     `json:"updated_at"`

	AddedBy     string           `json:"added_by,omitempty"`     // the operator who added the row after the release; "": it was on the plan
	DeliveredAt *time.Time       `json:"delivered_at,omitempty"` // when the recipient's server took it, where that was told
	DeliveredBy string           `json:"delivered_by,omitempty"` // that server, by its own name
	Returned    []ReturnedReport `json:"returned,omitempty"`     // the reports and mails that came back, the newest first; in a history alone
}

// Page asks for a page of notices by number, the newest first.
type Page struct {
	Before   int64  // only those with a smaller number; 0 = all
	Incident string // only those of the incident with this key; "" = all
	// Unfinished picks those that are scheduled, sending, paused or held.
	Unfinished bool
	Limit      int
}

// DeliveryPage asks for a page of a notice's deliveries, by seq.
type DeliveryPage struct {
	After  int            // deliveries with a greater seq; -1 from the start
	Limit  int            // at most so many
	State  *DeliveryState // only those in this state; nil = all
	Search string         // only this address (any spelling of its key) or external id; "" = all
	// Language picks those with a text in this language, also where no mail leaves; "" = all.
	Language string
	// Within bounds, with Language and without Search, how far beyond After it looks: a rare language may have its next mail at the end. 0 = to the end.
	Within int
}

// HistoryEntry is one notice in the history of a customer or an address.
type HistoryEntry struct {
	Number   int64    `json:"number"`
	Key      string   `json:"key"`
	Kind     Kind     `json:"kind"`
	Phase    string   `json:"phase"`
	Subject  string   `json:"subject"` // as its reader sees it; … stands for words that can't be told any more
	Delivery Delivery `json:"delivery"`
}

// Settlement is an operator's decision about deliveries that need one.
type Settlement struct {
	Sent         bool   `json:"sent"`    // they arrived: uncertain → sent
	Requeue      bool   `json:"requeue"` // send (again): uncertain, failed or suppressed → queued
	Address      string `json:"address,omitempty"`
	AllUncertain bool   `json:"all_uncertain,omitempty"`
	State        string `json:"state,omitempty"` // all in this state: "failed", "uncertain", or "suppressed" (of these the ones that are only_to),
	Code         int    `json:"code,omitempty"`  // of these with this SMTP code alone, of failed ones; 0 = with any
	Relay        string `json:"relay,omitempty"` // and of this relay; "" = of any
	Force        bool   `json:"force,omitempty"` // requeue also where a later notice of the incident goes to the mailbox, or may have gone
}

// Check returns an *Error unless the settlement names one action and one choice of deliveries.
func (s Settlement) Check() error {
	named := 0
	for _, one := range []bool{s.Address != "", s.AllUncertain, s.State != ""} {
		if one {
			named++
		}
	}
	failed, suppressed := s.State == DeliveryFailed.String(), s.State == DeliverySuppressed.String()
	switch {
	case s.Sent == s.Requeue:
		return Invalid("sent", "say either sent or requeue")
	case named != 1:
		return Invalid("address", "say either address, all_uncertain or state")
	case s.State != "" && !failed && !suppressed && s.State != DeliveryUncertain.String():
		return Invalid("state", "%q can't be settled together: there are failed, uncertain and suppressed; name others by their address", s.State)
	case failed && s.Sent:
		return Invalid("state", "failed mails were refused, so they can be requeued alone")
	case suppressed && s.Sent:
		return Invalid("state", "suppressed mails were not sent, so they can be requeued alone")
	case suppressed && s.Relay != "":
		return Invalid("relay", "goes with the states failed and uncertain")
	case s.Code != 0 && !failed:
		return Invalid("code", "goes with the state failed")
	case s.Code != 0 && (s.Code < 400 || s.Code > 599):
		return Invalid("code", "is not the SMTP code of a refusal, such as 554")
	case s.Relay != "" && s.State == "":
		return Invalid("relay", "goes with a state")
	case s.Force && !s.Requeue:
		return Invalid("force", "goes with requeue")
	}
	return nil
}

// Bulk is the state of the deliveries that are settled together; false: it is one that is named by its address.
func (s Settlement) Bulk() (DeliveryState, bool) {
	switch {
	case s.AllUncertain || s.State == DeliveryUncertain.String():
		return DeliveryUncertain, true
	case s.State == DeliveryFailed.String():
		return DeliveryFailed, true
	case s.State == DeliverySuppressed.String():
		return DeliverySuppressed, true
	}
	return 0, false
}

// Releasing is an operator's decision to release a draft.
type Releasing struct {
	Plan  string   `json:"plan,omitempty"`  // the digest of the plan that was shown; "" = one that is made now
	Allow []string `json:"allow,omitempty"` // the checks that are overruled, by name
	// Canary is how many mailboxes it goes to before it is held; 0 = as its body says.
	Canary int `json:"canary,omitempty"`
}

// Resuming is how a notice goes on that was paused, or held after its canary, or since a relay refused everybody.
type Resuming struct {
	LeaveFailed bool `json:"leave_failed,omitempty"` // the refused mails that it is held for stay failed, and are not sent again
}

// Moving is another time at which a notice is to leave.
type Moving struct {
	SendAt Time     `json:"send_at"`
	Allow  []string `json:"allow,omitempty"` // the checks that are overruled, by name
}

// CheckBackwards is the name of the check that refuses a phase before one that the incident has come to.
const CheckBackwards = "backwards"

// CheckPast is the name of the check that refuses notices of a time that is over.
const CheckPast = "past"

// CheckPlaceholders is the name of the check that refuses texts with placeholders left over.
const CheckPlaceholders = "placeholders"

// CheckCorrection is the name of the check that refuses a correction which does not make sense alone.
const CheckCorrection = "correction"

// Refusal is the objection of a check to a release. An operator may overrule it by the name of the check.
type Refusal struct {
	Check  string `json:"check"`
	Field  string `json:"field"`
	Reason string `json:"reason"`
}

// Unholding is an operator's decision about a notice that is held: because the ledger was restored from a backup, or because its
// audience could not be resolved when it was to leave.
type Unholding struct {
	Send      bool `json:"send"`      // nothing of it left after the backup: send the deliveries that are owed
	Uncertain bool `json:"uncertain"` // it may have left: owed deliveries become uncertain; so too where neither is said
	Lift      bool `json:"lift"`      // releases need not be held any more: all that was sent after the backup is known
	// MaxRecipients takes the place of the notice's own, where it went to more when it was to leave; 0 = it stays.
	MaxRecipients int `json:"max_recipients,omitempty"`
}

// Settled counts the effect of a Settlement.
type Settled struct {
	Changed  int        `json:"changed"`
	TooEarly int        `json:"too_early"`         // uncertain for too short a time to be requeued
	From     *time.Time `json:"possible_from"`     // when the last of those can be
	Skipped  int        `json:"skipped"`           // in a state that the settlement does not apply to
	Reasons  []string   `json:"reasons,omitempty"` // why they were skipped
}
