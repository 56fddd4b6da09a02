package main

import (
	"fmt"

	mangokong "github.com/alecthomas/mango-kong"
	kongcompletion "github.com/jotaen/kong-completion"
	"github.com/muesli/roff"

	"github.com/alecthomas/kong"
)

// completionCmd prints how bash, zsh or fish learns the commands, or with --code the lines that teach it.
type completionCmd struct{ kongcompletion.Completion }

// manCmd prints the manual page of all commands, in the language of man(7).
type manCmd struct{}

func (manCmd) Run(a *app, line *kong.Context) error {
	page := mangokong.NewManPage(1, line.Model)
	_, err := fmt.Fprint(a.stdout, page.Build(roff.NewDocument()))
	return err
}
