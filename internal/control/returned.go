package control

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"tocsin/internal/audience"
	"tocsin/internal/bounce"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// TakeReturned reads a mail that came back, given with its header as it came, and records it with the attempt that it
// names. A mail that names none changes nothing: an address alone is no proof. One that names an attempt of a notice
// with dropped rows changes nothing either.
func (d *Desk) TakeReturned(ctx context.Context, raw []byte) (r notice.BounceReceipt, err error) {
	m := bounce.Read(raw)
	r.Kind = m.Kind
	told := worst(m.Recipients)
	r.Class = told.Class
	of, by, err := d.attemptOf(ctx, m)
	if err != nil {
		return r, err
	}
	if by == "" {
		d.count(notice.KindUnknown, "")
		return r, nil
	}
	r.MatchedBy = by
	if m.Kind == bounce.Other || told.Action == bounce.Relayed || told.Action == bounce.Expanded {
		return r, nil
	}
	of.Kind, of.Class, of.Code, of.Status = r.Kind, told.Class, told.Code, told.Status
	of.Diagnostic, of.Remote, of.At, of.Complains = told.Diagnostic, told.RemoteMTA, told.At, m.Complains()
	if err := d.answered(ctx, of); err != nil {
		return r, err
	}
	e, err := d.Ledger.Return(ctx, of)
	if notice.CodeOf(err) == notice.CodeNotFound {
		d.count(notice.KindUnknown, "")
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.Effect = &e
	d.report(of, r)
	return r, nil
}

func (d *Desk) count(kind notice.BounceKind, class notice.BounceClass) {
	if d.Count != nil {
		d.Count(kind, class)
	}
}

// report counts and logs the effect of a report.
func (d *Desk) report(of ledger.Returned, r notice.BounceReceipt) {
	e := r.Effect
	switch {
	case e.Repeated:
	case e.Changed:
		d.count(of.Kind, of.Class)
	case of.Kind != notice.KindBounce && (of.Complains || of.Kind != notice.KindComplaint):
		d.count(of.Kind, "")
	}
	d.Logger.Info("a mail came back", slog.String("kind", string(r.Kind)), slog.String("class", string(r.Class)), slog.Int64("notice_id", of.NoticeID),
		slog.Int("seq", of.Seq), slog.String("matched_by", r.MatchedBy), slog.Bool("changed", e.Changed), slog.Bool("suppressed", e.Suppressed))
	if of.Complains && !e.Repeated {
		d.Logger.Warn("a reader calls a mail spam", slog.Int64("notice_id", of.NoticeID), slog.Int("seq", of.Seq), slog.Bool("suppressed", e.Suppressed))
	}
	if e.Warned {
		d.Logger.Warn("a domain refuses too many mails by policy", slog.Int64("notice_id", of.NoticeID), slog.Int("seq", of.Seq))
	}
	if e.Held {
		d.Logger.Error("too many mails come back: the notice is held until it is resumed", slog.Int64("notice_id", of.NoticeID))
	}
}

const (
	// How long a report is kept waiting for the answer to its attempt to be recorded, and how often that is looked for.
	reportWaits = 2 * time.Second
	reportLooks = 25 * time.Millisecond
)

// answered waits until the answer to the attempt of a report is recorded: a report that comes before it would be lost. A
// notice.Error of class too_early says that it is to be handed in again.
func (d *Desk) answered(ctx context.Context, of ledger.Returned) error {
	if of.Kind != notice.KindBounce && of.Kind != notice.KindDelivery {
		return nil
	}
	ctx, cancel := context.WithTimeoutCause(ctx, reportWaits, &notice.Error{Code: notice.CodeTooEarly,
		Message: "the attempt that the mail is about is under way: hand the mail in again"})
	defer cancel()
	again := time.NewTicker(reportLooks)
	defer again.Stop()
	for {
		under, err := d.Ledger.UnderWay(ctx, of)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil || !under {
			return err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// worst returns the recipient that decides the kind of a mail: one that failed before one that waits. A mail of ours has one
// recipient; a report names more where that is a list.
func worst(all []bounce.Recipient) (r bounce.Recipient) {
	for _, action := range []bounce.Action{bounce.Failed, bounce.Delayed, bounce.Delivered} {
		if i := slices.IndexFunc(all, func(r bounce.Recipient) bool { return r.Action == action }); i >= 0 {
			return all[i]
		}
	}
	if len(all) > 0 {
		return all[0]
	}
	return r
}

// attemptOf returns the attempt that a mail names, and how; by is "" where it names none of ours.
func (d *Desk) attemptOf(ctx context.Context, m bounce.Mail) (of ledger.Returned, by string, err error) {
	secrets, err := d.Ledger.BounceKeys(ctx)
	if err != nil {
		return of, "", err
	}
	keys := bounce.Keys(secrets)
	if a, ok := keys.Find(m.SentTo); ok {
		return ledger.Returned{NoticeID: a.Notice, Seq: a.Seq, Epoch: a.Epoch}, notice.MatchedByToken, nil
	}
	if a, err := keys.Attempt(m.EnvelopeID); err == nil {
		return ledger.Returned{NoticeID: a.Notice, Seq: a.Seq, Epoch: a.Epoch}, notice.MatchedByEnvelopeID, nil
	}
	id, seq, mailbox, err := d.Ledger.FindMessage(ctx, m.MessageID)
	if err != nil || id == 0 {
		return of, "", err
	}
	// Each reader knows the Message-ID of one mail, and could guess those of others.
	for _, r := range m.Recipients {
		for _, text := range []string{r.Original, r.Final} {
			if a, err := audience.ParseAddress(text); err == nil && a.Key() == mailbox {
				return ledger.Returned{NoticeID: id, Seq: seq}, notice.MatchedByMessageID, nil
			}
		}
	}
	return of, "", nil
}
