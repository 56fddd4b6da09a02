package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"tocsin/internal/api"
	"tocsin/internal/notice"
)

// customerFields are the columns of an export that are no attributes.
var customerFields = []string{"id", "name", "email", "alternate_email", "language", "time_zone"}

func customerCells(c notice.Customer) []string {
	return []string{c.ID, c.Name, c.Email, c.AlternateEmail, c.Language, c.TimeZone}
}

type customersListCmd struct {
	remote
	After string `placeholder:"ID" help:"Only customers with a greater id."`
	Limit int    `default:"100" help:"At most so many, 1,000 at most (100)."`
	JSON  bool   `name:"json" help:"Print the customers as JSON."`
}

func (c *customersListCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	all, next, err := client.Customers(ctx, c.After, c.Limit)
	if err != nil {
		return fmt.Errorf("list the customers: %w", err)
	}
	return printCustomers(a.stdout, all, next, c.JSON)
}

type customersFindCmd struct {
	remote
	Text  string `arg:"" help:"A part of an id, a name, an address or an attribute, in any case."`
	After string `placeholder:"ID" help:"Only customers with a greater id."`
	Limit int    `default:"100" help:"At most so many, 1,000 at most (100)."`
	JSON  bool   `name:"json" help:"Print the customers as JSON."`
}

func (c *customersFindCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	all, next, err := client.FindCustomers(ctx, c.Text, c.After, c.Limit)
	if err != nil {
		return fmt.Errorf("find customers: %w", err)
	}
	return printCustomers(a.stdout, all, next, c.JSON)
}

// printCustomers writes a page of customers; next is where the next one begins.
func printCustomers(w io.Writer, all []notice.Customer, next string, asJSON bool) error {
	if asJSON {
		var after *string
		if next != "" {
			after = &next
		}
		return document(w, map[string]any{"customers": append([]notice.Customer{}, all...), "next": after})
	}
	if len(all) == 0 {
		fmt.Fprintln(w, "There is no such customer.")
		return nil
	}
	t := table(w)
	fmt.Fprintln(t, "ID\tLANGUAGE\tADDRESS\tNAME")
	for _, c := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", shown(c.ID), orNone(c.Language), orNone(c.Email), orNone(c.Name))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if next != "" {
		fmt.Fprintf(w, "There are more: --after %s\n", shown(next))
	}
	return nil
}

type customersShowCmd struct {
	remote
	ID   string `arg:"" help:"External id of the customer."`
	JSON bool   `name:"json" help:"Print the customer as JSON."`
}

func (c *customersShowCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	one, err := client.Customer(ctx, c.ID)
	if err != nil {
		return fmt.Errorf("look up customer %s: %w", shown(c.ID), err)
	}
	if c.JSON {
		return document(a.stdout, one)
	}
	return printCustomer(a.stdout, one)
}

func printCustomer(w io.Writer, c notice.Customer) error {
	t := table(w)
	for i, cell := range customerCells(c) {
		fmt.Fprintf(t, "%s\t%s\n", customerFields[i], orNone(cell))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attributes)) {
		fmt.Fprintf(t, "%s\t%s\n", shown(name), shown(c.Attributes[name]))
	}
	return t.Flush()
}

type customersExportCmd struct {
	remote
	Format string `enum:"csv,ndjson" default:"csv" placeholder:"csv|ndjson" help:"What to write (csv)."`
	Out    string `placeholder:"FILE" help:"Where to; by default standard output."`
}

// Run writes all customers in a form that customers import takes. Cells stay as they are: nothing is defused for a
// spreadsheet, or an import would change them.
func (c *customersExportCmd) Run(ctx context.Context, a *app) (err error) {
	client, err := a.client()
	if err != nil {
		return err
	}
	to := a.stdout
	if c.Out != "" {
		file, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return fmt.Errorf("export customers: %w", err)
		}
		defer func() {
			if closed := file.Close(); err == nil {
				err = closed
			}
		}()
		to = file
	}
	out := bufio.NewWriter(to)
	export := exportNDJSON
	if c.Format == "csv" {
		export = exportCSV
	}
	if err := export(ctx, client, out); err != nil {
		return fmt.Errorf("export customers: %w", err)
	}
	return out.Flush()
}

// eachCustomer calls fn for every customer, by id.
func eachCustomer(ctx context.Context, client *api.Client, fn func(notice.Customer) error) error {
	for after := ""; ; {
		page, next, err := client.Customers(ctx, after, 1000)
		if err != nil {
			return err
		}
		for _, c := range page {
			if err := fn(c); err != nil {
				return err
			}
		}
		if after = next; next == "" {
			return nil
		}
	}
}

func exportNDJSON(ctx context.Context, client *api.Client, w *bufio.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return eachCustomer(ctx, client, func(c notice.Customer) error { return enc.Encode(c) })
}

func exportCSV(ctx context.Context, client *api.Client, w *bufio.Writer) error {
	names, err := client.AttributeNames(ctx)
	if err != nil {
		return err
	}
	out := csv.NewWriter(w)
	if err := out.Write(append(slices.Clone(customerFields), names...)); err != nil {
		return err
	}
	err = eachCustomer(ctx, client, func(c notice.Customer) error {
		cells := customerCells(c)
		for _, name := range names {
			cells = append(cells, c.Attributes[name])
		}
		return out.Write(cells)
	})
	out.Flush()
	if err != nil {
		return err
	}
	return out.Error()
}

type customersCheckCmd struct {
	remote
	JSON bool `name:"json" help:"Print what was found as JSON."`
}

// Run fails where something is to be mended.
func (c *customersCheckCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	faults, err := client.CustomerFaults(ctx)
	if err != nil {
		return fmt.Errorf("check the customers: %w", err)
	}
	switch {
	case c.JSON:
		err = document(a.stdout, map[string]any{"faults": append([]notice.CustomerFault{}, faults...)})
	case len(faults) == 0:
		fmt.Fprintln(a.stdout, "Every customer is as an import would keep them.")
	default:
		err = printFaults(a.stdout, faults)
	}
	if err == nil && len(faults) > 0 {
		return errTold
	}
	return err
}

type deleteCmd struct {
	remote
	ID   string `arg:"" name:"id-or-address" help:"External id of the customer, or the address that only they have."`
	Yes  bool   `help:"Ask nothing. Off a terminal nothing is asked anyway."`
	JSON bool   `name:"json" help:"Print what was deleted as JSON."`
}

func (c *deleteCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	id, err := c.whom(ctx, client)
	if err != nil {
		return err
	}
	if !c.Yes && isTerminal(a.stdin) && isTerminal(a.stderr) {
		if one, err := client.Customer(ctx, id); err == nil {
			if err := printCustomer(a.stderr, one); err != nil {
				return err
			}
		}
		if err := a.ask(ctx, "This can't be undone. Erase the customer, from past notices too? Type yes:", "yes"); err != nil {
			return err
		}
	}
	if err := client.DeleteCustomer(ctx, id); err != nil {
		return fmt.Errorf("delete customer %s: %w", shown(id), err)
	}
	if c.JSON {
		return document(a.stdout, map[string]any{"id": id, "deleted": true})
	}
	sentence(a.stdout, "Customer %s is erased; the texts of notices stay as their operators wrote them.", shown(id))
	return nil
}

// whom returns the id that is meant. An address stands for a customer only where one alone has it.
func (c *deleteCmd) whom(ctx context.Context, client *api.Client) (string, error) {
	if !strings.Contains(c.ID, "@") {
		return c.ID, nil
	}
	if one, err := client.Customer(ctx, c.ID); err == nil {
		return one.ID, nil
	}
	all, err := client.CustomersAt(ctx, c.ID)
	if notice.CodeOf(err) == notice.CodeInvalid || err == nil && len(all) == 0 {
		return c.ID, nil // it may be the id of one who is erased from past notices only
	}
	if err != nil {
		return "", fmt.Errorf("look for customers with the address: %w", err)
	}
	if len(all) > 1 {
		var ids []string
		for _, one := range all[:min(20, len(all))] {
			ids = append(ids, shown(one.ID))
		}
		return "", fmt.Errorf("%s have this address, and nobody was erased: name one by id: %s", many(len(all), "customer"), strings.Join(ids, ", "))
	}
	return all[0].ID, nil
}
