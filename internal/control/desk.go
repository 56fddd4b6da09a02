// Package control takes an operator's decisions: draft, preview, test, release, pause, cancel, settle, reconcile. It goes by
// the ledger alone; package delivery carries out the decisions.
package control

import (
	"context"
	"log/slog"
	"net/mail"
	"os"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// Register is what a Desk needs of package ledger.
type Register interface {
	Sweep(ctx context.Context) (ledger.Work, error)
	Reconcile(ctx context.Context, id int64, r ledger.Reconciliation, who string) (ledger.Reconciled, error)
	AttributeNames(ctx context.Context) ([]string, error)
	Anybody(ctx context.Context, f notice.Filter) (bool, error)
	FilterHints(ctx context.Context, filters ...notice.Filter) ([]string, error)
	UnknownCustomers(ctx context.Context, ids []string) (first, n int, err error)
	UnknownDomain(ctx context.Context, domains []string) (missing, closest string, err error)
	Listed(ctx context.Context, id int64) ([]string, error)
	Find(ctx context.Context, ref string) (id int64, err error)
	Notice(ctx context.Context, id int64) (ledger.Notice, error)
	Released(ctx context.Context, b notice.Body) (released, same bool, err error)
	PutDraft(ctx context.Context, d ledger.Draft) (id int64, created bool, err error)
	Plan(ctx context.Context, a ledger.Audience) (notice.Plan, error)
	Release(ctx context.Context, id int64, a ledger.Audience, domain, who string) (released bool, err error)
	Pause(ctx context.Context, id int64, who string) error
	Resume(ctx context.Context, id int64, who string) error
	Cancel(ctx context.Context, id int64, who string) error
	Settle(ctx context.Context, id int64, s notice.Settlement, key, who string) (notice.Settled, error)
	Unhold(ctx context.Context, id int64, send, lift bool, who string) error
	Status(ctx context.Context, ref string) (notice.Status, error)
}

// Sender makes one SMTP transaction. An error means that no relay could be reached and nothing was tried.
type Sender interface {
	Send(ctx context.Context, m notice.Mail, p notice.Permit) (notice.Answer, error)
}

// Desk takes an operator's decisions.
type Desk struct {
	Ledger  Register
	Queue   ledger.Queue
	Set     *render.Set
	Sender  Sender // for test mails; nil where this process has no relay
	From    string // RFC 5322 mailbox; may be empty, then no test mail can be sent
	ReplyTo string // where a notice has none
	Zone    string // where a notice has none
	Logger  *slog.Logger
}

// Draft keeps a notice that is not released yet, after checking all that can be checked without its recipients.
// Once the key is released the same body answers with the status as it is, and another one is a conflict.
// It returns whether the key is new.
func (d *Desk) Draft(ctx context.Context, b notice.Body, who string) (st notice.Status, created bool, err error) {
	if b, err = normal(b); err != nil {
		return st, false, err
	}
	released, same, err := d.Ledger.Released(ctx, b.Kept())
	if err != nil {
		return st, false, err
	}
	// What was released is not checked again: a template or an attribute that has gone since changes nothing.
	if !released || !same {
		if err := unambiguous(b); err != nil {
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

// Preview is the dry run of a body: what a release would do, with a mail in each language.
func (d *Desk) Preview(ctx context.Context, b notice.Body) (plan notice.Plan, err error) {
	if b, err = normal(b); err != nil {
		return plan, err
	}
	if err := unambiguous(b); err != nil {
		return plan, err
	}
	p, err := d.prepare(ctx, b, unkept)
	if err != nil {
		return plan, err
	}
	look := newInspection(p.program, true)
	if plan, err = d.Ledger.Plan(ctx, p.audience(look)); err != nil {
		return plan, err
	}
	look.tell(&plan)
	plan.Hints, err = d.Ledger.FilterHints(ctx, p.choice.Filter, p.broken.Filter)
	return plan, err
}

// Release freezes a draft and its audience and lets it go; released is false where that had been done before.
// It is refused when a mail would have a hole in it, or nobody would get one.
func (d *Desk) Release(ctx context.Context, ref, who string) (st notice.Status, released bool, err error) {
	id, err := d.Ledger.Find(ctx, ref)
	if err != nil {
		return st, false, err
	}
	n, err := d.Ledger.Notice(ctx, id)
	if err != nil {
		return st, false, err
	}
	if !n.State.Released() {
		p, err := d.prepare(ctx, n.Body, n)
		if err != nil {
			return st, false, err
		}
		released, err = d.Ledger.Release(ctx, id, p.audience(newInspection(p.program, false)), d.domain(), who)
		if err != nil {
			return st, false, err
		}
		if released {
			d.Logger.Info("released", slog.Int64("notice_id", id), slog.String("who", who))
			d.sweep(ctx)
		}
	}
	st, err = d.Ledger.Status(ctx, n.Key)
	return st, released, err
}

// Pause stops a notice until it is resumed; at most what was marked before may still leave.
func (d *Desk) Pause(ctx context.Context, ref, who string) (notice.Status, error) {
	return d.change(ctx, ref, who, d.Ledger.Pause)
}

// Resume has a paused notice sent again.
func (d *Desk) Resume(ctx context.Context, ref, who string) (notice.Status, error) {
	return d.change(ctx, ref, who, d.Ledger.Resume)
}

// Cancel stops a notice for good; at most what was marked before may still leave.
func (d *Desk) Cancel(ctx context.Context, ref, who string) (notice.Status, error) {
	return d.change(ctx, ref, who, d.Ledger.Cancel)
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

// Unhold lets go of a notice that the fence against a restored ledger holds.
func (d *Desk) Unhold(ctx context.Context, ref string, u notice.Unholding, who string) (notice.Status, error) {
	if u.Send && u.Uncertain {
		return notice.Status{}, notice.Invalid("send", "say either that what is owed is to be sent or that it becomes uncertain")
	}
	return d.change(ctx, ref, who, func(ctx context.Context, id int64, who string) error {
		return d.Ledger.Unhold(ctx, id, u.Send, u.Lift, who)
	})
}

// Settle carries out what an operator decided about deliveries that are uncertain, failed or suppressed.
func (d *Desk) Settle(ctx context.Context, ref string, s notice.Settlement, who string) (done notice.Settled, err error) {
	if s.Sent == s.Requeue {
		return done, notice.Invalid("sent", "say either that they were sent or that they are to be requeued")
	}
	if (s.Address != "") == s.AllUncertain {
		return done, notice.Invalid("address", "name either one address or all that are uncertain")
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

// domain is what the Message-IDs of a notice end in.
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

// prepared is a body that can be released.
type prepared struct {
	body    notice.Body
	texts   map[string]notice.Text
	choice  ledger.Choice
	broken  ledger.Broken
	program *render.Program
}

// prepare checks a normal body. kept is the draft that it stands in, with the texts that were frozen with it; or unkept,
// for a body that is new, whose texts are resolved now.
func (d *Desk) prepare(ctx context.Context, b notice.Body, kept ledger.Notice) (p prepared, err error) {
	p = prepared{body: b, texts: kept.Texts}
	if kept.Texts == nil {
		if p.texts, err = d.Set.Texts(b); err != nil {
			return p, err
		}
	}
	if p.program, err = d.Set.Compile(render.SourceOf(b, p.texts, d.from(), d.ReplyTo, d.Zone)); err != nil {
		return p, err
	}
	if kept.Texts == nil {
		if err := d.checkTexts(ctx, p.program); err != nil {
			return p, err
		}
	}
	if p.choice, err = d.choose(ctx, b.Audience, kept); err != nil {
		return p, err
	}
	p.broken, err = d.broken(ctx, b, kept)
	return p, err
}

// unkept stands for the draft of a body that is new.
var unkept = ledger.Notice{FilterRules: notice.FilterPatterns}

// from is the sender for texts that are only looked at, where none is configured.
func (d *Desk) from() string {
	if d.From == "" {
		return "status@tocsin.invalid"
	}
	return d.From
}

func (p prepared) audience(look *inspection) ledger.Audience {
	return ledger.Audience{
		Body: p.body, Choice: p.choice, FilterText: audience.Format(p.choice.Filter), Broken: p.broken,
		DefaultLanguage: p.body.DefaultLanguage, Match: p.program.Match, Each: look.see, Judge: look.judge,
	}
}
