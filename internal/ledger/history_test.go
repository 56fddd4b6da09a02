package ledger_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

func TestHistoryIsNewestFirstAndForgetsWhoWasErased(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	// The numbers are in another order than the releases.
	for i, key := range []string{"second", "first", "third"} {
		id := db.seed(t, key, released.Add([]time.Duration{2, 1, 3}[i]*time.Hour), 3)
		db.exec(t, `UPDATE recipient SET text = 'nl' WHERE plan_id = 1000 - $1 AND seq = 1`, id)
	}
	third, err := db.Find(t.Context(), "third")
	if err != nil {
		t.Fatal(err)
	}
	// By the third notice, customers c0 and c1 shared a mailbox.
	db.exec(t, `UPDATE member SET seq = 1 WHERE plan_id = 1000 - $1 AND customer_id = 'c0'`, third)
	db.exec(t, `UPDATE recipient SET customers = '[{"id": "c0"}, {"id": "c1"}]' WHERE plan_id = 1000 - $1 AND seq = 1`, third)
	db.put(t, notice.Customer{ID: "c0"}, notice.Customer{ID: "m1@x.example"})
	if err := db.DeleteCustomer(t.Context(), "c0"); err != nil {
		t.Fatal(err)
	}
	db.seed(t, "oldest", released, 3)

	for _, c := range []struct{ name, asked, key, want string }{
		{"a customer", "c2", "", "third/2 second/2 first/2 oldest/2"},
		{"one who was erased, and is back on one notice", "c0", "", "oldest/0"},
		{"an address", "M1@X.example", "m1@x.example", "third/1 second/1 first/1 oldest/1"},
		{"an id that looks like an address", "m1@x.example", "m1@x.example", "third/1 second/1 first/1 oldest/1"},
		{"nobody", "c99", "", ""},
		{"an unknown address", "x@y.example", "x@y.example", ""},
		{"the empty address is nobody's", "", "", ""},
		{"what can stand nowhere", "\x00", "", ""},
	} {
		got, err := db.History(t.Context(), c.asked, c.key)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		var told []string
		for _, e := range got {
			told = append(told, fmt.Sprintf("%s/%d", e.Key, e.Delivery.Seq))
		}
		if got == nil || strings.Join(told, " ") != c.want {
			t.Errorf("%s: %q, want %q", c.name, told, c.want)
		}
	}

	got, err := db.History(t.Context(), "c1", "")
	if err != nil || len(got) == 0 {
		t.Fatal(got, err)
	}
	e := got[0]
	if e.Number != third || e.Kind != notice.Outage || e.Phase != "identified" || e.Subject != "Mail ligt plat" ||
		e.Delivery.MessageID != "<token-third.1@example.net>" || strings.Join(e.Delivery.Customers, " ") != "c1 (erased)" {
		t.Errorf("the newest entry is %+v", e)
	}
}

func TestHistoryShowsThePrimaryWhatWentElsewhere(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	id := db.outage(t)
	db.exec(t, `UPDATE notice SET plan_id = NULL, state = 'scheduled' WHERE id <> $1`, id)
	db.put(t, notice.Customer{ID: "c1", Email: "m1@x.example"}, notice.Customer{ID: "c6", Email: "m6@x.example"}, notice.Customer{ID: "c3", Email: "new@x.example"})
	for address, want := range map[string]string{
		"m1@x.example":  "sent alternate Else@where.example",
		"m6@x.example":  "suppressed unreachable M6@x.example",
		"new@x.example": "", // c3 was written to at its old address: nothing belongs to this one
	} {
		got, err := db.History(t.Context(), address, address)
		if err != nil {
			t.Fatal(err)
		}
		told := ""
		for _, e := range got {
			told += strings.TrimSpace(fmt.Sprint(e.Delivery.State, " ", e.Delivery.Reason, " ", e.Delivery.Address))
		}
		if told != want {
			t.Errorf("%s: %q, want %q", address, told, want)
		}
	}
}

func TestHistoryReadsNoTableThrough(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	for i := range 50 {
		db.seed(t, fmt.Sprintf("n%d", i), released, 400)
	}
	db.exec(t, `INSERT INTO customer (id, email, email_key)
		SELECT 'c' || i, 'm' || i || '@x.example', 'm' || i || '@x.example' FROM generate_series(1, 5000) i`)
	conn, err := db.pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`SET enable_seqscan = off`) // as the ledger's connections have it
	exec(`PREPARE history (text, text, bigint) AS ` + ledger.HistorySQL)
	for _, statistics := range []string{"", "ANALYZE"} { // right after a release there are none
		exec(statistics)
		for _, mode := range []string{"force_custom_plan", "force_generic_plan"} {
			exec(`SET plan_cache_mode = ` + mode)
			for _, args := range []string{"'c7', '', 0", "'m7@x.example', 'm7@x.example', 0", "'c7', 'c7', 3"} {
				rows, err := conn.Query(t.Context(), `EXPLAIN EXECUTE history (`+args+`)`)
				if err != nil {
					t.Fatal(err)
				}
				plan := collectText(t, rows)
				for _, table := range []string{"chunk", "outcome", "answer", "recipient", "member", "customer"} {
					if strings.Contains(plan, "Seq Scan on "+table) {
						t.Errorf("%q statistics, %s, (%s): reads all of %s\n%s", statistics, mode, args, table, plan)
					}
				}
			}
		}
	}
}

func collectText(t *testing.T, rows pgx.Rows) string {
	t.Helper()
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
