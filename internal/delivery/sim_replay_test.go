//go:build !race

package delivery

import "testing"

// simShare is how many schedules every run of the tests goes through.
const simShare = 1000

// TestASeedReplaysExactly stands apart since the race detector shuffles the goroutines. Under it a seed still shows the
// fault, but not in which order two of them pass a line. A busy machine shuffles them now and then too, when it takes
// the processor from a goroutine for ten milliseconds, but not three times in a row.
func TestASeedReplaysExactly(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for seed := range uint64(100) {
		for try := 1; ; try++ {
			first, again := simulate(t, s, seed, none, nil), simulate(t, s, seed, none, nil)
			if first.hash == again.hash && first.steps == again.steps {
				break
			}
			if try == 3 {
				t.Errorf("seed %d took %d steps to %x, and then %d to %x", seed, first.steps, first.hash, again.steps, again.hash)
				break
			}
		}
	}
}
