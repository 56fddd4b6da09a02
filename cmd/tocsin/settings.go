package main

import (
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/alecthomas/kong"

	"tocsin/internal/config"
)

// The settings that each command uses: each is a flag of it, unless it is a secret or stands in the file alone.

func (*commands) uses() []config.Setting          { return []config.Setting{config.Named("TOCSIN_CONFIG")} }
func (*serveCmd) uses() []config.Setting          { return config.Used(config.Serve{}) }
func (*workCmd) uses() []config.Setting           { return config.Used(config.Work{}) }
func (*bouncesCmd) uses() []config.Setting        { return config.Used(config.Bounces{}) }
func (*checkCmd) uses() []config.Setting          { return config.Used(config.Serve{}, config.Work{}) }
func (*migrateCmd) uses() []config.Setting        { return config.Used(config.Migrate{}) }
func (*demoCmd) uses() []config.Setting           { return config.Used(config.Servers{}) }
func (*sinkCmd) uses() []config.Setting           { return config.Used(config.Sink{}) }
func (*templatesCheckCmd) uses() []config.Setting { return config.Used(config.Templates{}) }
func (*remote) uses() []config.Setting            { return config.Used(config.Client{}) }

// used returns the settings that a command uses itself.
func used(command *kong.Node) []config.Setting {
	if c, ok := command.Target.Addr().Interface().(interface{ uses() []config.Setting }); ok {
		return c.uses()
	}
	return nil
}

// settingFlags holds the flags of settings, with the names of their variables. The variables themselves are left to
// package config, which minds where a setting came from.
type settingFlags map[*kong.Flag]string

// add gives each command the flags of the settings that it uses.
func (f settingFlags) add(k *kong.Kong) error {
	return kong.Visit(k.Model, func(node kong.Visitable, next kong.Next) error {
		var command *kong.Node
		switch n := node.(type) {
		case *kong.Application:
			command = n.Node
		case *kong.Node:
			command = n
		default:
			return nil
		}
		for _, s := range used(command) {
			if s.Flag() != "" {
				flag := newFlag(s)
				f[flag] = s.Name
				command.Flags = append(command.Flags, flag)
			}
		}
		return next(nil)
	})
}

// mappers read the values of flags.
var mappers = kong.NewRegistry().RegisterDefaults()

// newFlag returns the flag of a setting as kong knows it.
func newFlag(s config.Setting) *kong.Flag {
	var text string
	target := reflect.ValueOf(&text).Elem()
	flag := &kong.Flag{PlaceHolder: s.Value, Value: &kong.Value{
		Name:         s.Flag(),
		Help:         about(s, s.Name),
		Tag:          &kong.Tag{},
		Target:       target,
		DefaultValue: reflect.New(target.Type()).Elem(),
		Mapper:       mappers.ForType(target.Type()),
	}}
	flag.Value.Flag = flag
	return flag
}

// about gives the purpose of a setting, an example of a value, the default, and its variable.
func about(s config.Setting, variable string) string {
	text := s.Doc
	var more []string
	if s.Default == "" && s.Example != "" {
		more = append(more, "such as "+s.Example)
	}
	if s.Unset() != "" {
		more = append(more, "default: "+s.Unset())
	}
	if variable != "" {
		more = append(more, "$"+variable)
	}
	if len(more) > 0 {
		text = fmt.Sprintf("%s (%s).", strings.TrimSuffix(text, "."), strings.Join(more, "; "))
	}
	return text
}

// given returns the settings that stand on the command line, by the name of their variable.
func (f settingFlags) given(line *kong.Context) map[string]string {
	given := map[string]string{}
	for _, p := range line.Path {
		if name, ok := f[p.Flag]; ok {
			given[name] = p.Flag.Target.String()
		}
	}
	return given
}

// printHelp prints kong's help, with a usage line that fits, and the settings of the command that have no flag.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	call := ctx.Model.Name + ctx.Model.Summary()
	if ctx.Selected() != nil {
		call = ctx.Model.Name + " " + ctx.Selected().Summary()
	}
	fmt.Fprintf(ctx.Stdout, "Usage: %s\n", hang(call, len("Usage: "), columns))
	options.NoAppSummary = true
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil || ctx.Selected() == nil {
		return err
	}
	var secrets, lists []config.Setting
	for _, s := range used(ctx.Selected()) {
		switch {
		case s.Secret:
			secrets = append(secrets, s)
		case s.Name == "":
			lists = append(lists, s)
		}
	}
	printSettings(ctx.Stdout, "Secrets, as variables (<NAME>_FILE names a file to read one from):", secrets)
	printSettings(ctx.Stdout, "In the file of settings alone:", lists)
	return nil
}

func printSettings(w io.Writer, title string, settings []config.Setting) {
	if len(settings) == 0 {
		return
	}
	width := 0
	for _, s := range settings {
		width = max(width, len(s.ID())+1)
	}
	fmt.Fprintf(w, "\n%s\n", title)
	for _, s := range settings {
		fmt.Fprintf(w, "  %-*s%s\n", width, s.ID(), hang(about(s, ""), width+2, columns))
	}
}
