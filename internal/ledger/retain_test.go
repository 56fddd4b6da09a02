package ledger_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

const year = 365 * 24 * time.Hour

// age makes everything older.
func (d *desk) age(ago string) {
	d.t.Helper()
	d.exec(`UPDATE notice SET released_at = released_at - $1::interval, send_at = send_at - $1::interval WHERE id = $2`, ago, d.id)
	d.exec(`UPDATE outcome SET at = at - $1::interval, sent_at = sent_at - $1::interval WHERE notice_id = $2`, ago, d.id)
	d.exec(`UPDATE answer SET at = at - $1::interval WHERE notice_id = $2`, ago, d.id)
	d.exec(`UPDATE chunk SET first_sent_at = first_sent_at - $1::interval, last_sent_at = last_sent_at - $1::interval WHERE notice_id = $2`, ago, d.id)
}

func (d *desk) drop() (rows int) {
	d.t.Helper()
	for more := true; more; {
		var n int
		var err error
		n, more, err = d.DropOldRows(d.t.Context(), year)
		d.must(err)
		rows += n
	}
	return rows
}

func (d *desk) rowsOf(id int64) (n int) {
	d.t.Helper()
	d.must(d.pool.QueryRow(d.t.Context(), `SELECT (SELECT count(*) FROM recipient r JOIN notice n ON n.plan_id = r.plan_id WHERE n.id = $1)
		+ (SELECT count(*) FROM member m JOIN notice n ON n.plan_id = m.plan_id WHERE n.id = $1) + (SELECT count(*) FROM outcome WHERE notice_id = $1)
		+ (SELECT count(*) FROM answer WHERE notice_id = $1) + (SELECT count(*) FROM chunk WHERE notice_id = $1)`, id).Scan(&n))
	return n
}

func TestTheRowsOfOldNoticesAreDroppedAndTheirCountsKept(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	const n = 12_000 // three slices, of several chunks
	d.customers(n)
	d.exec(`UPDATE customer SET email = '', email_key = '' WHERE id = 'c7'`)
	d.send(notice.Body{Key: "old", Incident: "thread"})
	old := d.id
	d.exec(`INSERT INTO outcome (notice_id, seq, state, epoch, tries, sent_at)
		SELECT notice_id, seq, CASE WHEN seq % 10 = 1 THEN 5 WHEN seq % 10 = 2 THEN 4 ELSE 2 END, 1, 1, CASE WHEN seq % 10 > 2 THEN clock_timestamp() END
		FROM delivery WHERE notice_id = $1 AND state = 0`, old)
	rows, err := d.pool.Query(ctx, `SELECT id, lo FROM chunk WHERE notice_id = $1`, old)
	d.must(err)
	firsts := map[int64]int{}
	var chunk int64
	var lo int
	_, err = pgx.ForEachRow(rows, []any{&chunk, &lo}, func() error { firsts[chunk] = lo; return nil })
	d.must(err)
	for chunk, lo := range firsts { // an answer that changes nothing has the chunk counted
		a := ledger.Attempt{NoticeID: old, Seq: lo, ChunkID: chunk, Epoch: -1}
		_, err := d.Commit(ctx, nil, []ledger.Outcome{{Attempt: a, State: notice.DeliveryUncertain, Heard: time.Now()}})
		d.must(err)
	}
	d.must(d.Finish(ctx, old))
	d.wantNotice(notice.Sent)
	d.age("400 days")
	d.sendTo(notice.Body{Key: "young", Incident: "thread"}, ledger.Choice{Filter: column("id", notice.FilterEq, "c1")})
	young := d.id
	d.deliver()
	d.wantNotice(notice.Sent)
	before, err := d.Status(ctx, "old")
	d.must(err)
	if before.Counts["uncertain"] == 0 || before.Counts["failed"] == 0 || before.Counts["suppressed"] != 1 || before.FirstSentAt == nil {
		t.Fatalf("before: %+v", before)
	}

	// At every step the status is the same but for the time at which rows were dropped.
	dropped := 0
	for more := true; more; {
		var k int
		k, more, err = d.DropOldRows(ctx, year)
		d.must(err)
		dropped += k
		st, err := d.Status(ctx, "old")
		d.must(err)
		if st.RowsDroppedAt == nil {
			t.Fatal("it does not say that its rows are gone")
		}
		st.RowsDroppedAt = nil
		if diff := cmp.Diff(before, st); diff != "" {
			t.Fatalf("after %d rows (-want +got):\n%s", dropped, diff)
		}
	}
	if dropped != n || d.rowsOf(old) != 0 {
		t.Errorf("%d rows were dropped, %d are left", dropped, d.rowsOf(old))
	}
	if d.rowsOf(young) == 0 {
		t.Error("the young notice lost its rows")
	}
	if page, err := d.Deliveries(ctx, old, notice.DeliveryPage{After: -1, Limit: 10}); err != nil || len(page) != 0 {
		t.Errorf("its deliveries are %v, %v", page, err)
	}
	for _, s := range []notice.Settlement{{Requeue: true, AllUncertain: true}, {Sent: true, Address: "c1@example.com"}} {
		if _, err := d.Settle(ctx, old, s, "c1@example.com", "op"); notice.CodeOf(err) != notice.CodeConflict {
			t.Errorf("settled: %v", err)
		}
	}

	// The key stays taken.
	b := notice.Body{Key: "old", Incident: "thread", Kind: notice.Outage, Phase: "identified", DefaultLanguage: "en"}
	if released, same, err := d.Released(ctx, b); !released || !same || err != nil {
		t.Errorf("the same body: %v, %v, %v", released, same, err)
	}
	b.Severity = "major"
	if _, _, err := d.PutDraft(ctx, ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"}); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("another body: %v", err)
	}
	if released, err := d.Release(ctx, old, all(b), ledger.Press{Domain: "example.net", Who: "test"}); released || err != nil {
		t.Errorf("released again: %v, %v", released, err)
	}
	d.must(d.DeleteCustomer(ctx, "c1"))
	d.exec(`UPDATE notice SET released_at = released_at + interval '400 days' WHERE id = $1`, young) // it is the one before
	p, err := d.Plan(ctx, all(notice.Body{Key: "next", Incident: "other"}))
	if err != nil || p.Previous != nil {
		t.Errorf("another thread: %+v, %v", p.Previous, err)
	}
}

func TestWhatIsNotOldOrNotFinishedKeepsItsRows(t *testing.T) {
	t.Parallel()
	tests := map[string]func(d *desk){
		"young":      func(d *desk) { d.deliver(); d.age("364 days") },
		"still owed": func(d *desk) { d.age("400 days") },
		"paused":     func(d *desk) { d.age("400 days"); d.must(d.Pause(d.t.Context(), d.id, "test")) },
		"cancelled, and a mark is out": func(d *desk) {
			c := d.claim("w")
			d.mark(attempt(c, 0))
			d.age("400 days")
			d.must(d.Cancel(d.t.Context(), d.id, "test"))
		},
		"requeued a while ago": func(d *desk) { d.age("400 days"); d.deliver() },
		"a claim is under way": func(d *desk) {
			c := d.claim("w")
			d.age("400 days")
			d.exec(`UPDATE notice SET state = 'sent'`)
			_ = c
		},
	}
	for name, prepare := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := release(t, 3)
			prepare(d)
			rows := d.rowsOf(d.id)
			if n := d.drop(); n != 0 || d.rowsOf(d.id) != rows {
				t.Errorf("%d rows were dropped, %d of %d are left", n, d.rowsOf(d.id), rows)
			}
		})
	}
	t.Run("cancelled, and old", func(t *testing.T) {
		t.Parallel()
		d := release(t, 3)
		d.must(d.Cancel(t.Context(), d.id, "test"))
		d.age("400 days")
		if n := d.drop(); n != 3 {
			t.Errorf("%d rows were dropped", n)
		}
		d.wantCounts(map[string]int{"cancelled": 3})
	})
}

func TestTheDryRunSaysThatTheNoticeBeforeHasNoRows(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	d.deliver()
	d.age("400 days")
	d.drop()
	p, err := d.Plan(t.Context(), all(notice.Body{Key: "n2", Incident: "n1"}))
	d.must(err)
	if p.Previous == nil || p.Previous.Key != "n1" || p.Previous.RowsDroppedAt == nil || p.Previous.New != 0 {
		t.Errorf("the difference is %s", fmt.Sprintf("%+v", p.Previous))
	}
	n, err := d.Notice(t.Context(), d.id)
	if d.must(err); n.RowsDroppedAt == nil {
		t.Error("the notice does not say that its rows are gone")
	}
}
