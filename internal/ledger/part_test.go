package ledger_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// inParts is a desk where plans of five recipients and more have tables of their own.
func inParts(t *testing.T, customers int) *desk {
	t.Helper()
	d := open(t)
	d.customers(customers)
	d.exec(`ANALYZE customer`)
	db, err := ledger.Open(t.Context(), d.url, ledger.Options{MaxConns: 12, OwnRows: 5})
	d.must(err)
	t.Cleanup(db.Close)
	d.DB = db
	return d
}

// those are the customers from one number to another.
func those(from, to int) (c ledger.Choice) {
	for i := from; i <= to; i++ {
		c.Customers = append(c.Customers, fmt.Sprint("c", i))
	}
	return c
}

// part names the tables that hold the recipients of a notice.
func (d *desk) part(id int64) (name string) {
	d.t.Helper()
	d.must(d.pool.QueryRow(d.t.Context(), `SELECT coalesce(string_agg(DISTINCT tableoid::regclass::text, ' '), '') FROM recipient WHERE plan_id = (SELECT plan_id FROM notice WHERE id = $1)`, id).Scan(&name))
	return name
}

// TestALargePlanHasTablesOfItsOwn, which are dropped with it. Small ones share theirs: of these the rows are deleted, and the tables
// are dropped when nothing is left in them.
func TestALargePlanHasTablesOfItsOwn(t *testing.T) {
	t.Parallel()
	d := inParts(t, 20)
	parts := map[string]string{}
	ids := map[string]int64{}
	for _, n := range []struct {
		key      string
		from, to int
	}{{"small1", 1, 2}, {"large1", 1, 10}, {"small2", 1, 3}, {"small3", 2, 4}, {"large2", 5, 12}} {
		d.sendTo(notice.Body{Key: n.key}, those(n.from, n.to))
		d.deliver()
		ids[n.key], parts[n.key] = d.id, d.part(d.id)
	}
	if parts["small2"] != parts["small3"] || parts["small2"] == parts["small1"] || strings.Contains(fmt.Sprint(parts), "recipient_0") {
		t.Errorf("they stand in %v", parts)
	}
	alone := func(key string) {
		t.Helper()
		for other, part := range parts {
			if other != key && part == parts[key] {
				t.Errorf("%s shares its tables with %s", key, other)
			}
		}
	}
	alone("large1")
	alone("large2")
	gone := func(key string, want bool) {
		t.Helper()
		for _, table := range []string{parts[key], strings.Replace(parts[key], "recipient", "member", 1)} {
			d.wantRows(map[bool]int{true: 0, false: 1}[want], `SELECT count(*) FROM pg_class WHERE relname = $1`, table)
		}
	}
	dropOne := func(key string, rows int) {
		t.Helper()
		d.id = ids[key]
		d.age("2 years")
		if n := d.drop(); n != rows || d.rowsOf(d.id) != 0 {
			t.Errorf("%s: %d rows were dropped, %d are left", key, n, d.rowsOf(d.id))
		}
		d.wantRows(0, `SELECT count(*) FROM sieve WHERE plan_id = (SELECT plan_id FROM notice WHERE id = $1)`, d.id)
	}
	dropOne("large1", 10)
	gone("large1", true)
	dropOne("small2", 3)
	gone("small2", false)
	dropOne("large2", 8) // the last one
	gone("large2", true)
	history, err := d.History(t.Context(), "c2", "c2@example.com")
	d.must(err)
	if len(history) != 2 || history[0].Key != "small3" || history[1].Key != "small1" {
		t.Errorf("the history is %+v", history)
	}
	dropOne("small3", 3)
	gone("small3", true)
	d.sendTo(notice.Body{Key: "again"}, those(1, 2))
	if p := d.part(d.id); p == "" || p == parts["large2"] || p == parts["small3"] {
		t.Errorf("a plan stands in %q", p)
	}
}

// TestAUserWhoOwnsNothingPlansAndDrops: one who has no rights but to read and write rows makes parts by a function of their owner,
// and deletes the rows of old plans, which the owner would drop with their tables.
func TestAUserWhoOwnsNothingPlansAndDrops(t *testing.T) {
	t.Parallel()
	d := inParts(t, 20)
	u, err := url.Parse(d.url)
	d.must(err)
	role := "limited_" + strings.Trim(u.Path, "/")
	d.exec(`CREATE ROLE ` + role + ` LOGIN`)
	t.Cleanup(func() {
		_, _ = d.pool.Exec(context.Background(), `DROP OWNED BY `+role+`; DROP ROLE `+role, pgx.QueryExecModeSimpleProtocol) // its server ends with the test anyway
	})
	d.exec(`GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO ` + role)
	u.User = url.User(role)
	limited, err := ledger.Open(t.Context(), u.String(), ledger.Options{MaxConns: 12, OwnRows: 5})
	d.must(err)
	t.Cleanup(limited.Close)
	owner := d.DB
	d.DB = limited
	d.sendTo(notice.Body{Key: "small"}, those(1, 3))
	d.deliver()
	d.sendTo(notice.Body{Key: "large"}, those(1, 10))
	d.deliver()
	large, part := d.id, d.part(d.id)
	d.age("2 years")
	d.sendTo(notice.Body{Key: "next"}, those(1, 2))
	if n := d.drop(); n != 10 || d.rowsOf(large) != 0 {
		t.Errorf("%d rows were dropped, %d are left", n, d.rowsOf(large))
	}
	d.wantRows(1, `SELECT count(*) FROM pg_class WHERE relname = $1`, part)
	d.DB = owner
	d.drop()
	d.wantRows(0, `SELECT count(*) FROM pg_class WHERE relname = $1`, part)
}

// TestAPartThatBrokeOffIsDroppedLater: its table was detached in part, or is detached, and still there.
func TestAPartThatBrokeOffIsDroppedLater(t *testing.T) {
	t.Parallel()
	d := inParts(t, 20)
	d.sendTo(notice.Body{Key: "one"}, those(1, 10))
	d.drop() // the first part, in which nothing stands
	d.wantRows(0, `SELECT count(*) FROM part WHERE lo = 0`)
	d.deliver()
	one := d.id
	part := d.part(one)
	d.age("2 years")

	// Somebody reads the rows: all that waits gives up.
	reader, err := d.pool.Begin(t.Context())
	d.must(err)
	_, err = reader.Exec(t.Context(), `SELECT FROM recipient LIMIT 1`)
	d.must(err)
	d.drop()
	d.wantRows(1, `SELECT count(*) FROM part WHERE going`)
	d.wantRows(1, `SELECT count(*) FROM pg_class WHERE relname = $1`, part)
	d.wantRows(0, `SELECT count(*) FROM recipient WHERE plan_id = (SELECT plan_id FROM notice WHERE id = $1)`, one)

	// Others plan, release and are dropped meanwhile.
	d.sendTo(notice.Body{Key: "two"}, those(1, 10))
	d.deliver()
	d.age("2 years")
	d.must(reader.Rollback(t.Context()))
	d.drop()
	d.wantRows(0, `SELECT count(*) FROM part WHERE going`)
	d.wantRows(0, `SELECT count(*) FROM pg_class WHERE relname = $1`, part)
	d.wantRows(0, `SELECT count(*) FROM recipient`)
}

// TestPlansAreWrittenWhilePartsAreDropped: none is lost, and none finds its part gone.
func TestPlansAreWrittenWhilePartsAreDropped(t *testing.T) {
	t.Parallel()
	d := inParts(t, 40)
	var dropping sync.WaitGroup
	done := make(chan struct{})
	dropping.Go(func() {
		for {
			if _, _, err := d.DropOldPlans(t.Context(), time.Nanosecond); err != nil {
				t.Errorf("drop: %v", err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	b := d.draft("n", "")
	id := d.id
	for i := range 30 {
		c := those(1, 3)
		if i%2 == 0 {
			c = those(1, 10)
		}
		a := all(b)
		a.Choice = c
		p, err := d.Freeze(t.Context(), id, a)
		d.must(err)
		if p.Recipients != len(c.Customers) {
			t.Errorf("a plan of %d has %d recipients", len(c.Customers), p.Recipients)
		}
	}
	close(done)
	dropping.Wait()
	d.dropPlans()
	d.wantRows(0, `SELECT count(*) FROM pg_class c WHERE relname ~ '^(recipient|member)_[0-9]+$' AND NOT EXISTS (SELECT FROM part WHERE relname ~ ('_' || lo || '$'))`)
}

// TestTheSieveFindsEveryKey, and few plans besides. The schema's functions and the writer agree.
func TestTheSieveFindsEveryKey(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 3, 5000} {
		d := open(t)
		d.customers(n)
		d.send(notice.Body{Key: "n"})
		d.wantRows(0, `SELECT count(*) FROM recipient r WHERE r.plan_id NOT IN (SELECT sieved('mailbox ' || r.address_key))`)
		d.wantRows(0, `SELECT count(*) FROM member m WHERE m.plan_id NOT IN (SELECT sieved('customer ' || m.customer_id))`)
		var wrong int
		d.must(d.pool.QueryRow(t.Context(), `SELECT count(*) FROM generate_series(1, 2000) i, sieved('customer x' || i)`).Scan(&wrong))
		if wrong > 20 {
			t.Errorf("%d of 2000 customers who are not on a plan of %d are looked for there", wrong, n)
		}
		d.deliver()
		d.addNew("c1", "other@x.example")
		d.wantRows(1, `SELECT count(*) FROM mails_of('other@x.example')`)
		d.wantRows(n, `SELECT count(*) FROM customer c, members_of(c.id)`)
	}
}

// TestOnlyThePartOfAPlanIsRead, in a ledger of many: a statement that were planned for all of them would open the indexes of each.
func TestOnlyThePartOfAPlanIsRead(t *testing.T) {
	t.Parallel()
	d := inParts(t, 60)
	ctx := t.Context()
	for i := range 4 {
		d.sendTo(notice.Body{Key: fmt.Sprint("other", i)}, those(10*i+1, 10*i+10))
		d.deliver()
	}
	body := notice.Body{Key: "new", Incident: "new"}
	d.sendTo(body, those(50, 60))
	parts := []string{d.part(d.id)}
	options := ledger.Options{MaxConns: 1, OwnRows: 5}
	only := func(what string, do func(db *ledger.DB) error) {
		t.Helper()
		n := d.blocksOf(`relname ~ '^(recipient|member)_[1-9][0-9]*$' AND substring(relname FROM '[0-9]+') <> ALL ('{`+numbers(parts)+`}')`, what, options, do)
		if n > 0 {
			t.Errorf("%s: %d blocks of other parts", what, n)
		}
	}
	d.quiet()
	id := d.id
	chunks := d.chunksWhere(`true`)
	for _, worker := range []string{"", "counted"} {
		options.Worker = worker
		only("a page", func(db *ledger.DB) error {
			_, err := db.Deliveries(ctx, id, notice.DeliveryPage{After: -1, Limit: 100})
			return err
		})
		only("a page in a language", func(db *ledger.DB) error {
			_, err := db.Deliveries(ctx, id, notice.DeliveryPage{After: -1, Limit: 100, Language: "en"})
			return err
		})
		only("a search", func(db *ledger.DB) error {
			_, err := db.Deliveries(ctx, id, notice.DeliveryPage{After: -1, Limit: 100, Search: "c55@example.com"})
			return err
		})
		only("a history", func(db *ledger.DB) error { _, err := db.History(ctx, "c55", "c55@example.com"); return err })
		only("a message", func(db *ledger.DB) error { _, err := db.Message(ctx, id, 3); return err })
		only("status", func(db *ledger.DB) error { _, err := db.Status(ctx, "new"); return err })
		only("a report", func(db *ledger.DB) error { _, err := db.Report(ctx, "new"); return err })
		only("all rows", func(db *ledger.DB) error {
			return db.EachDelivery(ctx, id, nil, func(notice.Delivery) error { return nil })
		})
		only("standing", func(db *ledger.DB) error { _, err := db.Standing(ctx); return err })
		only("sweep", func(db *ledger.DB) error { _, err := db.Sweep(ctx); return err })
		only("a claim", func(db *ledger.DB) error {
			for _, chunk := range chunks {
				d.exec(`UPDATE chunk SET lease_until = NULL WHERE id = $1`, chunk)
				c, ok, err := db.Claim(ctx, chunk, "w")
				if err != nil || !ok && worker == "" {
					return fmt.Errorf("claim: %v, %w", ok, err)
				}
				var marks []ledger.Attempt
				for _, due := range c.Due[:min(2, len(c.Due))] {
					marks = append(marks, attempt(c, due.Seq))
				}
				if _, err := db.Commit(ctx, marks, nil); err != nil {
					return err
				}
				if _, err := db.CloseChunk(ctx, c); err != nil {
					return err
				}
			}
			return nil
		})
		only("what is uncertain", func(db *ledger.DB) error { _, err := db.Uncertain(ctx, "new", -1, 10); return err })
		only("settle", func(db *ledger.DB) error {
			_, err := db.Settle(ctx, id, notice.Settlement{Requeue: true, Address: "c51@example.com"}, "c51@example.com", "op")
			return err
		})
		only("a bounce", func(db *ledger.DB) error {
			_, err := db.Return(ctx, ledger.Returned{NoticeID: id, Seq: 5, Kind: notice.KindBounce, Class: notice.BounceFull})
			return err
		})
		only("suppress", func(db *ledger.DB) error { _, _, err := db.Suppress(ctx, never("c58@example.com"), "x"); return err })
		only("suppress a domain", func(db *ledger.DB) error { _, _, err := db.Suppress(ctx, never("*@x.example"), "x"); return err })
	}
	options.Worker = ""
	only("an erasure", func(db *ledger.DB) error {
		if err := db.DeleteCustomer(ctx, "c60"); notice.CodeOf(err) != notice.CodeNotFound {
			return err
		}
		return nil
	})
	d.sendTo(notice.Body{Key: "later", Incident: "new", Phase: "monitoring"}, those(50, 59))
	var next string
	d.must(d.pool.QueryRow(ctx, `SELECT 'recipient_' || max(hi) FROM part`).Scan(&next))
	parts = append(parts, d.part(d.id), next)
	d.quiet()
	only("a later phase", func(db *ledger.DB) error {
		d.sendThrough(db, notice.Body{Key: "last", Incident: "new", Phase: "resolved"}, those(50, 59))
		return nil
	})
	only("a report of the incident", func(db *ledger.DB) error { _, err := db.IncidentReport(ctx, "new"); return err })
	only("cancel", func(db *ledger.DB) error { return db.Cancel(ctx, d.id, "op") })
}

// TestEachStatementNamesItsPlan: none of ours that reads or changes a table with parts leaves its plan to a parameter or a join.
func TestEachStatementNamesItsPlan(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	statement := regexp.MustCompile(`\b(FROM|JOIN|UPDATE|USING) (recipient|member)\b`)
	named := regexp.MustCompile(`plan_id (= (\{plan\}|\{by\}|%d)|IN \(\{plan\}, \{now\}\))`)
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		for _, at := range statement.FindAllIndex(text, -1) {
			if found++; !named.Match(text[at[1]:min(len(text), at[1]+300)]) {
				t.Errorf("%s: %s… names no plan", file, text[at[0]:min(len(text), at[1]+60)])
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d statements were found", found)
	}
}

// quiet ends the sessions of the desk, so that all that they did is counted.
func (d *desk) quiet() {
	d.t.Helper()
	d.DB.Close()
	d.pool.Reset()
	for ended := false; !ended; {
		d.must(d.pool.QueryRow(d.t.Context(), `SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'`).Scan(&ended))
	}
	db, err := ledger.Open(d.t.Context(), d.url, ledger.Options{MaxConns: 12, OwnRows: 5})
	d.must(err)
	d.t.Cleanup(db.Close)
	d.DB = db
}

// numbers are the numbers of parts, with commas between.
func numbers(parts []string) string {
	all := strings.Join(parts, ",")
	return strings.ReplaceAll(all, "recipient_", "")
}
