package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"tocsin/internal/api"
	"tocsin/internal/config"
	"tocsin/internal/intake"
	"tocsin/internal/metrics"
	"tocsin/internal/notice"
)

type bouncesCmd struct {
	Once bool `help:"Take what is in the Maildir and the IMAP mailbox, and end."`
}

// source is a place where mails come in.
type source interface {
	Run(ctx context.Context) error
}

// keeper is a source that keeps mails itself.
type keeper interface {
	source
	Drain(ctx context.Context) (intake.Tally, error)
}

// Run hands mails that came back to the API until it is told to stop, and then finishes those that are under way. The API
// may be away when it starts, and later.
func (c *bouncesCmd) Run(ctx context.Context, a *app) error {
	set, err := a.settings.Bounces()
	if err != nil {
		return usage(err)
	}
	client, err := a.client()
	if err != nil {
		return usage(err)
	}
	logger, reg := a.logger(set.Log), registry()
	in := intake.New(intake.Options{Take: taker(client), Count: metrics.NewIntake(reg).Count, Logger: logger})
	boxes, err := mailboxes(in, set)
	if err != nil {
		return usage(err)
	}
	if c.Once {
		return drain(ctx, boxes)
	}
	sources, err := listeners(in, set)
	if err != nil {
		return err
	}
	for _, box := range boxes {
		sources = append(sources, box)
	}
	if set.HTTP != "" {
		stop, err := watch(set.HTTP, api.Options{Tokens: set.Tokens, Ready: readiness(in.Ready, client.Ready), Registry: reg, Log: logger, Version: version(), Drain: time.Second})
		if err != nil {
			return err
		}
		defer stop()
	}
	all, ctx := errgroup.WithContext(ctx)
	for _, s := range sources {
		all.Go(func() error { return s.Run(ctx) })
	}
	return all.Wait()
}

// mailboxes returns the Maildir and the IMAP mailbox of the settings.
func mailboxes(in *intake.Intake, set config.Bounces) (boxes []keeper, err error) {
	if set.Maildir != "" {
		m, err := in.NewMaildir(set.Maildir)
		if err != nil {
			return nil, notice.Invalid("TOCSIN_BOUNCES_MAILDIR", "%v", err)
		}
		boxes = append(boxes, m)
	}
	if set.IMAP != "" {
		account, err := intake.ParseAccount(set.IMAP)
		if err != nil {
			return nil, notice.Invalid("TOCSIN_BOUNCES_IMAP_URL", "%v", err)
		}
		boxes = append(boxes, in.NewMailbox(account))
	}
	return boxes, nil
}

// listeners returns the servers of the settings.
func listeners(in *intake.Intake, set config.Bounces) (sources []source, err error) {
	for _, l := range []intake.Listening{{Addr: set.Listen}, {Addr: set.LMTP, LMTP: true}} {
		if l.Addr == "" {
			continue
		}
		if l.Domains = set.Domains; len(l.Domains) == 0 {
			return nil, usage(notice.Invalid("TOCSIN_RETURN_PATH", "is not set, nor return_path of a relay: mails to their domains are taken, and no others"))
		}
		s, err := in.NewServer(l)
		if err != nil {
			return nil, err
		}
		sources = append(sources, s)
	}
	return sources, nil
}

// drain takes the mails that are there now. It fails where some were not taken.
func drain(ctx context.Context, boxes []keeper) error {
	if len(boxes) == 0 {
		return usage(notice.Invalid("--once", "wants TOCSIN_BOUNCES_MAILDIR or TOCSIN_BOUNCES_IMAP_URL"))
	}
	var errs []error
	for _, box := range boxes {
		t, err := box.Drain(ctx)
		errs = append(errs, err)
		if t.Left > 0 {
			errs = append(errs, fmt.Errorf("%s could not be handed over, and stay where they are", many(t.Left, "mail")))
		}
		if t.Refused > 0 {
			errs = append(errs, fmt.Errorf("%s were refused, and are flagged", many(t.Refused, "mail")))
		}
	}
	return errors.Join(errs...)
}

// taker hands mails to the API.
func taker(client *api.Client) intake.Taker {
	return func(ctx context.Context, raw []byte) error {
		_, err := client.TakeBounce(ctx, raw)
		return untaken(err)
	}
}

// untaken judges a mail by the error that the API returned for it. Only Tocsin itself refuses a mail for good:
// another server at its address knows nothing of mails, unless the mail is too large for it.
func untaken(err error) error {
	answer, ok := errors.AsType[*api.StatusError](err)
	switch {
	case notice.CodeOf(err) == notice.CodeInvalid:
		return &intake.Failure{Result: intake.Refused, Err: err}
	case !ok:
		return err
	}
	switch answer.Status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &intake.Failure{Result: intake.Denied, Err: fmt.Errorf("%w; `tocsin tokens add bounces --role bounces` makes a token that may hand in mails: set it as TOCSIN_TOKEN", err)}
	case http.StatusRequestEntityTooLarge:
		return &intake.Failure{Result: intake.Refused, Err: err}
	case http.StatusBadRequest, http.StatusUnsupportedMediaType:
		if !answer.Foreign {
			return &intake.Failure{Result: intake.Refused, Err: err}
		}
	}
	return err
}
