package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

func TestCustomersAreFoundByTheBeginningOfTheirName(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	for i, name := range []string{"Zoë Smith", "zoë's Bakery", "Smith Zoë", "ZOELLNER", "", "Zo%"} {
		db.put(t, notice.Customer{ID: fmt.Sprint("c", i), Name: name})
	}
	for begin, want := range map[string][]string{"zoë": {"c0", "c1"}, "ZO": {"c0", "c1", "c3", "c5"}, "zo%": {"c5"}, "bakery": nil, "": nil, "\x00": nil} {
		found, err := db.CustomersNamed(t.Context(), begin, 10)
		var ids []string
		for _, c := range found {
			ids = append(ids, c.ID)
		}
		if err != nil || !slices.Equal(ids, want) {
			t.Errorf("%q: %v, want %v (%v)", begin, ids, want, err)
		}
	}
}

func TestAQueueIDIsFoundAsAWord(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	c := d.claim("w")
	for seq, reply := range []string{"Ok: queued as 4ZAB12", "Ok: queued as 4ZAB1234", "Ok <4zab12>"} {
		if !d.mark(attempt(c, seq)) {
			t.Fatalf("%d was not marked", seq)
		}
		d.record(ledger.Outcome{Attempt: attempt(c, seq), State: notice.DeliverySent, Heard: time.Now(), Answer: notice.Answer{Relay: "main", Code: 250, Text: reply}})
	}
	for id, want := range map[string][]int{"4ZAB12": {0}, "4ZAB1234": {1}, "4zab12": {2}, "4ZAB": nil, "queued as": nil, ".*.*.*": nil} {
		ids, seqs, err := d.FindQueueID(t.Context(), id, 0)
		if diff := cmp.Diff(want, seqs); err != nil || diff != "" || len(ids) != len(seqs) {
			t.Errorf("%s: %v, %s", id, err, diff)
		}
	}
	events, err := d.Timeline(t.Context(), d.id, 0)
	d.must(err)
	var kinds []string
	for _, e := range events {
		kinds = append(kinds, e.Kind)
	}
	if !slices.Contains(kinds, "accepted") || events[len(events)-1].Text != "Ok: queued as 4ZAB12" {
		t.Errorf("the timeline is %+v", events)
	}
}
