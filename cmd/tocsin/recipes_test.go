package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// recipeStep is a part of a recipe: a file to write, or commands to run.
type recipeStep struct{ file, text string }

var recipeBlock = regexp.MustCompile("(?ms)(?:^`([^`\n]+)`\n\n)?^```(\\w+)\n(.*?)^```$")

// recipes returns the steps of the recipes of docs/notice.md, by their headings. Their dates are those of the next
// year: a recipe's reader has to change them too.
func recipes(t *testing.T) map[string][]recipeStep {
	t.Helper()
	document := strings.ReplaceAll(string(read(t, noticeDocument)), "2026-12-", strconv.Itoa(time.Now().Year()+1)+"-12-")
	all := map[string][]recipeStep{}
	for _, section := range strings.Split(document, "\n### ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		for _, m := range recipeBlock.FindAllStringSubmatch(text, -1) {
			if (m[1] == "") != (m[2] == "sh") {
				t.Fatalf("a block of %q is neither a named file nor commands:\n%s", heading, m[0])
			}
			all[heading] = append(all[heading], recipeStep{m[1], m[3]})
		}
	}
	return all
}

// cook follows a recipe in a directory, and returns the output of its commands.
func (s *system) cook(dir string, steps []recipeStep) string {
	s.t.Helper()
	var printed strings.Builder
	for _, step := range steps {
		path := filepath.Join(dir, step.file)
		if step.file != "" {
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				s.t.Fatal(err)
			}
			write(s.t, path, step.text)
			continue
		}
		cmd := exec.CommandContext(s.t.Context(), "/bin/sh", "-euc", step.text)
		cmd.Dir, cmd.Env = dir, s.withCommand()
		out, err := cmd.CombinedOutput()
		if err != nil {
			s.t.Fatalf("%v:\n%s\nprinted:\n%s", err, step.text, out)
		}
		printed.Write(out)
	}
	return printed.String()
}

// withCommand is the environment in which a shell finds tocsin.
func (s *system) withCommand() []string {
	s.t.Helper()
	program, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	bin := s.t.TempDir()
	if err := os.Symlink(program, filepath.Join(bin, "tocsin")); err != nil {
		s.t.Fatal(err)
	}
	return append(slices.Clip(s.env), "PATH="+bin+":"+os.Getenv("PATH"), "TOCSIN_TEST_AS_PROGRAM=1")
}
