package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"tocsin/internal/api"
	"tocsin/internal/notice"
)

type customersCmd struct {
	Import  importCmd  `cmd:"" help:"Import customers from a CSV or NDJSON file."`
	History historyCmd `cmd:"" help:"Say what a customer or an address was told, and what became of it."`
	Delete  deleteCmd  `cmd:"" help:"Erase a customer; reports keep their counts, without name and address."`
}

type importCmd struct {
	remote
	File   string `arg:"" help:"The file; - is standard input."`
	Format string `enum:"csv,ndjson," default:"" placeholder:"csv|ndjson" help:"What the file is; by default CSV, unless its name ends in .ndjson or .jsonl."`
	Strict bool   `help:"Import nothing if any row is bad."`
	JSON   bool   `name:"json" help:"Print the report as JSON."`
}

// Run sends the file while it is being read. Good rows are kept though others are bad, unless the import is strict.
func (c *importCmd) Run(ctx context.Context, a *app) error {
	format := c.format()
	client, err := a.client()
	if err != nil {
		return err
	}
	file, size, err := a.open(c.File)
	if err != nil {
		return fmt.Errorf("import customers: %w", err)
	}
	defer file.Close()
	bar := newUpload(a.stderr, size)
	report, err := client.ImportCustomers(ctx, io.TeeReader(file, bar), format, c.Strict)
	bar.finish()
	if err != nil {
		return fmt.Errorf("import customers: %w", err)
	}
	return printImport(a.stdout, report, c.JSON, c.Strict)
}

// open opens a file for an import, - being standard input; size is -1 where it is not known.
func (a *app) open(path string) (file io.ReadCloser, size int64, err error) {
	if path == "-" {
		return io.NopCloser(a.stdin), -1, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, -1, err
	}
	size = -1
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
	}
	return f, size, nil
}

func (c *importCmd) format() api.Format {
	ending := strings.ToLower(filepath.Ext(c.File))
	switch {
	case c.Format == "ndjson" || c.Format == "" && (ending == ".ndjson" || ending == ".jsonl"):
		return api.FormatNDJSON
	}
	return api.FormatCSV
}

// printImport writes what became of a file; it fails where rows were rejected. People are shown the first bad rows:
// somebody who has thousands of them has made one mistake.
func printImport(w io.Writer, r notice.ImportReport, asJSON, strict bool) error {
	r.Rejected = append([]notice.Rejection{}, r.Rejected...)
	var err error
	if asJSON {
		err = document(w, r)
	} else {
		err = printRejections(w, r, strict)
	}
	if err == nil && len(r.Rejected) > 0 {
		return errTold
	}
	return err
}

func printRejections(w io.Writer, r notice.ImportReport, strict bool) error {
	fmt.Fprintf(w, "%s read: %s inserted, %s updated, %s unchanged, %s rejected\n", many(r.Read, "row"),
		count(r.Inserted), count(r.Updated), count(r.Unchanged), count(len(r.Rejected)))
	if len(r.Rejected) == 0 {
		return nil
	}
	if strict {
		fmt.Fprintln(w, "Nothing was imported, because the import was to be strict.")
	}
	const most = 20
	t := table(w)
	fmt.Fprintln(t, "\nLINE\tCOLUMN\tREASON")
	for _, bad := range r.Rejected[:min(most, len(r.Rejected))] {
		fmt.Fprintf(t, "%d\t%s\t%s\n", bad.Line, orNone(bad.Column), shown(bad.Reason))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if more := len(r.Rejected) - most; more > 0 {
		fmt.Fprintf(w, "… and %s more; --json lists them all.\n", count(more))
	}
	return nil
}

type historyCmd struct {
	remote
	Whom string `arg:"" name:"id-or-address" help:"External id of a customer, or an address in any spelling."`
	JSON bool   `name:"json" help:"Print the history as JSON."`
}

// Run answers a customer who says "I never heard from you".
func (c *historyCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	entries, err := client.History(ctx, c.Whom)
	if err != nil {
		return fmt.Errorf("look up the history: %w", err)
	}
	if c.JSON {
		if entries == nil {
			entries = []notice.HistoryEntry{}
		}
		return document(a.stdout, map[string]any{"deliveries": entries})
	}
	if len(entries) == 0 {
		fmt.Fprintf(a.stdout, "No notice concerned %s.\n", shown(c.Whom))
		return nil
	}
	t := table(a.stdout)
	fmt.Fprintln(t, "WHEN\tNOTICE\tPHASE\tLANGUAGE\tADDRESS\tSTATE\tANSWER")
	for _, e := range entries {
		d := e.Delivery
		at := &d.UpdatedAt
		if d.SentAt != nil {
			at = d.SentAt
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", when(at), e.Key, e.Phase, orNone(d.Language),
			orNone(d.Address), d.State, answer(d))
	}
	return t.Flush()
}

type deleteCmd struct {
	remote
	ID   string `arg:"" help:"External id of the customer."`
	JSON bool   `name:"json" help:"Print what was deleted as JSON."`
}

func (c *deleteCmd) Run(ctx context.Context, a *app) error {
	client, err := a.client()
	if err != nil {
		return err
	}
	if err := client.DeleteCustomer(ctx, c.ID); err != nil {
		return fmt.Errorf("delete customer %s: %w", shown(c.ID), err)
	}
	if c.JSON {
		return document(a.stdout, map[string]any{"id": c.ID, "deleted": true})
	}
	_, err = fmt.Fprintf(a.stdout, "Customer %s is erased; what an operator wrote into a notice stays as it is.\n", shown(c.ID))
	return err
}

// answer is what is known of the last attempt: the relay's words, or why there were none.
func answer(d notice.Delivery) string {
	if d.SMTPCode == 0 {
		return orNone(strings.TrimSpace(d.Reason + " " + d.SMTPText))
	}
	return shown(fmt.Sprintf("%s answered %d %s", d.Relay, d.SMTPCode, strings.TrimSpace(d.Enhanced+" "+d.SMTPText)))
}
