package main

import (
	"context"
	"fmt"

	"tocsin/internal/ledger"
)

type migrateCmd struct{}

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
	return nil
}
