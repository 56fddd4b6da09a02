package main

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"tocsin/internal/config"
)

// leaves are the commands that can be run, hidden ones included.
func leaves(t *testing.T) []*kong.Node {
	t.Helper()
	parser := newParser(io.Discard, io.Discard, settingFlags{}, func(int) { t.Error("the parser has ended the test") })
	all := parser.Model.Leaves(false)
	if len(all) < 20 {
		t.Fatalf("there are %d commands", len(all))
	}
	return all
}

func TestHelpNamesEverySettingOfACommand(t *testing.T) {
	t.Parallel()
	for _, command := range leaves(t) {
		t.Run(command.Path(), func(t *testing.T) {
			t.Parallel()
			var out, errs bytes.Buffer
			args := append(strings.Fields(command.Path()), "--help")
			if code := Run(t.Context(), args, strings.NewReader(""), &out, &errs, nil); code != exitDone {
				t.Fatalf("exit code %d: %s", code, &errs)
			}
			for line := range strings.Lines(out.String()) {
				if width := len([]rune(strings.TrimSuffix(line, "\n"))); width > columns {
					t.Errorf("a line has %d columns: %s", width, line)
				}
			}
			text := strings.Join(strings.Fields(out.String()), " ")
			for _, s := range append(used(command), config.Named("TOCSIN_CONFIG")) {
				if s.Flag() != "" {
					if !strings.Contains(text, "--"+s.Flag()+"="+s.Value+" ") || !strings.Contains(text, "$"+s.Name+")") {
						t.Errorf("--%s and $%s are not named:\n%s", s.Flag(), s.Name, &out)
					}
				} else if !strings.Contains(text, " "+s.ID()+" ") {
					t.Errorf("%s is not named:\n%s", s.ID(), &out)
				}
				if s.Unset() != "" && !strings.Contains(text, "default: "+s.Unset()) {
					t.Errorf("the default of %s is not named:\n%s", s.ID(), &out)
				}
			}
		})
	}
}

func TestFlagsOfACommandHaveNamesOfTheirOwn(t *testing.T) {
	t.Parallel()
	for _, command := range leaves(t) {
		seen := map[string]bool{}
		for _, level := range command.AllFlags(false) {
			for _, flag := range level {
				if seen[flag.Name] {
					t.Errorf("%s has two flags --%s", command.Path(), flag.Name)
				}
				seen[flag.Name] = true
			}
		}
	}
}

// TestEveryFlagOfASettingIsRead gives each flag a wrong value, which the command refuses before it does anything.
func TestEveryFlagOfASettingIsRead(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"serve", "work", "check", "notice list", "sink --listen 127.0.0.1:0", "templates check"} {
		name := regexp.MustCompile(` --.*`).ReplaceAllString(command, "")
		for _, leaf := range leaves(t) {
			if leaf.Path() != name {
				continue
			}
			for _, s := range used(leaf) {
				if s.Flag() == "" {
					continue
				}
				var out, errs bytes.Buffer
				code := Run(t.Context(), append(strings.Fields(command), "--"+s.Flag(), "\x01"), strings.NewReader(""), &out, &errs, nil)
				if said := out.String() + errs.String(); code == exitDone || !strings.Contains(said, s.Name+" (flag --"+s.Flag()+")") {
					t.Errorf("%s --%s takes anything: exit code %d, %s", command, s.Flag(), code, said)
				}
			}
		}
	}
}
