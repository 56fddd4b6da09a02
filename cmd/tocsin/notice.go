package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"tocsin/internal/api"
	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

type noticeCmd struct {
	List    listCmd    `cmd:"" help:"List all notices, the newest first."`
	Preview previewCmd `cmd:"" help:"Say whom a notice would reach and what it would say; nothing is sent."`
	Test    testCmd    `cmd:"" help:"Mail a notice in each of its languages to one address."`
	Send    sendCmd    `cmd:"" help:"Send a notice; sending it again does nothing."`
	Status  statusCmd  `cmd:"" help:"Say where a notice stands."`
	Pause   pauseCmd   `cmd:"" help:"Stop the sending until it is resumed."`
	Resume  resumeCmd  `cmd:"" help:"Go on after a pause."`
	Cancel  cancelCmd  `cmd:"" help:"End the sending for good."`
	Unhold  unholdCmd  `cmd:"" help:"Let go of a notice that a restored ledger holds."`
	Settle  settleCmd  `cmd:"" help:"Decide about mails that may or may not have arrived."`

	Reconcile reconcileCmd `cmd:"" help:"Look in a relay's log for mails that may or may not have arrived."`
}

// one is part of the commands about one notice.
type one struct {
	remote
	Key  string `arg:"" name:"key-or-number" help:"The notice."`
	JSON bool   `name:"json" help:"Print its status as JSON."`
}

type listCmd struct {
	remote
	Incident string `placeholder:"KEY" help:"Only the notices of this incident."`
	JSON     bool   `name:"json" help:"Print the list as JSON."`
}

func (c *listCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	notices := []notice.Status{}
	for st, err := range client.Notices(ctx, c.Incident) {
		if err != nil {
			return fmt.Errorf("list notices: %w", err)
		}
		notices = append(notices, st)
	}
	if c.JSON {
		return document(a.stdout, map[string]any{"notices": notices})
	}
	if len(notices) == 0 {
		fmt.Fprintln(a.stdout, "There is no notice yet.")
		return nil
	}
	for _, st := range notices {
		if n := st.Counts[notice.DeliveryUncertain.String()]; n > 0 && st.RowsDroppedAt == nil {
			fmt.Fprintf(a.stdout, "%s of %s may have arrived or not: tocsin notice status %s\n", many(n, "mail"), st.Key, st.Key)
		}
	}
	t := table(a.stdout)
	fmt.Fprintln(t, "NUMBER\tKEY\tKIND\tPHASE\tSTATE\tRECIPIENTS\tSENT\tRELEASED")
	for _, st := range notices {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", st.Number, st.Key, st.Kind, orNone(st.Phase), st.State,
			count(st.Recipients), count(st.Counts[notice.DeliverySent.String()]), when(st.ReleasedAt))
	}
	return t.Flush()
}

type previewCmd struct {
	remote
	Dir  string `arg:"" help:"Directory of the notice."`
	JSON bool   `name:"json" help:"Print the dry run as JSON."`
}

// Run fails when the notice could not be sent as it is.
func (c *previewCmd) Run(ctx context.Context, a *app) error {
	body, client, err := open(a, c.Dir)
	if err != nil {
		return err
	}
	plan, err := client.Preview(ctx, body)
	if err != nil {
		return fmt.Errorf("preview: %w", directory.Locate(c.Dir, err))
	}
	if c.JSON {
		if err := document(a.stdout, plan); err != nil {
			return err
		}
	} else {
		if err := printPlan(a.stdout, c.Dir, body, plan); err != nil {
			return err
		}
		printSamples(a.stdout, plan)
	}
	return sendable(plan)
}

// open reads a notice's directory and makes the client that it is for.
func open(a *app, dir string) (notice.Body, *api.Client, error) {
	client, err := a.client()
	if err != nil {
		return notice.Body{}, nil, err
	}
	body, err := directory.Read(dir)
	return body, client, err
}

// sendable says what blocks the release of a plan: a mail with a hole in it never leaves, and a notice to nobody
// is a mistake.
func sendable(p notice.Plan) error {
	switch {
	case p.Customers == 0:
		return errors.New("nobody is on the audience of this notice: it can't be sent")
	case p.HoleCount > 0:
		return fmt.Errorf("%s would get a mail with an empty field: the notice can't be sent like this", many(p.HoleCount, "recipient"))
	}
	return nil
}

// mailed is how many recipients of a plan will get a mail.
func mailed(p notice.Plan) (n int) {
	for _, k := range p.ByLanguage {
		n += k
	}
	return n
}

// printPlan writes the dry run.
func printPlan(w io.Writer, dir string, body notice.Body, p notice.Plan) error {
	mails := mailed(p)
	t := table(w)
	fmt.Fprintf(t, "Notice\t%s (%s)\n", shown(body.Key), sort(body.Kind, body.Phase))
	fmt.Fprintf(t, "Audience\t%s\n", brief(shown(whom(body.Audience, p.Filter))))
	fmt.Fprintf(t, "Customers\t%s\n", count(p.Customers))
	if len(p.Excluded) > 0 {
		fmt.Fprintln(t, "Left out\t")
		tally(t, p.Excluded)
	}
	fmt.Fprintf(t, "Recipients\t%s\n", count(p.Recipients))
	fmt.Fprintf(t, "To be mailed\t%s\n", count(mails))
	tally(t, p.ByLanguage)
	if domains := slices.Concat(body.BrokenDomains, body.Broken.Domains); len(domains) > 0 {
		fmt.Fprintf(t, "Mailboxes down\tat %s\n", shown(strings.Join(domains, ", ")))
	}
	if body.Broken.Filter != "" {
		fmt.Fprintf(t, "Mailboxes down\tof %s\n", brief(shown(body.Broken.Filter)))
	}
	if p.Alternates > 0 {
		fmt.Fprintf(t, "  at an alternate address\t%s\n", count(p.Alternates))
	}
	if p.Recipients > mails {
		fmt.Fprintf(t, "Suppressed\t%s\n", count(p.Recipients-mails))
		tally(t, p.Suppressed)
	}
	for _, bad := range p.Refused {
		fmt.Fprintf(t, "Address refused\tcustomer %s: %s\n", shown(bad.Subject), shown(bad.Reason))
	}
	for _, hint := range p.Hints {
		fmt.Fprintf(t, "Look again\t%s\n", shown(hint))
	}
	printDifference(t, p.Previous)
	if len(p.Fallback) > 0 {
		fmt.Fprintln(t, "Default language for\t")
		wanted := maps.Clone(p.Fallback)
		if n, ok := wanted[""]; ok {
			delete(wanted, "")
			wanted["none known"] = n
		}
		tally(t, wanted)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if err := printBranches(w, dir, p); err != nil || p.HoleCount == 0 {
		return err
	}
	fmt.Fprintf(w, "\n%s would get a mail with an empty field:\n", many(p.HoleCount, "recipient"))
	fmt.Fprintln(t, "CUSTOMER\tLANGUAGE\tPLACE\tWHAT")
	for _, h := range p.Holes {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", shown(h.Customer), h.Language, directory.Place(dir, h.Place), shown(h.Reason))
	}
	if more := p.HoleCount - len(p.Holes); more > 0 {
		fmt.Fprintf(t, "… and %s more\t\t\t\n", count(more))
	}
	return t.Flush()
}

// whom says in words who is to be told; filter is in its parenthesised form.
func whom(a notice.Audience, filter string) string {
	var source string
	switch {
	case a.Customers != nil:
		source = "the list of " + many(len(a.Customers), "customer")
	case a.Notice != "" && a.IncludeNew:
		source = "who stood on " + a.Notice + inStates(a.State) + ", and who has come to its audience since"
	case a.Notice != "":
		source = "who stood on " + a.Notice + inStates(a.State)
	case filter == "":
		return "every customer"
	default:
		return filter
	}
	if filter != "" {
		source += ", of them " + filter
	}
	return source
}

func inStates(states []notice.DeliveryState) string {
	if len(states) == 0 {
		return ""
	}
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = s.String()
	}
	return " and is " + strings.Join(names, " or ")
}

// printDifference compares a dry run with the incident's notice before it.
func printDifference(w io.Writer, d *notice.Difference) {
	switch {
	case d == nil:
	case d.RowsDroppedAt != nil:
		fmt.Fprintf(w, "Against %s\tits rows were dropped\n", d.Key)
	default:
		fmt.Fprintf(w, "Against %s\t\n", d.Key)
		fmt.Fprintf(w, "  it reached them too\t%s\n  new\t%s\n  it reached, this does not\t%s\n", count(d.Same), count(d.New), count(d.Left))
	}
}

// printBranches writes which parts of the texts only some recipients get, and what looks like a placeholder.
func printBranches(w io.Writer, dir string, p notice.Plan) error {
	t := table(w)
	if len(p.Branches) > 0 {
		fmt.Fprintln(w, "\nOnly some get:")
		for _, b := range p.Branches {
			fmt.Fprintf(t, "  %s\t%s\t%s of %s\n", directory.Place(dir, b.Place), shown(b.Condition), count(b.Recipients), count(b.Of))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(p.Placeholders) > 0 {
		fmt.Fprintln(w, "\nLooks as if something was still to be put in its place:")
		for _, f := range p.Placeholders {
			fmt.Fprintf(t, "  %s\t%s\n", directory.Place(dir, f.Place), shown(f.Text))
		}
	}
	return t.Flush()
}

// printSamples writes one mail per language, and per branch of a text, as its reader sees it.
func printSamples(w io.Writer, p notice.Plan) {
	printed := map[string]bool{}
	show := func(s notice.Sample, with string) {
		if name := s.Language + " " + s.Customer; !printed[name] {
			printed[name] = true
			fmt.Fprintf(w, "\n--- %s%s, as customer %s gets it ---\nSubject: %s\n\n", s.Language, with, shown(s.Customer), shown(s.Subject))
			for line := range strings.Lines(s.Text) {
				fmt.Fprintln(w, shown(strings.TrimRight(line, "\r\n")))
			}
		}
	}
	for _, s := range p.Samples {
		show(s, "")
	}
	for _, b := range p.Branches {
		if b.Sample != nil {
			show(*b.Sample, ", with "+shown(b.Condition))
		}
	}
}

type testCmd struct {
	remote
	Dir  string `arg:"" help:"Directory of the notice."`
	To   string `required:"" placeholder:"ADDRESS" help:"Where to."`
	JSON bool   `name:"json" help:"Print what became of the mails as JSON."`
}

// Run fails unless the relay took a mail in every language.
func (c *testCmd) Run(ctx context.Context, a *app) error {
	body, client, err := open(a, c.Dir)
	if err != nil {
		return err
	}
	mails, err := client.Test(ctx, body, c.To)
	if err != nil {
		return fmt.Errorf("send the test mails: %w", directory.Locate(c.Dir, err))
	}
	if c.JSON {
		err = document(a.stdout, map[string]any{"mails": mails})
	} else {
		t := table(a.stdout)
		fmt.Fprintln(t, "LANGUAGE\tOUTCOME\tRELAY\tANSWER")
		for _, m := range mails {
			code := ""
			if m.SMTPCode > 0 {
				code = fmt.Sprint(m.SMTPCode)
			}
			words := strings.Join(strings.Fields(code+" "+m.Enhanced+" "+m.SMTPText), " ")
			fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", m.Language, m.Outcome, orNone(m.Relay), orNone(words))
		}
		err = t.Flush()
	}
	for _, m := range mails {
		if err == nil && m.Outcome != notice.OutcomeSent.String() {
			err = errTold
		}
	}
	return err
}
