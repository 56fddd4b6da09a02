package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// TestFailedMailsAreSentAgainTogether has a relay refuse mailboxes for two reasons, one of which passes.
func TestFailedMailsAreSentAgainTogether(t *testing.T) {
	t.Parallel()
	gone, broken := refusing("RCPT", 550, smtp.EnhancedCode{5, 1, 1}, "No such mailbox"), refusing("RCPT", 554, smtp.EnhancedCode{5, 3, 0}, "Mailbox store is broken")
	s := startOn(t, sharedServices(t), sink.Options{Keep: 1000, Refuse: func(command, to string) error {
		switch {
		case strings.HasPrefix(to, "gone"):
			return gone.refuse(command, to)
		case strings.HasPrefix(to, "broken"):
			return broken.refuse(command, to)
		}
		return nil
	}})
	file := filepath.Join(s.write(map[string]string{"c.csv": "id,name,email\n1,A,gone1@a.example\n2,B,gone2@b.example\n3,C,broken1@a.example\n4,D,broken2@b.example\n5,E,fine@a.example\n"}), "c.csv")
	s.must(nil, "customers", "import", file)
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	s.await("outage-1", "four failed", func(st notice.Status) bool { return st.State == notice.Sent && st.Counts["failed"] == 4 })
	settle := func(want int, args ...string) {
		t.Helper()
		var done notice.Settled
		s.must(&done, append([]string{"notice", "settle", "outage-1", "--requeue", "--yes", "--json"}, args...)...)
		if done.Changed != want {
			t.Errorf("%v: %+v, want %d", args, done, want)
		}
		s.await("outage-1", "tried again", func(st notice.Status) bool { return st.State == notice.Sent })
	}
	broken.on.Store(false)
	settle(0, "--state", "failed", "--code", "552")
	settle(0, "--state", "failed", "--relay", "other")
	settle(2, "--state", "failed", "--code", "554", "--relay", "127.0.0.1")
	if st := s.settled("outage-1", 0); st.Counts["sent"] != 3 || st.Counts["failed"] != 2 {
		t.Errorf("after a requeue by code: %v", st.Counts)
	}
	gone.on.Store(false)
	if status, answer := s.post("/v1/notices/outage-1/settle", `{"requeue": true, "state": "failed"}`); status != 200 || !strings.Contains(answer, `"changed":2`) {
		t.Errorf("%d %s", status, answer)
	}
	s.await("outage-1", "all sent", sent(5))
	s.settled("outage-1", 0)
	if got := s.sql(`SELECT string_agg(what || ': ' || detail, '; ' ORDER BY id) FROM act WHERE what = 'requeue'`); got != "requeue: 2 deliveries, failed with 554 at 127.0.0.1; requeue: 2 deliveries, failed" {
		t.Errorf("the log of acts: %s", got)
	}
	for body, field := range map[string]string{
		`{"sent": true, "state": "failed"}`:                          "state",
		`{"requeue": true, "state": "failed", "code": 250}`:          "code",
		`{"requeue": true, "state": "uncertain", "code": 550}`:       "code",
		`{"requeue": true, "all_uncertain": true, "relay": "x"}`:     "relay",
		`{"requeue": true, "state": "failed", "address": "a@b.org"}`: "address",
	} {
		if status, answer := s.post("/v1/notices/outage-1/settle", body); status != 422 || !strings.Contains(answer, `"`+field+`"`) {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
}
