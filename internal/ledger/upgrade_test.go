package ledger_test

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
	"tocsin/migrations"
)

// rowsVersion is the last schema in which each delivery was a row.
const rowsVersion = 4

// rowsLedger returns a ledger of the version before, with two released notices and every state in their rows. The second
// is cancelled, and its expansion was broken off.
func rowsLedger(t *testing.T, rows int) *desk {
	t.Helper()
	url := testkit.EmptyPostgres(t)
	conn, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	p, err := goose.NewProvider(goose.DialectPostgres, conn, migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), rowsVersion); err != nil {
		t.Fatal(err)
	}
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	d := &desk{t: t, url: url, pool: pool}
	d.exec(`INSERT INTO incident (key, kind) VALUES ('i', 'outage')`)
	for _, n := range []struct {
		key, state string
		expanded   int
	}{{"sending", "sending", rows}, {"cancelled", "cancelled", 2 * ledger.ChunkSize}} {
		d.exec(`INSERT INTO notice (key, incident_id, state, reason, body, texts, message_token, message_domain, released_at, customers, recipients, expanded)
			SELECT $1, id, $2, CASE $2 WHEN 'cancelled' THEN 'cancelled' ELSE '' END, '{"phase": "identified", "kind": "outage"}', '{}', 't-' || $1, 'example.net',
				clock_timestamp() - interval '1 hour', $3, $3, $4 FROM incident`, n.key, n.state, rows, n.expanded)
		d.must(pool.QueryRow(t.Context(), `SELECT id FROM notice WHERE key = $1`, n.key).Scan(&d.id))
		d.exec(`INSERT INTO recipient (notice_id, seq, address_key, address, role, reason, text, language, time_zone, customers)
			SELECT $1, i, CASE WHEN i % 50 <> 49 THEN 'm' || i || '@example.com' END, 'm' || i || '@example.com', 'primary', CASE WHEN i % 50 = 49 THEN 'no_address' ELSE '' END,
				'en', 'en', '', jsonb_build_array(jsonb_build_object('id', 'c' || i, 'name', '', 'attributes', '{}'::jsonb)) FROM generate_series(0, $2::int - 1) i`, d.id, rows)
		// 0 queued … 8 bounced, by seq, in the one that is sending; in the other those that a cancelled one can have.
		d.exec(`INSERT INTO delivery (notice_id, seq, address_key, state, tries, code, epoch, unresolved, dot_by, owed_at, due_at, at, sent_at, reason, relay, enhanced, reply)
			SELECT r.notice_id, r.seq, r.address_key, s, CASE WHEN s IN (0, 6) THEN 0 ELSE 2 END, CASE s WHEN 2 THEN 250 WHEN 3 THEN 451 WHEN 4 THEN 550 ELSE 0 END,
				CASE WHEN s IN (0, 6) THEN 0 ELSE 1000 END, CASE WHEN s = 5 AND r.seq % 2 = 0 THEN 900 ELSE 0 END, n.released_at + interval '20 seconds', n.released_at, n.released_at, n.released_at + interval '10 seconds',
				CASE WHEN s IN (2, 8) THEN n.released_at + interval '9 seconds' END, CASE s WHEN 6 THEN r.reason WHEN 7 THEN 'cancelled' ELSE '' END, CASE WHEN s = 2 THEN 'main' ELSE '' END,
				CASE WHEN s = 2 THEN '2.0.0' ELSE '' END, CASE WHEN s IN (2, 3, 4) THEN 'reply ' || r.seq ELSE '' END
			FROM recipient r JOIN notice n ON n.id = r.notice_id
			CROSS JOIN LATERAL (SELECT CASE WHEN r.reason <> '' THEN 6 WHEN n.state = 'cancelled' THEN (ARRAY[2, 4, 5, 7])[1 + r.seq % 4] ELSE (ARRAY[0, 0, 0, 1, 2, 3, 4, 5, 7, 8])[1 + r.seq % 10] END AS s) s
			WHERE r.notice_id = $1 AND r.seq < $2`, d.id, n.expanded)
		d.exec(`UPDATE delivery SET state = 2, code = 0, enhanced = '', reply = '', reason = 'settled by ann', sent_at = at WHERE notice_id = $1 AND seq % 100 = 7`, d.id)
		d.exec(`INSERT INTO member SELECT c->>'id', notice_id, seq FROM recipient, jsonb_array_elements(customers) c WHERE notice_id = $1 AND seq < $2`, d.id, n.expanded)
		d.exec(`INSERT INTO chunk (notice_id, lo, hi, epoch, open, due_at, counts) SELECT $1, min(seq), max(seq) + 1, 1000, bool_or(state IN (0, 1, 3)), min(due_at), '{0,0,0,0,0,0,0,0,0}'
			FROM delivery WHERE notice_id = $1 GROUP BY seq / 256`, d.id)
	}
	return d
}

// reported lists the rows of a report, in the words of either schema.
func (d *desk) reported(sql string) (all []string) {
	d.t.Helper()
	all, err := collectStrings(d, sql)
	d.must(err)
	return all
}

func collectStrings(d *desk, sql string) (all []string, err error) {
	rows, err := d.pool.Query(d.t.Context(), sql)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// rowStatements are those by which a worker of the version before claims, marks, records and closes.
var rowStatements = []string{
	`WITH c AS (UPDATE chunk SET epoch = epoch + 1, holder = 'old', lease_until = clock_timestamp() + interval '60 seconds' WHERE open AND lease_until IS NULL RETURNING notice_id, lo, hi)
	 UPDATE delivery SET state = 5 FROM c WHERE delivery.notice_id = c.notice_id AND seq >= c.lo AND seq < c.hi AND state = 1`,
	`UPDATE delivery d SET state = 1, epoch = 2000 WHERE d.state IN (0, 3)`,
	`UPDATE delivery SET state = 2 WHERE state = 1`,
	`UPDATE chunk c SET open = false FROM delivery d WHERE d.notice_id = c.notice_id AND d.dot_by IS NOT NULL`,
	`INSERT INTO delivery (notice_id, seq, owed_at, due_at, at) VALUES (1, 1, clock_timestamp(), clock_timestamp(), clock_timestamp())`,
	`INSERT INTO recipient (notice_id, seq, address, role, text, language, time_zone, customers) VALUES (1, 1000000, '', 'primary', '', '', '', '[]')`,
	`UPDATE notice SET expanded = expanded WHERE expanded < recipients`,
}

func TestTheUpgradeCarriesEveryRowOver(t *testing.T) {
	t.Parallel()
	d := rowsLedger(t, testkit.Size(2_000, 100_000))
	const columns = ` notice_id || ' ' || seq || ' ' || coalesce(address_key, '-') || ' ' || CASE state WHEN 1 THEN 5 ELSE state END || ' ' || tries || ' ' || code || ' ' || epoch || ' ' || unresolved
		|| ' ' || reason || ' ' || relay || ' ' || enhanced || ' ' || CASE state WHEN 1 THEN 'no answer was recorded before the worker was lost' ELSE reply END
		|| ' ' || coalesce(sent_at::text, '-') FROM delivery `
	before := d.reported(`SELECT` + columns + `ORDER BY notice_id, seq`)
	files := d.reported(`SELECT pg_relation_filenode('recipient') || ' ' || pg_relation_filenode('recipient_pkey') || ' ' || pg_relation_filenode('member') || ' ' || pg_relation_filenode('member_pkey')`)
	unborn := d.reported(`SELECT r.notice_id || ' ' || r.seq FROM recipient r WHERE NOT EXISTS (SELECT FROM delivery d WHERE d.notice_id = r.notice_id AND d.seq = r.seq)`)

	// While a worker holds a lease nothing is changed.
	d.exec(`UPDATE chunk SET lease_until = clock_timestamp() + interval '1 hour' WHERE id = 1`)
	short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	if _, err := ledger.Migrate(short, d.url); err == nil {
		t.Error("migrated under a lease")
	}
	cancel()
	if again := d.reported(`SELECT` + columns + `ORDER BY notice_id, seq`); len(again) != len(before) {
		t.Error("a migration that was refused changed something")
	}
	d.exec(`UPDATE chunk SET lease_until = clock_timestamp() - interval '1 hour' WHERE id = 1`) // a worker that died

	// Workers of the version before were not stopped, and go on trying.
	trying, stop := context.WithCancel(t.Context())
	var old sync.WaitGroup
	for _, statement := range rowStatements[1:3] {
		old.Go(func() {
			for trying.Err() == nil {
				_, err := d.pool.Exec(trying, `SELECT pg_advisory_xact_lock(99); `+statement+`; SELECT 1/0`) // it dies before its commit
				if err == nil {
					t.Error("it did not die")
				}
			}
		})
	}
	_, err := ledger.Migrate(t.Context(), d.url)
	stop()
	old.Wait()
	d.must(err)
	for _, statement := range rowStatements {
		if _, err := d.pool.Exec(t.Context(), statement); err == nil {
			t.Errorf("a statement of the version before still works: %s", statement)
		} else if e, ok := errors.AsType[*pgconn.PgError](err); !ok || e.Code == "57014" {
			t.Errorf("%v", err)
		}
	}

	after := d.reported(`SELECT` + columns + `WHERE NOT (notice_id = 2 AND seq >= ` + "512" + `) ORDER BY notice_id, seq`)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("the rows (-before +after):\n%s", diff)
	}
	var born int
	d.must(d.pool.QueryRow(t.Context(), `SELECT count(*) FROM delivery WHERE notice_id = 2 AND seq >= 512`).Scan(&born))
	if born != len(unborn) {
		t.Errorf("%d rows that were not expanded are there, want %d", born, len(unborn))
	}

	// The rows are the first part as they stood: their files are the same.
	moved := d.reported(`SELECT pg_relation_filenode('recipient_0') || ' ' || pg_relation_filenode('recipient_0_pkey') || ' ' || pg_relation_filenode('member_0') || ' ' || pg_relation_filenode('member_0_pkey')`)
	if diff := cmp.Diff(files, moved); diff != "" {
		t.Errorf("the files of recipients and members:\n%s", diff)
	}

	// The counts add up, and a claim brings the owed deliveries, and nothing else.
	db, err := ledger.Open(t.Context(), d.url, ledger.Options{})
	d.must(err)
	t.Cleanup(db.Close)
	d.DB = db
	owed := d.reported(`SELECT notice_id || ' ' || seq FROM delivery WHERE notice_id = 1 AND state IN (0, 3) ORDER BY seq`)
	for _, ref := range []string{"sending", "cancelled"} {
		st, err := db.Status(t.Context(), ref)
		d.must(err)
		sum := 0
		for _, n := range st.Counts {
			sum += n
		}
		if sum != st.Recipients || st.Counts["sending"] != 0 || ref == "cancelled" && st.Counts["queued"]+st.Counts["deferred"] != 0 {
			t.Errorf("%s: %v of %d", ref, st.Counts, st.Recipients)
		}
	}
	due := 0
	for work, err := db.Sweep(t.Context()); len(work.Chunks) > 0; work, err = db.Sweep(t.Context()) {
		d.must(err)
		for _, k := range work.Chunks {
			c, ok, err := db.Claim(t.Context(), k.ID, "new")
			d.must(err)
			if !ok {
				t.Fatalf("chunk %d can't be claimed", k.ID)
			}
			var sent []ledger.Outcome
			var marks []ledger.Attempt
			for _, one := range c.Due {
				due++
				marks = append(marks, attempt(c, one.Seq))
				sent = append(sent, ledger.Outcome{Attempt: attempt(c, one.Seq), State: notice.DeliverySent, Heard: time.Now(), Answer: notice.Answer{Code: 250}})
			}
			granted, err := db.Commit(t.Context(), marks, nil)
			d.must(err)
			for i, g := range granted {
				if !g {
					t.Errorf("delivery %d can't be marked", c.Due[i].Seq)
				}
			}
			_, err = db.Commit(t.Context(), nil, sent)
			d.must(err)
			d.closeChunk(c)
		}
	}
	if due != len(owed) {
		t.Errorf("%d deliveries were due, want %d", due, len(owed))
	}
	d.ref = "sending"
	d.wantNotice(notice.Sent)
}

// TestTheFirstPartTakesWhatIsPlannedUntilItStands: programs of the version before go on until the last of its migrations.
func TestTheFirstPartTakesWhatIsPlannedUntilItStands(t *testing.T) {
	t.Parallel()
	const checked = 40
	d := rowsLedger(t, 2_000)
	conn, err := sql.Open("pgx", d.url)
	d.must(err)
	t.Cleanup(func() { conn.Close() })
	p, err := goose.NewProvider(goose.DialectPostgres, conn, migrations.FS)
	d.must(err)
	_, err = p.UpTo(t.Context(), checked)
	d.must(err)
	rows := d.reported(`SELECT count(*)::text FROM recipient UNION ALL SELECT count(*)::text FROM member`)
	d.exec(`INSERT INTO plan (notice_id, state, body, customers, recipients, by_language, suppressed) SELECT notice_id, 'dropped', body, 0, 0, '{}', '{}' FROM plan LIMIT 1`)
	d.exec(`INSERT INTO member SELECT 'planned', max(id), 0 FROM plan`)
	_, err = ledger.Migrate(t.Context(), d.url)
	d.must(err)
	d.exec(`DELETE FROM member WHERE customer_id = 'planned'`)
	if diff := cmp.Diff(rows, d.reported(`SELECT count(*)::text FROM recipient UNION ALL SELECT count(*)::text FROM member`)); diff != "" {
		t.Errorf("rows (-before +after):\n%s", diff)
	}
	d.wantRows(1, `SELECT count(*) FROM part WHERE lo = 0 AND hi > (SELECT max(id) FROM plan) AND hi = (SELECT last_value FROM plan_id_seq)`)
	d.wantRows(2, `SELECT count(*) FROM pg_inherits WHERE inhparent IN ('recipient'::regclass, 'member'::regclass)`)
	d.wantRows(0, `SELECT count(*) FROM pg_constraint WHERE conname = 'first_part'`)
}

func TestAProgramMarksNothingOnASchemaThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	a := attempt(d.claim("a"), 0)
	d.exec(`INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
	if _, err := d.Sweep(t.Context()); err == nil {
		t.Error("the sweep does not say so")
	}
	if d.mark(a) {
		t.Error("it marks under a schema of another version")
	}
	fresh := d.worker("w", &mirror{})
	d.must(fresh.CompareMarks(t.Context()))
	if granted, err := fresh.Commit(t.Context(), []ledger.Attempt{a}, nil); err != nil || granted[0] {
		t.Errorf("a new connection marks: %v, %v", granted, err)
	}
	if err := d.Ready(t.Context()); err == nil {
		t.Error("it is ready")
	}
	d.exec(`DELETE FROM goose_db_version WHERE version_id = 9999`)
	if _, err := d.Sweep(t.Context()); err != nil {
		t.Error(err)
	}
	if !d.mark(a) {
		t.Error("it does not mark any more")
	}
}

// TestTheOtherRowsCanBecomeAFirstPartition as they are, with keys and all: nothing would be copied.
func TestTheOtherRowsCanBecomeAFirstPartition(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	d.deliver()
	for table, by := range map[string]string{"chunk": "notice_id", "outcome": "notice_id", "answer": "notice_id"} {
		d.exec(`CREATE TABLE ` + table + `_all (LIKE ` + table + ` INCLUDING ALL) PARTITION BY RANGE (` + by + `)`)
		d.exec(`ALTER TABLE ` + table + `_all ATTACH PARTITION ` + table + ` FOR VALUES FROM (MINVALUE) TO (1000)`)
	}
}
