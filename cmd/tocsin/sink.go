package main

import (
	"context"
	"fmt"

	"tocsin/internal/sink"
)

type sinkCmd struct {
	Listen  string `required:"" placeholder:"ADDR" help:"Where to listen, as host:port."`
	Store   string `xor:"keep" placeholder:"FILE" help:"Append a line of JSON a mail to this file."`
	Discard bool   `xor:"keep" help:"Count mails and keep nothing of them."`
}

// Run takes mail until it is stopped, and says how much it was.
func (c *sinkCmd) Run(ctx context.Context, a *app) error {
	set, err := a.settings.Sink()
	if err != nil {
		return usage(err)
	}
	s := sink.New(sink.Options{Store: c.Store, Discard: c.Discard, Logger: a.logger(set.Log)})
	if err := s.Listen(c.Listen); err != nil {
		return fmt.Errorf("start the sink: %w", err)
	}
	fmt.Fprintf(a.stderr, "The sink listens on %s: TOCSIN_SMTP_URL=smtp://%s\n", s.Addr(), s.Addr())
	if err := s.Serve(ctx); err != nil {
		return fmt.Errorf("take mail: %w", err)
	}
	fmt.Fprintf(a.stderr, "The sink took %s.\n", many(s.Count(), "mail"))
	return nil
}
