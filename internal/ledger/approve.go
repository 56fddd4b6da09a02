package ledger

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

// Approval is a person's word for the plan that they were shown.
type Approval struct {
	Person   string // the name of their token or account; "": nobody in particular
	Override string // why it goes without another person; "": another person approves
}

// admit asks whether a release of so many mails may go: one of ApproveFrom or more wants an approval. Without it the draft stays one, and
// keeps who asked; waits is true then. It notes in p the names that stay with the notice. The draft and its plan are locked.
func (p *Press) admit(ctx context.Context, tx pgx.Tx, n Notice, mailed int) (waits bool, err error) {
	var by drafting
	err = tx.QueryRow(ctx, `SELECT created_by, edited_by, asked, clock_timestamp() FROM notice WHERE id = $1`, n.ID).
		Scan(&by.creator, &by.editors, &by.asked, &by.now)
	if err != nil {
		return false, fmt.Errorf("read who wrote notice %d: %w", n.ID, err)
	}
	if by.asked != nil && by.asked.Plan != p.Digest {
		by.asked = nil
	}
	p.releasedBy = p.Who
	switch {
	case p.Approval != nil:
		return false, p.approve(ctx, tx, n, by, mailed)
	case p.ApproveFrom == 0 || mailed < p.ApproveFrom:
		return false, nil
	case by.asked != nil:
		return true, nil
	}
	asked := notice.AwaitedApproval{Plan: p.Digest, Recipients: mailed, From: p.ApproveFrom, AskedBy: p.Who, AskedAt: by.now.UTC(), Allow: p.Allowed,
		Canary: cmp.Or(p.Canary, n.Body.Canary)}
	if _, err := tx.Exec(ctx, `UPDATE notice SET asked = $2 WHERE id = $1`, n.ID, asked); err != nil {
		return false, fmt.Errorf("keep who asked to release notice %d: %w", n.ID, err)
	}
	return true, recordAct(ctx, tx, n.ID, p.Who, "ask approval", fmt.Sprintf("%d recipients, plan %.12s", mailed, p.Digest)+overruled(p.Allowed))
}

// approve takes the approval of p, or its override.
func (p *Press) approve(ctx context.Context, tx pgx.Tx, n Notice, by drafting, mailed int) error {
	if by.asked != nil {
		p.releasedBy = by.asked.AskedBy
	}
	p.approvedBy, p.override = p.Who, strings.TrimSpace(p.Approval.Override)
	if p.override != "" {
		return recordAct(ctx, tx, n.ID, p.Who, "override approval", fmt.Sprintf("%d recipients, plan %.12s: %s", mailed, p.Digest, p.override))
	}
	if err := by.another(n.Key, p.Approval.Person); err != nil {
		return err
	}
	return recordAct(ctx, tx, n.ID, p.Who, "approve", fmt.Sprintf("%d recipients, plan %.12s", mailed, p.Digest))
}

// drafting is who wrote a draft, and who asked for its release.
type drafting struct {
	creator string
	editors []string // all who replaced it
	asked   *notice.AwaitedApproval
	now     time.Time
}

// another refuses a person who wrote on a notice, and one who is nobody in particular.
func (d drafting) another(key, person string) error {
	if person == "" {
		return notice.Conflict("TOCSIN_TOKEN, and a call without a token, are nobody in particular and can't approve notice %q: use a token or an account of your own; "+
			"in an emergency override with a reason", key)
	}
	wrote := slices.ContainsFunc(append([]string{d.creator}, d.editors...), func(who string) bool {
		name, _ := notice.SplitActor(who)
		return strings.EqualFold(name, person)
	})
	if wrote {
		return notice.Conflict("%s wrote on notice %q: another person has to approve it; in an emergency override with a reason", person, key)
	}
	return nil
}

// Allowance says from how many mails on another person has to approve, 0: from none; and who asks, as of Approval.
type Allowance struct {
	From   int
	Person string
}

// widen asks whether a released notice may go to so many, which is more than its release was for: that wants another person than its
// authors, too, from as many on. The notice is locked.
func widen(ctx context.Context, tx pgx.Tx, n Notice, most int, a Allowance, who string) error {
	if a.From == 0 || most < a.From || most <= n.MaxRecipients {
		return nil
	}
	var by drafting
	if err := tx.QueryRow(ctx, `SELECT created_by, edited_by || released_by FROM notice WHERE id = $1`, n.ID).Scan(&by.creator, &by.editors); err != nil {
		return fmt.Errorf("read who wrote notice %d: %w", n.ID, err)
	}
	if err := by.another(n.Key, a.Person); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `UPDATE notice SET approved_by = $2, override = '' WHERE id = $1`, n.ID, who); err != nil {
		return fmt.Errorf("keep who approved notice %d: %w", n.ID, err)
	}
	return recordAct(ctx, tx, n.ID, who, "approve", fmt.Sprintf("at most %d recipients", most))
}

// grows refuses one more row of a notice that was released without an approval, where it would have wanted one with that row.
func grows(ctx context.Context, tx pgx.Tx, n Notice, from int) error {
	if from == 0 {
		return nil
	}
	var approved bool
	var mailed int
	err := tx.QueryRow(ctx, `
		SELECT approved_by <> '', (SELECT coalesce(sum(value::int), 0) FROM jsonb_each_text(by_language)) + (SELECT count(*) FROM added a WHERE a.plan_id = notice.plan_id)
		FROM notice WHERE id = $1`, n.ID).Scan(&approved, &mailed)
	if err != nil {
		return fmt.Errorf("count the mails of notice %d: %w", n.ID, err)
	}
	if !approved && mailed+1 == from {
		return notice.Conflict("with one more, notice %q goes to %d, and from that on another person has to approve it: send a notice of its own to that address", n.Key, from)
	}
	return nil
}
