package main

import (
	"context"
	"fmt"
	"time"

	"tocsin/internal/api"
	"tocsin/internal/notice"
)

type relayCmd struct {
	List   relayListCmd   `cmd:"" help:"List the relays of the workers, and how each is."`
	Rest   relayRestCmd   `cmd:"" help:"Let a relay rest: no worker gives it mails any more."`
	Resume relayResumeCmd `cmd:"" help:"End the rest of a relay."`
}

type relayListCmd struct {
	remote
	JSON bool `name:"json" help:"Print the list as JSON."`
}

func (c *relayListCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	list, err := client.Relays(ctx)
	if err != nil {
		return fmt.Errorf("list the relays: %w", err)
	}
	if c.JSON {
		return document(a.stdout, list)
	}
	if len(list.Relays) == 0 {
		fmt.Fprintln(a.stdout, "No worker has told yet which relays it has.")
		return nil
	}
	t := table(a.stdout)
	fmt.Fprintln(t, "RELAY\tWORKERS\tQUOTA\tSTATE")
	for _, r := range list.Relays {
		workers := count(len(r.Workers))
		if list.Unheard {
			workers = "?"
		}
		quota := "-"
		if r.Quota != nil {
			quota = fmt.Sprintf("%s of %s", count(r.Quota.Used), count(r.Quota.PerDay))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", shown(r.Name), workers, quota, relayState(r, list.Unheard))
	}
	return t.Flush()
}

// relayState describes the state of a relay. A rest and a used-up quota go before the health that workers see.
func relayState(r notice.Relay, unheard bool) string {
	switch {
	case r.Rest != nil:
		return restOf(*r.Rest)
	case r.Quota != nil && r.Quota.Until != nil:
		return quotaOf(*r.Quota)
	case unheard:
		return "not known: Redis is away"
	case len(r.Workers) == 0:
		return "no living worker has it; the last was there at " + when(&r.SeenAt)
	}
	return healthOf(r.Workers)
}

// healthOf sums up the health of a relay as its workers see it.
func healthOf(workers []notice.RelayHealth) string {
	down, silent, why := 0, 0, ""
	for _, h := range workers {
		switch h.State {
		case notice.RelayUp, notice.RelayAtRest, notice.RelayUsedUp: // the ledger knows rests and quotas better
			continue
		case notice.RelaySilent:
			silent++
		}
		down, why = down+1, h.Error
	}
	state := "resting"
	switch {
	case down == 0:
		return notice.RelayUp
	case silent == down:
		state = notice.RelaySilent
	}
	return fmt.Sprintf("%s in %d of %d workers: %s", state, down, len(workers), shown(why))
}

// quotaOf says how much of a relay's quota is used.
func quotaOf(q notice.Quota) string {
	text := fmt.Sprintf("%s of %s mails in 24 hours", count(q.Used), count(q.PerDay))
	if q.Until != nil {
		text += ", used up until " + when(q.Until)
	}
	return text
}

// restOf says until when, and why, an operator lets a relay rest.
func restOf(r notice.Rest) string {
	until := "it is resumed"
	if r.Until != nil {
		until = when(r.Until)
	}
	text := fmt.Sprintf("at rest until %s, by %s", until, shown(r.By))
	if r.Reason != "" {
		text += ": " + shown(r.Reason)
	}
	return text
}

type relayRestCmd struct {
	remote
	Name   string        `arg:"" help:"The relay, as relay list shows it."`
	For    time.Duration `placeholder:"TIME" help:"How long: 30m, 2h; without, until it is resumed."`
	Reason string        `placeholder:"TEXT" help:"Shown with the notices that wait for it."`
	JSON   bool          `name:"json" help:"Print the relay as JSON."`
}

func (c *relayRestCmd) Run(ctx context.Context, a *app) error {
	return actOnRelay(ctx, a, c.JSON, "let the relay rest", func(client *api.Client) (notice.Relay, error) {
		return client.RestRelay(ctx, c.Name, c.For, c.Reason)
	})
}

type relayResumeCmd struct {
	remote
	Name string `arg:"" help:"The relay, as relay list shows it."`
	JSON bool   `name:"json" help:"Print the relay as JSON."`
}

func (c *relayResumeCmd) Run(ctx context.Context, a *app) error {
	return actOnRelay(ctx, a, c.JSON, "resume the relay", func(client *api.Client) (notice.Relay, error) {
		return client.ResumeRelay(ctx, c.Name)
	})
}

func actOnRelay(ctx context.Context, a *app, json bool, what string, do func(*api.Client) (notice.Relay, error)) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	r, err := do(client)
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case json:
		return document(a.stdout, r)
	case r.Rest == nil:
		sentence(a.stdout, "Relay %s gets mails.", shown(r.Name))
	default:
		sentence(a.stdout, "Relay %s is %s. Its mails go to the next relay, or wait.", shown(r.Name), restOf(*r.Rest))
	}
	return nil
}
