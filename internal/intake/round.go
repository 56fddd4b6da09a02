package intake

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// Tally counts the results of a round over a mailbox.
type Tally struct {
	Taken, Refused, Left int
}

func (t *Tally) add(r Result) {
	switch r {
	case Taken:
		t.Taken++
	case Refused:
		t.Refused++
	case Left, Denied:
		t.Left++
	}
}

// none is the result of a mail that is gone, or that another process has in hand.
const none Result = ""

// mostLeft is how many mails in a row are left before a round ends: the Taker is away.
const mostLeft = 3

// rounds hands over the mails of a mailbox, by names of type N.
type rounds[N comparable] struct {
	left map[N]int // how often each was left
}

// run hands over mails by calling one for each. Those that were left in earlier rounds come last, so that a mail which
// the Taker always stumbles over holds up no other.
func (r *rounds[N]) run(ctx context.Context, names []N, one func(N) (Result, error)) (t Tally, err error) {
	slices.SortStableFunc(names, func(a, b N) int { return r.left[a] - r.left[b] })
	still := map[N]int{}
	row := 0
	for i, name := range names {
		if ctx.Err() != nil || row == mostLeft {
			t.Left += len(names) - i
			for _, rest := range names[i:] {
				still[rest] = r.left[rest]
			}
			break
		}
		result, err := one(name)
		if err != nil {
			t.Left += len(names) - i
			return t, err
		}
		t.add(result)
		row++
		if result == Left || result == Denied {
			still[name] = r.left[name] + 1
		} else {
			row = 0
		}
	}
	r.left = still
	return t, nil
}

// pauses are the times between two tries: least, then doubled up to most, with a tenth of chance.
type pauses struct {
	least, most time.Duration
	next        time.Duration
}

func (p *pauses) reset() { p.next = 0 }

func (p *pauses) take() time.Duration {
	p.next = min(max(p.least, 2*p.next), p.most)
	return p.next + rand.N(p.next/10+1)
}

// sleep waits, and reports whether ctx goes on.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
