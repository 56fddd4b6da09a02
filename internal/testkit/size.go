package testkit

import (
	"os"
	"testing"
)

// All reports whether the tests run at full length, as make test-all has them by TOCSIN_TEST_ALL=1.
func All() bool { return os.Getenv("TOCSIN_TEST_ALL") != "" }

// Size returns how much a test works through: usual in make test, all in make test-all.
func Size[T any](usual, all T) T {
	if All() {
		return all
	}
	return usual
}

// Large skips a test that is for make test-all; fast names the test that guards the same in make test.
func Large(t testing.TB, fast string) {
	t.Helper()
	if !All() {
		t.Skipf("make test-all runs it; make test runs %s", fast)
	}
}

// NeedsServers skips a test that starts servers when the tests are to do without: make test-short.
func NeedsServers(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts servers: make test runs it")
	}
}
