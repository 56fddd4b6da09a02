package main

import (
	"context"
	"fmt"
	"time"

	"tocsin/internal/notice"
)

type actsCmd struct {
	remote
	Notice string `placeholder:"KEY" help:"Only those about the notice with this key or number."`
	Who    string `placeholder:"NAME" help:"Only those of the token or the person with this name."`
	What   string `placeholder:"KIND" help:"Only acts of this kind, such as release."`
	Since  string `placeholder:"TIME" help:"Only those since: 2026-11-09, 2026-11-09T21:00, or 24h ago."`
	Limit  int    `default:"100" placeholder:"N" help:"At most so many (100; 1,000 at most)."`
	Before int64  `placeholder:"NUMBER" help:"Only those with a smaller number: the page after one that ends with it."`
	JSON   bool   `name:"json" xor:"format" help:"Print the page as JSON."`
	CSV    bool   `name:"csv" xor:"format" help:"Print all of them as CSV."`
}

func (c *actsCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	page := notice.ActPage{Before: c.Before, Notice: c.Notice, Who: c.Who, What: c.What, Limit: c.Limit}
	if c.Since != "" {
		if page.Since, err = since(c.Since, time.Now()); err != nil {
			return usage(fmt.Errorf("--since %w", err))
		}
	}
	if c.CSV {
		return client.ActsCSV(ctx, page, a.stdout)
	}
	acts, next, err := client.Acts(ctx, page)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	if c.JSON {
		doc := map[string]any{"acts": append([]notice.Act{}, acts...), "next": nil}
		if next > 0 {
			doc["next"] = next
		}
		return document(a.stdout, doc)
	}
	if len(acts) == 0 {
		fmt.Fprintln(a.stdout, "There are no acts.")
		return nil
	}
	t := table(a.stdout)
	fmt.Fprintln(t, "NO.\tAT\tWHO\tFROM\tWHAT")
	for _, act := range acts {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", act.Number, day(&act.At), shown(notice.Actor(act.Who, act.Note)), act.Origin, shown(sentenceOf(act)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if next > 0 {
		sentence(a.stdout, "There are older ones: --before %d shows them.", next)
	}
	return nil
}

// since reads a time of the past: as instant does, but a length of time is one before now.
func since(text string, now time.Time) (time.Time, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return now.Add(-d), nil
	}
	return instant(text, now)
}

// sentenceOf writes an act in words: the deed, its notice and the details.
func sentenceOf(act notice.Act) string {
	text := act.What
	if act.Notice != "" {
		text += " " + act.Notice
	}
	if act.Detail != "" {
		text += ": " + act.Detail
	}
	return text
}
