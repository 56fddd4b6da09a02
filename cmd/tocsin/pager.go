package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
)

// page shows the output of write in $PAGER, or in less where that is not set. Off a terminal, and where the pager can't
// be started, it writes the output as it is.
func (a *app) page(ctx context.Context, write func(io.Writer)) error {
	pager, set := a.variable("PAGER")
	if !set {
		pager = "less -R"
	}
	if pager = strings.TrimSpace(pager); pager == "" || pager == "cat" || !isTerminal(a.stdout) {
		write(a.stdout)
		return nil
	}
	if term, _ := a.variable("TERM"); term == "dumb" {
		write(a.stdout)
		return nil
	}
	var text bytes.Buffer
	write(&text)
	whole := bytes.NewReader(text.Bytes())
	// $PAGER is a command line for the shell (POSIX, man).
	cmd := exec.CommandContext(ctx, "/bin/sh", "-c", pager)
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = whole, a.stdout, a.stderr, a.env
	if _, set := a.variable("LESS"); !set {
		// less leaves the counts above on the screen, and ends at once where all fits.
		cmd.Env = append(slices.Clip(a.env), "LESS=FRX")
	}
	err := cmd.Run()
	var code int
	if cmd.ProcessState != nil {
		code = cmd.ProcessState.ExitCode()
	}
	if err != nil && (cmd.ProcessState == nil || code == 126 || code == 127) { // it was not found, or is no program
		fmt.Fprintf(a.stderr, "The pager %q can't be started; set PAGER to another, or to cat.\n", shown(pager))
		write(a.stdout)
	}
	return nil // a pager that was quit has shown enough
}

// variable is one of the environment that the command runs in, the last of its name.
func (a *app) variable(name string) (value string, set bool) {
	for _, v := range slices.Backward(a.env) {
		if value, set = strings.CutPrefix(v, name+"="); set {
			return value, true
		}
	}
	return "", false
}
