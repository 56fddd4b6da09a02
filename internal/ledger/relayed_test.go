package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

func TestALogThatIsFollowedSettlesWhatItShows(t *testing.T) {
	t.Parallel()
	d := release(t, 6)
	c := d.claim("a worker")
	const sent, uncertain, earlier, failed, marked, queued = 0, 1, 2, 3, 4, 5
	for seq := range queued {
		d.mark(attempt(c, seq))
	}
	d.answer(attempt(c, sent), notice.DeliverySent, 250)
	d.answer(attempt(c, uncertain), notice.DeliveryUncertain, 0)
	d.answer(attempt(c, earlier), notice.DeliveryUncertain, 0)
	d.answer(attempt(c, failed), notice.DeliveryFailed, 550)
	n, err := d.Notice(t.Context(), d.id)
	d.must(err)
	now := time.Now().UTC().Truncate(time.Millisecond)
	words := []ledger.Relayed{{MessageID: "<other.1@example.org>", QueueID: "AAAAAA", Status: "queue active", At: now}}
	for seq := range 6 {
		w := ledger.Relayed{MessageID: n.MessageID(seq), QueueID: "AAAAAA", Status: "queue active", At: now}
		if seq == earlier {
			w.At = now.AddDate(0, 0, -1)
		}
		words = append(words, w)
		if seq != earlier {
			w.Server, w.Status = "mx.example.com[192.0.2.9]:25", "status=sent (250 Ok)"
			words = append(words, w)
		}
	}
	got, err := d.Relayed(t.Context(), words, "ada")
	d.must(err)
	want := ledger.RelayedResult{Settled: 1, Delivered: 2, Unknown: 1, Open: []string{n.MessageID(marked), n.MessageID(queued)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for seq, s := range map[int]notice.DeliveryState{sent: notice.DeliverySent, uncertain: notice.DeliverySent, earlier: notice.DeliveryUncertain,
		failed: notice.DeliveryFailed, marked: notice.DeliverySending, queued: notice.DeliveryQueued} {
		d.wantState(seq, s)
	}
	h, err := d.History(t.Context(), "c1", "")
	d.must(err)
	if e := h[0].Delivery; e.DeliveredAt == nil || !e.DeliveredAt.Equal(now) || e.DeliveredBy != "mx.example.com[192.0.2.9]:25" || e.Attempts != 1 {
		t.Errorf("the history shows %+v", e)
	}

	// The same once more, and a later word, change nothing.
	for i := range words {
		words[i].At = words[i].At.Add(time.Second)
	}
	got, err = d.Relayed(t.Context(), words, "ada")
	d.must(err)
	want.Settled, want.Delivered = 0, 0
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the same again (-want +got):\n%s", diff)
	}
	d.closeChunk(c)
	d.wantCounts(map[string]int{"sent": 2, "uncertain": 1, "sending": 1, "failed": 1, "queued": 1})
}
