package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tocsin/internal/config"
	"tocsin/internal/notice"
)

type templatesCmd struct {
	Check templatesCheckCmd `cmd:"" help:"Say what the ready texts lack: a language, a phase, a field that can't exist."`
	Show  templatesShowCmd  `cmd:"" help:"Print a ready text as a notice may have it for its own, such as en.md."`

	Phrases templatesPhrasesCmd `cmd:"" help:"List the sentences that a notice may have in every language."`
}

type templatesShowCmd struct {
	Template string `arg:"" help:"Such as outage."`
	Phase    string `arg:"" help:"Such as identified."`
	Language string `arg:"" optional:"" default:"en" help:"Such as nl."`
}

// Run prints the text with its parts in place.
func (c *templatesShowCmd) Run(a *app) error {
	set, err := a.settings.Templates()
	if err != nil {
		return usage(err)
	}
	text, err := templateSet(set.Dir).Show(c.Template, c.Phase, c.Language)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "---\nsubject: %q\n---\n%s\n", text.Subject, strings.TrimRight(text.Body, "\n"))
	return err
}

type templatesPhrasesCmd struct{}

// Run prints each phrase with its English sentence. The slots of the sentence are its values.
func (*templatesPhrasesCmd) Run(a *app) error {
	set, err := a.settings.Templates()
	if err != nil {
		return usage(err)
	}
	t, all := table(a.stdout), templateSet(set.Dir).Phrases()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(t, "%s\t%s\n", name, all[name])
	}
	return t.Flush()
}

type templatesCheckCmd struct {
	Dir string `arg:"" optional:"" help:"Templates that go before the built-in ones, instead of those of TOCSIN_TEMPLATE_DIR."`
}

// Run tries every text that a notice could use with the directory in front, and fails if anything is wrong.
func (c *templatesCheckCmd) Run(a *app) error {
	dir, err := c.Dir, error(nil)
	if dir == "" {
		var given config.Templates
		given, err = a.settings.Templates()
		dir = given.Dir
	} else if info, statErr := os.Stat(dir); statErr != nil || !info.IsDir() {
		err = notice.Invalid(dir, "is no directory")
	}
	if err != nil {
		return usage(err)
	}
	set := templateSet(dir)
	texts, problems := set.Check()
	for _, err := range problems {
		fmt.Fprintln(a.stdout, within(dir, err))
	}
	if len(problems) > 0 {
		fmt.Fprintf(a.stderr, "%s in %s\n", many(len(problems), "mistake"), many(texts, "text"))
		return errTold
	}
	fmt.Fprintf(a.stdout, "%s, and nothing is missing\n", many(texts, "text"))
	if languages, drafts := set.Drafts(); len(drafts) > 0 {
		_, err = fmt.Fprintf(a.stdout, "drafts, which no native reader has signed: %d of %s: %s\n", len(drafts), many(languages, "language"), strings.Join(drafts, ", "))
	}
	return err
}

// within describes an error in a file of dir by a path that an editor finds.
func within(dir string, err error) string {
	e, ok := errors.AsType[*notice.Error](err)
	if !ok || dir == "" {
		return err.Error()
	}
	return filepath.Join(dir, filepath.FromSlash(e.Field)) + ": " + strings.TrimSpace(e.Message)
}
