package ledger_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// TestDeliveriesOfALanguage are those of all deliveries that have it: in pages of any size, of any state, and within a bound.
func TestDeliveriesOfALanguage(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	id := db.seed(t, "n", released, 600)
	db.exec(t, `UPDATE recipient SET text = 'nl' WHERE plan_id = 1000 - $1 AND seq % 100 IN (7, 8)`, id)
	db.exec(t, `INSERT INTO outcome (notice_id, seq, state, at) SELECT $1, seq, 4, clock_timestamp() FROM generate_series(0, 599, 4) seq`, id)
	db.recount(t, id)
	all, err := db.Deliveries(t.Context(), id, notice.DeliveryPage{After: -1, Limit: 1000})
	if err != nil || len(all) != 600 {
		t.Fatalf("%d deliveries, %v", len(all), err)
	}
	failed, sent := notice.DeliveryFailed, notice.DeliverySent
	for _, p := range []notice.DeliveryPage{
		{After: -1, Limit: 1000, Language: "nl"}, {After: -1, Limit: 3, Language: "nl"}, {After: 108, Limit: 3, Language: "nl"},
		{After: -1, Limit: 1000, Language: "nl", State: &failed}, {After: 7, Limit: 1, Language: "nl", State: &failed}, {After: -1, Limit: 9, Language: "nl", State: &sent},
		{After: 8, Limit: 5, Language: "nl", Within: 99}, {After: 8, Limit: 5, Language: "nl", Within: 98}, {After: 590, Limit: 5, Language: "en", Within: 5},
		{After: -1, Limit: 5, Language: "fr"},
	} {
		want := []notice.Delivery{}
		for _, d := range all {
			if d.Seq > p.After && d.Language == p.Language && (p.State == nil || d.State == *p.State) && len(want) < p.Limit &&
				(p.Within == 0 || d.Seq <= p.After+p.Within) {
				want = append(want, d)
			}
		}
		got, err := db.Deliveries(t.Context(), id, p)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v, %s", fmt.Sprintf("%+v", p), err, diff)
		}
	}
}
