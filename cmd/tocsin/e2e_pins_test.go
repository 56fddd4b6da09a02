package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/jackc/pgx/v5"

	"tocsin/internal/notice"
	"tocsin/templates"
)

// otherWorker starts a worker with another sender, reply address and layout than the API has: as one of another version
// would have.
func (s *system) otherWorker() *program {
	s.t.Helper()
	layouts := map[string]string{}
	for _, name := range []string{"layout.html", "layout.txt"} {
		layout, err := templates.FS.ReadFile(name)
		if err != nil {
			s.t.Fatal(err)
		}
		layouts[name] = strings.Replace(string(layout), "{{.Sender}}", "{{.Sender}} of another version", 1)
	}
	return s.with("TOCSIN_TEMPLATE_DIR="+s.write(layouts), "TOCSIN_FROM=Other Status <other@example.net>", "TOCSIN_REPLY_TO=other@example.org").work()
}

// others is found in each mail of such a worker's own.
var others = regexp.MustCompile(`of another version|Other Status|<other\.example|Reply-To`)

// TestAWorkerOfAnotherVersionSendsTheMailsOfThePlan, as the dry run showed them. Where the API knows no sender nothing
// was kept, and the worker compiles the mails: that it is another one shows then.
func TestAWorkerOfAnotherVersionSendsTheMailsOfThePlan(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		env  string
		kept bool
	}{"kept": {"TOCSIN_ZONE=UTC", true}, "not kept": {"TOCSIN_FROM=", false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, test.env)
			s.customers(3)
			s.otherWorker()
			s.must(nil, "notice", "send", s.notice("n1"), "--yes", "--wait", "--json")
			mails := s.delivered()
			if len(mails) != 3 {
				t.Fatalf("%d mailboxes got a mail", len(mails))
			}
			rows, err := s.connect().Query(t.Context(), `SELECT unnest(digests) FROM answer`)
			if err != nil {
				t.Fatal(err)
			}
			digests, err := pgx.CollectRows(rows, pgx.RowTo[int64])
			if err != nil {
				t.Fatal(err)
			}
			for address, m := range mails {
				raw := string(m[0].Raw)
				if !slices.Contains(digests, int64(xxhash.Sum64String(raw))) {
					t.Errorf("the digest of the mail to %s is none of %v", address, digests)
				}
				if others.MatchString(raw) == test.kept || test.kept && !strings.Contains(raw, "List-Id: <status.example.net>\r\n") {
					t.Errorf("%s got\n%s", address, raw)
				}
			}
		})
	}
}

// TestAWorkerMarksNothingOfAMailThatItCantRead leaves it to one that can.
func TestAWorkerMarksNothingOfAMailThatItCantRead(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(3)
	s.must(nil, "notice", "send", s.notice("n1"), "--yes", "--json")
	ledger := s.connect()
	change := func(sql string) {
		t.Helper()
		if _, err := ledger.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	change(`CREATE TABLE before AS SELECT * FROM pin`)
	change(`
		INSERT INTO mail (digest, encoded) SELECT sha256(e), e FROM
			(SELECT convert_to(regexp_replace(convert_from(encoded, 'UTF8'), '"version":\d+', '"version":99'), 'UTF8') FROM mail) AS m(e)`)
	change(`UPDATE pin SET digest = sha256(convert_to(regexp_replace(convert_from(m.encoded, 'UTF8'), '"version":\d+', '"version":99'), 'UTF8'))
		FROM mail m WHERE m.digest = pin.digest`)
	worker := s.work()
	worker.awaitSaid(t, "the compiled mail has version 99")
	if st := s.status("n1"); st.Counts["queued"] != 3 {
		t.Errorf("it stands at %v", st.Counts)
	}
	change(`UPDATE pin SET digest = before.digest FROM before WHERE before.plan_id = pin.plan_id AND before.number = pin.number`)
	s.await("n1", "sent by a worker that can read it", func(st notice.Status) bool { return st.State == notice.Sent && st.Counts["sent"] == 3 })
}
