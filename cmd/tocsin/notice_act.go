package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"tocsin/internal/api"
	"tocsin/internal/notice"
)

type (
	statusCmd struct{ one }
	pauseCmd  struct{ one }
	resumeCmd struct {
		one
		LeaveFailed bool `help:"Held since a relay refused everybody, or at a canary that was stopped: do not send again the mails that were refused."`
	}
	cancelCmd struct {
		one
		Yes bool `help:"Cancel without asking."`
	}
)

func (c *statusCmd) Run(ctx context.Context, a *app) error {
	return c.act(ctx, a, "look up the notice", func(client *api.Client) (notice.Status, error) { return client.Status(ctx, c.Key, 0) })
}

// Run returns when at most the mails that a worker has marked already may still leave.
func (c *pauseCmd) Run(ctx context.Context, a *app) error {
	return c.act(ctx, a, "pause", func(client *api.Client) (notice.Status, error) { return client.Pause(ctx, c.Key) })
}

func (c *resumeCmd) Run(ctx context.Context, a *app) error {
	return c.act(ctx, a, "resume", func(client *api.Client) (notice.Status, error) {
		return client.Resume(ctx, c.Key, notice.Resuming{LeaveFailed: c.LeaveFailed})
	})
}

// Run returns when at most the mails that a worker has marked already may still leave.
func (c *cancelCmd) Run(ctx context.Context, a *app) error {
	if err := c.confirm(ctx, a); err != nil {
		return err
	}
	return c.act(ctx, a, "cancel", func(client *api.Client) (notice.Status, error) { return client.Cancel(ctx, c.Key) })
}

// confirm asks on a terminal, and says how many mails would not be sent any more. Elsewhere nobody can be asked, and a
// script that has to stop a sending must not fail.
func (c *cancelCmd) confirm(ctx context.Context, a *app) error {
	if c.Yes || !isTerminal(a.stdin) || !isTerminal(a.stderr) {
		return nil
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	st, err := client.Status(ctx, c.Key, 0)
	if err != nil {
		return fmt.Errorf("look up the notice: %w", err)
	}
	if st.State.Finished() {
		return nil
	}
	owed := st.Counts[notice.DeliveryQueued.String()] + st.Counts[notice.DeliveryDeferred.String()]
	return a.ask(ctx, fmt.Sprintf("Cancel %s for good? %s would not be sent. Type yes:", st.Key, many(owed, "mail")), "yes")
}

type unholdCmd struct {
	one
	Send      bool `xor:"what" help:"Nothing of it left after the backup: send what it owes."`
	Uncertain bool `xor:"what" help:"It may have left: what it owes becomes uncertain, to be settled (what happens without --send)."`
	LiftFence bool `help:"Hold no more releases: all that was sent after the backup is accounted for."`
	Most      int  `name:"max-recipients" placeholder:"N" help:"It went to more recipients than it may when it was to leave: let it go to as many as this."`
}

func (c *unholdCmd) Run(ctx context.Context, a *app) error {
	return c.act(ctx, a, "unhold", func(client *api.Client) (notice.Status, error) {
		return client.Unhold(ctx, c.Key, notice.Unholding{Send: c.Send, Uncertain: c.Uncertain, Lift: c.LiftFence, MaxRecipients: c.Most})
	})
}

func (c *one) act(ctx context.Context, a *app, what string, do func(*api.Client) (notice.Status, error)) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	st, err := do(client)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if c.JSON {
		return document(a.stdout, st)
	}
	return printStatus(a.stdout, st)
}

// printStatus writes where a notice stands; a decision that somebody must take comes first.
func printStatus(w io.Writer, st notice.Status) error {
	t := standing(w, st)
	for _, s := range notice.DeliveryStates {
		if n := st.Counts[s.String()]; n > 0 {
			fmt.Fprintf(t, "  %s\t%s\n", s, count(n))
		}
	}
	if len(st.Suppressed) > 0 {
		fmt.Fprintln(t, "Why suppressed\t")
		tally(t, st.Suppressed)
	}
	printBounces(t, st.Bounces)
	if len(st.ByLanguage) > 0 {
		fmt.Fprintln(t, "By language\t")
		tally(t, st.ByLanguage)
	}
	printPace(t, st.Pace)
	return t.Flush()
}

// standing begins a table that says where a notice stands.
func standing(w io.Writer, st notice.Status) *grid {
	printUncertain(w, st)
	if st.State == notice.Held && st.Reason == notice.ReasonRestored {
		fmt.Fprint(w, "The ledger was restored from a backup. It does not know which mails left after\nthat backup, and nothing leaves now.\n")
		fmt.Fprintf(w, "If nothing of this notice left:\n  tocsin notice unhold %[1]s --send\nIf it may have:\n  tocsin notice unhold %[1]s --uncertain\n\n", st.Key)
	}
	if braked(st) {
		fmt.Fprintf(w, "A relay refuses everybody, so nothing more of this notice is tried. When that is mended:\n  tocsin notice resume %s\n"+
			"That sends again the mails it refused; with --leave-failed they stay failed.\n\n", st.Key)
	}
	printCanary(w, st)
	printAwaiting(w, st)
	t := table(w)
	fmt.Fprintf(t, "Notice\t%s\nNumber\t%d\nKind\t%s\n", st.Key, st.Number, sort(st.Kind, st.Phase))
	fmt.Fprintf(t, "State\t%s\n", stateAndReason(st))
	if why := standstill(st); why != "" && st.State == notice.Sending {
		fmt.Fprintf(t, "Waits\t%s\n", why)
	}
	if len(st.OnlyTo) > 0 {
		fmt.Fprintf(t, "Only to\t%s; all others end suppressed (only_to)\n", shown(strings.Join(st.OnlyTo, ", ")))
	}
	if st.SendAt != nil && !st.State.Finished() {
		fmt.Fprintf(t, "To be sent at\t%s\n", when(st.SendAt))
	}
	if st.Canary != nil {
		fmt.Fprintf(t, "Canary\t%s\n", canary(*st.Canary))
	}
	if st.HeldUntil != nil {
		fmt.Fprintf(t, "Held until\t%s\n", when(st.HeldUntil))
	}
	if st.ExpiresAt != nil && !st.State.Finished() {
		fmt.Fprintf(t, "Expires\t%s\n", when(st.ExpiresAt))
	}
	fmt.Fprintf(t, "Released\t%s\n", by(st.ReleasedAt, st.ReleasedBy))
	printApproval(t, st)
	if st.FirstSentAt != nil {
		fmt.Fprintf(t, "First mail\t%s\nLast mail\t%s\n", when(st.FirstSentAt), when(st.LastSentAt))
	}
	if st.RatePerS > 0 {
		fmt.Fprintf(t, "Rate\t%s mails/s\n", perSecond(st.RatePerS))
	}
	if st.RowsDroppedAt != nil {
		fmt.Fprintf(t, "Rows dropped\t%s, because they were old; the counts are kept\n", when(st.RowsDroppedAt))
	}
	recipients := count(st.Recipients)
	if st.Added > 0 {
		recipients += fmt.Sprintf(", %s added since the release", count(st.Added))
	}
	fmt.Fprintf(t, "Customers\t%s\nRecipients\t%s\n", count(st.Customers), recipients)
	printTogether(t, st)
	if n := st.ReachedByNeither; n != nil && *n > 0 {
		fmt.Fprintf(t, "Reached by neither\t%s: a notice of the incident was superseded there, and the later one did not arrive\n", count(*n))
	}
	return t
}

// braked reports whether a notice is held since a relay refuses everybody.
func braked(st notice.Status) bool {
	return st.State == notice.Held && strings.HasPrefix(st.Reason, notice.ReasonRefused)
}

// printPace lists the reasons why mails do not leave faster: relays that rest, and domains that asked for fewer mails.
func printPace(t io.Writer, p *notice.Pace) {
	if p == nil {
		return
	}
	states := map[string]string{}
	workers := map[string][]notice.RelayHealth{}
	for _, h := range p.Relays {
		workers[h.Relay] = append(workers[h.Relay], h)
		states[h.Relay] = healthOf(workers[h.Relay])
	}
	for _, q := range p.Quotas {
		if state := states[q.Relay]; state == "" || q.Until != nil && state == notice.RelayUp {
			states[q.Relay] = quotaOf(q)
		} else {
			states[q.Relay] += ", " + quotaOf(q)
		}
	}
	for _, r := range p.Rests {
		states[r.Relay] = restOf(r)
	}
	for _, relay := range slices.Sorted(maps.Keys(states)) {
		fmt.Fprintf(t, "Relay %s\t%s\n", relay, states[relay])
	}
	if p.Unheard {
		fmt.Fprintln(t, "Workers\tnot heard: Redis is away")
	}
	for _, s := range p.Throttled {
		fmt.Fprintf(t, "%s\tthrottled: %s mails/s now, growing to %s\n", throttled(s), perSecond(s.RatePerS), perSecond(s.UpTo))
	}
}

// throttled names a domain that a relay throttles, or the relay that throttles all of them.
func throttled(s notice.Throttled) string {
	if s.Domain == "" {
		return "Relay " + shown(s.Relay)
	}
	return shown(s.Domain) + " through " + shown(s.Relay)
}

// printUncertain starts a status with the decision that uncertain mails wait for, and the commands for it.
func printUncertain(w io.Writer, st notice.Status) {
	n := st.Counts[notice.DeliveryUncertain.String()]
	if n == 0 || st.RowsDroppedAt != nil {
		return
	}
	fmt.Fprintf(w, "%s may have arrived or not: the relay never answered, so Tocsin\n"+
		"does not send them again. Look for them in the relay's log:\n", many(n, "mail"))
	fmt.Fprintf(w, "  tocsin notice reconcile %[1]s --maillog FILE\nOr decide about them, with --sent or --requeue:\n"+
		"  tocsin notice settle %[1]s --all-uncertain\n\n", st.Key)
}

// sort names the kind and the phase of a notice: "outage, resolved".
func sort(kind notice.Kind, phase string) string {
	if phase == "" {
		return shown(string(kind))
	}
	return shown(string(kind) + ", " + phase)
}

// stateAndReason says where a notice stands and, where the state alone does not tell, why.
func stateAndReason(st notice.Status) string {
	if st.Reason == "" || st.Reason == string(st.State) {
		return string(st.State)
	}
	if st.Reason == notice.ReasonAmended && st.AmendedBy != "" {
		return fmt.Sprintf("%s (amended by %s)", st.State, st.AmendedBy)
	}
	return fmt.Sprintf("%s (%s)", st.State, shown(st.Reason))
}

// by says when something was done, and who did it.
func by(at *time.Time, who string) string {
	if at == nil || who == "" {
		return when(at)
	}
	return when(at) + " by " + shown(who)
}

type settleCmd struct {
	remote
	Key          string `arg:"" name:"key-or-number" help:"The notice."`
	Sent         bool   `xor:"what" required:"" help:"They arrived."`
	Requeue      bool   `xor:"what" required:"" help:"Send them again: they did not arrive, or may arrive twice."`
	Address      string `xor:"which" required:"" placeholder:"A" help:"Only the mail to this address."`
	AllUncertain bool   `xor:"which" required:"" help:"All mails that may or may not have arrived."`
	State        string `xor:"which" required:"" placeholder:"S" help:"All mails in this state: failed, uncertain, or suppressed (by only_to)."`
	Code         int    `placeholder:"N" help:"Of the failed mails, those refused with this SMTP code."`
	Relay        string `placeholder:"NAME" help:"Of the mails in that state, those that this relay answered."`
	Force        bool   `help:"Send them again even to mailboxes to which a later notice of the incident goes, or may have gone."`
	Yes          bool   `help:"Requeue without asking."`
	JSON         bool   `name:"json" help:"Print what was done as JSON."`
}

// Run fails when mails that it names can't be settled so, or not yet. That there are none is no failure.
func (c *settleCmd) Run(ctx context.Context, a *app) error {
	if err := c.settlement().Check(); err != nil {
		return usage(err)
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	if err := c.announce(ctx, a, client); err != nil {
		return err
	}
	// A script that calls this has looked at the relay's log; at a terminal it may be a slip.
	if c.Requeue && !c.Yes && isTerminal(a.stdin) && isTerminal(a.stderr) {
		if err := a.ask(ctx, "What did arrive after all will arrive twice. Send again? Type yes:", "yes"); err != nil {
			return err
		}
	}
	done, err := client.Settle(ctx, c.Key, c.settlement())
	if err != nil {
		return fmt.Errorf("settle: %w", err)
	}
	if c.JSON {
		err = document(a.stdout, done)
	} else {
		c.print(a.stdout, done)
	}
	if err == nil && (done.TooEarly > 0 || done.Skipped > 0 && done.Changed == 0) {
		return errTold
	}
	return err
}

func (c *settleCmd) settlement() notice.Settlement {
	return notice.Settlement{Sent: c.Sent, Requeue: c.Requeue, Address: c.Address, AllUncertain: c.AllUncertain,
		State: c.State, Code: c.Code, Relay: c.Relay, Force: c.Force}
}

// announce says, before the command does it, how many mails it settles and how.
func (c *settleCmd) announce(ctx context.Context, a *app, client *api.Client) error {
	which := "the mail to this address"
	if state, bulk := c.settlement().Bulk(); bulk {
		st, err := client.Status(ctx, c.Key, 0)
		if err != nil {
			return fmt.Errorf("look up the notice: %w", err)
		}
		which = c.which(many(st.Counts[state.String()], "mail"), state)
	}
	what := "to be settled as sent"
	if c.Requeue {
		what = "to be sent again, under the same Message-ID"
	}
	sentence(a.stderr, "Of %s: %s, %s.", c.Key, which, what)
	return nil
}

// which describes the mails of a state that are to be settled.
func (c *settleCmd) which(all string, state notice.DeliveryState) string {
	switch state {
	case notice.DeliveryUncertain:
		all += " that may have arrived or not"
	case notice.DeliverySuppressed:
		all += " that are suppressed, those by only_to alone"
	default:
		all += " that failed"
	}
	if c.Code == 0 && c.Relay == "" {
		return all
	}
	with := ""
	if c.Code != 0 {
		with += fmt.Sprintf(" with %d", c.Code)
	}
	if c.Relay != "" {
		with += " at " + shown(c.Relay)
	}
	return all + ", those" + with
}

func (c *settleCmd) print(w io.Writer, done notice.Settled) {
	outcome := "settled as sent"
	if c.Requeue {
		outcome = "queued to be sent again"
	}
	sentence(w, "%s %s%s.", many(done.Changed, "mail"), outcome, signed(done.Changed))
	if done.TooEarly > 0 {
		sentence(w, "%s can't be sent again before %s: until then the relay may still deliver the first.", many(done.TooEarly, "mail"), when(done.From))
	}
	if done.Skipped > 0 {
		fmt.Fprintf(w, "%s left alone:\n", many(done.Skipped, "mail"))
	}
	for _, reason := range done.Reasons {
		fmt.Fprintf(w, "  %s\n", fit(w, shown(reason), 2))
	}
}
