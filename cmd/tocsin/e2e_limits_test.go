package main

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// TestALimitThatIsSetBindsAllWorkersAtOnce has two workers with a file that lets one mail an hour go to the domain of
// all customers.
func TestALimitThatIsSetBindsAllWorkersAtOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir := s.write(map[string]string{"tocsin.yaml": "limits: [{domain: example.com, rate: 1/h}]\n"})
	workers := s.with("TOCSIN_CONFIG=" + filepath.Join(dir, "tocsin.yaml"))
	s.customers(60)
	for range 2 {
		workers.work()
	}
	s.awaitRelay("127.0.0.1", "up", 2)
	s.must(nil, "notice", "send", s.notice("down"), "--yes")
	s.await("down", "begun", sent(1))
	for _, args := range [][]string{{"example.com"}, {"example.com", "--rate", "5"}, {"nonsense", "--rate", "5/s"}} {
		if out, errs, code := s.run(append([]string{"limit", "set"}, args...)...); code == 0 {
			t.Errorf("limit set %s: %s%s", strings.Join(args, " "), out, errs)
		}
	}
	out, errs, code := s.run("limit", "set", "EXAMPLE.com", "--rate", "20/s", "--for", "1h")
	if code != 0 || !strings.Contains(out, "example.com gets 20/s: set by") {
		t.Errorf("set: exit %d, %s%s", code, out, errs)
	}
	began := time.Now()
	s.await("down", "finished", finished)
	took := time.Since(began)
	if t.Logf("59 mails at 20/s took %v", took); took < 2*time.Second {
		t.Error("that is too fast")
	}
	s.settled("down", 0)
	out, _, _ = s.run("limit", "list")
	if !strings.Contains(out, "not in force: rate") || !strings.Contains(out, "1/h") || !strings.Contains(out, "the file of 2 workers") {
		t.Errorf("listed:\n%s", out)
	}
	if _, errs, code := s.run("limit", "clear", "example.org"); code != exitFailed || !strings.Contains(errs, "there are those of: example.com") {
		t.Errorf("clear another: exit %d, %s", code, errs)
	}
	s.must(nil, "limit", "clear", "example.com")
	if out, _, _ = s.run("limit", "list"); strings.Contains(out, "set by") {
		t.Errorf("listed:\n%s", out)
	}
	// It is the files' again: one mail an hour.
	s.must(nil, "notice", "send", s.notice("down-2"), "--yes")
	s.await("down-2", "limited", func(st notice.Status) bool {
		return st.Pace != nil && len(st.Pace.Limited) == 1 && st.Pace.Limited[0].RatePerS < 1
	})
	if st := s.status("down-2"); st.Counts["queued"] < 40 { // for half a second workers may not have heard
		t.Errorf("after the limit was cleared: %v", st.Counts)
	}
	if out, _, _ := s.run("acts"); !strings.Contains(out, "set limit: example.com, 20/s until") || !strings.Contains(out, "clear limit: example.com") {
		t.Errorf("the log: %s", out)
	}
}
