package ledger_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// TestACrowdIsCountedAtAGlance: how many, in which zones and languages, and one of them to read as.
func TestACrowdIsCountedAtAGlance(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(6)
	d.exec(`UPDATE customer SET language = 'de-CH,en', time_zone = 'Europe/Zurich' WHERE id IN ('c4', 'c6')`)
	d.exec(`UPDATE customer SET email = '', email_key = '' WHERE id = 'c4'`)
	got, err := d.Crowd(t.Context(), ledger.Choice{Filter: gold})
	want := notice.Crowd{Customers: 3, NoMailbox: 1, Zones: []notice.Share{{Name: "Europe/Zurich", N: 2}, {N: 1}}, Languages: []notice.Share{{Name: "de-CH", N: 2}, {N: 1}}}
	got.Attributes = nil
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for _, tt := range []struct {
		language string
		skip     int
		want     string
	}{{"", 0, "c2"}, {"", 2, "c6"}, {"de", 0, "c4"}, {"de", 1, "c6"}, {"de", 2, ""}, {"nl", 0, ""}} {
		c, err := d.Someone(t.Context(), ledger.Choice{Filter: gold}, tt.language, tt.skip)
		if c.ID != tt.want || (notice.CodeOf(err) == notice.CodeNotFound) != (tt.want == "") {
			t.Errorf("%q after %d: %q, %v", tt.language, tt.skip, c.ID, err)
		}
	}
	d.sendTo(notice.Body{Key: "first"}, ledger.Choice{Filter: gold})
	if got, err := d.Crowd(t.Context(), ledger.Choice{Notice: d.id}); err != nil || got.Customers != 3 {
		t.Errorf("of an earlier notice: %+v, %v", got, err)
	}
}

// TestACrowdThatTakesTooLongIsNotWaitedFor: where no statement comes to an end, the answer is that there are more.
func TestACrowdThatTakesTooLongIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(6)
	tx, err := d.pool.Begin(t.Context())
	d.must(err)
	defer tx.Rollback(t.Context())
	_, err = tx.Exec(t.Context(), `LOCK TABLE customer IN ACCESS EXCLUSIVE MODE`)
	d.must(err)
	got, err := d.Crowd(t.Context(), ledger.Choice{Filter: gold})
	if err != nil || !got.More || got.Customers != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if c, err := d.Someone(t.Context(), ledger.Choice{}, "", 0); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("%q, %v", c.ID, err)
	}
}
