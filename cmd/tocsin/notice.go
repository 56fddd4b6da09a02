package main

import (
	"context"
	"fmt"
	"io"
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
	Approve approveCmd `cmd:"" help:"Release a notice that another person wrote and asked to release."`
	Amend   amendCmd   `cmd:"" help:"Stop a notice with a wrong text, and put it right."`
	Status  statusCmd  `cmd:"" help:"Say where a notice stands."`
	Show    showCmd    `cmd:"" help:"Show a mail as it was sent, made again from what was frozen."`
	Pause   pauseCmd   `cmd:"" help:"Stop the sending until it is resumed."`
	Resume  resumeCmd  `cmd:"" help:"Go on after a pause, or after a relay refused everybody."`
	Cancel  cancelCmd  `cmd:"" help:"End the sending for good."`
	Delete  draftCmd   `cmd:"" help:"Delete a draft; its key can be used again."`
	Unhold  unholdCmd  `cmd:"" help:"Let go of a notice that is held."`
	Settle  settleCmd  `cmd:"" help:"Decide about mails that may or may not have arrived."`

	SendNow    sendNowCmd    `cmd:"" help:"Send a scheduled notice at once."`
	Move       moveCmd       `cmd:"" help:"Have a scheduled notice leave at another time."`
	TakeBack   takeBackCmd   `cmd:"" help:"Make a draft again of a scheduled notice."`
	AddAddress addAddressCmd `cmd:"" help:"Send a released notice to another address of one of its customers."`
	Reconcile  reconcileCmd  `cmd:"" help:"Look in a relay's log for mails that may or may not have arrived."`
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
		of := ""
		if c.Incident != "" {
			of = " of incident " + c.Incident
		}
		sentence(a.stdout, "There is no notice%s yet.", of)
		return nil
	}
	for _, st := range notices {
		if n := st.Counts[notice.DeliveryUncertain.String()]; n > 0 && st.RowsDroppedAt == nil {
			sentence(a.stdout, "%s of %s may have arrived or not:", many(n, "mail"), st.Key)
			fmt.Fprintf(a.stdout, "  tocsin notice status %s\n", st.Key)
		}
	}
	for _, st := range notices {
		printAwaiting(a.stdout, st)
	}
	return printNotices(a.stdout, notices)
}

// printNotices prints a table of notices, with the columns that one of them needs.
func printNotices(w io.Writer, notices []notice.Status) error {
	approved := slices.ContainsFunc(notices, func(st notice.Status) bool { return st.ApprovedBy != "" })
	t := table(w)
	waiting := slices.ContainsFunc(notices, func(st notice.Status) bool { return st.State == notice.Scheduled })
	trial := slices.ContainsFunc(notices, func(st notice.Status) bool { return st.Canary != nil && st.Canary.Waits })
	if fmt.Fprint(t, "NO.\tSTATE\tSENT\tRELEASED\t"); waiting {
		fmt.Fprint(t, "LEAVES\t")
	}
	if trial {
		fmt.Fprint(t, "CANARY\t")
	}
	if approved {
		fmt.Fprint(t, "RELEASED BY\t")
	}
	fmt.Fprintln(t, "KEY")
	for _, st := range notices {
		sent := "-"
		if st.State.Released() {
			sent = count(delivered(st)) + "/" + count(st.Recipients)
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t", st.Number, st.State, sent, day(st.ReleasedAt))
		switch {
		case st.State == notice.Scheduled:
			fmt.Fprintf(t, "%s\t", day(st.SendAt))
		case waiting:
			fmt.Fprint(t, "-\t")
		}
		if trial {
			fmt.Fprintf(t, "%s\t", trialOf(st))
		}
		if approved {
			fmt.Fprintf(t, "%s\t", whoReleased(st))
		}
		fmt.Fprintln(t, st.Key)
	}
	return t.Flush()
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
