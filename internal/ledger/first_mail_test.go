package ledger_test

import (
	"slices"
	"testing"

	"tocsin/internal/notice"
)

// TestAMailRefersToWhatTheViewSaysHasLeft tries all that the bits and the outcome of an earlier delivery can be.
func TestAMailRefersToWhatTheViewSaysHasLeft(t *testing.T) {
	t.Parallel()
	const outcomes, rows = 1 + 9*2, 4 * (1 + 9*2) // none, or a state with an epoch before the chunk's or the same
	d := release(t, rows)
	first, err := d.Notice(t.Context(), d.id)
	d.must(err)
	d.send(notice.Body{Key: "n2", Incident: "n1"})
	d.exec(`UPDATE chunk c SET epoch = 7, dots = b.dots, sent = b.sent, stopped = c.dots & ~c.dots
		FROM (SELECT string_agg((s / $2 % 2)::text, '' ORDER BY s)::varbit AS dots, string_agg((s / $2 / 2)::text, '' ORDER BY s)::varbit AS sent
			FROM generate_series(0, $3::int - 1) s) b WHERE notice_id = $1`, first.ID, outcomes, rows)
	d.exec(`DELETE FROM outcome`)
	d.exec(`INSERT INTO outcome (notice_id, seq, state, epoch) SELECT $1, s, (s % $2 - 1) % 9, 6 + (s % $2 - 1) / 9
		FROM generate_series(0, $3::int - 1) s WHERE s % $2 > 0 AND (s % $2 - 1) % 9 <> 1`, first.ID, outcomes, rows)
	claimed := d.claim("w").Due
	d.id = first.ID
	referring := 0
	for _, due := range claimed {
		var want []string
		switch d.state(due.Seq) {
		case notice.DeliverySending, notice.DeliverySent, notice.DeliveryUncertain, notice.DeliveryBounced:
			want = []string{first.MessageID(due.Seq)}
			referring++
		}
		if !slices.Equal(due.Thread, want) {
			t.Errorf("the earlier delivery %d is %s: it is referred to as %q", due.Seq, d.state(due.Seq), due.Thread)
		}
	}
	if len(claimed) != rows || referring == 0 || referring == rows {
		t.Errorf("%d of %d refer to an earlier mail", referring, len(claimed))
	}
}
