// Package migrations embeds the ledger's schema: numbered, forward only, never edited once released.
package migrations

import "embed"

// FS holds NNNN_name.sql.
//
//go:embed *.sql
var FS embed.FS
