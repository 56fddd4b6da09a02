package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
)

// crossing is a sink in which a later notice crosses an earlier one. The local part of the recipient decides: it holds
// up the answer to the first dot until the test says so, refuses the first mail, or takes it and cuts the line.
type crossing struct {
	mu    sync.Mutex
	first map[string]bool // recipients that had their first mail
	atDot chan struct{}   // closed when the first dot is held up
	go_   chan struct{}   // closed when it is to be answered
}

func newCrossing() *crossing {
	return &crossing{first: map[string]bool{}, atDot: make(chan struct{}), go_: make(chan struct{})}
}

// refuse is the sink's script.
func (c *crossing) refuse(command, to string) error {
	if command != "." {
		return nil
	}
	c.mu.Lock()
	again := c.first[to]
	c.first[to] = true
	c.mu.Unlock()
	switch {
	case strings.HasPrefix(to, "slow"): // deferred while the later notice is released
		if !again {
			close(c.atDot)
			<-c.go_
			return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "try again"}
		}
	case strings.HasPrefix(to, "full") && !again, strings.HasPrefix(to, "never"):
		return &smtp.SMTPError{Code: 552, EnhancedCode: smtp.EnhancedCode{5, 2, 2}, Message: "mailbox full"}
	}
	return nil
}

// TestOldNewsNeverFollowsTheNew has a worker send two notices that cross, over real servers.
func TestOldNewsNeverFollowsTheNew(t *testing.T) {
	t.Parallel()
	c := newCrossing()
	s := startOn(t, sharedServices(t), sink.Options{Keep: 1000, Refuse: c.refuse})
	s.customersOf("1,slow@a.example", "2,full@b.example", "3,never@c.example", "4,drop-after-dot@d.example", "5,moved@e.example", "6,shared@f.example", "7,shared@f.example")
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	select {
	case <-c.atDot:
	case <-time.After(time.Minute):
		t.Fatal("no dot was held up")
	}
	s.await("outage-1", "all but one through", func(st notice.Status) bool {
		return st.Counts["sent"] == 2 && st.Counts["failed"] == 2 && st.Counts["uncertain"] == 1
	})
	s.customersOf("5,moved-away@e.example")
	s.must(nil, "notice", "send", s.notice("outage-1.resolved", "incident: outage-1", "phase: resolved"), "--yes")
	s.await("outage-1.resolved", "all but one through", func(st notice.Status) bool { return st.Counts["sent"] == 3 })
	close(c.go_)
	st := s.await("outage-1", "finished", finished)
	if st.Counts["cancelled"] != 1 || st.Counts["sent"] != 2 {
		t.Errorf("the earlier notice ended as %v", st.Counts)
	}
	s.await("outage-1.resolved", "finished", finished)

	// Each requeue is refused with the key of the later notice, on the command line and by the API.
	for _, c := range []struct {
		which string
		again int // to the mailbox that the later notice did not reach
	}{{"--state failed --code 552", 1}, {"--state failed --relay 127.0.0.1", 1}, {"--all-uncertain", 0}, {"--address slow@a.example", 0}, {"--address full@b.example", 0}} {
		var done notice.Settled
		out, _, code := s.run(append(strings.Fields("notice settle outage-1 --requeue --yes --json"), strings.Fields(c.which)...)...)
		s.decode(out, &done)
		if done.Changed != c.again || done.Skipped != 1 || !strings.Contains(out, "outage-1.resolved") || code != 1-c.again {
			t.Errorf("%s: exit %d, %s", c.which, code, out)
		}
		s.await("outage-1", "finished", finished)
	}
	if status, answer := s.post("/v1/notices/outage-1/settle", `{"requeue": true, "address": "full@b.example"}`); status != 200 || !strings.Contains(answer, "outage-1.resolved") {
		t.Errorf("by the API: %d %s", status, answer)
	}
	s.oneStory()

	// Nobody was told of both by force but for the one that an operator named.
	var done notice.Settled
	s.must(&done, "notice", "settle", "outage-1", "--requeue", "--address", "full@b.example", "--force", "--yes", "--json")
	s.await("outage-1", "sent by force", func(st notice.Status) bool { return finished(st) && st.Counts["sent"] == 3 })
	if log := s.sql(`SELECT detail FROM act WHERE what = 'requeue' ORDER BY id DESC LIMIT 1`); done.Changed != 1 || !strings.Contains(log, "by force 1 after notice outage-1.resolved") {
		t.Errorf("%+v, and the log says %q", done, log)
	}
}

// customersOf imports customers "id,address".
func (s *system) customersOf(rows ...string) {
	s.t.Helper()
	file := filepath.Join(s.write(map[string]string{"c.csv": "id,email,name\n" + strings.Join(rows, ",N\n") + ",N\n"}), "c.csv")
	s.must(nil, "customers", "import", file)
}

// oneStory checks that no mailbox got a mail of an earlier notice after one of a later: the keys sort by phase.
func (s *system) oneStory() {
	s.t.Helper()
	for box, mails := range s.delivered() {
		for i := 1; i < len(mails); i++ {
			if was, is := noticeOf(mails[i-1]), noticeOf(mails[i]); is <= was {
				s.t.Errorf("%s got %s after %s", box, is, was)
			}
		}
	}
}

func noticeOf(m sink.Mail) string {
	_, rest, _ := strings.Cut(m.Raw, "X-Notice: ")
	key, _, _ := strings.Cut(rest, "\r\n")
	return key
}

// TestANoticeThatLeavesLateIsOldNews: it was released before a later phase, and is due after it; with an audience of
// its release, and with one that is resolved only when it leaves.
func TestANoticeThatLeavesLateIsOldNews(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customersOf("1,one@a.example", "2,permfail@b.example", "3,late@c.example")
	s.work()
	late := []string{"incident: outage-1", "send_at: 2099-07-01T09:00Z"}
	s.must(nil, "notice", "send", s.notice("outage-1.a", late...), "--yes")
	s.must(nil, "notice", "send", s.notice("outage-1.b", append(late, "audience_at: send", "max_recipients: 3")...), "--yes")
	s.must(nil, "notice", "send", s.notice("outage-1.resolved", "incident: outage-1", "phase: resolved"), "--yes")
	s.await("outage-1.resolved", "finished", finished)
	for _, key := range []string{"outage-1.a", "outage-1.b"} {
		s.must(nil, "notice", "send-now", key)
		// The mailbox that the later notice could not reach is owed nothing of the first either: it was stopped while the
		// later was owed.
		st := s.await(key, "finished", finished)
		want := map[string]int{"outage-1.a": 3, "outage-1.b": 2}[key]
		if st.Counts["cancelled"] != want {
			t.Errorf("%s ended as %v, want %d superseded", key, st.Counts, want)
		}
	}
	if got := s.sink.Count(); got != 2 {
		t.Errorf("the sink has %d mails, want those of the later notice", got)
	}

	// The mailbox that has nothing of either is counted, and named in the CSV.
	for _, key := range []string{"outage-1.a", "outage-1.resolved"} {
		if n := s.status(key).ReachedByNeither; n == nil || *n != 1 {
			t.Errorf("by the status of %s %v are reached by neither", key, n)
		}
		for _, args := range [][]string{{"notice", "status", key}, {"report", key}} {
			if out, _, _ := s.run(args...); !strings.Contains(out, "Reached by neither") {
				t.Errorf("%v does not say it:\n%s", args, out)
			}
		}
		out, _, _ := s.run("report", key, "--format", "csv")
		rows := strings.Split(strings.TrimSpace(out), "\n")
		for _, row := range rows[1:] {
			if said := strings.Contains(row, notice.ReasonReachedByNeither); said != strings.Contains(row, "permfail@b.example") {
				t.Errorf("%s: %s", key, row)
			}
		}
	}
	var incident notice.Report
	s.must(&incident, "report", "--incident", "outage-1", "--format", "json")
	if out, _, _ := s.run("report", "--incident", "outage-1"); incident.ReachedByNeither != 1 || !strings.Contains(out, "did not arrive either") {
		t.Errorf("of the incident %d are counted:\n%s", incident.ReachedByNeither, out)
	}
	var doc map[string]any
	s.must(&doc, "report", "outage-1.a", "--format", "json")
	if got := fmt.Sprint(doc["reached_by_neither"]); got != "1" {
		t.Errorf("the report as JSON says %s", got)
	}
}
