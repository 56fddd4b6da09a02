package control

import (
	"slices"
	"testing"

	"tocsin/internal/ledger"
)

// TestEachThreadThatAMailMayHaveHadIsTried: which earlier mails were thought to have arrived at its attempt is not kept.
func TestEachThreadThatAMailMayHaveHadIsTried(t *testing.T) {
	t.Parallel()
	k := ledger.Kept{Due: ledger.Due{Thread: []string{"a", "c"}}, Earlier: []string{"a", "b", "c"}}
	tried := threads(k)
	if !slices.Equal(tried[0], k.Due.Thread) {
		t.Errorf("the first is %q, want that of today", tried[0])
	}
	for _, want := range [][]string{nil, {"a"}, {"b"}, {"c"}, {"a", "b"}, {"a", "c"}, {"b", "c"}, {"a", "b", "c"}} {
		if !slices.ContainsFunc(tried, func(thread []string) bool { return slices.Equal(thread, want) }) {
			t.Errorf("%q is not tried", want)
		}
	}
	long := ledger.Kept{Earlier: slices.Repeat([]string{"x"}, 40), Due: ledger.Due{Thread: slices.Repeat([]string{"x"}, ledger.MostReferred)}}
	if n := len(threads(long)); n > 100 {
		t.Errorf("%d threads are tried of a long incident", n)
	}
}
