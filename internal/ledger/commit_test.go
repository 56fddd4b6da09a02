package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

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

// TestEachReplyOfACommitIsKeptWithItsMail, whether a mail of its chunk was stopped meanwhile or not, and that to an erased customer
// is not.
func TestEachReplyOfACommitIsKeptWithItsMail(t *testing.T) {
	t.Parallel()
	d := release(t, 300) // two chunks
	var keys []string    // by seq
	d.must(d.pool.QueryRow(t.Context(), `SELECT array_agg(address_key ORDER BY seq) FROM recipient`).Scan(&keys))
	for _, stops := range []bool{false, true} {
		var claims []ledger.Claim
		for lo := range 2 {
			var id int64
			d.must(d.pool.QueryRow(t.Context(), `SELECT id FROM chunk WHERE notice_id = $1 AND lo = $2`, d.id, 256*lo).Scan(&id))
			c, ok, err := d.Claim(t.Context(), id, "a")
			if err != nil || !ok {
				t.Fatalf("chunk %d is not given: %v", id, err)
			}
			claims = append(claims, c)
		}
		first, second := claims[0], claims[1]
		seqs := map[int]ledger.Claim{0: first, 3: first, 4: first, 7: first, 260: second, 263: second}
		if stops {
			seqs = map[int]ledger.Claim{10: first, 13: first, 14: first, 17: first, 270: second, 273: second}
		}
		var outcomes []ledger.Outcome
		want := map[int]string{}
		for seq, c := range seqs {
			if !d.mark(attempt(c, seq)) {
				t.Fatalf("%d was not marked", seq)
			}
			want[seq] = fmt.Sprintf("queued as %d, 25%d, %d", seq, seq%2, 100+seq)
			outcomes = append(outcomes, ledger.Outcome{Attempt: attempt(c, seq), State: notice.DeliverySent, Heard: time.Now(), Digest: int64(100 + seq),
				Answer: notice.Answer{Code: 250 + seq%2, Text: fmt.Sprintf("queued as %d", seq)}})
		}
		if stops {
			d.must(d.DeleteCustomer(t.Context(), strings.TrimSuffix(keys[13], "@example.com")))
			d.suppress(keys[17])
			want[13] = ", 251, 0"
		}
		_, err := d.Commit(t.Context(), nil, outcomes)
		d.must(err)
		got := map[int]string{}
		rows, err := d.pool.Query(t.Context(), `SELECT u.seq, concat_ws(', ', u.reply, a.code, coalesce(u.digest, 0))
			FROM answer a, unnest(seqs, replies, digests) AS u(seq, reply, digest) WHERE (u.seq % 256 >= 10) = $1`, stops)
		d.must(err)
		var seq int
		var kept string
		_, err = pgx.ForEachRow(rows, []any{&seq, &kept}, func() error { got[seq] = kept; return nil })
		d.must(err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("stopped: %t (-want +got):\n%s", stops, diff)
		}
		d.closeChunk(first)
		d.closeChunk(second)
	}
}
