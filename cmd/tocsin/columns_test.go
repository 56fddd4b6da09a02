package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/creack/pty"
	"github.com/rivo/uniseg"
)

// onScreen runs a command at a terminal, where a word is typed in advance, and returns the lines that it showed.
func (s *system) onScreen(typed string, args ...string) (lines []string, code int) {
	s.t.Helper()
	screen, terminal, err := pty.Open()
	if err != nil {
		s.t.Fatal(err)
	}
	defer screen.Close()
	if err := pty.Setsize(screen, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		s.t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		var seen bytes.Buffer
		seen.ReadFrom(screen) // it fails when the terminal is closed
		read <- seen.String()
	}()
	fmt.Fprintln(screen, typed)
	code = Run(s.t.Context(), args, terminal, terminal, terminal, append(s.env, "PAGER=cat"))
	terminal.Close()
	text := regexp.MustCompile(`\x1b\[[0-9;]*[A-Za-z]`).ReplaceAllString(<-read, "")
	return strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }), code
}

// TestOutputFitsEightyColumns shows the example's notice and customers in each command that prints for people.
func TestOutputFitsEightyColumns(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.work()
	const key = "mail-platform-2026-11-20.identified"
	outage := filepath.Join("..", "..", "examples", "mail-outage")
	bad := filepath.Join(s.write(map[string]string{"bad.csv": "id,name,email,language\nbad-1,x,nobody,en\nbad-2,x,x@example.com,klingon-or-so\n"}), "bad.csv")
	for _, c := range []struct {
		code int
		args []string
	}{
		{0, []string{"customers", "import", filepath.Join("..", "..", "examples", "customers.csv")}},
		{1, []string{"customers", "import", bad}},
		{0, []string{"customers", "list"}},
		{0, []string{"customers", "find", "meijer"}},
		{0, []string{"customers", "show", "C10456"}},
		{0, []string{"suppressions", "add", "harry.greaves@example.org"}},
		{0, []string{"suppressions", "list"}},
		{0, []string{"suppressions", "add", "drop-before-dot.daan.vandermeer@example.net"}}, // the sink's cut races with the dot
		{0, []string{"notice", "preview", outage}},
		{1, []string{"notice", "preview", outage, "--customer", "nobody"}},
		{0, []string{"notice", "send", outage, "--allow-past", "--wait", "--tolerate", "50%"}},
		{0, []string{"notice", "send", outage}},
		{0, []string{"notice", "list"}},
		{0, []string{"notice", "status", key}},
		{0, []string{"report", key}},
		{0, []string{"report", key, "--state", "suppressed"}},
		{0, []string{"report", "--incident", "mail-platform-2026-11-20"}},
		{0, []string{"customers", "history", "C10456"}},
		{0, []string{"customers", "history", "C10001"}},
		{0, []string{"customers", "check"}},
		{1, []string{"notice", "status", "no-such-notice"}},
		{1, []string{"notice", "send", filepath.Join("..", "..", "examples", "no-such-notice")}},
		{1, []string{"notice", "resume", key}},
	} {
		lines, code := s.onScreen("yes", c.args...)
		if code != c.code || len(lines) < 2 { // the first is typed
			t.Errorf("%v: exit code %d, want %d\n%s", c.args, code, c.code, strings.Join(lines, "\n"))
		}
		for _, line := range lines {
			if n := uniseg.StringWidth(line); n > columns {
				t.Errorf("%v writes a line of %d columns:\n%s", c.args, n, line)
			}
		}
	}
}

func TestAListIsLaidOutByItsWidestCells(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, cells, want string }{
		{"beside", "A\tWHY\nx\tshort\n", "A  WHY\nx  short\n"},
		{"wide letters take two columns", "A\tB\nメール\tx\nmail\tx\n", "A       B\nメール  x\nmail    x\n"},
		{"a blank line", "a\tb\n\nc\td\n", "a  b\n\nc  d\n"},
		{"a heading", "A long heading\t\n  a\tb\n", "A long heading\n  a  b\n"},
		{"a label without a value", "Left out\t\n  filter\t217\n", "Left out\n  filter  217\n"},
		{"below", "A\tB\tWHY\n" + strings.Repeat("x", 60) + "\ty\tsome words that have no room\n\t\tand more\n",
			"A" + strings.Repeat(" ", 61) + "B\n  WHY\n" + strings.Repeat("x", 60) + "  y\n  some words that have no room\n  and more\n"},
	} {
		var out bytes.Buffer
		g := table(&out)
		fmt.Fprint(g, c.cells)
		if err := g.Flush(); err != nil || out.String() != c.want {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", c.name, err, out.String(), c.want)
		}
	}
}

func TestATextIsBrokenAtBlanks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"one two three", 9, "one two\n  three"},
		{"a  b", 80, "a  b"}, // as a filter may have it
		{"averylongword b", 8, "averylongword\n  b"},
		{"メールがご利用いただけません", 20, "メールがご利用いた\n  だけません"},
	} {
		if got := hang(c.text, 2, c.width); got != c.want {
			t.Errorf("%q in %d columns is\n%s\nwant\n%s", c.text, c.width, got, c.want)
		}
	}
}
