package control

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"net/mail"
	"slices"
	"sync/atomic"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/render"
)

// Preview is the dry run of a body: the effect of a release, with a mail in each language. Where the body is that of a
// draft, it is PreviewDraft; of any other nothing is kept. It shows the extras that v asks for, too.
func (d *Desk) Preview(ctx context.Context, b notice.Body, v notice.Previewing) (plan notice.Plan, err error) {
	if v, err = normalPreviewing(v); err != nil {
		return plan, err
	}
	if b, err = d.normal(ctx, b); err != nil {
		return plan, err
	}
	if err := unambiguous(b, d.Zone); err != nil {
		return plan, err
	}
	n, err := d.find(ctx, b.Key)
	switch {
	case err == nil && !n.State.Released() && sameBody(n.Body, b.Kept()):
		return d.previewDraft(ctx, n, v)
	case err != nil && notice.CodeOf(err) != notice.CodeNotFound:
		return plan, err
	}
	p, err := d.prepare(ctx, b, unkept)
	if err != nil {
		return plan, err
	}
	return d.look(ctx, p, v, func(a ledger.Audience) (notice.Plan, error) { return d.Ledger.Plan(ctx, a) })
}

// normalPreviewing checks the customer that a dry run is to show.
func normalPreviewing(v notice.Previewing) (notice.Previewing, error) {
	if v.Customer == "" {
		return v, nil
	}
	id, reason := audience.CheckListed(v.Customer)
	if reason != "" {
		return v, notice.Invalid("customer", "%s", reason)
	}
	v.Customer = id
	return v, nil
}

// sameBody reports whether two bodies are one: as they are kept, where an empty list is none.
func sameBody(a, b notice.Body) bool {
	first, errFirst := json.Marshal(a)
	second, errSecond := json.Marshal(b)
	return errFirst == nil && errSecond == nil && bytes.Equal(first, second)
}

// PreviewDraft is the dry run of a draft. The plan is kept in the place of the draft's earlier one, and a release of its digest takes
// it as it was shown. It has no digest where the draft can't be released as it is.
func (d *Desk) PreviewDraft(ctx context.Context, ref string, v notice.Previewing) (plan notice.Plan, err error) {
	if v, err = normalPreviewing(v); err != nil {
		return plan, err
	}
	n, err := d.find(ctx, ref)
	if err != nil {
		return plan, err
	}
	if n.State.Released() {
		return plan, notice.Conflict("notice %q is no draft any more: it was released", n.Key)
	}
	return d.previewDraft(ctx, n, v)
}

// ReviewDraft is the dry run of a draft for another person: it keeps nothing, so that the plan which waits for approval stays.
func (d *Desk) ReviewDraft(ctx context.Context, ref string, v notice.Previewing) (plan notice.Plan, err error) {
	if v, err = normalPreviewing(v); err != nil {
		return plan, err
	}
	n, err := d.find(ctx, ref)
	if err != nil {
		return plan, err
	}
	p, err := d.prepare(ctx, n.Body, n)
	if err != nil {
		return plan, err
	}
	plan, err = d.look(ctx, p, v, func(a ledger.Audience) (notice.Plan, error) { return d.Ledger.Plan(ctx, a) })
	plan.Draft = &n.Body
	return plan, err
}

func (d *Desk) previewDraft(ctx context.Context, n ledger.Notice, v notice.Previewing) (plan notice.Plan, err error) {
	p, err := d.prepare(ctx, n.Body, n)
	if err != nil {
		return plan, err
	}
	return d.look(ctx, p, v, func(a ledger.Audience) (notice.Plan, error) {
		defer d.watch(n.ID, &a)()
		return d.Ledger.Freeze(ctx, n.ID, a)
	})
}

// Planning returns how many customers the planning of a draft has come to in this process, and whether it is under way.
func (d *Desk) Planning(ctx context.Context, ref string) (customers int, running bool, err error) {
	id, err := d.Ledger.Find(ctx, ref)
	if err != nil {
		return 0, false, err
	}
	so, running := d.planning.Load(id)
	if !running {
		return 0, false, nil
	}
	return int(so.(*atomic.Int64).Load()), true, nil
}

// watch has Planning know of a draft's planning until done is called.
func (d *Desk) watch(id int64, a *ledger.Audience) (done func()) {
	so := new(atomic.Int64)
	a.Progress = func(customers int) { so.Store(int64(customers)) }
	d.planning.Store(id, so)
	return func() { d.planning.CompareAndDelete(id, so) }
}

// Release lets a draft go: to the plan with the digest of r, as it was shown, or where there is none, to one that is made now.
// released is false where that had been done before, and where the draft waits for approval now. It is refused when a mail would have a
// hole in it, or nobody would get one.
// A notice.Error of class plan_changed counts how the mails that would go now differ from those that were shown.
func (d *Desk) Release(ctx context.Context, ref string, r notice.Releasing, who string) (st notice.Status, released bool, err error) {
	n, err := d.find(ctx, ref)
	if err != nil {
		return st, false, err
	}
	return d.releaseAs(ctx, n, r, nil, who)
}

// Approve releases a draft to the plan that was shown, in the name of another person than its authors. An override with a reason
// needs no other person. It answers as Release does. The checks that were overruled when that release was asked for stay so.
func (d *Desk) Approve(ctx context.Context, ref string, a notice.Approving, who string) (st notice.Status, released bool, err error) {
	if err := a.Check(); err != nil {
		return st, false, err
	}
	n, err := d.find(ctx, ref)
	if err != nil {
		return st, false, err
	}
	if st, err = d.Ledger.Status(ctx, n.Key); err != nil {
		return st, false, err
	}
	r := notice.Releasing{Plan: a.Plan, Allow: a.Allow}
	if asked := st.AwaitingApproval; asked != nil && asked.Plan == a.Plan {
		r.Allow = slices.Compact(slices.Sorted(slices.Values(slices.Concat(asked.Allow, a.Allow))))
		r.Canary = asked.Canary
	}
	return d.releaseAs(ctx, n, r, &ledger.Approval{Person: notice.Person(ctx), Override: a.Override}, who)
}

func (d *Desk) releaseAs(ctx context.Context, n ledger.Notice, r notice.Releasing, approval *ledger.Approval, who string) (st notice.Status, released bool, err error) {
	began := time.Now()
	if !n.State.Released() {
		if released, err = d.release(ctx, n, r, approval, who); err != nil {
			return st, false, err
		}
	}
	if released {
		d.Logger.Info("released", slog.Int64("notice_id", n.ID), slog.String("who", who))
		if d.Released != nil {
			d.Released(ctx, n, began)
		}
		d.sweep(ctx)
	}
	st, err = d.Ledger.Status(ctx, n.Key)
	return st, released, err
}

func (d *Desk) release(ctx context.Context, n ledger.Notice, r notice.Releasing, approval *ledger.Approval, who string) (released bool, err error) {
	if err := checkAllowed(r.Allow); err != nil {
		return false, err
	}
	if err := notice.NormalCanary(r.Canary); err != nil {
		return false, err
	}
	compiled, err := d.compile(n.Body, n.Texts, n.Earlier)
	if err != nil {
		return false, err
	}
	if compiled.begun, err = d.Ledger.Begun(ctx, n.Incident, n.Key); err != nil {
		return false, err
	}
	if err := mayGo(compiled, r.Allow, time.Now()); err != nil {
		return false, err
	}
	remind, err := d.remind(n.Body, compiled.zone)
	if err != nil {
		return false, err
	}
	press := ledger.Press{Digest: r.Plan, Domain: d.domain(), Who: who, Allowed: r.Allow, MaxRecipients: n.Body.MaxRecipients, Reminders: remind.drafts,
		ApproveFrom: d.Approvals, Approval: approval, Canary: r.Canary}
	if r.Plan != "" {
		released, err = d.Ledger.Take(ctx, n.ID, press)
		if notice.CodeOf(err) != notice.CodePlanChanged {
			return released, err
		}
	}
	p, prepareErr := d.prepare(ctx, n.Body, n)
	if prepareErr != nil {
		return false, prepareErr
	}
	a := p.audience(p.inspect(nil))
	defer d.watch(n.ID, &a)()
	if r.Plan == "" {
		return d.Ledger.Release(ctx, n.ID, a, press)
	}
	drift, driftErr := d.Ledger.Drift(ctx, n.ID, a, r.Plan)
	if driftErr != nil {
		return false, driftErr
	}
	return false, planChanged(n.Key, drift)
}

// planChanged says that a plan which was shown does not stand any more.
func planChanged(key string, drift *notice.Drift) error {
	e := notice.Conflict("the plan of notice %q that was shown is not known, or not any more: nothing was sent; look at it again", key)
	if drift != nil {
		e = notice.Conflict("the plan of notice %q that was shown does not stand any more (%s since): nothing was sent; look at it again", key, drift)
	}
	e.Code, e.Drift = notice.CodePlanChanged, drift
	return e
}

func (d *Desk) find(ctx context.Context, ref string) (n ledger.Notice, err error) {
	id, err := d.Ledger.Find(ctx, ref)
	if err != nil {
		return n, err
	}
	return d.Ledger.Notice(ctx, id)
}

// askRelays has an inspection count the mails that no relay takes.
func (d *Desk) askRelays(ctx context.Context, seen *inspection, p prepared) {
	seen.unfit = &notice.Unfit{Offers: d.Sender.Offers(ctx)}
	if from, err := mail.ParseAddress(d.from()); err == nil {
		seen.foreign = international(from.Address)
	}
	seen.stamp = func() render.Stamp {
		s := d.stamp("preview", p.body, seen.senders.OnlyTo.Mark())
		s.Thread = slices.Repeat([]string{s.MessageID}, ledger.MostReferred) // of the incident's earlier mails, as far as a mail refers to them
		return s
	}
}

// look makes a plan and shows it.
func (d *Desk) look(ctx context.Context, p prepared, v notice.Previewing, make func(ledger.Audience) (notice.Plan, error)) (notice.Plan, error) {
	seen := p.inspect(&samples{asked: v.Customer})
	plan, err := notice.Plan{}, error(nil)
	if seen.senders, err = d.senders(ctx); err != nil {
		return plan, err
	}
	if d.Sender != nil {
		d.askRelays(ctx, seen, p)
	}
	if v.Source {
		seen.samples.stamp = func() render.Stamp { return d.stamp("preview", p.body, seen.senders.OnlyTo.Mark()) }
		if seen.correction != nil {
			seen.correction.samples.stamp = seen.samples.stamp
		}
	}
	if plan, err = make(p.audience(seen)); err != nil {
		return plan, err
	}
	if v.Source {
		seen.addUnread(slices.Sorted(maps.Keys(p.texts)))
	}
	if v.Customer != "" && seen.samples.told == nil {
		seen.samples.told = &notice.Asked{ID: v.Customer}
		if seen.samples.told.Reason, err = d.Ledger.Outside(ctx, p.choice, v.Customer); err != nil {
			return plan, err
		}
	}
	seen.tell(&plan)
	now := time.Now()
	plan.Refusals, plan.Reminders = refusals(p, now), p.body.Miss(p.remind.all, now)
	if p.body.Phase == notice.PhaseRescheduled {
		plan.Moved = &notice.Moved{Was: p.body.Was, Audience: p.body.Audience}
	}
	if plan.Forecast, err = d.forecast(ctx, p, plan, now.UTC()); err != nil {
		return plan, err
	}
	plan.From, plan.ReplyTo = d.from(), cmp.Or(p.body.ReplyTo, d.ReplyTo)
	plan.Hints, err = d.Ledger.FilterHints(ctx, p.choice.Filter, p.broken.Filter)
	if hint := late(p.body, now); hint != "" {
		plan.Hints = append(plan.Hints, hint)
	}
	return plan, err
}
