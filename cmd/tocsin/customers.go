package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tocsin/internal/api"
	"tocsin/internal/notice"
)

type customersCmd struct {
	Import  importCmd          `cmd:"" help:"Import customers from a CSV or NDJSON file."`
	List    customersListCmd   `cmd:"" help:"List customers by id."`
	Show    customersShowCmd   `cmd:"" help:"Show a customer."`
	Find    customersFindCmd   `cmd:"" help:"Find customers by a part of what is known of them."`
	Export  customersExportCmd `cmd:"" help:"Write all customers, as an import takes them."`
	Check   customersCheckCmd  `cmd:"" help:"List addresses, ids and keys that were taken once and are refused today."`
	History historyCmd         `cmd:"" help:"Say what a customer or an address was told, and what became of it."`
	Delete  deleteCmd          `cmd:"" help:"Erase a customer; reports keep their counts, without name and address."`
}

type importCmd struct {
	remote
	File       string   `arg:"" help:"The file; - is standard input."`
	Format     string   `enum:"csv,ndjson," default:"" placeholder:"csv|ndjson" help:"What the file is; by default CSV, unless its name ends in .ndjson or .jsonl."`
	Encoding   string   `placeholder:"NAME" help:"Its encoding, such as windows-1252 or utf-16le; recognised where it is not given."`
	Map        []string `sep:"none" placeholder:"COLUMN=FIELD" help:"What a column is that the header calls something else: 'E-Mail=email', 'Server Nr=server'. Nothing behind the = leaves it out."`
	Attribute  []string `sep:"none" placeholder:"COLUMN" help:"A column that is an attribute though its name looks like a field's: tz."`
	Strict     bool     `help:"Import nothing if any row is bad."`
	KeepGood   bool     `help:"Import the good rows though more than a twentieth of 100 rows or more is bad."`
	DryRun     bool     `help:"Say what would be done, and do nothing."`
	Sync       bool     `help:"The file is the whole list: retire the customers who are not in it. Implies --strict."`
	MaxRetired float64  `default:"5" placeholder:"PERCENT" help:"With --sync: the most customers to retire, in percent of all (5)."`
	JSON       bool     `name:"json" help:"Print the report as JSON."`
}

// Run sends the file while it is being read. Good rows are kept though others are bad, unless there are too many of those
// or the import is strict.
func (c *importCmd) Run(ctx context.Context, a *app) error {
	how, err := c.how()
	if err != nil {
		return usage(err)
	}
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
	report, err := client.ImportCustomers(ctx, io.TeeReader(file, bar), how)
	bar.finish()
	if err != nil {
		return fmt.Errorf("import customers: %w", err)
	}
	return printImport(a.stdout, report, c.JSON, how.ImportOptions)
}

// how returns the import that the flags ask for.
func (c *importCmd) how() (api.CustomerFile, error) {
	f := api.CustomerFile{
		Format: c.format(), Encoding: c.Encoding, Map: map[string]string{}, Attributes: c.Attribute,
		ImportOptions: notice.ImportOptions{Strict: c.Strict, KeepGood: c.KeepGood, DryRun: c.DryRun, Sync: c.Sync, MaxRetired: c.MaxRetired},
	}
	if c.Strict && c.KeepGood {
		return f, errors.New("--strict and --keep-good contradict each other")
	}
	for _, m := range c.Map {
		i := strings.LastIndexByte(m, '=')
		if i < 1 {
			return f, fmt.Errorf("--map %q must be COLUMN=FIELD or COLUMN=ATTRIBUTE", m)
		}
		f.Map[m[:i]] = m[i+1:]
	}
	return f, nil
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

// printImport writes the report on an imported file. It fails where rows were rejected.
func printImport(w io.Writer, r notice.ImportReport, asJSON bool, o notice.ImportOptions) error {
	var err error
	if asJSON {
		err = document(w, r)
	} else {
		err = printReport(w, r, o)
	}
	if err == nil && r.RejectedCount > 0 {
		return errTold
	}
	return err
}

func printReport(w io.Writer, r notice.ImportReport, o notice.ImportOptions) error {
	verb := ""
	if o.DryRun {
		verb = "would be "
	}
	sentence(w, "%s read: %s%s inserted, %s updated, %s unchanged, %s rejected", many(r.Read, "row"),
		verb, count(r.Inserted), count(r.Updated), count(r.Unchanged), count(r.RejectedCount))
	if r.Encoding != "" && r.Encoding != "utf-8" {
		sentence(w, "It was read as %s; if names look wrong, say --encoding.", r.Encoding)
	}
	for _, field := range slices.Sorted(maps.Keys(r.Cleared)) {
		sentence(w, "%s %sremoved, because their cells are empty", clearedValues(r.Cleared[field], field), verb)
	}
	if r.Retired > 0 {
		fmt.Fprintf(w, "%s %sretired: they are not in the file\n", many(r.Retired, "customer"), verb)
	}
	for _, warning := range r.Warnings {
		sentence(w, "%s, first in line %d, column %s: %s", many(warning.Count, "row"), warning.Line, warning.Column, shown(warning.Reason))
	}
	if r.RejectedCount > 0 {
		return printRejections(w, r, o)
	}
	return nil
}

// clearedValues counts values of a field: "12 addresses".
func clearedValues(n int, field string) string {
	if attribute, ok := strings.CutPrefix(field, "attributes."); ok {
		return many(n, "value") + " of " + shown(attribute)
	}
	if field == "email" || field == "alternate_email" {
		things := strings.TrimSuffix(strings.ReplaceAll(field, "_", " "), "email") + "address"
		if n != 1 {
			things += "es"
		}
		return count(n) + " " + things
	}
	return many(n, strings.ReplaceAll(field, "_", " "))
}

// printRejections counts rejected rows by reason, with the first line of each: a file with thousands has one mistake.
func printRejections(w io.Writer, r notice.ImportReport, o notice.ImportOptions) error {
	switch {
	case r.Kept || o.DryRun && !o.KeepsNothing(r):
	case o.Sync:
		fmt.Fprintln(w, "Nothing was imported and nobody retired: with --sync every row must be good.")
	case o.Strict:
		fmt.Fprintln(w, "Nothing was imported, because the import was to be strict.")
	default:
		sentence(w, "Nothing was imported: more than a twentieth of the rows is bad. If that is right, --keep-good imports the others.")
	}
	const most = 20
	t := table(w)
	fmt.Fprintln(t, "ROWS\tFIRST LINE\tCOLUMN\tREASON")
	for _, why := range r.Reasons[:min(most, len(r.Reasons))] {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\n", count(why.Count), why.Line, orNone(why.Column), shown(why.Reason))
	}
	fmt.Fprintln(w)
	if err := t.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(t, "LINE\tCOLUMN\tREASON")
	for _, bad := range r.Rejected[:min(most, len(r.Rejected))] {
		fmt.Fprintf(t, "%d\t%s\t%s\n", bad.Line, orNone(bad.Column), shown(bad.Reason))
	}
	fmt.Fprintln(w)
	if err := t.Flush(); err != nil {
		return err
	}
	if more := r.RejectedCount - most; more > 0 {
		fmt.Fprintf(w, "… and %s more; --json lists the first %s.\n", count(more), count(notice.MaxRejections))
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
	return printHistory(a.stdout, entries)
}

// printHistory lists the notices to a mailbox or a customer, each with the state of its mail.
func printHistory(w io.Writer, entries []notice.HistoryEntry) error {
	t := table(w)
	fmt.Fprintln(t, "WHEN\tSTATE\tNOTICE")
	for _, e := range entries {
		d := e.Delivery
		at := &d.UpdatedAt
		if d.SentAt != nil {
			at = d.SentAt
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", when(at), d.State, e.Key)
		fmt.Fprintf(t, "\t\t%s\n", mailInWords(d))
	}
	return t.Flush()
}

// mailInWords describes a mail: its address, its language and the outcome of the last attempt.
func mailInWords(d notice.Delivery) string {
	if d.Address == "" {
		return answer(d)
	}
	return fmt.Sprintf("to %s, in %s: %s", shown(d.Address), orNone(d.Language), answer(d))
}

// answer returns the relay's words at the last attempt, or the reason why there are none.
func answer(d notice.Delivery) string {
	if d.SMTPCode == 0 {
		return orNone(strings.TrimSpace(d.Reason + " " + d.SMTPText))
	}
	return shown(fmt.Sprintf("%s answered %d %s", d.Relay, d.SMTPCode, strings.TrimSpace(d.Enhanced+" "+d.SMTPText)))
}
