package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// digests returns the digests of the notice's mails by seq, of 250s and of other outcomes.
func (d *desk) digests() map[int]int64 {
	d.t.Helper()
	all := map[int]int64{}
	rows, err := d.pool.Query(d.t.Context(), `
		SELECT seq, digest FROM outcome WHERE notice_id = $1 AND digest IS NOT NULL
		UNION ALL SELECT u.seq, u.digest FROM answer, unnest(seqs, digests) AS u(seq, digest) WHERE notice_id = $1 AND u.digest IS NOT NULL`, d.id)
	d.must(err)
	for rows.Next() {
		var seq int
		var digest int64
		d.must(rows.Scan(&seq, &digest))
		all[seq] = digest
	}
	d.must(rows.Err())
	return all
}

// TestTheDigestOfAMailIsKeptUntilItsCustomerIsErased, with a 250 in time and late, and with other outcomes.
func TestTheDigestOfAMailIsKeptUntilItsCustomerIsErased(t *testing.T) {
	t.Parallel()
	d := release(t, 6)
	c := d.claim("w")
	outcome := func(seq int, state notice.DeliveryState, digest int64) ledger.Outcome {
		return ledger.Outcome{Attempt: attempt(c, seq), State: state, Heard: time.Now(), Digest: digest, Answer: notice.Answer{Relay: "main", Text: "answer"}}
	}
	for seq := range 5 {
		if !d.mark(attempt(c, seq)) {
			t.Fatalf("%d was not marked", seq)
		}
	}
	d.record(outcome(0, notice.DeliverySent, 10))
	d.record(outcome(1, notice.DeliverySent, -11))
	d.record(outcome(2, notice.DeliveryFailed, 12))
	d.record(outcome(3, notice.DeliveryUncertain, 13))
	d.record(outcome(5, notice.DeliveryDeferred, 0)) // refused before any mark: there was no dot
	d.loseLease()
	d.claim("other")
	d.record(outcome(4, notice.DeliverySent, 14))
	want := map[int]int64{0: 10, 1: -11, 2: 12, 3: 13, 4: 14}
	if diff := cmp.Diff(want, d.digests()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, id := range []string{"c1", "c3"} {
		d.must(d.DeleteCustomer(t.Context(), id))
	}
	delete(want, 0)
	delete(want, 2)
	if diff := cmp.Diff(want, d.digests()); diff != "" {
		t.Errorf("after two were erased (-want +got):\n%s", diff)
	}
}
