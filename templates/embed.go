// Package templates holds the layouts and the notice templates that Tocsin brings along.
package templates

import "embed"

// FS holds layout.html, layout.txt and one folder per template with one file per language, such as
// outage/en.md. A language or a template is added by adding files.
//
//go:embed layout.* */*.md
var FS embed.FS
