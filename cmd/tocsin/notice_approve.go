package main

import (
	"context"
	"fmt"
	"io"

	"tocsin/internal/api"
	"tocsin/internal/notice"
)

type approveCmd struct {
	one
	Plan     string `placeholder:"DIGEST" help:"The plan that goes, in place of the one that waits for approval."`
	Override string `placeholder:"REASON" help:"In an emergency: release it though you wrote it, for this reason; the log shows it."`
	Yes      bool   `help:"Approve without asking."`
}

// Run shows the plan and the mails of a draft that waits for another person, asks, and releases that plan.
func (c *approveCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	st, err := client.Status(ctx, c.Key, 0)
	if err != nil {
		return fmt.Errorf("look up the notice: %w", err)
	}
	send := sendCmd{JSON: c.JSON}
	if st.State.Released() {
		return send.print(a, api.Receipt{Status: st})
	}
	if c.Plan == "" {
		if st.AwaitingApproval == nil {
			return fmt.Errorf("nothing of %s waits for approval: nobody has asked for its release, or its plan has changed since; "+
				"have it sent again with: tocsin notice send DIR", st.Key)
		}
		c.Plan = st.AwaitingApproval.Plan
	}
	if err := c.review(ctx, a, client, st); err != nil {
		return err
	}
	done, err := client.Approve(ctx, st.Key, notice.Approving{Plan: c.Plan, Override: c.Override})
	if err != nil {
		return fmt.Errorf("approve: %w", err)
	}
	return send.print(a, done)
}

// review shows the plan that waits for approval, and asks for the last word.
func (c *approveCmd) review(ctx context.Context, a *app, client *api.Client, st notice.Status) error {
	p, err := client.ReviewDraft(ctx, st.Key)
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	body := notice.Body{Key: st.Key, Kind: st.Kind, Phase: st.Phase}
	if p.Draft != nil {
		body = asMoved(*p.Draft, p)
	}
	if err := printPlan(a.stderr, "", body, p); err != nil {
		return err
	}
	printSamples(a.stderr, p)
	fmt.Fprintln(a.stderr)
	asked, whom := st.AwaitingApproval, "the recipients of plan "+c.Plan
	if asked != nil && asked.Plan == c.Plan {
		whom = many(asked.Recipients, "recipient")
		sentence(a.stderr, "%s asked at %s for its release to %s%s.", shown(asked.AskedBy), when(&asked.AskedAt), whom, firstTo(asked.Canary))
		if now := mailed(p); now != asked.Recipients && body.AudienceAt != notice.AtSend {
			sentence(a.stderr, "Look again: its audience has come to %s since. It goes to those who were shown then.", count(now))
		}
	}
	if c.Yes {
		return nil
	}
	return a.ask(ctx, fmt.Sprintf("Release it to %s in your name? Type yes or %s:", whom, st.Key), "yes", st.Key)
}

// printAwaiting says that a draft waits for another person, and how they release it.
func printAwaiting(w io.Writer, st notice.Status) {
	if asked := st.AwaitingApproval; asked != nil {
		sentence(w, "%s goes to %s, and from %s on another person than its authors has to approve it:", st.Key, many(asked.Recipients, "recipient")+firstTo(asked.Canary), count(asked.From))
		fmt.Fprintf(w, "  tocsin notice approve %s\n", st.Key)
	}
}

// printApproval says in a table who approved a notice, and who is asked to.
func printApproval(w io.Writer, st notice.Status) {
	if asked := st.AwaitingApproval; asked != nil {
		fmt.Fprintf(w, "Awaits approval\tsince %s, asked by %s, for %s\n", when(&asked.AskedAt), shown(asked.AskedBy), many(asked.Recipients, "recipient")+firstTo(asked.Canary))
	}
	switch {
	case st.Override != "":
		fmt.Fprintf(w, "Overridden\tby %s, without another person: %s\n", shown(st.ApprovedBy), shown(st.Override))
	case st.ApprovedBy != "":
		fmt.Fprintf(w, "Approved\tby %s\n", shown(st.ApprovedBy))
	}
}

// whoReleased names those who released a notice, in a list.
func whoReleased(st notice.Status) string {
	switch {
	case st.Override != "":
		return orNone(st.ReleasedBy) + ", overridden by " + shown(st.ApprovedBy)
	case st.ApprovedBy != "":
		return orNone(st.ReleasedBy) + ", approved by " + shown(st.ApprovedBy)
	}
	return orNone(st.ReleasedBy)
}
