// Package templates holds the layouts and the ready texts that Tocsin brings along.
package templates

import "embed"

// FS holds layout.html, layout.txt, and a folder per template: template.yaml says for which phases it has texts and
// which parameters it takes, and <phase>/<language>.md is a text, such as outage/identified/en.md; a template with
// one text for all its phases has it as <language>.md. parts/<name>/<language>.md is what a line {{template "name"}} of
// a text stands for. words/<language>.yaml has the words at the top of a mail: severity and state. A language or a template is added by adding files; tocsin templates check names what is missing.
//
//go:embed layout.* */*.md */*/*.md */template.yaml words/*.yaml
var FS embed.FS
