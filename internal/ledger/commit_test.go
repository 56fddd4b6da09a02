package ledger_test

import (
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// TestAMarkWhoseCommitWasLostIsGivenWhenAskedAgain: the first commit never reached the ledger.
func TestAMarkWhoseCommitWasLostIsGivenWhenAskedAgain(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	a := attempt(d.claim("a"), 0)
	a.Again = true
	if !d.mark(a) {
		t.Error("the mark is refused, and its mail waits for the next claim")
	}
	d.wantState(0, notice.DeliverySending)
	d.answer(a, notice.DeliverySent, 250)
	d.wantState(0, notice.DeliverySent)
}

// TestACommitMayNameAnAttemptTwice: Postgres refuses an INSERT that would change a row twice, and the worker would give
// the same batch again for ever.
func TestACommitMayNameAnAttemptTwice(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	c := d.claim("a")
	var outcomes []ledger.Outcome
	for seq, state := range []notice.DeliveryState{notice.DeliveryDeferred, notice.DeliverySent, notice.DeliveryUncertain} {
		d.mark(attempt(c, seq))
		o := ledger.Outcome{Attempt: attempt(c, seq), State: state, Heard: time.Now(), Answer: notice.Answer{Text: "answer"}}
		outcomes = append(outcomes, o, o)
	}
	settles := outcomes[len(outcomes)-1]
	settles.State = notice.DeliveryFailed
	_, err := d.Commit(t.Context(), nil, append(outcomes, settles))
	d.must(err)
	d.closeChunk(c)
	d.wantCounts(map[string]int{"deferred": 1, "sent": 1, "failed": 1})
}

// TestAMarkLeavesTheOtherMarksOpen, also one of a delivery that was stopped meanwhile: its dot may still come.
func TestAMarkLeavesTheOtherMarksOpen(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	c := d.claim("a")
	d.mark(attempt(c, 0))
	d.suppress("c1@example.com")
	d.mark(attempt(c, 1))
	d.wantState(0, notice.DeliverySending)
	d.wantState(1, notice.DeliverySending)
}
