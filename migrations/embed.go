// Package migrations embeds the ledger's schema: numbered, forward only, never edited once released. From 0038 on each begins with
//
//	SELECT schema_change(VERSION, OLDEST);
//
// where OLDEST is the schema that the oldest programs know which may go on: VERSION where none may. The CHANGELOG says it too:
// "schema 39, workers of the version before go on", or "… stop".
package migrations

import "embed"

// FS holds NNNN_name.sql.
//
//go:embed *.sql
var FS embed.FS
