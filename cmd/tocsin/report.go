package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"

	"tocsin/internal/api"
	"tocsin/internal/notice"
)

type reportCmd struct {
	remote
	Key      string `arg:"" optional:"" name:"key-or-number" help:"The notice."`
	Incident string `placeholder:"KEY" help:"All notices of this incident, instead of one: counts, as JSON too, or every mail as CSV."`
	Format   string `enum:"table,csv,json" default:"table" placeholder:"table|csv|json" help:"A summary for people (with --state a line a mail), or every mail as CSV or JSON."`
	State    string `placeholder:"STATE" help:"Only mails in this state: queued, sending, sent, deferred, failed, uncertain, suppressed, cancelled or bounced."`
}

// Run writes row by row: a report of any size needs no memory.
func (c *reportCmd) Run(ctx context.Context, a *app) error {
	if (c.Key == "") == (c.Incident == "") {
		return usage(errors.New("name either a notice or, with --incident, an incident"))
	}
	if c.Incident != "" && c.State != "" {
		return usage(errors.New("--state goes with one notice, not with --incident"))
	}
	var state *notice.DeliveryState
	if c.State != "" {
		s, err := notice.ParseDeliveryState(c.State)
		if err != nil {
			return usage(fmt.Errorf("--state: %w", err))
		}
		state = &s
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	out := bufio.NewWriter(a.stdout)
	switch {
	case c.Incident != "":
		err = c.writeIncident(ctx, client, a.stdout, out)
	case c.Format == "csv":
		err = client.DeliveriesCSV(ctx, c.Key, state, out)
	case c.Format == "json":
		err = c.writeJSON(ctx, client, state, out)
	default:
		err = c.writeTable(ctx, client, state, a.stdout)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return out.Flush()
}

// writeIncident writes the report on all notices of an incident.
func (c *reportCmd) writeIncident(ctx context.Context, client *api.Client, people io.Writer, out io.Writer) error {
	if c.Format == "csv" {
		return client.IncidentCSV(ctx, c.Incident, out)
	}
	r, err := client.IncidentReport(ctx, c.Incident)
	if err != nil {
		return err
	}
	if c.Format == "json" {
		return document(out, r)
	}
	return printIncident(people, r)
}

// printIncident writes the counts per notice, and of all together.
func printIncident(w io.Writer, r notice.Report) error {
	fmt.Fprintf(w, "%s of incident %s:\n\n", many(len(r.Notices), "notice"), r.Incident)
	t := table(w)
	fmt.Fprintln(t, "NO.\tSTATE\tRELEASED\tPHASE\tKEY")
	var rows []counted
	for _, st := range r.Notices {
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%s\n", st.Number, st.State, day(st.ReleasedAt), orNone(st.Phase), st.Key)
		rows = append(rows, counted{fmt.Sprint(st.Number), st.Counts})
	}
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	printStates(w, "no.", rows)
	if n := r.ReachedByNeither; n > 0 {
		fmt.Fprintf(w, "\n%s: superseded by a later notice that did not arrive either\n", many(n, "recipient"))
	}
	if len(r.ByLanguage) > 0 {
		fmt.Fprintln(w)
	}
	return printCounts(w, r)
}

func (c *reportCmd) writeJSON(ctx context.Context, client *api.Client, state *notice.DeliveryState, w io.Writer) error {
	st, err := client.Status(ctx, c.Key, 0)
	if err != nil {
		return err
	}
	if st.RowsDroppedAt != nil {
		return document(w, map[string]any{"deliveries": []notice.Delivery{}, "rows_dropped_at": st.RowsDroppedAt, "bounces": st.Bounces})
	}
	rows := json.NewEncoder(w)
	rows.SetEscapeHTML(false)
	between := ""
	fmt.Fprint(w, "{\"deliveries\": [\n")
	for d, err := range client.Deliveries(ctx, c.Key, api.DeliveryQuery{State: state}) {
		if err != nil {
			return err
		}
		fmt.Fprint(w, between)
		if err := rows.Encode(d); err != nil {
			return err
		}
		between = ","
	}
	neither := 0
	if st.ReachedByNeither != nil {
		neither = *st.ReachedByNeither
	}
	counts, err := client.Report(ctx, c.Key)
	if err != nil {
		return err
	}
	rest, err := json.Marshal(struct {
		ReachedByNeither int            `json:"reached_by_neither"`
		Bounces          notice.Bounces `json:"bounces"`
		Fallback         map[string]int `json:"fallback,omitempty"`
		LaterChoice      map[string]int `json:"later_choice,omitempty"`
		Newcomers        int            `json:"newcomers,omitempty"`
	}{neither, counts.Bounces, counts.Fallback, counts.LaterChoice, st.Newcomers})
	if err == nil {
		_, err = fmt.Fprintf(w, "], %s\n", rest[1:])
	}
	return err
}

// attention lists the states of the mails that a table shows without being asked for them.
var attention = [...]notice.DeliveryState{notice.DeliveryUncertain, notice.DeliveryFailed, notice.DeliveryBounced, notice.DeliveryDeferred}

func (c *reportCmd) writeTable(ctx context.Context, client *api.Client, state *notice.DeliveryState, w io.Writer) error {
	st, err := client.Status(ctx, c.Key, 0)
	if err != nil {
		return err
	}
	if st.RowsDroppedAt != nil {
		return printStatus(w, st)
	}
	if err := c.writeCounts(ctx, client, st, w); err != nil {
		return err
	}
	if state != nil {
		return c.writeRows(ctx, client, *state, st.Counts[state.String()], math.MaxInt, w)
	}
	const most = 20
	for _, s := range attention {
		if err := c.writeRows(ctx, client, s, st.Counts[s.String()], most, w); err != nil {
			return err
		}
	}
	return nil
}

// writeCounts writes where the notice stands, with its counts by language.
func (c *reportCmd) writeCounts(ctx context.Context, client *api.Client, st notice.Status, w io.Writer) error {
	counts, err := client.Report(ctx, c.Key)
	if err != nil {
		return err
	}
	t := standing(w, st)
	printPace(t, st.Pace)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return printCounts(w, counts)
}

// writeRows writes the first rows of a state, all of them if they are no more than most.
func (c *reportCmd) writeRows(ctx context.Context, client *api.Client, state notice.DeliveryState, all, most int, w io.Writer) error {
	if all == 0 {
		return nil
	}
	fmt.Fprintf(w, "\n%s %s:\n", many(all, "mail"), state)
	t := table(w)
	fmt.Fprintln(t, "ADDRESS\tCUSTOMERS\tLANGUAGE\tWHAT HAPPENED")
	n := 0
	for d, err := range client.Deliveries(ctx, c.Key, api.DeliveryQuery{State: &state}) {
		if err != nil {
			return err
		}
		if n++; n > most {
			break
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s, %s: %s\n", orNone(d.Address), orNone(customers(d.Customers)), orNone(d.Language),
			day(&d.UpdatedAt), many(d.Attempts, "attempt"), answer(d))
		if n%1000 == 0 {
			if err := t.Flush(); err != nil {
				return err
			}
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if all > most {
		sentence(w, "… and %s more: tocsin report %s --state %s", count(all-most), c.Key, state)
	}
	return nil
}

// customers lists external ids, cut short for a mailbox that many share.
func customers(ids []string) string {
	const most = 3
	text := ""
	for i, id := range ids[:min(most, len(ids))] {
		if i > 0 {
			text += " "
		}
		text += id
	}
	if more := len(ids) - most; more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text
}
