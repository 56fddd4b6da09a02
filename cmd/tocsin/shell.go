package main

import (
	"fmt"
	"strings"

	mangokong "github.com/alecthomas/mango-kong"
	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/muesli/roff"

	"github.com/alecthomas/kong"

	"tocsin/internal/config"
)

// completionCmd prints how bash, zsh or fish learns the commands, or with --code the lines that teach it.
type completionCmd struct{ kongcompletion.Completion }

// manCmd prints the manual page of all commands and settings, in the language of man(7).
type manCmd struct{}

func (manCmd) Run(a *app, line *kong.Context) error {
	model, node := *line.Model, *line.Model.Node
	model.Node = &node
	node.Help, node.Detail = "mail notices to customers, once", line.Model.Help
	page := mangokong.NewManPage(1, &model).
		WithSection("Environment", environment()).
		WithSection("Exit status", "0: done. 1: failed, cancelled, held, or rows were rejected. 2: wrong usage or settings.")
	_, err := fmt.Fprint(a.stdout, page.Build(roff.NewDocument()))
	return err
}

// environment returns a line for each setting of any command: secrets and lists of the file have no flag.
func environment() string {
	lines := []string{"A flag goes before a variable, and a variable before the file. NAME_FILE names a file that holds the secret NAME."}
	for _, s := range config.Used(config.Serve{}, config.Work{}, config.Bounces{}, config.Sink{}, config.Client{}) {
		name := "$" + s.Name
		if s.Name == "" {
			name = s.Key + ": in the file"
		}
		lines = append(lines, name+" - "+about(s, ""))
	}
	return strings.Join(lines, "\n")
}
