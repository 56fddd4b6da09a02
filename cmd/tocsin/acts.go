package main

import (
	"context"
	"fmt"

	"tocsin/internal/notice"
)

type actsCmd struct {
	remote
	Notice string `placeholder:"KEY" help:"Only those about the notice with this key or number."`
	Limit  int    `default:"100" placeholder:"N" help:"At most so many (100; 1,000 at most)."`
	Before int64  `placeholder:"NUMBER" help:"Only those with a smaller number: the page after one that ends with it."`
	JSON   bool   `name:"json" help:"Print the page as JSON."`
}

func (c *actsCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	acts, next, err := client.Acts(ctx, notice.ActPage{Before: c.Before, Notice: c.Notice, Limit: c.Limit})
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
	fmt.Fprintln(t, "NO.\tAT\tWHO\tWHAT")
	for _, act := range acts {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\n", act.Number, day(&act.At), shown(notice.Actor(act.Who, act.Note)), shown(sentenceOf(act)))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if next > 0 {
		sentence(a.stdout, "There are older ones: --before %d shows them.", next)
	}
	return nil
}

// sentenceOf says what was done, to which notice, with the details.
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
