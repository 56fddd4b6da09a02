package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
)

// speaker prints the steps of the demo: in bold and colour on a terminal, unless NO_COLOR is set.
type speaker struct {
	w      io.Writer
	styled bool
}

func newSpeaker(w io.Writer) *speaker {
	return &speaker{w: w, styled: isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (s *speaker) style(code, text string) string {
	if !s.styled {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *speaker) bold(text string) string  { return s.style("1", text) }
func (s *speaker) good(text string) string  { return s.style("32", text) }
func (s *speaker) bad(text string) string   { return s.style("1;31", text) }
func (s *speaker) quiet(text string) string { return s.style("2", text) }

func (s *speaker) line(format string, args ...any) { fmt.Fprintf(s.w, format+"\n", args...) }

func (s *speaker) title(text string) { s.line("%s", s.bold(text)) }

// step begins a part of the demo.
func (s *speaker) step(format string, args ...any) {
	s.line("\n%s %s", s.style("1;36", "▸"), s.bold(fmt.Sprintf(format, args...)))
}

// Write puts the output of others under the step that it belongs to.
func (s *speaker) Write(b []byte) (int, error) {
	for text := range bytes.Lines(b) {
		s.line("  %s", strings.TrimRight(string(text), "\n"))
	}
	return len(b), nil
}
