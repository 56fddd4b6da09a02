package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/maillog"
	"tocsin/internal/notice"
)

type reconcileCmd struct {
	remote
	Key            string   `arg:"" name:"key-or-number" help:"The notice."`
	Maillog        []string `required:"" sep:"none" placeholder:"FILE|-" help:"Postfix's log, or the store of tocsin sink. Several times for several files, oldest first: of every relay that the mails can have gone to."`
	LogZone        string   `placeholder:"ZONE" help:"Zone of times that name none, such as Europe/Amsterdam (this machine's)."`
	LogFrom        string   `placeholder:"TIME" help:"The log has everything from then on, though its first line is younger: 2026-11-09T03:00 or with a zone."`
	LogUntil       string   `placeholder:"TIME" help:"The log has everything until then, though its last line is older."`
	RequeueMissing bool     `help:"Send again what the relay never had, where the log shows it."`
	Yes            bool     `help:"Requeue without asking."`
	JSON           bool     `name:"json" help:"Print what was found and done as JSON."`
}

// reconciliation is the document of a reconcile.
type reconciliation struct {
	Log       logSpan `json:"log"`
	Uncertain int     `json:"uncertain"` // before
	ledger.Reconciled
	Missing []missing `json:"missing"` // deliveries that the log does not show to be taken
}

// logSpan describes the part of the log that was read.
type logSpan struct {
	From    *time.Time `json:"from"`
	Until   *time.Time `json:"until"`
	Lines   int        `json:"lines"`
	Sources []string   `json:"sources"`
	Flaw    string     `json:"flaw"` // why the log can't show that something is missing
}

// missing is a delivery that the log does not show to be taken.
type missing struct {
	Address   string `json:"address"`
	MessageID string `json:"message_id"`
	Epoch     int64  `json:"epoch"`
	Log       string `json:"log"`       // absent, begun or unclear
	WhyNot    string `json:"not_again"` // why it can't be sent again now; empty if it can
}

// Run fails when mails that are missing were to be sent again and can't be, or not yet.
func (c *reconcileCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	now := time.Now()
	zone, from, until, err := c.times(now)
	if err != nil {
		return usage(err)
	}
	all, err := client.Uncertain(ctx, c.Key)
	if err != nil {
		return fmt.Errorf("ask what is uncertain: %w", err)
	}
	doc := reconciliation{Uncertain: len(all), Missing: []missing{}, Log: logSpan{Sources: []string{}}}
	if len(all) == 0 {
		return c.print(a, doc)
	}
	log, err := c.read(a, maillog.New(maillog.Options{Wanted: messageIDs(all), Zone: zone, Now: now}))
	if err != nil {
		return err
	}
	span := log.Span()
	if span.Lines == 0 {
		return fmt.Errorf("%s: no line of Postfix or of a sink's store is in it", strings.Join(c.Maillog, ", "))
	}
	if !from.IsZero() {
		span.From = from
	}
	if !until.IsZero() {
		span.Until = until
	}
	r := c.decide(all, log, span, &doc)
	if err := c.announce(ctx, a, zone, doc, r); err != nil {
		return err
	}
	if doc.Reconciled, err = client.Reconcile(ctx, c.Key, r); err != nil {
		return interrupted(err, "asking again does no harm", "reconcile")
	}
	if err := c.print(a, doc); err != nil {
		return err
	}
	if c.RequeueMissing && (doc.TooEarly+doc.NotCovered > 0 || slices.ContainsFunc(doc.Missing, func(m missing) bool { return m.WhyNot != "" })) {
		return errTold
	}
	return nil
}

// times reads the flags about time.
func (c *reconcileCmd) times(now time.Time) (zone *time.Location, from, until time.Time, err error) {
	zone = time.Local
	if c.LogZone != "" {
		if zone, err = notice.LoadZone(c.LogZone); err != nil {
			return nil, from, until, fmt.Errorf("--log-zone: %w", err)
		}
	}
	for _, f := range []struct {
		flag, text string
		into       *time.Time
	}{{"--log-from", c.LogFrom, &from}, {"--log-until", c.LogUntil, &until}} {
		if f.text == "" {
			continue
		}
		for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
			if *f.into, err = time.ParseInLocation(layout, f.text, zone); err == nil {
				break
			}
		}
		if err != nil {
			return nil, from, until, fmt.Errorf("%s: %q is not a time like 2026-11-09T03:00", f.flag, f.text)
		}
		if f.into.After(now) {
			return nil, from, until, fmt.Errorf("%s: %s is still to come", f.flag, f.text)
		}
	}
	return zone, from, until, nil
}

func messageIDs(all []ledger.Uncertain) (ids []string) {
	for _, u := range all {
		ids = append(ids, u.MessageID)
	}
	return ids
}

// read reads all files; "-" is standard input.
func (c *reconcileCmd) read(a *app, log *maillog.Log) (*maillog.Log, error) {
	for _, name := range c.Maillog {
		if name == "-" {
			if err := log.Read("standard input", a.stdin); err != nil {
				return nil, err
			}
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("open the log: %w", err)
		}
		err = errors.Join(log.Read(name, f), f.Close())
		if err != nil {
			return nil, err
		}
	}
	return log, nil
}

// decide looks up each delivery in the log. It returns the changes to make, and adds the missing deliveries to doc.
func (c *reconcileCmd) decide(all []ledger.Uncertain, log *maillog.Log, span maillog.Span, doc *reconciliation) (r ledger.Reconciliation) {
	for _, u := range all {
		f := log.Find(u.MessageID)
		if f.Verdict != maillog.Taken {
			continue
		}
		r.Evidence = append(r.Evidence, ledger.Evidence{MessageID: u.MessageID, Epoch: u.Epoch, QueueID: f.QueueID, Status: f.Text, At: f.At})
		if span.Flaw == "" && (f.At.Before(u.LogFrom) || f.At.After(u.LogUntil)) {
			span.Flaw = fmt.Sprintf("by the log a mail was taken at %s, which is not when it was tried: is it in the zone that it was read in?", when(&f.At))
		}
	}
	for _, u := range all {
		f := log.Find(u.MessageID)
		if f.Verdict == maillog.Taken {
			continue
		}
		why := whyNot(u, f, span)
		doc.Missing = append(doc.Missing, missing{u.Address, u.MessageID, u.Epoch, verdicts[f.Verdict], why})
		if why == "" && c.RequeueMissing {
			r.Requeue = append(r.Requeue, ledger.Missing{MessageID: u.MessageID, Epoch: u.Epoch})
		}
	}
	r.LogFrom, r.LogUntil = span.From.UTC(), span.Until.UTC()
	doc.Log = logSpan{From: &r.LogFrom, Until: &r.LogUntil, Lines: span.Lines, Sources: span.Sources, Flaw: span.Flaw}
	return r
}

var verdicts = map[maillog.Verdict]string{maillog.Absent: "absent", maillog.Begun: "begun", maillog.Unclear: "unclear"}

// whyNot says why a mail that the log does not show to be taken can't be sent again; "" if it can.
func whyNot(u ledger.Uncertain, f maillog.Finding, span maillog.Span) string {
	switch {
	case f.Verdict == maillog.Unclear:
		return f.Text + " (queue id " + f.QueueID + "): settle it by its address"
	case !u.GateOpen:
		return "not before " + when(&u.RequeueFrom) + ": until then the relay may still take it"
	case span.Flaw != "":
		return span.Flaw
	case !span.Covers(u.LogFrom, u.LogUntil):
		return "the log must reach from " + when(&u.LogFrom) + " to " + when(&u.LogUntil)
	}
	return ""
}

// announce prints the findings and the changes to come, and asks before anything is sent again.
func (c *reconcileCmd) announce(ctx context.Context, a *app, zone *time.Location, doc reconciliation, r ledger.Reconciliation) error {
	zoneName := zone.String()
	if zone == time.Local {
		zoneName = "this machine's (see --log-zone)"
	}
	sentence(a.stderr, "Read %s of %s, from %s to %s; times that name no zone are in %s.", many(doc.Log.Lines, "line"),
		shown(strings.Join(doc.Log.Sources, ", ")), when(doc.Log.From), when(doc.Log.Until), zoneName)
	if doc.Log.Flaw != "" {
		sentence(a.stderr, "It can't show that a mail is missing: %s", shown(doc.Log.Flaw))
	}
	sentence(a.stderr, "%s of %s may have arrived or not. The relay took %s: to be settled as sent.",
		many(doc.Uncertain, "mail"), c.Key, count(len(r.Evidence)))
	if len(doc.Missing) > 0 {
		again := ""
		if c.RequeueMissing {
			again = fmt.Sprintf(": %s to be sent again, under the same Message-ID", count(len(r.Requeue)))
		}
		sentence(a.stderr, "The log does not show that it took the other %s%s.", count(len(doc.Missing)), again)
	}
	if len(r.Requeue) == 0 || c.Yes || !isTerminal(a.stdin) || !isTerminal(a.stderr) {
		return nil
	}
	return a.ask(ctx, fmt.Sprintf("Send %s again? Type yes:", many(len(r.Requeue), "mail")), "yes")
}

func (c *reconcileCmd) print(a *app, doc reconciliation) error {
	if c.JSON {
		return document(a.stdout, doc)
	}
	if doc.Uncertain == 0 {
		fmt.Fprintf(a.stdout, "Nothing of %s is uncertain.\n", c.Key)
		return nil
	}
	fmt.Fprintf(a.stdout, "%s settled as sent%s.\n", many(doc.Sent, "mail"), signed(doc.Sent))
	if c.RequeueMissing {
		fmt.Fprintf(a.stdout, "%s queued to be sent again%s.\n", many(doc.Requeued, "mail"), signed(doc.Requeued))
	}
	if n := doc.TooEarly + doc.NotCovered; n > 0 {
		fmt.Fprintf(a.stdout, "%s can't be sent again yet, by the ledger's clock.\n", many(n, "mail"))
	}
	if doc.Changed > 0 {
		fmt.Fprintf(a.stdout, "%s changed meanwhile and left alone.\n", many(doc.Changed, "mail"))
	}
	if doc.Overtaken > 0 {
		fmt.Fprintf(a.stdout, "%s left alone: later notices of the incident go to those mailboxes, or may have gone:\n", many(doc.Overtaken, "mail"))
		for _, key := range doc.By {
			fmt.Fprintf(a.stdout, "  %s\n", key)
		}
	}
	if doc.Suppressed > 0 {
		sentence(a.stdout, "%s left alone: those mailboxes are on the list of suppressions. To mail one all the same, requeue it by its address, with `tocsin notice settle`.",
			many(doc.Suppressed, "mail"))
	}
	return c.printMissing(a.stdout, doc)
}

// printMissing lists the mails that the log does not show to be taken, but for those that were just requeued.
func (c *reconcileCmd) printMissing(w io.Writer, doc reconciliation) error {
	left := doc.Missing[:0:0]
	again := 0
	for _, m := range doc.Missing {
		if m.WhyNot == "" {
			again++
			if c.RequeueMissing {
				continue
			}
			m.WhyNot = "can be sent again"
		}
		left = append(left, m)
	}
	if len(left) == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s that the log does not show to be taken:\n", many(len(left), "mail"))
	t := table(w)
	fmt.Fprintln(t, "ADDRESS\tIN THE LOG\tMESSAGE-ID")
	for _, m := range left {
		fmt.Fprintf(t, "%s\t%s\t%s\n\t\t%s\n", orNone(m.Address), m.Log, m.MessageID, shown(m.WhyNot))
	}
	if err := t.Flush(); err != nil || again == 0 || c.RequeueMissing {
		return err
	}
	fmt.Fprintf(w, "\n%s can be sent again: the same command with --requeue-missing\n", many(again, "mail"))
	return nil
}

// signed says who did something to n mails, and when.
func signed(n int) string {
	if n == 0 {
		return ""
	}
	now := time.Now()
	return " by " + operator() + ", " + when(&now)
}
