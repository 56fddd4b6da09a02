package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"

	"tocsin/internal/api"
	"tocsin/internal/notice"
)

type reportCmd struct {
	remote
	Key    string `arg:"" name:"key-or-number" help:"The notice."`
	Format string `enum:"table,csv,json" default:"table" placeholder:"table|csv|json" help:"A summary for people (with --state a line a mail), or every mail as CSV or JSON."`
	State  string `placeholder:"STATE" help:"Only mails in this state: queued, sending, sent, deferred, failed, uncertain, suppressed, cancelled or bounced."`
}

// Run writes row by row: a report of any size needs no memory.
func (c *reportCmd) Run(ctx context.Context, a *app) error {
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
	switch c.Format {
	case "csv":
		err = client.DeliveriesCSV(ctx, c.Key, state, out)
	case "json":
		err = c.writeJSON(ctx, client, state, out)
	default:
		err = c.writeTable(ctx, client, state, a.stdout)
	}
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return out.Flush()
}

func (c *reportCmd) writeJSON(ctx context.Context, client *api.Client, state *notice.DeliveryState, w io.Writer) error {
	st, err := client.Status(ctx, c.Key, 0)
	if err != nil {
		return err
	}
	if st.RowsDroppedAt != nil {
		return document(w, map[string]any{"deliveries": []notice.Delivery{}, "rows_dropped_at": st.RowsDroppedAt})
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
	_, err = fmt.Fprintln(w, "]}")
	return err
}

// attention lists the states whose mails a table shows without being asked for them.
var attention = [...]notice.DeliveryState{notice.DeliveryUncertain, notice.DeliveryFailed, notice.DeliveryBounced, notice.DeliveryDeferred}

func (c *reportCmd) writeTable(ctx context.Context, client *api.Client, state *notice.DeliveryState, w io.Writer) error {
	st, err := client.Status(ctx, c.Key, 0)
	if err != nil {
		return err
	}
	if err := printStatus(w, st); err != nil || st.RowsDroppedAt != nil {
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
			when(&d.UpdatedAt), many(d.Attempts, "attempt"), answer(d))
		if n%1000 == 0 {
			t.Flush()
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
