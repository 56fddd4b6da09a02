// Package api serves Tocsin over HTTP, and is its client.
//
// Server puts two things behind a bearer token: a Desk, which takes an operator's decisions, and a Book, which
// keeps customers and tells the state of every delivery. The command line reaches the server by Client. Bodies are the
// types of package notice; every error is an RFC 9457 problem document that never repeats personal data.
package api

import (
	"context"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// Desk takes an operator's decisions about notices; package control implements it. A ref is a notice's key or
// its number, who a notice.Actor. Errors that are the caller's fault are *notice.Error.
type Desk interface {
	// Draft makes a draft, or replaces the one of the same key. After release the same body answers with
	// created false, and another body is a conflict.
	Draft(ctx context.Context, body notice.Body, who string) (st notice.Status, created bool, err error)
	// Preview is the dry run, with a sample per language and the extras that v asks for. It keeps nothing, but of a draft
	// the plan, as PreviewDraft does.
	Preview(ctx context.Context, body notice.Body, v notice.Previewing) (notice.Plan, error)
	// PreviewDraft is the dry run of a draft: a release of the plan's digest takes it as it was shown.
	PreviewDraft(ctx context.Context, ref string, v notice.Previewing) (notice.Plan, error)
	// ReviewDraft is PreviewDraft for the one who is to approve: the plan that waits stays, and this one is not kept.
	ReviewDraft(ctx context.Context, ref string, v notice.Previewing) (notice.Plan, error)
	// Planning is how many customers the planning of a draft has come to, and whether it is under way.
	Planning(ctx context.Context, ref string) (customers int, running bool, err error)
	// Release freezes body and audience and starts the sending; released is false when it had been released before. A plan
	// that was shown and does not stand any more is an error of class plan_changed, which counts the differences.
	Release(ctx context.Context, ref string, r notice.Releasing, who string) (st notice.Status, released bool, err error)
	// Approve releases the plan that was shown, in the name of another person than the authors of the draft.
	Approve(ctx context.Context, ref string, a notice.Approving, who string) (st notice.Status, released bool, err error)
	// Pause, Resume and Cancel return once no more mail is marked against the decision.
	Pause(ctx context.Context, ref, who string) (notice.Status, error)
	Resume(ctx context.Context, ref string, r notice.Resuming, who string) (notice.Status, error)
	Cancel(ctx context.Context, ref, who string) (notice.Status, error)
	DeleteDraft(ctx context.Context, ref, who string) error
	SendNow(ctx context.Context, ref, who string) (notice.Status, error)
	Move(ctx context.Context, ref string, m notice.Moving, who string) (notice.Status, error)
	TakeBack(ctx context.Context, ref, who string) (notice.Status, error)
	// Unhold lets go of a notice that is held because the ledger was restored from a backup.
	Unhold(ctx context.Context, ref string, u notice.Unholding, who string) (notice.Status, error)
	// Settle decides about deliveries that need a decision.
	Settle(ctx context.Context, ref string, s notice.Settlement, who string) (notice.Settled, error)
	// AddAddress sends a released notice to another address of one of its customers. A repeated call changes nothing.
	AddAddress(ctx context.Context, ref string, a notice.Adding, who string) (notice.Added, error)
	// Reconcile settles deliveries by the evidence of a relay's log.
	Reconcile(ctx context.Context, ref string, r ledger.Reconciliation, who string) (ledger.Reconciled, error)
	// Relayed records the lines of a relay's log as the relay writes them.
	Relayed(ctx context.Context, words []ledger.Relayed, who string) (ledger.RelayedResult, error)
	// TakeReturned records the content of a mail that came back.
	TakeReturned(ctx context.Context, raw []byte) (notice.BounceReceipt, error)
	// Message makes the mail of a delivery again, and says whether it is the one that was sent.
	Message(ctx context.Context, ref string, seq int) (notice.Message, error)
	// Look answers whether a customer got it. The text is their address, id or name, a Message-ID, or the id of a relay's
	// queue. Where ref is not "", the answer is of that notice alone.
	Look(ctx context.Context, text, ref string) (notice.Found, error)
	// LookAt is the same of one delivery of a notice.
	LookAt(ctx context.Context, ref string, seq int) (notice.Found, error)
	// Subjects puts the subjects as their readers see them in the place of those of the texts.
	Subjects(ctx context.Context, entries []notice.HistoryEntry) error
	// Choices returns the choices of the reader that a token admits. Choose stops or resumes a topic for them, "" for that of
	// their mail. A token that admits nobody is an error of class not_found.
	Choices(ctx context.Context, token string) (notice.Choices, error)
	Choose(ctx context.Context, token string, topic notice.Scope, stop bool) (notice.Choices, error)
	// Test sends one mail per language to that address, outside the ledger; answers are by language.
	Test(ctx context.Context, body notice.Body, to, who string) (map[string]notice.Answer, error)
}

// Book reads the ledger and keeps the customers; package ledger implements it. A thing that does not exist is a
// *notice.Error with CodeNotFound.
type Book interface {
	// Notices is a page of the notices, the newest first.
	Notices(ctx context.Context, p notice.Page) ([]notice.Status, error)
	Status(ctx context.Context, ref string) (notice.Status, error)
	// State is the cheap part of Status, fit for asking twenty times a second.
	State(ctx context.Context, ref string) (notice.State, error)
	Deliveries(ctx context.Context, noticeID int64, p notice.DeliveryPage) ([]notice.Delivery, error)
	// Report and IncidentReport count the deliveries of a notice, and of all notices of an incident, by outcome.
	Report(ctx context.Context, ref string) (notice.Report, error)
	IncidentReport(ctx context.Context, incident string) (notice.Report, error)
	// EachDelivery calls fn for every delivery by seq, or only for those in that state, until fn fails.
	EachDelivery(ctx context.Context, noticeID int64, state *notice.DeliveryState, fn func(notice.Delivery) error) error
	// Uncertain is a page of a notice's uncertain deliveries by seq.
	Uncertain(ctx context.Context, ref string, after, limit int) ([]ledger.Uncertain, error)
	// History lists the notices that were for a customer, or an address. addressKey is "" for a text that is no address.
	History(ctx context.Context, idOrAddress, addressKey string) ([]notice.HistoryEntry, error)
	Customer(ctx context.Context, id string) (notice.Customer, error)
	// PutCustomer keeps a customer, in the place of one with the same id, and returns it as kept.
	PutCustomer(ctx context.Context, row notice.CustomerRow) (kept notice.Customer, created bool, err error)
	// PatchCustomer changes the fields that the row gives of a customer who is there, and returns the customer as kept.
	PatchCustomer(ctx context.Context, row notice.CustomerRow) (kept notice.Customer, err error)
	// Customers is a page of the customers by id.
	Customers(ctx context.Context, p notice.CustomerPage) ([]notice.Customer, error)
	// AttributeNames are those that some customer has.
	AttributeNames(ctx context.Context) ([]string, error)
	// CustomerFaults lists values that were kept once and are refused today; judge says the fault of an id, "" for none.
	CustomerFaults(ctx context.Context, most int, judge func(id string) string) ([]notice.CustomerFault, error)
	// DeleteCustomer erases a customer, also from the frozen recipients.
	DeleteCustomer(ctx context.Context, id string) error
	// ImportCustomers takes in a customer file.
	ImportCustomers(ctx context.Context, rows ledger.CustomerRows, o notice.ImportOptions) (notice.ImportReport, error)
	// Suppressions is a page of the list of suppressions, by number.
	Suppressions(ctx context.Context, after int64, limit int) ([]notice.Suppression, error)
	Suppress(ctx context.Context, row notice.SuppressionRow, who string) (s notice.Suppression, created bool, err error)
	Unsuppress(ctx context.Context, key string) error
	UnsuppressNumber(ctx context.Context, number int64) error
	ImportSuppressions(ctx context.Context, rows ledger.SuppressionRows, who string) (notice.ImportReport, error)
	// Tokens are all that there ever were. AddToken keeps one with the SHA-256 of its text.
	Tokens(ctx context.Context) ([]notice.Token, error)
	AddToken(ctx context.Context, t notice.Token, hash [32]byte, who string) (notice.Token, error)
	RevokeToken(ctx context.Context, name, who string) (notice.Token, error)
	// Users are all the people who ever could use the console. AddLink keeps the SHA-256 of a link that lets one of them in once.
	Users(ctx context.Context) ([]notice.User, error)
	AddUser(ctx context.Context, u notice.User, who string) (notice.User, error)
	AddLink(ctx context.Context, name string, hash [32]byte, span time.Duration, who string) (notice.User, error)
	SetUserRole(ctx context.Context, name string, role notice.TokenRole, who string) (notice.User, error)
	RemoveUser(ctx context.Context, name, who string) (notice.User, error)
	// Holds are those in force and to come. AddHold returns once no mail is marked any more that could leave in it.
	Holds(ctx context.Context) ([]notice.Hold, error)
	AddHold(ctx context.Context, h notice.Hold, who string) (notice.Hold, error)
	RemoveHold(ctx context.Context, number int64, who string) (notice.Hold, error)
	// Webhooks are the receivers of events. TestWebhook writes a message for one, and RetryWebhook has those that wait, or were given up, be
	// tried at once.
	Webhooks(ctx context.Context) ([]notice.Webhook, error)
	TestWebhook(ctx context.Context, name, who string) (notice.WebhookMessage, error)
	RetryWebhook(ctx context.Context, name, who string) (int, error)
	WebhookMessage(ctx context.Context, name string, number int64) (notice.WebhookMessage, error)
	// Relays are those of the workers. RestRelay lets one rest, for a span or, where that is 0, until it is resumed.
	Relays(ctx context.Context) ([]notice.Relay, error)
	RestRelay(ctx context.Context, name string, span time.Duration, reason, who string) (notice.Relay, error)
	ResumeRelay(ctx context.Context, name, who string) (notice.Relay, error)
	// Limits are those of domains that operators have set. SetLimit sets one, for a span or, where that is 0, until it is cleared.
	Limits(ctx context.Context) ([]notice.DomainLimit, error)
	SetLimit(ctx context.Context, l notice.DomainLimit, span time.Duration, who string) (notice.DomainLimit, error)
	ClearLimit(ctx context.Context, domain, who string) (notice.DomainLimit, error)
	// Acts is a page of the log of acts with their actors, the newest first.
	Acts(ctx context.Context, p notice.ActPage) ([]notice.Act, error)
}

// Receipt is the status document of a notice and whether the call made the difference: created the draft, or
// released it. A repeated call answers the same with Created false.
type Receipt struct {
	notice.Status
	Created bool `json:"created"`
}

// TestMail is the result of one test mail.
type TestMail struct {
	Language string `json:"language"`
	Outcome  string `json:"outcome"` // sent, later, never or uncertain
	Relay    string `json:"relay"`
	SMTPCode int    `json:"smtp_code"` // 0 = none heard
	Enhanced string `json:"enhanced_code"`
	SMTPText string `json:"smtp_text"` // the relay's answer, or the fault where there was none
}

// Format is the media type of a customer file.
type Format string

// The formats of customer files.
const (
	FormatCSV    Format = "text/csv"
	FormatNDJSON Format = "application/x-ndjson"
)

// CustomerFile says how a customer file is to be taken in. Only Format is needed.
type CustomerFile struct {
	Format     Format
	Encoding   string            // by its name in the Encoding Standard; "": it is recognised
	Map        map[string]string // the fields of columns with a header of another name; "" leaves one out
	Attributes []string          // columns that are attributes though their names look like a field's
	notice.ImportOptions
}

// The bodies of answers that are lists, and of requests that are more than a noun.
type (
	noticeList struct {
		Notices []notice.Status `json:"notices"`
		Next    *int64          `json:"next" doc:"the number to go on before; null at the end"`
	}
	deliveryList struct {
		Deliveries []notice.Delivery `json:"deliveries"`
		Next       *int              `json:"next"` // the seq to go on after; null at the end
		// RowsDroppedAt is when the notice's rows were dropped because they were old; the counts of its status stay.
		RowsDroppedAt *time.Time `json:"rows_dropped_at,omitempty"`
	}
	planning struct {
		Running   bool `json:"running"`
		Customers int  `json:"customers" doc:"so far"`
	}
	historyList struct {
		Deliveries []notice.HistoryEntry `json:"deliveries"`
	}
	testRequest struct {
		notice.Body
		To string `json:"to"`
	}
	testReport struct {
		Mails []TestMail `json:"mails"`
	}
)
