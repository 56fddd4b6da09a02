package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"tocsin/internal/api"
	"tocsin/internal/notice"
)

type showCmd struct {
	remote
	Key     string `arg:"" name:"key-or-number" help:"The notice."`
	Address string `required:"" placeholder:"ADDRESS" help:"Whose mail: an address in any spelling, or the external id of a customer."`
	Text    bool   `xor:"as" help:"Print the text part alone."`
	HTML    bool   `xor:"as" name:"html" help:"Print the HTML part alone."`
	Raw     bool   `xor:"as" help:"Print the source, as it went to the relay."`
	JSON    bool   `xor:"as" name:"json" help:"Print all of it as JSON."`
}

// Run fails where there is no mail to show, and where it is not the one that was sent.
func (c *showCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	seq, err := c.find(ctx, client)
	if err != nil {
		return fmt.Errorf("show a mail: %w", err)
	}
	m, err := client.Message(ctx, c.Key, seq)
	if err != nil {
		return fmt.Errorf("show a mail: %w", err)
	}
	switch {
	case c.JSON:
		err = document(a.stdout, m)
	case m.Source == "":
		sentence(a.stdout, "%s.", upper(m.Why))
	case c.Text, c.HTML, c.Raw:
		sentence(a.stderr, "%s.", upper(m.Why))
		_, err = io.WriteString(a.stdout, c.part(m))
	default:
		printMessage(a.stdout, m)
	}
	if err == nil && (m.Source == "" || m.Proof == notice.ProofDiffers) {
		return errTold
	}
	return err
}

// find returns the delivery to the address. Of several, such as the mail to a shared mailbox and one that went to an
// alternate, that to the mailbox itself is meant.
func (c *showCmd) find(ctx context.Context, client *api.Client) (seq int, err error) {
	found, err := client.Look(ctx, c.Address, c.Key)
	if err != nil {
		return 0, err
	}
	told := found.Deliveries
	if len(told) == 0 {
		return 0, notice.NotFound("no mail of notice %s: %s", c.Key, found.Answer)
	}
	own := slices.IndexFunc(told, func(e notice.HistoryEntry) bool { return strings.EqualFold(e.Delivery.Address, c.Address) })
	return told[max(0, own)].Delivery.Seq, nil
}

func (c *showCmd) part(m notice.Message) string {
	switch {
	case c.Text:
		return m.Text
	case c.HTML:
		return m.HTML
	}
	return m.Source
}

// printMessage writes a mail as its reader sees the text of it, and how sure it is.
func printMessage(w io.Writer, m notice.Message) {
	sentence(w, "%s.", upper(m.Why))
	if m.Signature == notice.SignatureNotKept {
		sentence(w, "A DKIM-Signature, if it had one, is not kept.")
	}
	fmt.Fprintln(w)
	for _, h := range m.Headers {
		if slices.Contains([]string{"From", "To", "Reply-To", "Date", "Subject", "Message-ID", "In-Reply-To", "Content-Language"}, h.Name) {
			fmt.Fprintf(w, "%s: %s\n", h.Name, shown(h.Value))
		}
	}
	fmt.Fprintln(w)
	for line := range strings.Lines(m.Text) {
		fmt.Fprintln(w, shown(strings.TrimRight(line, "\n")))
	}
}

// upper begins a sentence with a capital.
func upper(s string) string {
	return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):]
}
