package main

import (
	"context"
	"fmt"
	"io"

	"tocsin/internal/audience"
	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

type migrateCmd struct{}

// Run brings the tables up to date, and the customers that an earlier version kept.
func (migrateCmd) Run(ctx context.Context, a *app) error {
	set, err := a.settings.Migrate()
	if err != nil {
		return usage(err)
	}
	applied, err := ledger.Migrate(ctx, set.DatabaseURL)
	if err != nil {
		return err
	}
	if applied == 0 {
		fmt.Fprintln(a.stdout, "The tables are up to date.")
	} else {
		fmt.Fprintf(a.stdout, "%s applied: the tables are up to date.\n", many(applied, "migration"))
	}
	db, err := ledger.Open(ctx, set.DatabaseURL, ledger.Options{MaxConns: 2})
	if err != nil {
		return err
	}
	defer db.Close()
	tidied, err := db.TidyCustomers(ctx, audience.TidyStored)
	if err != nil {
		return err
	}
	if tidied > 0 {
		sentence(a.stdout, "%s brought to today's form: names and attributes in NFC, without invisible characters; addresses read anew.", many(tidied, "customer"))
	}
	const most = 20
	faults, err := db.CustomerFaults(ctx, most, audience.IDFault)
	if err != nil || len(faults) == 0 {
		return err
	}
	sentence(a.stdout, "These are left as they are; tocsin customers check lists all of them:")
	return printFaults(a.stdout, faults[:min(most, len(faults))])
}

func printFaults(w io.Writer, faults []notice.CustomerFault) error {
	t := table(w)
	fmt.Fprintln(t, "OF\tFIELD\tREASON")
	for _, f := range faults {
		fmt.Fprintf(t, "%s\t%s\t%s\n", shown(f.Subject), f.Field, shown(f.Reason))
	}
	return t.Flush()
}
