package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Program returns the path of a program that a test asks to judge Tocsin's output. tools/install brings them. Where
// one lacks the test fails, unless TOCSIN_TEST_WITHOUT, a list with blanks, names it. make test names those that could
// not be installed; make test-short does without all that lack.
func Program(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, pattern := range []string{"/usr/sbin", "/usr/lib/postgresql/*/bin"} { // seldom in PATH
		if found, _ := filepath.Glob(filepath.Join(pattern, name)); len(found) > 0 {
			return found[len(found)-1]
		}
	}
	if testing.Short() || slices.Contains(strings.Fields(os.Getenv("TOCSIN_TEST_WITHOUT")), name) {
		t.Skipf("there is no %s here", name)
	}
	t.Fatalf("there is no %[1]s here. As root on Debian or Ubuntu, tools/install tests brings it; TOCSIN_TEST_WITHOUT=%[1]s skips what needs it", name)
	return ""
}
