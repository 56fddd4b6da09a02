package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tocsin/internal/config"
	"tocsin/internal/ledger"
	"tocsin/internal/metrics"
	"tocsin/internal/notice"
	"tocsin/internal/webhook"
)

type webhooksCmd struct {
	List  webhooksListCmd  `cmd:"" help:"List the receivers: how many messages wait for each, and why."`
	Test  webhooksTestCmd  `cmd:"" help:"Send a test event to a receiver, and say whether it was taken."`
	Retry webhooksRetryCmd `cmd:"" help:"Try the messages that wait, or were given up, at once."`
}

type webhooksListCmd struct {
	remote
	JSON bool `name:"json" help:"Print the list as JSON."`
}

// forgotten is how long a receiver may be out of all settings before list says so. Every server names its receivers
// once a minute.
const forgotten = 3 * time.Minute

func (c *webhooksListCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	all, err := client.Webhooks(ctx)
	if err != nil {
		return fmt.Errorf("list the webhooks: %w", err)
	}
	if c.JSON {
		return document(a.stdout, map[string]any{"webhooks": append([]notice.Webhook{}, all...)})
	}
	if len(all) == 0 {
		fmt.Fprintln(a.stdout, "Nobody is told: the settings of serve have no webhooks.")
		return nil
	}
	t := table(a.stdout)
	fmt.Fprintln(t, "NAME\tWAITING\tSINCE\tGIVEN UP\tLAST TAKEN\tWHY")
	for _, w := range all {
		why := w.Fault
		if time.Since(w.SeenAt) > forgotten {
			why = strings.TrimSuffix("no serve has it in its settings since "+when(&w.SeenAt)+"; "+why, "; ")
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%d\t%s\t%s\n", w.Name, w.Waiting, orNone(dayOf(w.OldestAt)), w.GivenUp, orNone(dayOf(w.DeliveredAt)), orNone(why))
	}
	return t.Flush()
}

// dayOf is day, "" for no time.
func dayOf(t *time.Time) string {
	if t == nil {
		return ""
	}
	return day(t)
}

type webhooksTestCmd struct {
	remote
	Name string `arg:"" help:"The receiver, as the settings of serve name it."`
	JSON bool   `name:"json" help:"Print the message as JSON."`
}

// The time for which a test waits for the receiver's answer, and the interval at which it asks. serve gives up an answer
// sooner.
const (
	testPatience = 30 * time.Second
	testEvery    = 200 * time.Millisecond
)

// Run sends a test event, and succeeds when the receiver took it. Until then the message stays, and is tried again like
// others.
func (c *webhooksTestCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	m, err := client.TestWebhook(ctx, c.Name)
	if err != nil {
		return fmt.Errorf("test the webhook: %w", err)
	}
	for until := time.Now().Add(testPatience); m.DeliveredAt == nil && m.Fault == "" && time.Now().Before(until); {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(testEvery):
		}
		if m, err = client.WebhookMessage(ctx, c.Name, m.Number); err != nil {
			return fmt.Errorf("ask what became of the test: %w", err)
		}
	}
	if c.JSON {
		if err := document(a.stdout, m); err != nil || m.DeliveredAt != nil {
			return err
		}
		return errTold
	}
	switch {
	case m.DeliveredAt != nil:
		sentence(a.stdout, "%s took the test event, and answered %d.", c.Name, m.Status)
		return nil
	case m.Fault != "":
		return fmt.Errorf("%s did not take the test event: %s; it is tried again", c.Name, m.Fault)
	}
	return fmt.Errorf("no serve has sent the test event to %s yet; it stays to be sent: `tocsin webhooks list` says whether one has it in its settings", c.Name)
}

type webhooksRetryCmd struct {
	remote
	Name string `arg:"" help:"The receiver, as the settings of serve name it."`
	JSON bool   `name:"json" help:"Print the number as JSON."`
}

func (c *webhooksRetryCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	n, err := client.RetryWebhook(ctx, c.Name)
	if err != nil {
		return fmt.Errorf("retry the webhook: %w", err)
	}
	if c.JSON {
		return document(a.stdout, map[string]int{"messages": n})
	}
	sentence(a.stdout, "%s for %s are tried again, the oldest first.", many(n, "message"), c.Name)
	return nil
}

// receivers returns those of the settings.
func receivers(set []config.Webhook) (all []*webhook.Receiver, err error) {
	for _, w := range set {
		r, err := webhook.NewReceiver(webhook.Receiver{Name: w.Name, URL: w.URL, Form: webhook.Form(w.Form), Events: w.Events}, w.Secrets)
		if err != nil {
			return nil, err
		}
		all = append(all, r)
	}
	return all, nil
}

// tell has the receivers of the settings told of changes of notices until ctx ends. wait returns when nothing is under
// way any more.
func tell(ctx context.Context, db *ledger.DB, set config.Serve, reg prometheus.Registerer, logger *slog.Logger) (wait func(), err error) {
	all, err := receivers(set.Webhooks)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	s := &webhook.Sender{Ledger: db, Receivers: all, Origin: webhook.Origin{URL: set.ConsoleURL, Version: version()}, Logger: logger,
		Count: metrics.NewWebhooks(reg, names...).Count}
	ctx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	return func() { stop(); <-ended }, nil
}
