package ledger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
)

func TestAReportCountsWhatBecameOfEveryDelivery(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	db.outage(t) // and a second notice of the same incident, with 8 deliveries that are owed
	db.exec(t, `UPDATE outcome SET relay = 'main', enhanced = '5.1.1', reply = 'No such mailbox' WHERE seq = 3`)
	r, err := db.Report(t.Context(), "outage")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Notices) != 1 || r.Incident != "thread" || r.Recipients != 8 || r.Counts["sent"] != 2 || r.Counts["bounced"] != 0 {
		t.Errorf("%+v", r)
	}
	reach := notice.Reach{Reached: 2, NotReached: 3, Open: 3, Percent: 25}
	if diff := cmp.Diff(reach, r.Reach); diff != "" || r.AsOf.IsZero() || r.NotReached != `audience: {notice: "outage", state: [failed, suppressed]}` {
		t.Errorf("as of %v, %q: %s", r.AsOf, r.NotReached, diff)
	}
	languages := map[string]map[string]int{"nl": {"sent": 1}, "en": {"sent": 1, "queued": 3, "failed": 1, "suppressed": 2}}
	if diff := cmp.Diff(languages, r.ByLanguage); diff != "" {
		t.Errorf("by language (-want +got):\n%s", diff)
	}
	outcomes := []notice.Outcomes{
		{State: notice.DeliverySent, Count: 2, Reason: notice.ReasonRetried},
		{State: notice.DeliveryFailed, Count: 1, Reason: notice.ReasonTooLong, Relay: "main", SMTPCode: 550, Enhanced: "5.1.1", SMTPText: "No such mailbox"},
		{State: notice.DeliverySuppressed, Count: 1, Reason: notice.ReasonNoAddress},
		{State: notice.DeliverySuppressed, Count: 1, Reason: notice.ReasonUnreachable},
	}
	if diff := cmp.Diff(outcomes, r.Outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}

	all, err := db.IncidentReport(t.Context(), "thread")
	if err != nil || len(all.Notices) != 2 || all.Notices[0].Key != "outage" || all.Recipients != 16 || all.Reach.Open != 11 || all.NotReached != "" || all.Counts["queued"] != 11 || all.ByLanguage["en"]["queued"] != 11 {
		t.Errorf("of the incident: %+v, %v", all, err)
	}
	if _, err := db.Report(t.Context(), "gone"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("of a notice that is not there: %v", err)
	}
	if _, err := db.IncidentReport(t.Context(), "gone"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("of an incident that is not there: %v", err)
	}
}

// oneByOneSQL counts the deliveries of notice $1 as the view has each of them.
const oneByOneSQL = `
	SELECT r.text, d.state, CASE WHEN d.state <> 2 THEN d.reason WHEN o.tries > 0 THEN 'retried' ELSE '' END,
		CASE WHEN d.state IN (3, 4, 5, 8) THEN coalesce(o.relay, '') ELSE '' END, CASE WHEN d.state IN (3, 4, 5, 8) THEN coalesce(o.code, 0) ELSE 0 END,
		CASE WHEN d.state IN (3, 4, 5, 8) THEN coalesce(o.enhanced, '') ELSE '' END,
		coalesce(min(o.reply) FILTER (WHERE d.state IN (3, 4, 5, 8)), ''), count(*)
	FROM notice n JOIN delivery d ON d.notice_id = n.id JOIN recipient r ON r.plan_id = n.plan_id AND r.seq = d.seq
	LEFT JOIN outcome o ON o.notice_id = n.id AND o.seq = d.seq
	WHERE n.id = $1 GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 8 DESC, 1, 2, 3, 4, 5, 6`

// TestAReportCountsAsTheDeliveriesSay, whatever bits and outcomes a chunk has: of a notice that is sent, and of one that was cancelled.
func TestAReportCountsAsTheDeliveriesSay(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	id := db.seed(t, "n", released, 3_000)
	for _, change := range []string{
		`SELECT setseed(0.5)`,
		`UPDATE recipient SET text = (ARRAY['en', 'nl', 'de'])[1 + seq % 3], address_key = CASE seq % 11 WHEN 0 THEN 'erased:' || seq WHEN 1 THEN 'm' || seq || '@listed.example' ELSE address_key END`,
		`INSERT INTO suppression (address_key, reason, added_by, scope) VALUES ('*@listed.example', 'r', 'x', 'all'), ('m5@x.example', 'r', 'x', 'all'), ('m6@x.example', 'r', 'x', 'advisory')`,
		`UPDATE chunk SET epoch = 5, sent = b.sent, dots = b.dots, stopped = b.stopped FROM (
			SELECT id, string_agg((random() < 0.4)::int::text, '')::varbit AS sent, string_agg((random() < 0.3)::int::text, '')::varbit AS dots,
				string_agg((random() < 0.3)::int::text, '')::varbit AS stopped FROM chunk, generate_series(lo, hi - 1) GROUP BY id) b WHERE b.id = chunk.id`,
		`INSERT INTO outcome (notice_id, seq, state, tries, epoch, code, relay, enhanced, reply, reason, bounce)
			SELECT notice_id, seq, s, random() * 2, 3 + random() * 4, CASE WHEN s IN (3, 4, 8) THEN 450 + (random() * 2)::int ELSE 0 END, CASE WHEN random() < 0.5 THEN 'main' ELSE '' END, '',
				'reply ' || (random() * 3)::int, CASE WHEN s = 6 THEN 'no_address' WHEN random() < 0.2 THEN 'tried_too_long' ELSE '' END, CASE WHEN s = 8 THEN 'full' END
			FROM (SELECT notice_id, seq, (ARRAY[0, 2, 3, 4, 5, 6, 7, 8])[1 + floor(random() * 8)::int] AS s FROM chunk, generate_series(lo, hi - 1) seq WHERE random() < 0.6) r`,
	} {
		db.exec(t, change)
	}
	for _, state := range []string{"sending", "cancelled"} {
		db.exec(t, `UPDATE notice SET state = $2, reason = CASE $2 WHEN 'cancelled' THEN 'expired' ELSE '' END WHERE id = $1`, id, state)
		db.recount(t, id)
		want := notice.NewReport(nil)
		rows, _ := db.pool.Query(t.Context(), oneByOneSQL, id)
		var language string
		var o notice.Outcomes
		_, err := pgx.ForEachRow(rows, []any{&language, &o.State, &o.Reason, &o.Relay, &o.SMTPCode, &o.Enhanced, &o.SMTPText, &o.Count}, func() error {
			want.Add(language, o)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := db.Report(t.Context(), "n")
		if err != nil {
			t.Fatal(err)
		}
		for _, all := range [][]notice.Outcomes{want.Outcomes, got.Outcomes} {
			for i := range all {
				all[i].SMTPText, _, _ = strings.Cut(all[i].SMTPText, " ") // it is one of several
			}
		}
		bySort := cmpopts.SortSlices(func(a, b notice.Outcomes) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
		if diff := cmp.Diff(want.ByLanguage, got.ByLanguage) + cmp.Diff(want.Outcomes, got.Outcomes, bySort); diff != "" {
			t.Errorf("%s (-the deliveries +the report):\n%s", state, diff)
		}
		sums := map[string]int{}
		for _, counts := range got.ByLanguage {
			for s, n := range counts {
				sums[s] += n
			}
		}
		for s, n := range got.Counts {
			if sums[s] != n || n == 0 && s != "suppressed" {
				t.Errorf("%s: %d are %s by language, %d in all", state, sums[s], s, n)
			}
		}
	}
}
