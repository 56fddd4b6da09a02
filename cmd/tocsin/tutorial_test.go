package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheTutorialRuns types the commands of docs/tutorial.md, from its second step on: the first is the demo, which has
// tests.
func TestTheTutorialRuns(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must(nil, "customers", "import", "../../examples/customers.csv")
	s.work()
	dir := t.TempDir()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(dir, "bin", "tocsin")); err != nil {
		t.Fatal(err)
	}
	_, steps, _ := strings.Cut(string(read(t, "../../docs/tutorial.md")), "\n## 2.")
	var printed strings.Builder
	for _, block := range regexp.MustCompile(`(?m)^    .*\n(?:\n*    .*\n)*`).FindAllString(steps, -1) {
		cmd := exec.CommandContext(t.Context(), "/bin/sh", "-euc", regexp.MustCompile(`(?m)^    `).ReplaceAllString(block, ""))
		cmd.Dir, cmd.Env = dir, s.withCommand()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v:\n%s\nprinted:\n%s", err, block, out)
		}
		printed.Write(out)
	}
	for _, want := range []string{"Wij proberen iets", "nothing is sent again", "Reached: ", ", in nl: "} {
		if !strings.Contains(printed.String(), want) {
			t.Errorf("the commands of the tutorial print no %q:\n%s", want, printed.String())
		}
	}
	st := s.status("first-2026")
	if mails := s.mailsOf("first-2026"); len(mails) == 0 || len(mails) != st.Counts["sent"] {
		t.Errorf("%d mailboxes have the notice, %v are sent", len(mails), st.Counts)
	}
}
