package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// dump is every table of the database in bytes, with the samples that Postgres keeps for its planner.
func (s *system) dump() map[string][]byte {
	s.t.Helper()
	conn, ctx := s.connect(), s.t.Context()
	defer conn.Close(ctx)
	rows, _ := conn.Query(ctx, `SELECT oid::regclass::text FROM pg_class
		WHERE relkind IN ('r', 'm') AND (relnamespace NOT IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace) OR relname = 'pg_statistic')`)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, table := range tables {
		from := table
		if table == "pg_statistic" { // its anyarrays have no binary form
			from = "(SELECT st::text FROM pg_statistic st)"
		}
		var b bytes.Buffer
		if _, err := conn.PgConn().CopyTo(ctx, &b, "COPY "+from+" TO STDOUT (FORMAT binary)"); err != nil {
			s.t.Fatal(err)
		}
		all[table] = bytes.ToLower(b.Bytes())
	}
	return all
}

// analyze has Postgres take new samples of all tables.
func (s *system) analyze() {
	s.t.Helper()
	conn := s.connect()
	defer conn.Close(s.t.Context())
	if _, err := conn.Exec(s.t.Context(), "ANALYZE"); err != nil {
		s.t.Fatal(err)
	}
}

// withParts is a table of a dump with the tables of its parts, such as recipient_17.
func withParts(dump map[string][]byte, table string) (rows string) {
	for name, part := range dump {
		if strings.TrimRight(strings.TrimPrefix(name, table), "_0123456789") == "" {
			rows += string(part)
		}
	}
	return rows
}

// wantNowhere checks that no table holds one of the words.
func (s *system) wantNowhere(words ...string) {
	s.t.Helper()
	for table, rows := range s.dump() {
		for _, w := range words {
			if at := bytes.Index(rows, []byte(w)); at >= 0 {
				s.t.Errorf("%q is in %s: %q", w, table, rows[max(0, at-60):min(len(rows), at+60)])
			}
		}
	}
}

// comesBack takes in reports about each mail: it was delivered, its reader complains, it bounced. All of them name the
// address, and a server of its domain.
func (s *system) comesBack(mails ...sink.Mail) {
	s.t.Helper()
	for _, m := range mails {
		to := m.RcptTo[0]
		host := "mx." + strings.ToLower(to[strings.LastIndex(to, "@")+1:])
		bounce := bytes.ReplaceAll(dsn(m.MailFrom, "5.1.1", "550 5.1.1 <"+to+"> is no user", "To: "+to), []byte("mail.example.com"), []byte(host))
		delivery := bytes.ReplaceAll(bytes.ReplaceAll(bounce, []byte("Action: failed"), []byte("Action: delivered")), []byte("5.1.1"), []byte("2.0.0"))
		for _, raw := range [][]byte{delivery, arf(m.MailFrom, "To: "+to), bounce} {
			if r, err := s.client().TakeBounce(s.t.Context(), raw); err != nil || r.MatchedBy == "" {
				s.t.Fatalf("%+v, %v of %s", r, err, raw)
			}
		}
	}
}

// TestAnErasedCustomerIsInNoTable although they stood in each that can hold them. These are plans that were shown, taken
// and scheduled, a list, an added row, an amendment and a reminder. They are also the words of relays and of reports
// that came back, and a draft that somebody writes. The last are the list of suppressions, the log of acts and the
// samples of Postgres. Reports that come back later bring nothing with them.
func TestAnErasedCustomerIsInNoTable(t *testing.T) {
	t.Parallel()
	s := start(t, "TOCSIN_RETURN_PATH=bounces@returns.example.net")
	s.importing("id,name,email,alternate_email,language,pet\nzwart-1,Anna Zwart,Zwart.Anna@solo.example,zwart@spare.example,nl,axolotl\n" +
		"c2,Bram,shared@example.com,,nl,cat\nzwart-3,Piet Zwart,permfail.zwart@solo.example,,en,axolotl\nzwart-4,Zus Zwart,SHARED@example.com,,nl,axolotl\n")
	s.must(nil, "notice", "send", s.maintenance("scheduled", time.Now().Add(200*time.Hour), "audience: all", "remind: [72h]"), "--yes")
	s.work()
	s.await("m.scheduled", "finished", finished)
	s.must(nil, "notice", "send-now", "m.scheduled.reminder-72h") // it goes to those who got the notice
	s.must(nil, "notice", "send", s.notice("n1"), "--yes", "--wait", "--tolerate", "100")
	if a := s.addAddress("n1", "zwart-1", "zwart@home.example"); !a.Created {
		t.Fatalf("exit %d, %s", a.code, a.errs)
	}
	s.await("n1", "sent to the other address", func(st notice.Status) bool { return finished(st) && st.Counts["sent"] == 3 })
	amendment := s.amendment("n1.amended")
	s.must(nil, "notice", "amend", "n1", amendment, "--yes", "--wait", "--tolerate", "100")
	if st := s.status("n1.amended"); st.Customers != 4 || st.Recipients != 4 {
		t.Errorf("the amendment: %+v", st)
	}
	if f := s.search("zwart-1", "--notice", "n1.amended"); len(f.Deliveries) != 2 {
		t.Errorf("a search in the amendment finds %+v", f.Deliveries)
	}
	first, second := s.mailsOf("n1"), s.mailsOf("n1.amended")
	anna, home := []sink.Mail{first["zwart.anna@solo.example"], second["zwart.anna@solo.example"]}, []sink.Mail{first["zwart@home.example"], second["zwart@home.example"]}
	s.must(nil, "notice", "send", s.notice("n2", "send_at: 2099-01-01T09:00:00Z"), "--yes")
	s.comesBack(anna[0], anna[1], home[0])
	s.must(nil, "notice", "settle", "n1.amended", "--requeue", "--yes", "--address", "permfail.zwart@solo.example")
	s.await("m.scheduled.reminder-72h", "finished", finished)
	shown := notice.Body{Key: "shown", Kind: notice.Outage, Phase: "identified", DefaultLanguage: "en", Audience: notice.Audience{Customers: []string{"zwart-1", "c2", "zwart-3"}},
		Texts: map[string]notice.Text{"en": {Subject: "s", Body: "Dear {{.Customer.Name}}"}}}
	if draft, err := s.client().Draft(t.Context(), shown); err != nil || !draft.Created {
		t.Fatalf("%+v, %v", draft, err)
	}
	if _, err := s.client().PreviewDraft(t.Context(), "shown"); err != nil {
		t.Fatal(err)
	}
	s.must(nil, "suppressions", "add", "zwart@spare.example", "--reason", "asked on the phone")
	s.search("zwart@home.example")
	s.imported(s.write(map[string]string{"notice.yaml": "key: written\naudience: {customers: list.csv}\nreply_to: zwart@spare.example\n",
		"en.md": "Write to Zwart.Anna@solo.example.\n", "list.csv": "id\nzwart-1\nc2\nzwart-3\n"}))
	s.analyze()

	before := s.dump()
	for _, table := range []string{"customer", "recipient", "member", "added", "listed", "outcome", "bounce", "suppression", "bounce_count", "saved_file", "pg_statistic"} {
		if rows := withParts(before, table); !strings.Contains(rows, "zwart") && !strings.Contains(rows, "solo.example") {
			t.Errorf("they don't stand in %s before", table)
		}
	}
	for _, id := range []string{"zwart-1", "zwart-3", "zwart-4"} {
		s.must(nil, "customers", "delete", id)
	}
	s.analyze() // as docs/security.md says
	words := []string{"zwart", "axolotl", "solo.example", "home.example", "spare.example"}
	s.wantNowhere(words...)
	s.comesBack(append(home, anna...)...)
	s.wantNowhere(words...)

	if st := s.status("n1"); st.Customers != 4 || st.Recipients != 4 || st.Counts["bounced"] != 2 {
		t.Errorf("its counts: %+v", st)
	}
	if out, _, _ := s.run("report", "n1", "--format", "csv"); strings.Contains(strings.ToLower(out), "zwart") || !strings.Contains(out, "shared@example.com") {
		t.Errorf("the report: %s", out)
	}
}
