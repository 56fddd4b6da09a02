package ledger_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// TestProgressOfANotice: the mails that relays took add up to those that were sent, by relay and by domain; a failed mail
// left nowhere.
func TestProgressOfANotice(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO customer (id, name, email, email_key) SELECT 'c' || i, 'N', m, m
		FROM generate_series(1, 9) i, LATERAL (SELECT 'c' || i || CASE WHEN i <= 5 THEN '@a.example' WHEN i <= 8 THEN '@b.example' ELSE '@c.example' END AS m) m`)
	d.send(notice.Body{Key: "n1"})
	if p, err := d.Progress(t.Context(), d.id); err != nil || p.Width != 0 {
		t.Errorf("before the first mail: %+v, %v", p, err)
	}
	c := d.claim("w1")
	for _, due := range c.Due {
		d.mark(attempt(c, due.Seq))
		if state := map[int]notice.DeliveryState{7: notice.DeliveryFailed}[due.Seq]; state == notice.DeliveryFailed {
			d.answer(attempt(c, due.Seq), state, 550)
		} else {
			d.answer(attempt(c, due.Seq), notice.DeliverySent, 250)
		}
	}
	p, err := d.Progress(t.Context(), d.id)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for _, taken := range p.Taken {
		for _, n := range taken {
			sum += n
		}
	}
	if sum != 8 || len(p.Relays) != 1 || p.Relays[0] != "main" {
		t.Errorf("%d taken: %+v", sum, p)
	}
	domains, err := d.DomainProgress(t.Context(), d.id, 2)
	want := []notice.DomainProgress{{Domain: "a.example", Mails: 5, Left: 5}, {Domain: "b.example", Mails: 3, Left: 2}}
	if diff := cmp.Diff(want, domains); diff != "" || err != nil {
		t.Errorf("by domain: %v, %s", err, diff)
	}
}
