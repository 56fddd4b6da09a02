package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"tocsin/internal/directory"
	"tocsin/internal/notice"
)

type amendCmd struct {
	Key string `arg:"" name:"key-or-number" help:"The notice with the wrong text."`
	sendCmd
}

// Run makes the draft of the amendment, pauses the notice with the wrong text, and sends the amendment like any notice.
// Without a confirmation the notice stays paused.
func (c *amendCmd) Run(ctx context.Context, a *app) error {
	body, client, err := open(a, c.Dir)
	if err != nil {
		return err
	}
	st, err := client.Status(ctx, c.Key, 0)
	if err != nil {
		return fmt.Errorf("look up the notice: %w", err)
	}
	if body.Amends != "" && body.Amends != st.Key {
		return usage(fmt.Errorf("%s amends %s, and not %s", directory.Place(c.Dir, "amends"), body.Amends, st.Key))
	}
	body.Amends = st.Key
	done, err := client.Draft(ctx, body)
	if err != nil {
		return interrupted(directory.Locate(c.Dir, err), st.Key+" goes on as it was", "make the draft of the amendment")
	}
	if done.State.Released() || st.State != notice.Sending {
		return c.send(ctx, a, client, body, done)
	}
	if _, err := client.Pause(ctx, st.Key); err != nil && notice.CodeOf(err) != notice.CodeConflict { // it may have ended meanwhile
		return fmt.Errorf("pause %s: %w", st.Key, err)
	}
	sentence(a.stderr, "%s is paused: no more of it leaves meanwhile.", st.Key)
	if err = c.send(ctx, a, client, body, done); err != nil {
		if now, lookErr := client.Status(context.WithoutCancel(ctx), st.Key, 0); lookErr == nil && now.State == notice.Paused {
			err = errors.Join(err, fmt.Errorf("%s stays paused; the rest of it leaves as it was with: tocsin notice resume %s", st.Key, st.Key))
		}
	}
	return err
}

// printAmending prints which mails the plan of an amendment stops, and which text its mailboxes get.
func printAmending(w io.Writer, a *notice.Amending) {
	if a != nil {
		fmt.Fprintf(w, "Amends\t%s, which is %s\n  get the correction\t%s\n  get the plain text\t%s\n", a.Key, a.State, count(a.Corrections), count(a.Plain))
	}
}

// printTogether says where a notice and its amendments stand together.
func printTogether(w io.Writer, st notice.Status) {
	if st.Amends != "" {
		fmt.Fprintf(w, "Amends\t%s\n", st.Amends)
	}
	if st.AmendedBy != "" {
		fmt.Fprintf(w, "Amended by\t%s\n", st.AmendedBy)
	}
	t := st.Together
	if t == nil {
		return
	}
	fmt.Fprintf(w, "Corrections\t%s in %s\n", count(t.Corrections), t.Keys[len(t.Keys)-1])
	fmt.Fprintf(w, "Together\t%s\n", strings.Join(t.Keys, ", "))
	for _, s := range notice.DeliveryStates {
		if n := t.Counts[s.String()]; n > 0 {
			fmt.Fprintf(w, "  %s\t%s\n", s, count(n))
		}
	}
}
