package notice

import (
	"encoding/json"
	"time"
)

// WebhookEvent is a change of a notice's state that receivers of webhooks are told.
type WebhookEvent string

// The events. A trigger of the ledger writes them.
const (
	EventReleased  WebhookEvent = "released"
	EventStarted   WebhookEvent = "started" // one that was released for a later time
	EventPaused    WebhookEvent = "paused"
	EventHeld      WebhookEvent = "held"  // by a hold, the fence, or since it could not leave
	EventBrake     WebhookEvent = "brake" // held since a relay refuses everybody, or since too many mails come back
	EventResumed   WebhookEvent = "resumed"
	EventFinished  WebhookEvent = "finished"
	EventUncertain WebhookEvent = "uncertain" // next to finished, where mails may have arrived or not
	EventReopened  WebhookEvent = "reopened"  // something of a finished notice is owed again
	EventCancelled WebhookEvent = "cancelled"
	EventTakenBack WebhookEvent = "taken_back"
	EventTest      WebhookEvent = "test" // an operator asked for it
)

// WebhookEvents are those that a receiver may ask for.
var WebhookEvents = []WebhookEvent{EventReleased, EventStarted, EventPaused, EventHeld, EventBrake, EventResumed, EventFinished, EventUncertain, EventReopened,
	EventCancelled, EventTakenBack}

// Webhook is a receiver of events, and how it stands.
type Webhook struct {
	Name    string         `json:"name"`
	Events  []WebhookEvent `json:"events"`
	SeenAt  time.Time      `json:"seen_at" doc:"when a server last had it in its settings; a day later it is forgotten"`
	Waiting int            `json:"waiting" doc:"messages that are still to be delivered"`
	// OldestAt is when the oldest of them was written.
	OldestAt    *time.Time `json:"oldest_at,omitempty"`
	GivenUp     int        `json:"given_up" doc:"messages of the last 30 days that are not tried any more"`
	DeliveredAt *time.Time `json:"delivered_at,omitempty" doc:"when it last took one"`
	Fault       string     `json:"fault,omitempty" doc:"why the last try of a message that waits, or was given up, failed"`
}

// WebhookMessage is one event for one receiver.
type WebhookMessage struct {
	Number      int64           `json:"number"`
	Webhook     string          `json:"webhook"`
	ID          string          `json:"id" doc:"the webhook-id, the same at each try"`
	Event       WebhookEvent    `json:"event"`
	At          time.Time       `json:"at"`
	Data        json.RawMessage `json:"-"` // a WebhookData
	Tries       int             `json:"tries"`
	Status      int             `json:"status" doc:"of the last answer; 0: none was heard"`
	Fault       string          `json:"fault,omitempty" doc:"why the last try failed"`
	DeliveredAt *time.Time      `json:"delivered_at,omitempty"`
	GivenUpAt   *time.Time      `json:"given_up_at,omitempty"`
}

// WebhookData is the content of a message about a notice: keys and counts, and nothing of a customer.
type WebhookData struct {
	Number     int64          `json:"number"`
	Key        string         `json:"key"`
	Incident   string         `json:"incident"`
	Kind       string         `json:"kind"`
	Phase      string         `json:"phase"`
	Severity   string         `json:"severity"`
	State      State          `json:"state"`
	Reason     string         `json:"reason"`
	Customers  int            `json:"customers"`
	Recipients int            `json:"recipients"`
	Counts     map[string]int `json:"counts"` // of a finished notice, by state
}

// WebhookAnswer is the outcome of a try to deliver a message.
type WebhookAnswer struct {
	Status int    // 0: none was heard
	Fault  string // "": it was delivered
	Gone   bool   // the receiver wants no more of it
}
