// Package templates holds the layouts and the ready texts that Tocsin brings along.
package templates

import "embed"

// FS holds layout.html, layout.txt, and a folder per template: template.yaml says for which phases it has texts and
// which parameters it takes, and <phase>/frame.md is a text for all languages, or <phase>/<language>.md one for a
// language; a template with one text for all its phases has it as frame.md. parts/<name> is what a line
// {{template "name"}} of a text stands for. languages/<language>.yaml has all that these say in a language. A language
// or a template is added by adding files; tocsin templates check names what is missing.
//
//go:embed layout.* */*.md */*/*.md */template.yaml languages/*.yaml
var FS embed.FS
