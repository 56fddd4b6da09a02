package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tocsin/internal/local"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// TestAPlannedHoldStopsARunningNotice sets the hold as an operator does: in the file of settings, and a restart of
// the API.
func TestAPlannedHoldStopsARunningNotice(t *testing.T) {
	t.Parallel()
	s := start(t)
	n := testkit.Size(600, 3000)
	s.customers(n)
	s.work()
	s.underWay("outage-1", 200)
	// The workers know nothing of the file: a hold binds them all the same. It lasts longer than the test waits,
	// and is then removed: to take it out of the file ends nothing.
	file := func(holds string) string {
		return filepath.Join(s.write(map[string]string{"tocsin.yaml": holds}), "tocsin.yaml")
	}
	until := time.Now().UTC().Add(time.Hour)
	hold := fmt.Sprintf("holds:\n- {from: 2020-01-01T00:00, until: %s, zone: UTC, reason: power feeds}\n", until.Format("2006-01-02T15:04"))
	second := s.launchAPI("TOCSIN_CONFIG=" + file(hold))
	s.await("outage-1", "held", func(st notice.Status) bool { return st.State == notice.Held })
	s.gate.open()
	st := s.await("outage-1", "held and quiet", func(st notice.Status) bool { return st.State == notice.Held && st.Counts["sending"] == 0 })
	if st.Reason != "power feeds" || st.HeldUntil == nil {
		t.Errorf("held for %q until %v", st.Reason, st.HeldUntil)
	}
	before := s.sink.Count()
	s.await("outage-1", "still held after two sweeps", func(st notice.Status) bool {
		return st.State == notice.Held && time.Since(until.Add(-time.Hour)) > 4*time.Second
	})
	if after := s.sink.Count(); after != before {
		t.Errorf("%d mails left in the hold", after-before)
	}
	second.stop()
	s.launchAPI("TOCSIN_CONFIG="+file("holds: []\n")).awaitSaid(t, "an empty list of holds ends none")
	s.must(nil, "hold", "remove", "1")
	s.await("outage-1", "finished", finished)
	if st := s.settled("outage-1", 0); st.Counts["sent"] != n {
		t.Errorf("ended as %v, want all of %d sent", st.Counts, n)
	}
}

// launchAPI starts another server, with more settings.
func (s *system) launchAPI(env ...string) *program {
	return s.with(append(env, "TOCSIN_LISTEN="+freeAddress(s.t))...).launch("serve")
}

// TestALaterNoticeOvertakesTheEarlier releases the all-clear while the bad news is still going out.
func TestALaterNoticeOvertakesTheEarlier(t *testing.T) {
	t.Parallel()
	s := start(t)
	n := testkit.Size(600, 3000)
	s.customers(n)
	s.work()
	s.underWay("outage-1", 200)
	s.must(nil, "notice", "pause", "outage-1") // so that some of it is still owed
	s.gate.open()
	s.must(nil, "notice", "send", s.notice("outage-1.resolved", "incident: outage-1"), "--yes", "--wait")
	s.must(nil, "notice", "resume", "outage-1")
	s.await("outage-1", "finished", finished)
	first, second := s.status("outage-1"), s.status("outage-1.resolved")
	if first.Counts["cancelled"] == 0 || first.Counts["sent"]+first.Counts["cancelled"] != n {
		t.Errorf("the earlier notice ended as %v, want it sent or cancelled, and some cancelled", first.Counts)
	}
	if second.Counts["sent"] != n {
		t.Errorf("the later notice ended as %v, want all sent", second.Counts)
	}
	for _, row := range s.report("outage-1") {
		if row.State == notice.DeliveryCancelled && row.Reason != notice.ReasonSuperseded {
			t.Fatalf("a delivery was cancelled as %q", row.Reason)
		}
	}
	if got, want := s.sink.Count(), first.Counts["sent"]+n; got != want {
		t.Errorf("the sink has %d mails, want %d", got, want)
	}
}

// TestALedgerRestoredUnderLivingWorkersIsHeld puts back a copy of the data directory that is older than the last
// mails, while the workers and Redis live on.
func TestALedgerRestoredUnderLivingWorkersIsHeld(t *testing.T) {
	t.Parallel()
	s := startAlone(t)
	n := testkit.Size(1200, 4000)
	s.customers(n)
	s.work()
	s.work()
	s.underWay("outage-1", 300)
	data := s.sql("SHOW data_directory")
	backup := data + ".backup"
	s.withoutPostgres(func() { s.shell("cp", "-a", data, backup) })
	s.gate.open()
	s.await("outage-1", "under way since the backup", sent(s.sink.Count()+n/8))
	s.withoutPostgres(func() { s.shell("rm", "-r", data); s.shell("mv", backup, data) })
	st := s.await("outage-1", "held", func(st notice.Status) bool { return st.State == notice.Held })
	if st.Reason != notice.ReasonRestored {
		t.Errorf("held as %q", st.Reason)
	}
	// Mails that were marked before may still have left; after the grace none does.
	held := s.sink.Count()
	// A notice that is released now may be one that the backup does not know.
	if out, _, code := s.run("notice", "send", s.notice("outage-2"), "--yes", "--json"); code != 1 || s.status("outage-2").State != notice.Held {
		t.Errorf("a release on a restored ledger exits with %d, want 1 and it held: %s", code, out)
	}
	s.must(nil, "notice", "unhold", "outage-1", "--uncertain")
	s.await("outage-1", "finished", finished)
	if after := s.sink.Count(); after-held > openMarks {
		t.Errorf("%d mails left after the ledger was found to be a restored one", after-held)
	}
	st = s.settled("outage-1", n)
	if st.Counts["uncertain"] < n/8 || st.Counts["sent"]+st.Counts["uncertain"] != n {
		t.Errorf("ended as %v, want what was owed to be uncertain", st.Counts)
	}
	s.must(nil, "notice", "unhold", "outage-2", "--send", "--lift-fence")
	s.await("outage-2", "finished", finished)
	s.must(nil, "notice", "send", s.notice("outage-3"), "--yes", "--wait")
	if st := s.status("outage-3"); st.Counts["sent"] != n {
		t.Errorf("after the fence was lifted a notice ended as %v", st.Counts)
	}
}

// TestANumberThatIsGivenAgainIsAnotherNotice: a restored ledger gives the number of a notice that it lost to the next one, and
// the workers that sent the lost one live on.
func TestANumberThatIsGivenAgainIsAnotherNotice(t *testing.T) {
	t.Parallel()
	s := startAlone(t)
	s.customers(3)
	s.work().awaitSaid(t, "msg=working")
	data := s.sql("SHOW data_directory")
	backup := data + ".backup"
	s.withoutPostgres(func() { s.shell("cp", "-a", data, backup) })
	s.awaitServer()
	s.must(nil, "notice", "send", s.notice("lost"), "--yes", "--wait")
	s.withoutPostgres(func() { s.shell("rm", "-r", data); s.shell("mv", backup, data) })
	s.awaitServer()
	if _, _, code := s.run("notice", "send", s.notice("next"), "--yes"); code != 1 || s.status("next").State != notice.Held {
		t.Errorf("a release on a restored ledger exits with %d, want 1 and it held", code)
	}
	s.must(nil, "notice", "unhold", "next", "--send", "--lift-fence")
	s.await("next", "finished", finished)
	mails := map[string]int{}
	for _, m := range s.sink.Mails() {
		mails[noticeOf(m)]++
	}
	if number := s.sql(`SELECT max(id)::text FROM notice`); number != "1" || mails["lost"] != 3 || mails["next"] != 3 {
		t.Errorf("the sink has %v, want 3 of each; the number of the second is %s, want that of the lost one, 1", mails, number)
	}
}

// awaitServer waits until the server has Postgres again.
func (s *system) awaitServer() {
	for code := -1; code != 0 && s.t.Context().Err() == nil; {
		_, _, code = s.run("notice", "list")
	}
}

// TestADumpThatIsRestoredIsHeld moves the ledger by dump and restore into another database while a notice goes out:
// mails that left after the dump must not leave again from there.
func TestADumpThatIsRestoredIsHeld(t *testing.T) {
	t.Parallel()
	s := start(t)
	n := testkit.Size(500, 2000)
	s.customers(n)
	first := s.work()
	s.underWay("outage-1", 200)
	dump := filepath.Join(t.TempDir(), "dump.sql")
	s.shell(testkit.Program(t, "pg_dump"), "-f", dump, s.services.DatabaseURL)
	s.gate.open()
	s.await("outage-1", "finished", finished)
	first.stop()
	count := s.sink.Count()

	url, drop, err := local.NewDatabase(t.Context(), s.services.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { drop(context.Background()) }) // its server ends with the test anyway
	s.shell(testkit.Program(t, "psql"), "-q", "-v", "ON_ERROR_STOP=1", "-f", dump, url)
	address := freeAddress(t)
	restored := s.with("DATABASE_URL="+url, "TOCSIN_LISTEN="+address, "TOCSIN_URL=http://"+address)
	restored.launch("serve")
	second := restored.work()
	st := restored.await("outage-1", "held", func(st notice.Status) bool { return st.State == notice.Held })
	if st.Reason != notice.ReasonRestored {
		t.Errorf("held as %q", st.Reason)
	}
	second.awaitSaid(t, "msg=working") // it has compared the ledger with its mirror, which holds the notice once more
	restored.must(nil, "notice", "unhold", "outage-1", "--uncertain", "--lift-fence")
	st = restored.await("outage-1", "finished", finished)
	if st.Counts["uncertain"] == 0 || st.Counts["sent"]+st.Counts["uncertain"] != n {
		t.Errorf("the restored notice ended as %v, want what was owed to be uncertain", st.Counts)
	}
	if more := s.sink.Count() - count; more != 0 {
		t.Errorf("%d mails left from the restored ledger", more)
	}
}

func (s *system) withoutPostgres(f func()) {
	s.t.Helper()
	if err := s.services.StopPostgres(false); err != nil {
		s.t.Fatal(err)
	}
	f()
	if err := s.services.StartPostgres(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) shell(name string, args ...string) {
	s.t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v\n%s", name, err, out)
	}
}

func (s *system) sql(query string) (answer string) {
	s.t.Helper()
	return s.sqlAt(s.services.DatabaseURL, query)
}

func (s *system) sqlAt(url, query string) (answer string) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), url)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(s.t.Context())
	if err := conn.QueryRow(s.t.Context(), query).Scan(&answer); err != nil {
		s.t.Fatal(err)
	}
	return answer
}
