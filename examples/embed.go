// Package examples holds notices and customers that can be sent as they are: tocsin demo does it with mail-outage.
package examples

import "embed"

// FS holds customers.csv, which examples/generate makes, and the notice's directory mail-outage.
//
//go:embed customers.csv mail-outage
var FS embed.FS
