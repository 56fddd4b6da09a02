package main

import (
	"fmt"
	"path/filepath"
	"syscall"
	"testing"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// TestAWorkerReadsItsSettingsAgain has a worker with a wrong password, which is mended in its file; then its relays are
// others.
func TestAWorkerReadsItsSettingsAgain(t *testing.T) {
	t.Parallel()
	s := start(t)
	locked := startSink(t, "127.0.0.1:0", sink.Options{Keep: 100, User: "ada", Password: "new secret"})
	dir := s.write(map[string]string{"password": "old secret\n"})
	file := filepath.Join(dir, "tocsin.yaml")
	write(t, file, fmt.Sprintf("relays: [{name: main, url: \"smtp://ada@%s\", password_file: password}]\n", locked.Addr()))
	s.customers(10)
	w := s.with("TOCSIN_CONFIG="+file, "TOCSIN_SMTP_URL=").work()
	s.must(nil, "notice", "send", s.notice("down"), "--yes")
	s.awaitRelay("main", "resting", 1)
	// The next login that is refused has the file with the password read again.
	write(t, filepath.Join(dir, "password"), "new secret\n")
	s.await("down", "finished", finished)
	w.awaitSaid(t, "a relay refused the login")
	// Nonsense is refused, and the old settings stay.
	write(t, file, fmt.Sprintf("relays: [{name: spare, url: \"smtp://%s\", conections: 3}]\n", s.sink.Addr()))
	w.Process.Signal(syscall.SIGHUP)
	w.awaitSaid(t, "the old ones are kept")
	w.awaitSaid(t, "conections")
	s.must(nil, "notice", "send", s.notice("down-2"), "--yes", "--wait")
	if n := locked.Count(); n != 20 {
		t.Errorf("the relay of the settings that were kept has %d of 20 mails", n)
	}
	// Others take the place of the old ones, which are known for a while. The log names the settings that changed, and
	// those that can't change now.
	write(t, file, fmt.Sprintf("lease: 9s\nrelays: [{name: spare, url: \"smtp://%s\", connections: 3}]\nlimits: [{domain: a.example, rate: 5/m}]\n"+
		"holds: [{from: 2099-01-01T00:00, until: 2099-01-02T00:00, reason: far}]\n", s.sink.Addr()))
	w.Process.Signal(syscall.SIGHUP)
	w.awaitSaid(t, "changed=\"[TOCSIN_SMTP_URL limits holds]\"")
	s.awaitRelay("spare", "up", 1)
	s.must(nil, "notice", "send", s.notice("down-3"), "--yes", "--wait")
	if n := s.sink.Count(); n != 10 || locked.Count() != 20 {
		t.Errorf("the new relay has %d of 10 mails, the old one %d", n, locked.Count())
	}
	var holds struct{ Holds []notice.Hold }
	s.must(&holds, "hold", "list", "--json")
	if len(holds.Holds) != 1 || holds.Holds[0].Reason != "far" {
		t.Errorf("holds: %+v", holds)
	}
	write(t, file, fmt.Sprintf("reply_to: help@example.net\nrelays: [{name: spare, url: \"smtp://%s\", connections: 3}]\n", s.sink.Addr()))
	w.Process.Signal(syscall.SIGHUP)
	w.awaitSaid(t, "settings that take effect at the next start\" settings=[TOCSIN_REPLY_TO]")
	// serve lives on.
	s.server.Process.Signal(syscall.SIGHUP)
	s.server.awaitSaid(t, "only a worker reads them again")
	s.must(nil, "notice", "list")
}
