package main

import (
	"context"
	"fmt"

	"tocsin/internal/api"
	"tocsin/internal/notice"
)

type (
	sendNowCmd struct {
		one
		Yes bool `help:"Send without asking. Off a terminal nothing is asked anyway."`
	}
	takeBackCmd struct{ one }
	moveCmd     struct {
		one
		To   string `arg:"" name:"time" help:"When it is to leave: 2026-11-06T09:00 in the zone of the notice, or with its offset."`
		Past bool   `name:"allow-past" help:"Move it though what it announces will be over."`
	}
	draftCmd struct {
		remote
		Key  string `arg:"" name:"key-or-number" help:"The draft."`
		Yes  bool   `help:"Delete without asking. Off a terminal nothing is asked anyway."`
		JSON bool   `name:"json" help:"Print the key of the deleted draft as JSON."`
	}
)

func (c *sendNowCmd) Run(ctx context.Context, a *app) error {
	if !c.Yes && isTerminal(a.stdin) && isTerminal(a.stderr) {
		client, err := a.client()
		if err != nil {
			return err
		}
		st, err := client.Status(ctx, c.Key, 0)
		if err != nil {
			return fmt.Errorf("look up the notice: %w", err)
		}
		if st.State == notice.Scheduled { // any other is refused
			whom := many(st.Recipients, "recipient")
			if st.Recipients == 0 {
				whom = "its audience as it is now"
			}
			question := fmt.Sprintf("Send %s to %s now, and not at %s? Type yes: ", st.Key, whom, when(st.SendAt))
			if err := a.ask(ctx, question, "yes"); err != nil {
				return err
			}
		}
	}
	return c.act(ctx, a, "send now", func(client *api.Client) (notice.Status, error) { return client.SendNow(ctx, c.Key) })
}

// Run leaves a draft, of which nothing has left.
func (c *takeBackCmd) Run(ctx context.Context, a *app) error {
	return c.act(ctx, a, "take back", func(client *api.Client) (notice.Status, error) { return client.TakeBack(ctx, c.Key) })
}

func (c *moveCmd) Run(ctx context.Context, a *app) error {
	m := notice.Moving{SendAt: notice.Time(c.To)}
	if c.Past {
		m.Allow = []string{notice.CheckPast}
	}
	return c.act(ctx, a, "move", func(client *api.Client) (notice.Status, error) { return client.Move(ctx, c.Key, m) })
}

func (c *draftCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	if !c.Yes && isTerminal(a.stdin) && isTerminal(a.stderr) {
		if err := a.ask(ctx, fmt.Sprintf("Delete the draft %s? Type yes: ", shown(c.Key)), "yes"); err != nil {
			return err
		}
	}
	if err := client.DeleteDraft(ctx, c.Key); err != nil {
		return fmt.Errorf("delete the draft: %w", err)
	}
	if c.JSON {
		return document(a.stdout, map[string]any{"key": c.Key, "deleted": true})
	}
	_, err = fmt.Fprintf(a.stdout, "The draft %s is deleted.\n", shown(c.Key))
	return err
}
