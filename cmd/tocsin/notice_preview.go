package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

type previewCmd struct {
	remote
	Dir      string `arg:"" help:"Directory of the notice."`
	Customer string `placeholder:"ID" help:"Show the mail that this customer would get, or say why they would get none."`
	Language string `placeholder:"LANGUAGE" help:"Show the mail in this language alone (BCP 47), or in all: those that nobody of the audience reads too."`
	Out      string `placeholder:"DIR" help:"Write the mails in every language into this directory too, as HTML, text and .eml."`
	JSON     bool   `name:"json" help:"Print the dry run as JSON."`
}

// Run fails when the notice could not be sent as it is. It also fails when the customer asked for would get no mail.
func (c *previewCmd) Run(ctx context.Context, a *app) error {
	body, client, err := open(a, c.Dir)
	if err != nil {
		return err
	}
	var old []string
	if c.Out != "" {
		if old, err = previewFiles(c.Out); err != nil {
			return usage(fmt.Errorf("--out %s: %w", shown(c.Out), err))
		}
	}
	plan, err := client.Preview(ctx, body, notice.Previewing{Customer: c.Customer, Source: c.Out != "" || c.Language != ""})
	if err != nil {
		return fmt.Errorf("preview: %w", directory.Locate(c.Dir, err))
	}
	if plan.Samples, err = c.only(plan.Samples); err != nil {
		return usage(err)
	}
	if c.Out != "" {
		if err := writePreview(c.Out, old, body, plan); err != nil {
			return fmt.Errorf("write the preview: %w", err)
		}
	}
	if err := c.print(ctx, a, body, plan); err != nil {
		return err
	}
	if err := sendable(plan); err != nil {
		return err
	}
	return c.mailed(body, plan.Asked)
}

// allLanguages is the --language of every mail.
const allLanguages = "all"

// only returns the mails in the language that was asked for.
func (c *previewCmd) only(samples []notice.Sample) (kept []notice.Sample, err error) {
	if c.Language == "" || strings.EqualFold(c.Language, allLanguages) {
		return samples, nil
	}
	var have []string
	for _, s := range samples {
		if strings.EqualFold(s.Language, c.Language) {
			kept = append(kept, s)
		} else if !slices.Contains(have, s.Language) {
			have = append(have, s.Language)
		}
	}
	if len(kept) == 0 {
		return nil, fmt.Errorf("--language %s: the notice has no mail in it: write %s, or one of %s", shown(c.Language), allLanguages, strings.Join(have, ", "))
	}
	return kept, nil
}

func (c *previewCmd) print(ctx context.Context, a *app, body notice.Body, plan notice.Plan) error {
	if c.JSON {
		return document(a.stdout, plan)
	}
	body = asMoved(body, plan)
	if err := printPlan(a.stdout, c.Dir, body, plan); err != nil {
		return err
	}
	if c.Out != "" {
		fmt.Fprintln(a.stdout)
		sentence(a.stdout, "The mails stand in %s.", shown(filepath.Join(c.Out, previewIndex)))
		return nil
	}
	return a.page(ctx, func(w io.Writer) {
		if plan.Asked != nil {
			printAsked(w, plan.Asked)
		} else {
			printSamples(w, plan)
		}
	})
}

// mailed says why the customer asked for would get no mail.
func (c *previewCmd) mailed(body notice.Body, asked *notice.Asked) error {
	if asked == nil || asked.Reason == "" {
		return nil
	}
	return fmt.Errorf("customer %s would get no mail: %s", shown(asked.ID), c.noMail(body, asked))
}

func (c *previewCmd) noMail(body notice.Body, asked *notice.Asked) string {
	switch asked.Reason {
	case notice.UnknownCustomer:
		return "no customer has this id"
	case notice.ExcludedByFilter:
		return "the filter of the audience does not hold for them"
	case notice.ExcludedByList:
		return "they are not on the list of the audience"
	case notice.ExcludedByNotice:
		return "they did not stand on " + body.Audience.Notice + inStates(body.Audience.State)
	case notice.ReasonNoAddress:
		return "they have no address that could be mailed"
	case notice.ReasonUnreachable:
		return "their mailbox is down, and they have no alternate address elsewhere"
	case notice.ReasonSuppressionList:
		return "their address is on the list of suppressions"
	case notice.ReasonOnlyTo:
		return "the workers are set up to send to others alone (only_to)"
	case notice.ReasonHole:
		return fmt.Sprintf("%s: %s", directory.Place(c.Dir, asked.Hole.Place), shown(asked.Hole.Reason))
	}
	return shown(asked.Reason)
}

// printAsked writes the mail of the customer asked for.
func printAsked(w io.Writer, asked *notice.Asked) {
	if asked.Sample == nil {
		return
	}
	shared := ""
	if n := len(asked.Customers) - 1; n > 0 {
		shared = ", one mail for " + brief(shown(strings.Join(asked.Customers, ", ")))
	}
	printMail(w, *asked.Sample, shared)
}

// printSamples writes one mail per language, and per branch of a text, as its reader sees it.
func printSamples(w io.Writer, p notice.Plan) {
	printed := map[string]bool{}
	show := func(s notice.Sample, with string) {
		if name := textOf(s) + " " + s.Customer; !printed[name] {
			printed[name] = true
			printMail(w, s, with)
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

// printMail writes a mail as its reader sees it; with says more about it.
func printMail(w io.Writer, s notice.Sample, with string) {
	fmt.Fprintln(w)
	sentence(w, "--- %s%s, as customer %s gets it ---", textOf(s), with, shown(s.Customer))
	fmt.Fprintf(w, "Subject: %s\n\n", shown(s.Subject))
	for line := range strings.Lines(s.Text) {
		fmt.Fprintln(w, shown(strings.TrimRight(line, "\r\n")))
	}
}
