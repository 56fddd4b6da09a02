package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"

	"tocsin/internal/api"
	"tocsin/internal/notice"
)

// plan has a draft planned, and shows on w how far that has come where it takes long.
func plan(ctx context.Context, w io.Writer, client *api.Client, key string) (p notice.Plan, err error) {
	made := make(chan struct{})
	go func() {
		defer close(made)
		p, err = client.PreviewDraft(ctx, key)
	}()
	shown := planningSo{w: w}
	defer shown.close()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-made:
			return p, err
		case now := <-ticker.C:
			if customers, running, err := client.Planning(ctx, key); err == nil && running {
				shown.show(customers, now)
			}
		}
	}
}

// planningSo shows how far a planning has come: a count on a terminal, now and then a line elsewhere.
type planningSo struct {
	w    io.Writer
	bar  *progressbar.ProgressBar
	said time.Time
}

func (s *planningSo) show(customers int, now time.Time) {
	if s.bar == nil && isTerminal(s.w) {
		s.bar = progressbar.NewOptions(-1, progressbar.OptionSetWriter(s.w), progressbar.OptionSetDescription("planning"),
			progressbar.OptionShowCount(), progressbar.OptionUseANSICodes(true), progressbar.OptionClearOnFinish())
	}
	switch {
	case s.bar != nil:
		s.bar.Set(customers)
	case now.Sub(s.said) >= plainEvery:
		s.said = now
		fmt.Fprintf(s.w, "planning: %s so far\n", many(customers, "customer"))
	}
}

func (s *planningSo) close() {
	if s.bar != nil {
		s.bar.Finish()
	}
}

// printDrift lists the changes since a plan was shown.
func printDrift(w io.Writer, err error) {
	e, ok := errors.AsType[*notice.Error](err)
	if !ok || e.Drift == nil {
		return
	}
	t := table(w)
	for _, c := range []struct {
		what, name string
		n          int
	}{{"Added", "added", e.Drift.Added}, {"Lost", "lost", e.Drift.Lost}, {"With another address", "other_address", e.Drift.Address},
		{"In another language", "other_language", e.Drift.Language}} {
		if c.n == 0 {
			continue
		}
		line := many(c.n, "customer")
		if ids := e.Drift.Examples[c.name]; len(ids) > 0 {
			line += ", such as " + shown(strings.Join(ids, ", "))
		}
		fmt.Fprintf(t, "%s\t%s\n", c.what, line)
	}
	t.Flush()
}

// sendable returns an error that names the reason why a plan can't be released. A mail with a hole in it never leaves,
// and a notice to nobody is a mistake.
func sendable(p notice.Plan, allowed ...string) error {
	switch {
	case p.Customers == 0:
		return errors.New("nobody is on the audience of this notice: it can't be sent")
	case refused(p, allowed) != nil:
		r := refused(p, allowed)
		say := "--allow-" + r.Check
		if r.Check == notice.CheckBackwards {
			say = "--force"
		}
		return fmt.Errorf("%s %s: the notice can't be sent like this; say %s to send it all the same", r.Field, r.Reason, say)
	case p.HoleCount > 0:
		return fmt.Errorf("%s would get a mail with an empty field: the notice can't be sent like this", many(p.HoleCount, "recipient"))
	}
	return nil
}

// refused is the first refusal of a plan that is not allowed.
func refused(p notice.Plan, allowed []string) *notice.Refusal {
	for _, r := range p.Refusals {
		if !slices.Contains(allowed, r.Check) {
			return &r
		}
	}
	return nil
}

// mailed is how many recipients of a plan will get a mail.
func mailed(p notice.Plan) (n int) {
	for _, k := range p.ByLanguage {
		n += k
	}
	return n
}
