package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"tocsin/internal/notice"
)

type limitCmd struct {
	List  limitListCmd  `cmd:"" help:"List the limits of domains: set, of the workers' files, and learnt."`
	Set   limitSetCmd   `cmd:"" help:"Limit a domain in all workers at once, in place of their files."`
	Clear limitClearCmd `cmd:"" help:"Have a domain be limited by the workers' files again."`
}

type limitListCmd struct {
	remote
	JSON bool `name:"json" help:"Print the list as JSON."`
}

func (c *limitListCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	list, err := client.Limits(ctx)
	if err != nil {
		return fmt.Errorf("list the limits: %w", err)
	}
	if c.JSON {
		return document(a.stdout, list)
	}
	if list.Unheard {
		sentence(a.stdout, "Redis is away, so the limits of the workers' files are not known.")
	}
	if len(list.Limits) == 0 {
		fmt.Fprintln(a.stdout, "No domain is limited.")
		return nil
	}
	t := table(a.stdout)
	fmt.Fprintln(t, "DOMAIN\tLIMIT\tOF")
	for _, l := range list.Limits {
		fmt.Fprintf(t, "%s\t%s\t%s\n", shown(l.Domain), l.Says(), limitOf(l))
	}
	return t.Flush()
}

// limitOf says where a limit comes from, and which parts of it are not in force.
func limitOf(l notice.DomainLimit) string {
	text := "set by " + shown(l.By) + ", until it is cleared"
	switch {
	case l.Of == notice.LimitFile:
		text = "the file of " + many(l.Workers, "worker")
	case l.Of == notice.LimitLearnt:
		text = "learnt of relay " + shown(l.Relay)
	case l.Until != nil:
		text = "set by " + shown(l.By) + ", until " + when(l.Until)
	}
	if len(l.Overridden) > 0 {
		text += "; not in force: " + strings.Join(l.Overridden, ", ")
	}
	return text
}

type limitSetCmd struct {
	remote
	Domain      string        `arg:"" help:"The domain of the addresses, such as gmail.com."`
	Rate        string        `placeholder:"RATE" help:"Mails that all workers send it: 20/s, 600/m, 5000/h, 50000/d."`
	Connections int           `placeholder:"N" help:"Mails under way to it at once."`
	For         time.Duration `placeholder:"TIME" help:"How long: 30m, 2h; without, until it is cleared."`
	JSON        bool          `name:"json" help:"Print the limit as JSON."`
}

func (c *limitSetCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	l, err := client.SetLimit(ctx, c.Domain, c.Rate, c.Connections, c.For)
	if err != nil {
		return fmt.Errorf("set the limit: %w", err)
	}
	if c.JSON {
		return document(a.stdout, l)
	}
	sentence(a.stdout, "%s gets %s: %s.", shown(l.Domain), l.Says(), limitOf(l))
	return nil
}

type limitClearCmd struct {
	remote
	Domain string `arg:"" help:"The domain, as limit list shows it."`
	JSON   bool   `name:"json" help:"Print the limit that has ended as JSON."`
}

func (c *limitClearCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	l, err := client.ClearLimit(ctx, c.Domain)
	if err != nil {
		return fmt.Errorf("clear the limit: %w", err)
	}
	if c.JSON {
		return document(a.stdout, l)
	}
	sentence(a.stdout, "%s, set by %s, is cleared: %s is limited by the files of the workers.", l.Says(), shown(l.By), shown(l.Domain))
	return nil
}
