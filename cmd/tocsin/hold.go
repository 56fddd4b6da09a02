package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tocsin/internal/notice"
)

type holdCmd struct {
	Add    holdAddCmd    `cmd:"" help:"Let nothing leave for a time; with --now from this moment on."`
	List   holdListCmd   `cmd:"" help:"List the holds that are in force or to come."`
	Remove holdRemoveCmd `cmd:"" help:"End a hold: what it held goes on."`
}

type holdAddCmd struct {
	remote
	From   string `placeholder:"TIME" help:"When it begins: 2026-11-09T21:00 on the clock here, or with an offset."`
	Now    bool   `help:"It begins now: the one act that stops everything."`
	Until  string `placeholder:"TIME" help:"When it ends; with --now also 2h from now, or, without, once it is removed."`
	Reason string `placeholder:"TEXT" help:"Shown with the notices that it holds."`
	JSON   bool   `name:"json" help:"Print a JSON document."`
}

func (c *holdAddCmd) Run(ctx context.Context, a *app) error {
	from, until, err := c.times(time.Now())
	if err != nil {
		return usage(err)
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	h, err := client.AddHold(ctx, from, until, c.Reason)
	if err != nil {
		return fmt.Errorf("add the hold: %w", err)
	}
	if c.JSON {
		return document(a.stdout, h)
	}
	if c.Now {
		sentence(a.stdout, "Hold %d: nothing leaves any more, but for mails that were under way, until %s.", h.Number, heldUntil(h))
	} else {
		sentence(a.stdout, "Hold %d: nothing leaves from %s until %s.", h.Number, when(&h.From), heldUntil(h))
	}
	return nil
}

// times reads the flags; a nil from is now.
func (c *holdAddCmd) times(now time.Time) (from, until *time.Time, err error) {
	if c.Now == (c.From != "") {
		return nil, nil, errors.New("say when it begins: --from TIME, or --now")
	}
	for text, t := range map[*string]**time.Time{&c.From: &from, &c.Until: &until} {
		if *text == "" {
			continue
		}
		at, err := instant(*text, now)
		if err != nil {
			return nil, nil, err
		}
		*t = &at
	}
	return from, until, nil
}

func heldUntil(h notice.Hold) string {
	if h.Until == nil {
		return "it is removed"
	}
	return when(h.Until)
}

type holdListCmd struct {
	remote
	JSON bool `name:"json" help:"Print the list as JSON."`
}

func (c *holdListCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	all, err := client.Holds(ctx)
	if err != nil {
		return fmt.Errorf("list the holds: %w", err)
	}
	if c.JSON {
		return document(a.stdout, map[string]any{"holds": append([]notice.Hold{}, all...)})
	}
	if len(all) == 0 {
		fmt.Fprintln(a.stdout, "There is no hold.")
		return nil
	}
	t := table(a.stdout)
	fmt.Fprintln(t, "NO.\tFROM\tUNTIL\tOF\tREASON")
	for _, h := range all {
		until, owner := "it is removed", h.Owner
		if h.Until != nil {
			until = day(h.Until)
		}
		if owner == notice.HoldOfFile && !h.InFile {
			owner = "a file, not serve's"
		}
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", h.Number, day(&h.From), until, shown(owner), orNone(h.Reason))
	}
	return t.Flush()
}

type holdRemoveCmd struct {
	remote
	Number int64 `arg:"" help:"The hold's number, as hold list shows it."`
	JSON   bool  `name:"json" help:"Print the hold as JSON."`
}

func (c *holdRemoveCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	h, err := client.RemoveHold(ctx, c.Number)
	if err != nil {
		return fmt.Errorf("remove the hold: %w", err)
	}
	if c.JSON {
		return document(a.stdout, h)
	}
	sentence(a.stdout, "Hold %d is removed; it would have lasted until %s.", h.Number, heldUntil(h))
	return nil
}
