package testkit

import (
	"errors"
	"testing"

	"tocsin/internal/ledger"
	"tocsin/internal/local"
)

// PostgresPair returns a migrated primary with a standby that streams from it, for this test alone. Commits wait for the
// standby if it is synchronous. They end with the test.
func PostgresPair(t testing.TB, synchronous bool) *local.Pair {
	t.Helper()
	NeedsServers(t)
	p, err := local.StartPair(t.Context(), memory())
	if errors.Is(err, local.ErrUnavailable) {
		t.Skipf("a pair is made by Postgres' programs alone: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := ledger.Migrate(t.Context(), p.URL); err != nil {
		t.Fatal(err)
	}
	if synchronous {
		if err := p.WaitFor(t.Context(), true); err != nil {
			t.Fatal(err)
		}
	}
	return p
}
