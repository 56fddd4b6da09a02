package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// seed keeps a released notice of which all recipients are frozen and the first few are expanded. The recipient of
// seq i is customer c<i> at m<i>@x.example, but for what the caller changes afterwards.
func (s store) seed(t testing.TB, key string, released time.Time, recipients, expanded int) (id int64) {
	t.Helper()
	s.exec(t, `INSERT INTO incident (key, kind) VALUES ('thread', 'outage') ON CONFLICT DO NOTHING`)
	err := s.pool.QueryRow(t.Context(), `
		INSERT INTO notice (key, incident_id, state, body, texts, message_token, message_domain, released_at, customers, recipients, expanded)
		SELECT $1, id, 'sending', '{"phase": "identified"}', '{"en": {"subject": "Mail is down"}, "nl": {"subject": "Mail ligt plat"}}',
			'token-' || $1, 'example.net', $2, $3, $3, $4 FROM incident RETURNING id`, key, released, recipients, expanded).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	s.exec(t, `
		INSERT INTO recipient (notice_id, seq, address_key, address, role, text, language, time_zone, customers)
		SELECT $1, i, 'm' || i || '@x.example', 'M' || i || '@x.example', 'primary', 'en', 'en-GB', 'Europe/London',
			jsonb_build_array(jsonb_build_object('id', 'c' || i, 'name', 'N', 'attributes', '{}'::jsonb))
		FROM generate_series(0, $2::int - 1) i`, id, recipients)
	s.expand(t, id, 0, expanded)
	return id
}

// expand gives recipients lo to hi their deliveries and members, as the expansion does.
func (s store) expand(t testing.TB, id int64, lo, hi int) {
	t.Helper()
	s.exec(t, `
		INSERT INTO delivery (notice_id, seq, address_key, state, owed_at, due_at, at, reason)
		SELECT notice_id, seq, address_key, CASE WHEN reason = '' THEN 0 ELSE 6 END, '2026-01-02', '2026-01-02', '2026-01-02', reason
		FROM recipient WHERE notice_id = $1 AND seq >= $2 AND seq < $3`, id, lo, hi)
	s.exec(t, `
		INSERT INTO member SELECT c->>'id', notice_id, seq FROM recipient, jsonb_array_elements(customers) c
		WHERE notice_id = $1 AND seq >= $2 AND seq < $3`, id, lo, hi)
	s.exec(t, `UPDATE notice SET expanded = $2 WHERE id = $1`, id, hi)
}

var released = time.Date(2026, 1, 1, 3, 14, 7, 0, time.UTC)

// outage is a notice with a delivery of every sort: the first five are expanded, the last three are not.
func (s store) outage(t testing.TB) int64 {
	t.Helper()
	id := s.seed(t, "outage", released, 8, 0)
	for _, change := range []string{
		`customers = '[{"id": "a"}, {"id": "b c"}, {"id": "A"}]', text = 'nl', language = 'nl-BE', time_zone = '' WHERE seq = 0`,
		`role = 'alternate', address = 'Else@where.example', address_key = 'else@where.example' WHERE seq = 1`,
		`address_key = NULL, address = '', reason = 'no_address' WHERE seq = 2`,
		`reason = 'suppression_list' WHERE seq = 4`,
		`address_key = NULL, reason = 'unreachable' WHERE seq = 6`,
		`role = 'alternate' WHERE seq = 7`,
	} {
		s.exec(t, `UPDATE recipient SET `+change)
	}
	s.expand(t, id, 0, 5)
	s.exec(t, `UPDATE delivery SET state = 2, tries = 2, relay = 'main', code = 250, enhanced = '2.0.0', reply = 'Ok: queued as 4Z',
		at = '2026-01-02 05:00+02', sent_at = '2026-01-02 05:00+02' WHERE seq IN (0, 1)`)
	s.exec(t, `UPDATE delivery SET state = 4, code = 550, reason = 'tried_too_long' WHERE seq = 3`)
	s.exec(t, `UPDATE delivery SET state = 0, reason = '' WHERE seq = 4`) // requeued by an operator
	s.seed(t, "another", released, 8, 8)
	return id
}

func TestDeliveriesTellEveryRecipient(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	id := db.outage(t)
	sentAt := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	row := func(seq int, state notice.DeliveryState, reason string) notice.Delivery {
		d := notice.Delivery{Seq: seq, Address: fmt.Sprintf("M%d@x.example", seq), Customers: []string{fmt.Sprintf("c%d", seq)}, Language: "en",
			TimeZone: "Europe/London", State: state, Reason: reason, MessageID: fmt.Sprintf("<token-outage.%d@example.net>", seq), UpdatedAt: released}
		if seq < 5 {
			d.UpdatedAt = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)
		}
		return d
	}
	want := []notice.Delivery{row(0, notice.DeliverySent, ""), row(1, notice.DeliverySent, "alternate"),
		row(2, notice.DeliverySuppressed, "no_address"), row(3, notice.DeliveryFailed, "tried_too_long"), row(4, notice.DeliveryQueued, ""),
		row(5, notice.DeliveryQueued, ""), row(6, notice.DeliverySuppressed, "unreachable"), row(7, notice.DeliveryQueued, "alternate")}
	want[0].Customers, want[0].Language, want[0].TimeZone = []string{"a", "b c", "A"}, "nl", ""
	want[1].Address = "Else@where.example"
	want[2].Address = ""
	want[3].SMTPCode = 550
	for i := range 2 {
		d := &want[i]
		d.Attempts, d.Relay, d.SMTPCode, d.Enhanced, d.SMTPText, d.SentAt, d.UpdatedAt = 2, "main", 250, "2.0.0", "Ok: queued as 4Z", &sentAt, sentAt
	}

	got, err := db.Deliveries(t.Context(), id, notice.DeliveryPage{After: -1, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("Deliveries (-want +got):\n%s", diff)
	}
	var streamed []notice.Delivery
	err = db.EachDelivery(t.Context(), id, nil, func(d notice.Delivery) error { streamed = append(streamed, d); return nil })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, streamed); diff != "" {
		t.Errorf("EachDelivery (-want +got):\n%s", diff)
	}
	// Which of them the expansion has come to makes no difference to the sums.
	db.expand(t, id, 5, 8)
	after, err := db.Deliveries(t.Context(), id, notice.DeliveryPage{After: -1, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	for i := range after {
		if after[i].State != want[i].State || after[i].Reason != want[i].Reason {
			t.Errorf("%d is %v (%s) before its delivery is born and %v (%s) after",
				i, want[i].State, want[i].Reason, after[i].State, after[i].Reason)
		}
	}
}

// seqs writes the deliveries as their seqs, "0 3 4".
func seqs(all []notice.Delivery) string {
	var b strings.Builder
	for i, d := range all {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprint(&b, d.Seq)
	}
	return b.String()
}

func TestDeliveriesPageAndSearch(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	id := db.outage(t)
	// The mailbox of c1 is on the broken platform; that of c6 too, and there is no alternate.
	db.put(t, notice.Customer{ID: "c1", Email: "m1@x.example", AlternateEmail: "Else@where.example"},
		notice.Customer{ID: "c6", Email: "m6@x.example"}, notice.Customer{ID: "c0", Email: "c5"})
	queued, suppressed, sent := notice.DeliveryQueued, notice.DeliverySuppressed, notice.DeliverySent
	for _, c := range []struct {
		name string
		page notice.DeliveryPage
		want string
	}{
		{"the first page", notice.DeliveryPage{After: -1, Limit: 3}, "0 1 2"},
		{"the next one", notice.DeliveryPage{After: 2, Limit: 3}, "3 4 5"},
		{"the last one", notice.DeliveryPage{After: 5, Limit: 3}, "6 7"},
		{"the one after it", notice.DeliveryPage{After: 7, Limit: 3}, ""},
		{"a page of nothing", notice.DeliveryPage{After: -1, Limit: -1}, ""},
		{"a state, whether expanded or not", notice.DeliveryPage{After: -1, Limit: 9, State: &queued}, "4 5 7"},
		{"a state, from the middle", notice.DeliveryPage{After: 4, Limit: 1, State: &queued}, "5"},
		{"another state", notice.DeliveryPage{After: -1, Limit: 9, State: &suppressed}, "2 6"},
		{"a customer", notice.DeliveryPage{After: -1, Limit: 9, Search: "b c"}, "0"},
		{"a customer not expanded yet", notice.DeliveryPage{After: -1, Limit: 9, Search: "c7"}, "7"},
		{"a customer by another case is another", notice.DeliveryPage{After: -1, Limit: 9, Search: "C7"}, ""},
		{"a customer with a state", notice.DeliveryPage{After: -1, Limit: 9, Search: "c7", State: &sent}, ""},
		{"a customer, after them", notice.DeliveryPage{After: 7, Limit: 9, Search: "c7"}, ""},
		{"an address in any case", notice.DeliveryPage{After: -1, Limit: 9, Search: "m3@X.EXAMPLE"}, "3"},
		{"an address not expanded yet", notice.DeliveryPage{After: -1, Limit: 9, Search: "m5@x.example"}, "5"},
		{"an alternate", notice.DeliveryPage{After: -1, Limit: 9, Search: "else@where.example"}, "1"},
		{"the primary whose mail went to an alternate", notice.DeliveryPage{After: -1, Limit: 9, Search: "m1@x.example"}, "1"},
		{"somebody else", notice.DeliveryPage{After: -1, Limit: 9, Search: "nobody@x.example"}, ""},
		{"a part of an address", notice.DeliveryPage{After: -1, Limit: 9, Search: "x.example"}, ""},
		{"what can stand nowhere", notice.DeliveryPage{After: -1, Limit: 9, Search: "\x00"}, ""},
	} {
		got, err := db.Deliveries(t.Context(), id, c.page)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got == nil || seqs(got) != c.want {
			t.Errorf("%s: %q, want %q", c.name, seqs(got), c.want)
		}
	}
	db.expand(t, id, 5, 8)
	got, err := db.Deliveries(t.Context(), id, notice.DeliveryPage{After: -1, Limit: 9, Search: "M6@x.example"})
	if err != nil || seqs(got) != "6" {
		t.Errorf("the primary whose mail went nowhere: %q, %v", seqs(got), err)
	}
}

func TestEachDeliveryIsOfOneMoment(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	const n = 20_000 // more than the connection's buffers hold
	id := db.seed(t, "big", released, n, n)
	var states []notice.DeliveryState
	err := db.EachDelivery(t.Context(), id, nil, func(d notice.Delivery) error {
		if d.Seq == 0 {
			db.exec(t, `UPDATE delivery SET state = 2 WHERE notice_id = $1`, id)
		}
		states = append(states, d.State)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(states) != n || slices.Max(states) != notice.DeliveryQueued {
		t.Errorf("%d rows, the last one %v; want %d, all queued as when it began", len(states), states[len(states)-1], n)
	}

	sent, rows := notice.DeliverySent, 0
	stop := errors.New("the reader went away")
	err = db.EachDelivery(t.Context(), id, &sent, func(notice.Delivery) error { rows++; return stop })
	if err != stop || rows != 1 {
		t.Errorf("%d rows and then %v, want one and the reader's own error", rows, err)
	}
	queued := notice.DeliveryQueued
	err = db.EachDelivery(t.Context(), id, &queued, func(notice.Delivery) error { return stop })
	if err != nil {
		t.Errorf("of a state that none is in: %v", err)
	}
}
