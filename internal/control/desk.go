// Package control takes an operator's decisions: draft, preview, test, release, pause, cancel, settle, reconcile. It goes by
// the ledger alone; package delivery carries out the decisions.
package control

import (
	"context"
	"log/slog"
	"net/mail"
	"os"
	"sync"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// Register holds the methods of package ledger that a Desk needs.
type Register interface {
	Sweep(ctx context.Context) (ledger.Work, error)
	Reconcile(ctx context.Context, id int64, r ledger.Reconciliation, who string) (ledger.Reconciled, error)
	Relayed(ctx context.Context, words []ledger.Relayed, who string) (ledger.RelayedResult, error)
	AttributeNames(ctx context.Context) ([]string, error)
	Anybody(ctx context.Context, f notice.Filter) (bool, error)
	FilterHints(ctx context.Context, filters ...notice.Filter) ([]string, error)
	UnknownCustomers(ctx context.Context, ids []string) (first, n int, err error)
	UnknownDomain(ctx context.Context, domains []string) (missing, closest string, err error)
	Crowd(ctx context.Context, c ledger.Choice) (notice.Crowd, error)
	Someone(ctx context.Context, c ledger.Choice, language string, skip int) (notice.Customer, error)
	Listed(ctx context.Context, id int64) ([]string, error)
	Outside(ctx context.Context, c ledger.Choice, id string) (why string, err error)
	Find(ctx context.Context, ref string) (id int64, err error)
	Notice(ctx context.Context, id int64) (ledger.Notice, error)
	Begun(ctx context.Context, incident, but string) ([]notice.Step, error)
	Announced(ctx context.Context, incident, but string) (ledger.Notice, error)
	Sent(ctx context.Context, b notice.Body) ([]ledger.Notice, error)
	Released(ctx context.Context, b notice.Body) (released, same bool, err error)
	PutDraft(ctx context.Context, d ledger.Draft) (id int64, created bool, err error)
	Plan(ctx context.Context, a ledger.Audience) (notice.Plan, error)
	Freeze(ctx context.Context, id int64, a ledger.Audience) (notice.Plan, error)
	Drift(ctx context.Context, id int64, a ledger.Audience, digest string) (*notice.Drift, error)
	Release(ctx context.Context, id int64, a ledger.Audience, p ledger.Press) (released bool, err error)
	Take(ctx context.Context, id int64, p ledger.Press) (released bool, err error)
	Pause(ctx context.Context, id int64, who string) error
	Resume(ctx context.Context, id int64, leaveFailed bool, who string) error
	Cancel(ctx context.Context, id int64, who string) error
	DeleteDraft(ctx context.Context, id int64, who string) error
	SendNow(ctx context.Context, id int64, who string) error
	Move(ctx context.Context, id int64, to time.Time, allowed []string, who string) error
	TakeBack(ctx context.Context, id int64, who string) error
	Leaving(ctx context.Context) ([]int64, error)
	Leave(ctx context.Context, id int64, a ledger.Audience) error
	HoldLeaving(ctx context.Context, id int64, reason string) error
	LetLeave(ctx context.Context, id int64, most int, a ledger.Allowance, who string) error
	Settle(ctx context.Context, id int64, s notice.Settlement, key, who string) (notice.Settled, error)
	AddRecipient(ctx context.Context, id int64, a ledger.Addition, who string) (ledger.Added, error)
	Unhold(ctx context.Context, id int64, send, lift bool, who string) error
	Status(ctx context.Context, ref string) (notice.Status, error)
	BounceKeys(ctx context.Context) ([][]byte, error)
	MessageToken(ctx context.Context, noticeID int64) (string, error)
	Choices(ctx context.Context, noticeID int64, seq int) (notice.Choices, error)
	Choose(ctx context.Context, noticeID int64, seq int, topic notice.Scope, stop bool) (notice.Choices, error)
	FindMessage(ctx context.Context, messageID string) (noticeID int64, seq int, addressKey string, err error)
	UnderWay(ctx context.Context, r ledger.Returned) (bool, error)
	Return(ctx context.Context, r ledger.Returned) (notice.BounceEffect, error)
	Senders(ctx context.Context) (notice.Senders, error)
	Limits(ctx context.Context) ([]notice.DomainLimit, error)
	Holds(ctx context.Context) ([]notice.Hold, error)
	Customer(ctx context.Context, id string) (notice.Customer, error)
	Customers(ctx context.Context, p notice.CustomerPage) ([]notice.Customer, error)
	CustomersNamed(ctx context.Context, begin string, limit int) ([]notice.Customer, error)
	HistoryOf(ctx context.Context, noticeID int64, idOrAddress, addressKey string) ([]notice.HistoryEntry, error)
	Entries(ctx context.Context, noticeIDs []int64, seqs []int) ([]notice.HistoryEntry, error)
	FindQueueID(ctx context.Context, id string, noticeID int64) (noticeIDs []int64, seqs []int, err error)
	Timeline(ctx context.Context, noticeID int64, seq int) ([]notice.Event, error)
	Kept(ctx context.Context, noticeIDs []int64, seqs []int) ([]ledger.Kept, error)
	Message(ctx context.Context, noticeID int64, seq int) (ledger.Kept, error)
	RecordTest(ctx context.Context, key, who, detail string) error
}

// Sender speaks to the relays.
type Sender interface {
	// Send makes one SMTP transaction. An error means that no relay could be reached and nothing was tried.
	Send(ctx context.Context, m notice.Mail, p notice.Permit) (notice.Answer, error)
	// Offers says which mails the relays take.
	Offers(ctx context.Context) []notice.Offer
}

// Desk takes an operator's decisions.
type Desk struct {
	Ledger  Register
	Queue   ledger.Queue
	Set     *render.Set
	Sender  Sender        // for test mails and the dry run; nil where this process has no relay
	From    string        // RFC 5322 mailbox; may be empty, then no test mail can be sent
	ReplyTo string        // where a notice has none
	Zone    string        // where a notice has none
	OnlyTo  notice.OnlyTo // mailboxes that this process sends to alone
	// Approvals is from how many mails on another person than the authors of a notice has to approve its release; 0: from none.
	Approvals int
	Logger    *slog.Logger
	// Count is called with each report about a mail that is recorded; nil: with none.
	Count func(kind notice.BounceKind, class notice.BounceClass)
	// Released is called with each notice that this process has released, and when that began; nil: with none.
	Released func(ctx context.Context, n ledger.Notice, began time.Time)
	// PublicURL is where readers stop mails; empty: they can't.
	PublicURL string
	// Sign returns a test mail with its signature; nil: they are not signed here.
	Sign func(message []byte, at time.Time) ([]byte, error)

	// Pace says how the workers are, for forecasts; nil: there are none.
	Pace func(ctx context.Context) (*notice.Pace, error)
	// WorkerRate is how many mails a second one worker is reckoned to send, and RelayRate that of all relays together; 0: no limit.
	WorkerRate, RelayRate float64

	planning sync.Map // the drafts that are being planned, by number: how many customers so far, as *atomic.Int64
}

// Draft keeps a notice that is not released yet, after checking all that can be checked without its recipients.
// Once the key is released the same body answers with the status as it is, and another one is a conflict.
// It returns whether the key is new.
func (d *Desk) Draft(ctx context.Context, b notice.Body, who string) (st notice.Status, created bool, err error) {
	if b, err = d.normal(ctx, b); err != nil {
		return st, false, err
	}
	released, same, err := d.Ledger.Released(ctx, b.Kept())
	if err != nil {
		return st, false, err
	}
	// A released body is not checked again: a template or an attribute that has gone since changes nothing.
	if !released || !same {
		if err := unambiguous(b, d.Zone); err != nil {
			return st, false, err
		}
		p, err := d.prepare(ctx, b, unkept)
		if err != nil {
			return st, false, err
		}
		draft := ledger.Draft{Body: b.Kept(), Customers: b.Audience.Customers, Texts: p.texts, Filter: audience.Format(p.choice.Filter), Who: who}
		if _, created, err = d.Ledger.PutDraft(ctx, draft); err != nil {
			return st, false, err
		}
	}
	st, err = d.Ledger.Status(ctx, b.Key)
	return st, created, err
}

// senders says how the processes that send are set up, this one included.
func (d *Desk) senders(ctx context.Context) (notice.Senders, error) {
	s, err := d.Ledger.Senders(ctx)
	if len(d.OnlyTo) > 0 {
		s.OnlyTo = d.OnlyTo
	}
	return s, err
}

// Pause stops a notice until it is resumed; at most the mails that were marked before may still leave.
func (d *Desk) Pause(ctx context.Context, ref, who string) (notice.Status, error) {
	return d.change(ctx, ref, who, d.Ledger.Pause)
}

// Resume has a notice sent again that is paused, or held after its canary, or since a relay refused everybody.
func (d *Desk) Resume(ctx context.Context, ref string, r notice.Resuming, who string) (notice.Status, error) {
	return d.change(ctx, ref, who, func(ctx context.Context, id int64, who string) error {
		return d.Ledger.Resume(ctx, id, r.LeaveFailed, who)
	})
}

// Cancel stops a notice for good; at most the mails that were marked before may still leave.
func (d *Desk) Cancel(ctx context.Context, ref, who string) (notice.Status, error) {
	return d.change(ctx, ref, who, d.Ledger.Cancel)
}

// DeleteDraft deletes a draft; its key can be used again.
func (d *Desk) DeleteDraft(ctx context.Context, ref, who string) error {
	id, err := d.Ledger.Find(ctx, ref)
	if err != nil {
		return err
	}
	return d.Ledger.DeleteDraft(ctx, id, who)
}

func (d *Desk) change(ctx context.Context, ref, who string, f func(context.Context, int64, string) error) (st notice.Status, err error) {
	id, err := d.Ledger.Find(ctx, ref)
	if err != nil {
		return st, err
	}
	if err := f(ctx, id, who); err != nil {
		return st, err
	}
	d.sweep(ctx)
	return d.Ledger.Status(ctx, ref)
}

// Unhold lets go of a notice that the fence against a restored ledger holds, or that could not leave.
func (d *Desk) Unhold(ctx context.Context, ref string, u notice.Unholding, who string) (notice.Status, error) {
	if u.Send && u.Uncertain {
		return notice.Status{}, notice.Invalid("send", "say either that what is owed is to be sent or that it becomes uncertain")
	}
	n, err := d.find(ctx, ref)
	if err != nil {
		return notice.Status{}, err
	}
	return d.change(ctx, ref, who, func(ctx context.Context, id int64, who string) error {
		if n.State == notice.Held && !n.Planned && n.Reason != notice.ReasonRestored {
			return d.Ledger.LetLeave(ctx, id, u.MaxRecipients, ledger.Allowance{From: d.Approvals, Person: notice.Person(ctx)}, who)
		}
		if u.MaxRecipients > 0 {
			return notice.Invalid("max_recipients", "is for a notice that is held because its audience could not be resolved when it was to leave")
		}
		return d.Ledger.Unhold(ctx, id, u.Send, u.Lift, who)
	})
}

// Settle carries out an operator's decision about deliveries that are uncertain, failed or suppressed.
func (d *Desk) Settle(ctx context.Context, ref string, s notice.Settlement, who string) (done notice.Settled, err error) {
	if err := s.Check(); err != nil {
		return done, err
	}
	id, err := d.Ledger.Find(ctx, ref)
	if err != nil {
		return done, err
	}
	var key string
	if s.Address != "" {
		a, err := audience.ParseAddress(s.Address)
		if err != nil {
			return done, notice.Invalid("address", "%v", err)
		}
		key = a.Key()
	}
	if done, err = d.Ledger.Settle(ctx, id, s, key, who); err != nil {
		return done, err
	}
	d.sweep(ctx)
	return done, nil
}

// sweepTimeout bounds how long an operator waits for the sweep after a decision.
const sweepTimeout = 20 * time.Second

// sweep has a change worked at once; where that can't be done now, the workers' own sweep does it.
func (d *Desk) sweep(ctx context.Context) {
	asking, asked := context.WithTimeout(ctx, sweepTimeout)
	defer asked()
	work, err := d.Ledger.Sweep(asking)
	if err == nil {
		err = work.Enqueue(ctx, d.Queue)
	}
	if err != nil {
		d.Logger.Warn("sweep, left to the workers", slog.Any("error", err))
	}
}

// domain is the end of the Message-IDs of a notice, behind the @.
func (d *Desk) domain() string {
	if from, err := mail.ParseAddress(d.From); err == nil {
		if a, err := audience.ParseAddress(from.Address); err == nil {
			return a.Domain
		}
	}
	if host, err := os.Hostname(); err == nil {
		return host
	}
	return "tocsin.invalid"
}
