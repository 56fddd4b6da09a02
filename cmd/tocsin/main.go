// Command tocsin mails incident and maintenance notices to every customer who must know, once.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	_ "time/tzdata" // containers seldom bring the time zones that customers live in

	"github.com/alecthomas/kong"
	kongcompletion "github.com/jotaen/kong-completion"

	"tocsin/internal/config"
)

// The exit codes that Run returns.
const (
	exitDone   = 0 // done, now or at an earlier request
	exitFailed = 1 // failed, cancelled, held, or rows rejected
	exitUsage  = 2 // wrong usage or settings, or a missing --yes off a terminal
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks to stop in order; from then on a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	if os.Getenv("COMP_LINE") != "" {
		// The shell asks how the line could go on; this answers, and ends the process.
		kongcompletion.Register(newParser(os.Stdout, os.Stderr, settingFlags{}, os.Exit))
	}
	os.Exit(Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}

// commands is the command line: kong fills it in and runs the one that was named.
type commands struct {
	Demo         demoCmd         `cmd:"" help:"Show everything on this machine: real servers, mail into a local inbox."`
	Migrate      migrateCmd      `cmd:"" help:"Create the tables in Postgres, or bring them up to date."`
	Serve        serveCmd        `cmd:"" help:"Serve the API that all other commands speak to."`
	Work         workCmd         `cmd:"" help:"Send what is due; run as many as you like."`
	Bounces      bouncesCmd      `cmd:"" help:"Take mails that came back, and hand them to the API."`
	Reconcile    followCmd       `cmd:"" help:"Settle by a relay's log what is uncertain, as the log is written."`
	Check        checkCmd        `cmd:"" help:"Try everything that serve and work need, and say what to mend."`
	Health       healthCmd       `cmd:"" hidden:"" help:"Succeed if a URL answers with 200."`
	Customers    customersCmd    `cmd:"" help:"Import, look up and delete customers."`
	Search       searchCmd       `cmd:"" help:"Answer whether somebody got a notice: by address, customer, Message-ID or queue id."`
	Suppressions suppressionsCmd `cmd:"" help:"Keep the list of addresses and domains that are not mailed."`
	Notice       noticeCmd       `cmd:"" help:"Check, send and follow notices."`
	Hold         holdCmd         `cmd:"" help:"Keep times in which nothing leaves, or stop everything now."`
	Relay        relayCmd        `cmd:"" help:"See the relays, and let one rest."`
	Webhooks     webhooksCmd     `cmd:"" help:"See who is told of changes of notices, and test it."`
	Limit        limitCmd        `cmd:"" help:"See the limits of domains, and set some."`
	Acts         actsCmd         `cmd:"" help:"Show who did what."`
	Tokens       tokensCmd       `cmd:"" help:"Keep the tokens of the API, and what each may do."`
	Users        usersCmd        `cmd:"" help:"Keep the people who use the console, and what each may do."`
	DKIM         dkimCmd         `cmd:"" name:"dkim" help:"Make keys that mails are signed with."`
	Report       reportCmd       `cmd:"" help:"Say what became of every mail of a notice."`
	Templates    templatesCmd    `cmd:"" help:"Check the ready texts."`
	Sink         sinkCmd         `cmd:"" help:"Run an SMTP server that keeps mail instead of delivering it."`
	Completion   completionCmd   `cmd:"" help:"Say how to have a shell complete commands and flags."`
	Man          manCmd          `cmd:"" help:"Print the manual page: tocsin man | man -l -"`
	Version      versionCmd      `cmd:"" help:"Print the version."`

	VersionFlag kong.VersionFlag `name:"version" help:"Print the version."`
}

// app holds the surroundings of a command: its streams, settings and environment.
type app struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	settings       *config.Settings
	env            []string // as os.Environ returns it
}

// Run runs the command that args name, without the program's own name in front, until it is done or ctx ends.
// env is an environment as os.Environ returns it. It returns the exit code.
func Run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	line, flags, code := parse(args, stdout, stderr)
	if line == nil {
		return code
	}
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr, env: env}
	var err error
	if a.settings, err = config.Read(flags.given(line), env); err != nil {
		err = usage(err)
	} else {
		line.BindTo(ctx, (*context.Context)(nil))
		err = line.Run(a)
	}
	return a.exit(err)
}

// parse reads the command line, and returns the flags of settings too. Without a command to run it returns nil and the
// exit code.
func parse(args []string, stdout, stderr io.Writer) (line *kong.Context, flags settingFlags, code int) {
	type helped struct{}
	defer func() {
		// kong's --help prints, and goes on parsing unless its Exit does not return.
		switch r := recover(); r.(type) {
		case nil:
		case helped:
			line, flags, code = nil, nil, exitDone
		default:
			panic(r)
		}
	}()
	flags = settingFlags{}
	parser := newParser(stdout, stderr, flags, func(int) { panic(helped{}) })
	line, err := parser.Parse(args)
	if err == nil {
		parser.Exit = func(int) {} // commands return
		return line, flags, exitDone
	}
	fmt.Fprintf(stderr, "tocsin: %v\n", err)
	help := "tocsin"
	if bad, ok := errors.AsType[*kong.ParseError](err); ok && bad.Context.Selected() != nil {
		help = strings.TrimSpace(bad.Context.Selected().FullPath())
	}
	fmt.Fprintf(stderr, "See %s --help.\n", help)
	return nil, nil, exitUsage
}

// newParser returns the parser of the command line, which adds the flags of settings to flags and calls exit after help.
func newParser(stdout, stderr io.Writer, flags settingFlags, exit func(int)) *kong.Kong {
	parser, err := kong.New(&commands{},
		kong.Name("tocsin"),
		kong.Description("Tocsin mails an incident or maintenance notice to every customer who must know, in their language, once, and proves afterwards who got it."),
		kong.Writers(stdout, stderr),
		kong.Vars{"version": versionLine()},
		kong.Exit(exit),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: columns}),
		kong.Help(printHelp),
		kong.PostBuild(flags.add),
	)
	if err != nil {
		panic(err) // commands is wrong, which the first test finds
	}
	return parser
}

// usageError is a mistake in how Tocsin was called or set up.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usage(err error) error {
	if err == nil {
		return nil
	}
	return usageError{err}
}

// errTold ends a command that has said already why it failed.
var errTold = errors.New("failed")

// exit prints the error and returns the exit code for it.
func (a *app) exit(err error) int {
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errTold):
		return exitFailed
	}
	for text := range strings.SplitSeq(err.Error(), "\n") {
		const program = "tocsin: "
		fmt.Fprintln(a.stderr, program+fit(a.stderr, text, len(program)))
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage
	}
	return exitFailed
}
