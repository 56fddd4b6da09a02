package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/local"
	"tocsin/internal/notice"
	"tocsin/internal/sink"
	"tocsin/internal/testkit"
)

// beforeBits is the last commit with a ledger in which each delivery is a row.
const beforeBits = "37a41e14581020069d760cd7da5daf945c7282e7"

// sourceOf returns a directory with the source of an earlier commit; where the clone does not have it, the test is
// skipped.
func sourceOf(t *testing.T, commit string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if out, err := exec.Command("git", "cat-file", "-e", commit+"^{commit}").CombinedOutput(); err != nil {
		t.Skipf("%s is skipped: this is no clone with the history up to %s: %s", t.Name(), commit, out)
	}
	root, err := exec.Command("git", "rev-parse", "--show-toplevel").Output()
	if err != nil {
		t.Fatal(err)
	}
	unpack := exec.Command("sh", "-c", `git archive "$1" | tar -x -C "$2"`, "sh", commit, dir)
	unpack.Dir = strings.TrimSpace(string(root))
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", unpack, err, out)
	}
	return dir
}

// buildOf builds the program of an earlier commit.
func buildOf(t *testing.T, commit string) string {
	t.Helper()
	dir := sourceOf(t, commit)
	build := exec.Command("go", "build", "-buildvcs=false", "-o", "tocsin", "./cmd/tocsin")
	build.Dir = dir
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath") // as make builds: so most of it is built already
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v\n%s", build, err, out)
	}
	return filepath.Join(dir, "tocsin")
}

// taken counts the mails that a sink took, by mailbox.
type taken struct {
	mu    sync.Mutex
	mails map[string]int
}

func (k *taken) take(m sink.Mail) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, to := range m.RcptTo {
		k.mails[to]++
	}
}

// TestAnUpgradeUnderAWorkerOfTheVersionBefore migrates 100,000 deliveries in all nine states, while a worker of the
// version before runs. The worker sent a part of them and goes on trying until the end.
func TestAnUpgradeUnderAWorkerOfTheVersionBefore(t *testing.T) {
	testkit.Large(t, "TestTheUpgradeCarriesEveryRowOver")
	old := buildOf(t, beforeBits)
	const recipients = 100_000
	k := &taken{mails: map[string]int{}}
	s := prepare(t, &local.Services{DatabaseURL: testkit.EmptyPostgres(t), RedisURL: testkit.Redis(t)}, sink.Options{Keep: 1, OnMail: k.take})
	earlier := func(args ...string) {
		t.Helper()
		if p := s.launchBinary(old, args...); exited(p) != 0 {
			t.Fatalf("%v of the version before: %s", args, p.log)
		}
	}
	earlier("migrate")
	s.server = s.launchBinary(old, "serve")
	worker := s.launchBinary(old, "work")
	s.must(nil, "notice", "list", "--json")
	s.customers(recipients)
	earlier("notice", "send", s.notice("n"), "--yes")
	s.await("n", "under way", func(st notice.Status) bool { return st.Counts["sent"] > recipients/20 })

	// While the old worker has leases nothing is changed.
	short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if _, err := ledger.Migrate(short, s.services.DatabaseURL); err == nil {
		t.Error("migrated under a lease")
	}
	if got := s.sql(`SELECT count(*)::text FROM delivery WHERE dot_by IS NOT NULL`); got == "0" {
		t.Error("the old tables are gone")
	}
	earlier("notice", "pause", "n")
	s.until(`SELECT count(*)::text FROM chunk WHERE lease_until IS NOT NULL`, "0")
	// The states that the old worker did not bring about: a lost worker's marks among them.
	for _, sql := range []string{
		`UPDATE delivery SET state = 1, epoch = c.epoch, tries = 1, dot_by = clock_timestamp() FROM chunk c
			WHERE c.notice_id = delivery.notice_id AND seq >= lo AND seq < hi AND state = 0 AND seq % 50 = 1 AND c.epoch > 0`,
		`UPDATE delivery SET state = 3, epoch = 1, tries = 2, code = 450, reply = 'later' WHERE state = 0 AND seq % 50 = 2`,
		`UPDATE delivery SET state = 4, epoch = 1, tries = 1, code = 550, reply = 'no' WHERE state = 0 AND seq % 50 = 3`,
		`UPDATE delivery SET state = 5, epoch = 1, tries = 1, unresolved = (seq % 100 = 4)::int, dot_by = clock_timestamp() WHERE state = 0 AND seq % 50 = 4`,
		`UPDATE delivery SET state = 6, reason = 'suppression_list' WHERE state = 0 AND seq % 50 = 5`,
		`UPDATE delivery SET state = 7, reason = 'superseded' WHERE state = 0 AND seq % 50 = 6`,
		`UPDATE delivery SET state = 8 WHERE state = 2 AND seq % 50 = 7`,
		`UPDATE delivery SET unresolved = -1 WHERE state = 0 AND seq % 50 = 8`,
	} {
		s.sql(`WITH done AS (` + sql + ` RETURNING 1) SELECT count(*)::text FROM done`)
	}
	const states = `SELECT string_agg(state || ': ' || n || ' ' || u, ', ' ORDER BY state) FROM (
		SELECT CASE state WHEN 1 THEN 5 ELSE state END AS state, count(*) n, sum(unresolved) u FROM delivery GROUP BY 1) d`
	before := s.sql(states)
	if n := strings.Count(s.sql(`SELECT string_agg(DISTINCT state::text, ' ') FROM delivery`), " ") + 1; n != 9 {
		t.Fatalf("%d states stand in the ledger: %s", n, before)
	}
	owed := s.sql(`SELECT count(*)::text FROM delivery WHERE state IN (0, 3)`)
	k.mu.Lock()
	left := len(k.mails)
	k.mu.Unlock()

	began := time.Now()
	if _, err := ledger.Migrate(t.Context(), s.services.DatabaseURL); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s; migrated in %v", before, time.Since(began).Round(time.Millisecond))
	if diff := cmp.Diff(before, s.sql(states)); diff != "" {
		t.Errorf("states (-before +after):\n%s", diff)
	}
	s.server.stop()
	s.server = s.launch("serve")
	s.must(nil, "notice", "list", "--json")
	st := s.status("n")
	if st.Recipients != recipients || st.Counts["queued"]+st.Counts["deferred"] == 0 || st.Counts["sending"] != 0 {
		t.Errorf("the status is %+v", st)
	}
	s.must(nil, "notice", "resume", "n")
	s.work()
	st = s.await("n", "finished", finished)
	select {
	case <-worker.done:
		t.Error("the old worker has ended")
	default:
	}
	mailboxes := k.wantOnce(t)
	if got := fmt.Sprint(mailboxes - left); got != owed {
		t.Errorf("%s mails left after the upgrade, %s were owed", got, owed)
	}
	if sent := st.Counts["sent"] + st.Counts["bounced"]; sent != mailboxes {
		t.Errorf("%d are sent or bounced, and the sink has %d", sent, mailboxes)
	}
}

// lastVersion returns the newest version that the CHANGELOG names with its commit.
func lastVersion(t *testing.T) (version, commit string) {
	t.Helper()
	m := regexp.MustCompile(`(?m)^Commit of (\d+\.\d+\.\d+): ([0-9a-f]{40})$`).FindSubmatch(read(t, "../../CHANGELOG.md"))
	if m == nil {
		t.Fatal("CHANGELOG.md has no line such as Commit of 0.1.0: and the 40 digits")
	}
	return string(m[1]), string(m[2])
}

// TestAWorkerOfTheLastVersionMeetsTodaysSchema in the middle of a notice. Where today's migrations let it go on, it
// sends the rest alone; where they stop it, they are refused under its lease, and it claims nothing afterwards.
func TestAWorkerOfTheLastVersionMeetsTodaysSchema(t *testing.T) {
	testkit.Large(t, "TestEachMigrationSaysWhoMayGoOn")
	version, commit := lastVersion(t)
	old := buildOf(t, commit)
	const recipients = 4000
	k := &taken{mails: map[string]int{}}
	var s *system
	s = prepare(t, &local.Services{DatabaseURL: testkit.EmptyPostgres(t), RedisURL: testkit.Redis(t)},
		sink.Options{Keep: 1, OnMail: func(m sink.Mail) { k.take(m); s.gate.pass(m) }})
	earlier := func(args ...string) {
		t.Helper()
		if p := s.launchBinary(old, args...); exited(p) != 0 {
			t.Fatalf("%v of %s: %s", args, version, p.log)
		}
	}
	earlier("migrate")
	knows := s.sql(`SELECT max(version_id)::text FROM goose_db_version`)
	s.server = s.launchBinary(old, "serve")
	worker := s.launchBinary(old, "work")
	s.must(nil, "notice", "list", "--json")
	s.customers(recipients)
	s.gate.shut(recipients / 20)
	earlier("notice", "send", s.notice("n"), "--yes")
	s.gate.await()

	short, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, refused := ledger.Migrate(short, s.services.DatabaseURL)
	if refused != nil {
		earlier("notice", "pause", "n")
		s.gate.open()
		s.until(`SELECT count(*)::text FROM chunk WHERE lease_until IS NOT NULL`, "0")
		if _, err := ledger.Migrate(t.Context(), s.services.DatabaseURL); err != nil {
			t.Fatal(err)
		}
	}
	serves := s.sql(`SELECT (`+knows+` BETWEEN oldest AND version)::text FROM schema_serves ORDER BY version DESC LIMIT 1`) == "true"
	t.Logf("%s, schema %s: today's schema serves it: %v; the migration under its lease: %v", version, knows, serves, refused)
	if serves != (refused == nil) {
		t.Error("the migration does not keep to that")
	}
	s.gate.open()
	s.server.stop()
	s.server = s.launch("serve")
	s.must(nil, "notice", "list", "--json")
	if !serves {
		s.must(nil, "notice", "resume", "n")
		worker.awaitSaid(t, "another version than this program")
		s.work()
	}
	st := s.await("n", "finished", finished)
	select {
	case <-worker.done:
		t.Error("the old worker has ended")
	default:
	}
	mailboxes := k.wantOnce(t)
	if st.Counts["sent"] != recipients || mailboxes != recipients {
		t.Errorf("%d mailboxes have the mail, want all of %d: %v", mailboxes, recipients, st.Counts)
	}
}

// wantOnce checks that no mailbox got two mails, and returns how many got one.
func (k *taken) wantOnce(t *testing.T) int {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	for to, n := range k.mails {
		if n != 1 {
			t.Errorf("%s got %d mails", to, n)
		}
	}
	return len(k.mails)
}

// exited waits for a program and returns its exit code.
func exited(p *program) int {
	<-p.done
	return p.ProcessState.ExitCode()
}

// until waits until a query answers so, for a minute at most.
func (s *system) until(query, want string) {
	s.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(time.Minute); s.sql(query) != want; <-tick.C {
		if time.Now().After(limit) {
			s.t.Fatalf("%s is not %s", query, want)
		}
	}
}
