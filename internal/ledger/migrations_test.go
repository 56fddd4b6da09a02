package ledger_test

import "tocsin/migrations"

func migrationNames() (names []string, err error) {
	entries, err := migrations.FS.ReadDir(".")
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
