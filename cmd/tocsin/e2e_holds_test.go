package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// TestAHoldStopsEverythingAndNoStartEndsIt has a worker that starts with a file without holds while one is in force.
func TestAHoldStopsEverythingAndNoStartEndsIt(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(3)
	if _, errs, code := s.run("hold", "add", "--reason", "x"); code != exitUsage || !strings.Contains(errs, "--from TIME, or --now") {
		t.Errorf("without a time: exit %d, %s", code, errs)
	}
	var h notice.Hold
	s.must(&h, "hold", "add", "--now", "--reason", "wrong text", "--json")
	dir := t.TempDir()
	file := filepath.Join(dir, "tocsin.yaml")
	if err := os.WriteFile(file, []byte("holds: []\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.with("TOCSIN_CONFIG="+file).work().awaitSaid(t, "an empty list of holds ends none")
	if out, _, code := s.run("notice", "send", s.notice("down"), "--yes", "--wait"); code != exitFailed || !strings.Contains(out, "wrong text") {
		t.Errorf("sent in a hold: exit %d, %s", code, out)
	}
	out, _, _ := s.run("hold", "list")
	if !strings.Contains(out, "it is removed") || !strings.Contains(out, "("+operator()+")") {
		t.Errorf("listed: %s", out)
	}
	if n := s.sink.Count(); n != 0 {
		t.Errorf("%d mails left in a hold", n)
	}
	s.must(nil, "hold", "remove", "1")
	s.must(nil, "notice", "send", s.notice("down"), "--yes", "--wait")
	if n := s.sink.Count(); n != 3 {
		t.Errorf("%d mails left after the hold", n)
	}
	if out, _, _ = s.run("acts"); !strings.Contains(out, "add hold: 1, from "+h.From.Format(time.RFC3339)) || !strings.Contains(out, "remove hold: 1") {
		t.Errorf("the log: %s", out)
	}
}
