package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"tocsin/internal/notice"
)

type searchCmd struct {
	remote
	Text   string `arg:"" help:"An address in any spelling, a customer's id or name, a Message-ID, or the id of a mail in a relay's queue."`
	Notice string `placeholder:"KEY" help:"The notice that is asked about; by default the newest one to the mailbox."`
	JSON   bool   `name:"json" help:"Print all of it as JSON."`
}

// Run says in its first line whether the mail arrived.
func (c *searchCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	found, err := client.Look(ctx, c.Text, c.Notice)
	if err != nil {
		return fmt.Errorf("search: %w", err)
	}
	if c.JSON {
		return document(a.stdout, found)
	}
	return printFound(a.stdout, found)
}

func printFound(w io.Writer, f notice.Found) error {
	answer := f.Answer
	if len(f.Deliveries) > 0 {
		_, answer = f.Deliveries[0].DidItArrive(time.Local)
	}
	sentence(w, "%s.", strings.TrimRight(shown(answer), "."))
	if len(f.Customers) > 0 {
		fmt.Fprintln(w)
		if err := printCustomers(w, f.Customers, "", false); err != nil {
			return err
		}
	}
	if len(f.Deliveries) == 0 {
		return nil
	}
	first := f.Deliveries[0]
	fmt.Fprintf(w, "\n%s, %s:\n", first.Key, mailInWords(first.Delivery))
	t := table(w)
	for _, e := range f.Timeline {
		fmt.Fprintf(t, "%s\t%s\t%s\n", when(&e.At), strings.ReplaceAll(e.Kind, "_", " "), eventInWords(e))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(w, "The mail: tocsin notice show %s --address %s\n", first.Key, shown(first.Delivery.Address))
	if len(f.Deliveries) == 1 {
		return nil
	}
	fmt.Fprintln(w, "\nTheir other notices:")
	return printHistory(w, f.Deliveries[1:])
}

// eventInWords names the relay, server or operator of an event, and gives its words.
func eventInWords(e notice.Event) string {
	text := e.By
	if e.SMTPCode != 0 {
		text += fmt.Sprintf(" answered %d", e.SMTPCode)
	}
	text = strings.TrimSpace(text + " " + strings.TrimSpace(e.Enhanced+" "+e.Text))
	if e.Attempts > 1 {
		text += " (" + many(e.Attempts, "attempt") + ")"
	}
	return orNone(strings.TrimSpace(text))
}
