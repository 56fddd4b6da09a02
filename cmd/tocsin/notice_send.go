package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"tocsin/internal/api"
	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

type sendCmd struct {
	remote
	Dir      string  `arg:"" help:"Directory of the notice."`
	Yes      bool    `help:"Send without asking."`
	Past     bool    `name:"allow-past" help:"Send it though what it announces is over."`
	Short    bool    `name:"allow-correction" help:"Send an amendment though a correction does not make sense alone."`
	Force    bool    `help:"Send it though its phase is before one that the incident has come to."`
	Left     bool    `name:"allow-placeholders" help:"Send it though its texts have placeholders left over."`
	Expect   *int    `placeholder:"N" help:"Refuse another number of recipients than this."`
	Canary   int     `placeholder:"N" help:"Send it to N mailboxes drawn at random, then hold it until: tocsin notice resume KEY."`
	Wait     bool    `help:"Return when nothing is left to be sent; exit 1 where that went wrong."`
	Tolerate percent `default:"5%" placeholder:"SHARE" help:"Of the mails, this share may fail before --wait exits with 1 (${default})."`
	Override string  `placeholder:"REASON" help:"In an emergency: release it without the other person who has to approve it, for this reason."`
	JSON     bool    `name:"json" help:"Print what was released, or with --wait what became of it, as JSON."`
}

// receipt is the document of a send that does not wait.
type receipt struct {
	Number     int64          `json:"number"`
	Key        string         `json:"key"`
	State      notice.State   `json:"state"`
	Created    bool           `json:"created"`
	Customers  int            `json:"customers"`
	Recipients int            `json:"recipients"`
	ByLanguage map[string]int `json:"by_language"`
	Suppressed map[string]int `json:"suppressed"`
	ApprovedBy string         `json:"approved_by,omitempty"`
	Canary     *notice.Canary `json:"canary,omitempty"`
	// AwaitingApproval is the release, where it waits for another person.
	AwaitingApproval *notice.AwaitedApproval `json:"awaiting_approval,omitempty"`
}

// Run makes the draft, shows its plan, asks, and releases that plan. It leaves alone a notice that was released before.
func (c *sendCmd) Run(ctx context.Context, a *app) error {
	body, client, err := open(a, c.Dir)
	if err != nil {
		return err
	}
	done, err := client.Draft(ctx, body)
	if err != nil {
		return interrupted(directory.Locate(c.Dir, err), "nothing was sent", "make the draft")
	}
	return c.send(ctx, a, client, body, done)
}

// send releases a draft, unless it was released before, and prints the result.
func (c *sendCmd) send(ctx context.Context, a *app, client *api.Client, body notice.Body, done api.Receipt) (err error) {
	// A released notice answers as it stands: it needs no confirmation, since nothing will happen.
	done.Created = false
	if !done.State.Released() {
		if done, err = c.release(ctx, a, client, body); err != nil {
			return err
		}
	}
	if !c.JSON && !done.Created && done.State.Released() {
		sentence(a.stderr, "%s was released before, at %s: nothing is sent again.", done.Key, when(done.ReleasedAt))
	}
	if c.Wait && done.State.Released() {
		return c.follow(ctx, a, client, done)
	}
	return c.print(a, done)
}

// allowed are the checks that are overruled, by the names that the API has for them.
func (c *sendCmd) allowed() (names []string) {
	if c.Past {
		names = append(names, notice.CheckPast)
	}
	if c.Force {
		names = append(names, notice.CheckBackwards)
	}
	if c.Left {
		names = append(names, notice.CheckPlaceholders)
	}
	if c.Short {
		names = append(names, notice.CheckCorrection)
	}
	return names
}

// release shows the plan of the draft, asks for the last word, and releases that plan.
func (c *sendCmd) release(ctx context.Context, a *app, client *api.Client, body notice.Body) (done api.Receipt, err error) {
	p, err := plan(ctx, a.stderr, client, body.Key)
	if notice.CodeOf(err) == notice.CodeConflict { // somebody else was faster
		if done, err := client.Draft(ctx, body); err == nil && done.State.Released() {
			done.Created = false
			return done, nil
		}
	}
	if err != nil {
		return done, interrupted(directory.Locate(c.Dir, err), "nothing was sent", "plan")
	}
	body = asMoved(body, p)
	if err := printPlan(a.stderr, c.Dir, body, p); err != nil {
		return done, err
	}
	if err := sendable(p, c.allowed()...); err != nil {
		return done, err
	}
	if c.Expect != nil && *c.Expect != mailed(p) {
		return done, fmt.Errorf("%s would get it, and not %s as --expect says: nothing was sent", many(mailed(p), "recipient"), count(*c.Expect))
	}
	if n := cmp.Or(c.Canary, body.Canary); n > 0 && n < mailed(p) {
		sentence(a.stderr, "It goes to %s first, drawn at random, and is then held until: tocsin notice resume %s", mailboxCount(n), body.Key)
	}
	if !c.Yes {
		if err := c.confirm(ctx, a, body, p); err != nil {
			return done, err
		}
	}
	done, err = client.Release(ctx, body.Key, notice.Releasing{Plan: p.Digest, Allow: c.allowed(), Canary: c.Canary})
	if notice.CodeOf(err) == notice.CodePlanChanged {
		printDrift(a.stderr, err)
		if c.Yes && c.Expect == nil { // nobody looked: the notice goes to those who are on its audience now
			done, err = client.Release(ctx, body.Key, notice.Releasing{Allow: c.allowed(), Canary: c.Canary})
		}
	}
	if err == nil && done.AwaitingApproval != nil && c.Override != "" {
		done, err = client.Approve(ctx, body.Key, notice.Approving{Plan: done.AwaitingApproval.Plan, Override: c.Override})
	}
	if err != nil {
		return done, interrupted(err, "whether it was released is not known, and sending it again does no harm", "release")
	}
	return done, nil
}

// confirm asks for the last word. It asks for the number of recipients where every customer is meant, or more than the
// setting says.
func (c *sendCmd) confirm(ctx context.Context, a *app, body notice.Body, p notice.Plan) error {
	set, err := a.settings.Client()
	if err != nil {
		return usage(err)
	}
	n := mailed(p)
	everybody := p.Filter == "" && body.Amends == "" && body.Audience.Customers == nil && body.Audience.Notice == ""
	if everybody || n > set.ConfirmAbove {
		whom := many(n, "recipient")
		if everybody {
			whom = "every customer, " + whom
		}
		return a.ask(ctx, fmt.Sprintf("Send it to %s%s? Type the number of recipients:", whom, reminded(p.Reminders)), fmt.Sprint(n), count(n))
	}
	return a.ask(ctx, fmt.Sprintf("Send it to %s%s? Type yes or %s:", many(n, "recipient"), reminded(p.Reminders), body.Key), "yes", body.Key)
}

func (c *sendCmd) print(a *app, r api.Receipt) error {
	if c.JSON {
		err := document(a.stdout, receipt{r.Number, r.Key, r.State, r.Created, r.Customers, r.Recipients, r.ByLanguage, r.Suppressed, r.ApprovedBy, r.Canary, r.AwaitingApproval})
		return errors.Join(err, stopped(r.Status))
	}
	printUncertain(a.stdout, r.Status)
	printAwaiting(a.stdout, r.Status)
	switch {
	case r.AwaitingApproval != nil:
		return stopped(r.Status)
	case r.Created && r.State == notice.Scheduled && r.Recipients == 0:
		sentence(a.stdout, "%s is released as number %d: its audience is resolved when it goes out.", r.Key, r.Number)
	case r.Created:
		sentence(a.stdout, "%s is released as number %d: %s, %s.", r.Key, r.Number, many(r.Recipients, "recipient"), many(r.Customers, "customer"))
	default:
		sentence(a.stdout, "%s, number %d, is %s.", r.Key, r.Number, describe(r.Status))
	}
	if r.State == notice.Scheduled {
		fmt.Fprintf(a.stdout, "It goes out at %s.\n", when(r.SendAt))
	}
	sentence(a.stdout, "Look at it with: tocsin notice status %s", r.Key)
	return stopped(r.Status)
}

// follow shows progress until nothing is left to be sent, and prints the result.
func (c *sendCmd) follow(ctx context.Context, a *app, client *api.Client, r api.Receipt) error {
	progress := newSending(a.stderr)
	for !r.Status.Settled() && r.State != notice.Held {
		progress.show(r.Status, time.Now())
		st, err := client.Status(ctx, r.Key, time.Second)
		if err != nil {
			progress.close()
			return interrupted(err, fmt.Sprintf("%s goes on without being watched; see: tocsin notice status %s", r.Key, r.Key), "follow the notice")
		}
		r.Status = st
	}
	progress.show(r.Status, time.Now())
	progress.close()
	var err error
	if c.JSON {
		err = document(a.stdout, r)
	} else {
		err = printStatus(a.stdout, r.Status)
		printOutcome(a.stdout, r.Status)
	}
	return errors.Join(err, judged(r.Status, c.Tolerate))
}

// stopped is the error of a notice that does not go out.
func stopped(st notice.Status) error {
	if st.AwaitingApproval != nil {
		return fmt.Errorf("%s is not released: awaiting_approval", st.Key)
	}
	if st.AtCanary() {
		return fmt.Errorf("%s is held after its canary of %s: look at those mails (tocsin report %[1]s), then go on with: tocsin notice resume %[1]s", st.Key, mailboxCount(canarySize(st)))
	}
	if st.State != notice.Cancelled && st.State != notice.Held {
		return nil
	}
	return fmt.Errorf("%s is %s", st.Key, stateAndReason(st))
}

// interrupted wraps an error of a step. Where Ctrl-C or the loss of the server cut the step off, the error also names
// the state that is left behind.
func interrupted(err error, left, doing string) error {
	switch {
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("interrupted: %s", left)
	case notice.CodeOf(err) == "":
		return fmt.Errorf("%s: %w; %s", doing, err, left)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// ask puts a question on the terminal. Anything but one of the answers ends the command; without a terminal
// nobody can answer, which is a usage error.
func (a *app) ask(ctx context.Context, question string, answers ...string) error {
	if !isTerminal(a.stdin) || !isTerminal(a.stderr) {
		return usage(errors.New("nobody can be asked off a terminal, so nothing was sent: say --yes"))
	}
	fmt.Fprint(a.stderr, "\n"+hang(question, 0, columns)+" ")
	typed := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(io.LimitReader(a.stdin, 1000)).ReadString('\n')
		typed <- strings.TrimSpace(line)
	}()
	select {
	case <-ctx.Done():
		return errors.New("interrupted: nothing was done")
	case line := <-typed:
		for _, right := range answers {
			if strings.EqualFold(line, right) {
				return nil
			}
		}
	}
	return errors.New("not confirmed: nothing was done")
}
