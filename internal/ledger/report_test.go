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

// seed keeps a released notice. The recipient of seq i is customer c<i> at m<i>@x.example, but for changes of the
// caller before it is laid out.
func (s store) seed(t testing.TB, key string, released time.Time, recipients int) (id int64) {
	t.Helper()
	id = s.freeze(t, key, released, recipients)
	s.lay(t, id)
	return id
}

func (s store) freeze(t testing.TB, key string, released time.Time, recipients int) (id int64) {
	t.Helper()
	s.exec(t, `INSERT INTO incident (key, kind) VALUES ('thread', 'outage') ON CONFLICT DO NOTHING`)
	err := s.pool.QueryRow(t.Context(), `
		INSERT INTO notice (key, incident_id, state, body, texts, message_token, message_domain, released_at, began_at, customers, recipients)
		SELECT $1, id, 'scheduled', '{"phase": "identified"}', '{"en": {"subject": "Mail is down"}, "nl": {"subject": "Mail ligt plat"}}',
			'token-' || $1, 'example.net', $2, $2, $3, $3 FROM incident RETURNING id`, key, released, recipients).Scan(&id)
	if err != nil {
		t.Fatal(err)
	}
	// Plans have other numbers than their notices.
	s.exec(t, `INSERT INTO plan (id, notice_id, state, body, customers, recipients, by_language, suppressed) VALUES (1000 - $1, $1, 'taken', '{}', $2, $2, '{}', '{}')`, id, recipients)
	s.exec(t, `UPDATE notice SET plan_id = 1000 - id, state = 'sending' WHERE id = $1`, id)
	s.exec(t, `
		INSERT INTO recipient (plan_id, seq, address_key, address, role, text, language, time_zone, customers)
		SELECT 1000 - $1, i, 'm' || i || '@x.example', 'M' || i || '@x.example', 'primary', 'en', 'en-GB', 'Europe/London',
			jsonb_build_array(jsonb_build_object('id', 'c' || i, 'name', 'N', 'attributes', '{}'::jsonb))
		FROM generate_series(0, $2::int - 1) i`, id, recipients)
	return id
}

// lay gives a notice its members, chunks and the outcomes of its suppressed, as its release does.
func (s store) lay(t testing.TB, id int64) {
	t.Helper()
	s.exec(t, `INSERT INTO member SELECT c->>'id', plan_id, seq FROM recipient, jsonb_array_elements(customers) c WHERE plan_id = 1000 - $1`, id)
	s.exec(t, `
		INSERT INTO outcome (notice_id, seq, state, reason, at) SELECT n.id, r.seq, 6, r.reason, n.released_at
		FROM notice n JOIN recipient r ON r.plan_id = n.plan_id WHERE n.id = $1 AND r.reason <> ''`, id)
	s.exec(t, `
		INSERT INTO chunk (notice_id, plan_id, lo, hi, open, due_at, dots, sent, stopped, counts)
		SELECT n.id, n.plan_id, lo, least(lo + 256, recipients), true, released_at, z, z, z, '{0,0,0,0,0,0,0,0,0}'
		FROM notice n, generate_series(0, recipients - 1, 256) lo, LATERAL (SELECT repeat('0', least(lo + 256, recipients) - lo)::varbit AS z) z
		WHERE n.id = $1`, id)
	s.recount(t, id)
}

// recount has the counts of a notice's chunks agree with the changes of a test.
func (s store) recount(t testing.TB, id int64) {
	t.Helper()
	s.exec(t, `UPDATE chunk SET counts = (SELECT array_agg((SELECT count(*)::int FROM delivery d WHERE d.chunk_id = chunk.id AND d.state = s) ORDER BY s)
		FROM generate_series(0, 8) s) WHERE notice_id = $1`, id)
}

var released = time.Date(2026, 1, 1, 3, 14, 7, 0, time.UTC)

// outage is a notice with a delivery of every sort.
func (s store) outage(t testing.TB) int64 {
	t.Helper()
	id := s.freeze(t, "outage", released, 8)
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
	s.lay(t, id)
	for _, change := range []string{
		`UPDATE outcome SET at = '2026-01-02' WHERE seq = 2`,
		`INSERT INTO outcome (notice_id, seq, state, tries, epoch, at) SELECT $1, seq, 3, 1, 1, '2026-01-01' FROM generate_series(0, 1) seq`,
		`UPDATE chunk SET epoch = 2, sent = B'11000000' WHERE notice_id = $1`,
		`INSERT INTO answer SELECT $1, id, 2, '2026-01-02 05:00+02', 'main', 250, '2.0.0', '{0,1}', '{Ok: queued as 4Z,Ok: queued as 4Z}' FROM chunk WHERE notice_id = $1`,
		`INSERT INTO outcome (notice_id, seq, state, code, reason, at) VALUES ($1, 3, 4, 550, 'tried_too_long', '2026-01-02')`,
		`UPDATE outcome SET state = 0, reason = '', at = '2026-01-02' WHERE notice_id = $1 AND seq = 4`, // requeued by an operator
	} {
		if strings.Contains(change, "$1") {
			s.exec(t, change, id)
		} else {
			s.exec(t, change)
		}
	}
	s.recount(t, id)
	s.seed(t, "another", released, 8)
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
		{"a state", notice.DeliveryPage{After: -1, Limit: 9, State: &queued}, "4 5 7"},
		{"a state, from the middle", notice.DeliveryPage{After: 4, Limit: 1, State: &queued}, "5"},
		{"another state", notice.DeliveryPage{After: -1, Limit: 9, State: &suppressed}, "2 6"},
		{"a customer", notice.DeliveryPage{After: -1, Limit: 9, Search: "b c"}, "0"},
		{"another customer", notice.DeliveryPage{After: -1, Limit: 9, Search: "c7"}, "7"},
		{"a customer by another case is another", notice.DeliveryPage{After: -1, Limit: 9, Search: "C7"}, ""},
		{"a customer with a state", notice.DeliveryPage{After: -1, Limit: 9, Search: "c7", State: &sent}, ""},
		{"a customer, after them", notice.DeliveryPage{After: 7, Limit: 9, Search: "c7"}, ""},
		{"an address in any case", notice.DeliveryPage{After: -1, Limit: 9, Search: "m3@X.EXAMPLE"}, "3"},
		{"another address", notice.DeliveryPage{After: -1, Limit: 9, Search: "m5@x.example"}, "5"},
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
	got, err := db.Deliveries(t.Context(), id, notice.DeliveryPage{After: -1, Limit: 9, Search: "M6@x.example"})
	if err != nil || seqs(got) != "6" {
		t.Errorf("the primary whose mail went nowhere: %q, %v", seqs(got), err)
	}
}

func TestEachDeliveryIsOfOneMoment(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	const n = 20_000 // more than the connection's buffers hold
	id := db.seed(t, "big", released, n)
	var states []notice.DeliveryState
	err := db.EachDelivery(t.Context(), id, nil, func(d notice.Delivery) error {
		if d.Seq == 0 {
			db.exec(t, `UPDATE chunk SET sent = ~sent, counts = ARRAY[0, 0, hi - lo, 0, 0, 0, 0, 0, 0] WHERE notice_id = $1`, id)
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

func TestNoticesComeByNumberInPages(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(1)
	for _, key := range []string{"a", "b", "c"} {
		d.send(notice.Body{Key: key, Incident: map[bool]string{true: "odd", false: "even"}[key != "b"]})
	}
	for _, tt := range []struct {
		page notice.Page
		want []string
	}{
		{notice.Page{Limit: 2}, []string{"c", "b"}},
		{notice.Page{Limit: 2, Before: d.id - 1}, []string{"a"}},
		{notice.Page{Limit: 9, Incident: "odd"}, []string{"c", "a"}},
		{notice.Page{Limit: 9, Incident: "odd", Before: d.id}, []string{"a"}},
		{notice.Page{Limit: 9, Incident: "none"}, nil},
	} {
		notices, err := d.Notices(t.Context(), tt.page)
		d.must(err)
		var keys []string
		for _, st := range notices {
			keys = append(keys, st.Key)
		}
		if !slices.Equal(keys, tt.want) {
			t.Errorf("%+v: %v, want %v", tt.page, keys, tt.want)
		}
	}
}

// TestAQueryForStatesReadsNoAnswers: where the mails of a chunk left one by one, it has 256 rows of them, which each
// delivery would read.
func TestAQueryForStatesReadsNoAnswers(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	for what, want := range map[string]bool{"count(*) FILTER (WHERE state = 2)": false, "max(reply)": true} {
		plan, err := collectStrings(d, `EXPLAIN SELECT `+what+` FROM delivery`)
		d.must(err)
		if reads := strings.Contains(strings.Join(plan, "\n"), " on answer"); reads != want {
			t.Errorf("%s reads the answers: %v\n%s", what, reads, strings.Join(plan, "\n"))
		}
	}
}
