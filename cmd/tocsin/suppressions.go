package main

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"tocsin/internal/notice"
)

type suppressionsCmd struct {
	List   suppressionsListCmd   `cmd:"" help:"List the addresses and domains that are not mailed."`
	Add    suppressionsAddCmd    `cmd:"" help:"Never mail an address, or a domain, again."`
	Remove suppressionsRemoveCmd `cmd:"" help:"Take an address, or a domain, off the list."`
	Import suppressionsImportCmd `cmd:"" help:"Add the addresses of a file: a CSV with the columns address, reason and scope, an export of a mail service, or one address a line."`
}

type suppressionsListCmd struct {
	remote
	JSON bool `name:"json" help:"Print the list as JSON."`
}

func (c *suppressionsListCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	all, err := client.Suppressions(ctx)
	if err != nil {
		return fmt.Errorf("list the suppressions: %w", err)
	}
	if c.JSON {
		return document(a.stdout, map[string]any{"suppressions": append([]notice.Suppression{}, all...)})
	}
	if len(all) == 0 {
		fmt.Fprintln(a.stdout, "No address is suppressed.")
		return nil
	}
	t := table(a.stdout)
	fmt.Fprintln(t, "NO.\tADDRESS\tSCOPE\tADDED\tBY\tREASON")
	for _, s := range all {
		address := shown(s.Address)
		if address == "" {
			address = "(erased)"
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\t%s\n", s.Number, address, s.Scope, day(&s.AddedAt), orNone(s.AddedBy), shown(s.Reason))
	}
	return t.Flush()
}

type suppressionsAddCmd struct {
	remote
	Address string       `arg:"" help:"The address, in any spelling, or *@ and a domain for all of that domain."`
	Reason  string       `default:"request" placeholder:"REASON" help:"bounced, complaint, request, or some words of your own (request)."`
	Scope   notice.Scope `default:"all" enum:"all,not_urgent,advisory,postmortem" placeholder:"SCOPE" help:"all: no notice is mailed; not_urgent: outages, but for their postmortem, and critical notices are; advisory, postmortem: all but those are (all)."`
}

func (c *suppressionsAddCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	s, err := client.Suppress(ctx, c.Address, c.Reason, c.Scope)
	if err != nil {
		return fmt.Errorf("suppress the address: %w", err)
	}
	but := map[notice.Scope]string{notice.ScopeNotUrgent: " but for urgent notices", notice.ScopeAdvisory: " about advisories",
		notice.ScopePostmortem: " about post-mortems"}[s.Scope]
	sentence(a.stdout, "%s is not mailed any more%s (%s).", shown(s.Address), but, shown(s.Reason))
	return nil
}

type suppressionsRemoveCmd struct {
	remote
	Address string `arg:"" name:"address-or-number" help:"The address, in any spelling, *@ and a domain, or the entry's number."`
}

func (c *suppressionsRemoveCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	if number, numeric := strconv.ParseInt(c.Address, 10, 64); numeric == nil {
		err = client.UnsuppressNumber(ctx, number)
	} else {
		err = client.Unsuppress(ctx, c.Address)
	}
	if err != nil {
		return fmt.Errorf("take %s off the list: %w", shown(c.Address), err)
	}
	_, err = fmt.Fprintf(a.stdout, "%s is off the list.\n", shown(c.Address))
	return err
}

type suppressionsImportCmd struct {
	remote
	File   string       `arg:"" help:"The file; - is standard input."`
	Reason string       `default:"request" placeholder:"REASON" help:"Of rows that give none (request)."`
	Scope  notice.Scope `enum:",all,not_urgent,advisory,postmortem" default:"" placeholder:"SCOPE" help:"Of rows that give none: all, not_urgent, advisory or postmortem (not_urgent for complaints, else all)."`
	JSON   bool         `name:"json" help:"Print the report as JSON."`
}

// Run keeps the good rows though others are bad.
func (c *suppressionsImportCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	file, size, err := a.open(c.File)
	if err != nil {
		return fmt.Errorf("import suppressions: %w", err)
	}
	defer file.Close()
	bar := newUpload(a.stderr, size)
	report, err := client.ImportSuppressions(ctx, io.TeeReader(file, bar), c.Reason, c.Scope)
	bar.finish()
	if err != nil {
		return fmt.Errorf("import suppressions: %w", err)
	}
	return printImport(a.stdout, report, c.JSON, notice.ImportOptions{})
}
