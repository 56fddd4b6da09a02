package main

import (
	"flag"
	"fmt"
	"testing"
	"time"

	"tocsin/internal/local"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

var failovers = flag.Int("failovers", 1, "how many primaries of Postgres die in each test of failovers")

const failoverMails, failoverRate = 900, 300

// onPostgresPair has a notice under way on a pair.
func onPostgresPair(t *testing.T, synchronous bool) (*local.Pair, *system, *arrivals, []*program) {
	p := testkit.PostgresPair(t, synchronous)
	s, came := startLimitedOn(t, &local.Services{DatabaseURL: p.URL, RedisURL: testkit.Redis(t)}, 0, limitedTo(failoverRate))
	s.mailboxes(failoverMails, func(i int) string { return fmt.Sprintf("m%d@example.com", i) })
	workers := []*program{s.work(), s.work()}
	if synchronous {
		s.awaitSQL(`SELECT (standbys = '{b}')::text FROM fence`, "true")
	}
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
	came.await(t, "outage-1", failoverMails/3)
	return p, s, came, workers
}

// awaitSQL waits for an answer of Postgres.
func (s *system) awaitSQL(query, want string) {
	s.t.Helper()
	for s.sql(query) != want {
		if s.t.Context().Err() != nil {
			s.t.Fatal(s.t.Context().Err())
		}
	}
}

func (s *system) noError(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func eachFailover(t *testing.T, play func(t *testing.T)) {
	t.Parallel()
	for i := range *failovers {
		t.Run(fmt.Sprint(i+1), func(t *testing.T) {
			t.Parallel()
			play(t)
		})
	}
}

// TestAFailoverWhileANoticeIsSentNeedsNoHand kills the primary of a synchronous pair.
func TestAFailoverWhileANoticeIsSentNeedsNoHand(t *testing.T) {
	eachFailover(t, func(t *testing.T) {
		p, s, came, _ := onPostgresPair(t, true)
		killed := time.Now()
		s.noError(p.Kill())
		s.noError(p.Promote())
		s.await("outage-1", "finished", finished)
		gap := longestGap(came.of("outage-1"), killed)
		t.Logf("longest time without a mail %v", gap)
		if *failovers > 1 && gap > 30*time.Second {
			t.Errorf("nothing left for %v", gap)
		}
		if st := s.status("outage-1"); st.Counts["sent"] != failoverMails {
			t.Errorf("ended as %v, want all of %d sent: no worker died", st.Counts, failoverMails)
		}
		onceEach(t, came, failoverMails)
		if got := s.sql(`SELECT failovers || ' ' || up FROM fence`); got != "1 false" {
			t.Errorf("failovers and fence: %s", got)
		}
	})
}

// TestASwitchoverWhileANoticeIsSentNeedsNoHand shuts the primary down, as the maintenance of its node does.
func TestASwitchoverWhileANoticeIsSentNeedsNoHand(t *testing.T) {
	t.Parallel()
	testkit.Large(t, "TestAFailoverWhileANoticeIsSentNeedsNoHand")
	p, s, came, _ := onPostgresPair(t, true)
	s.noError(p.Stop())
	s.noError(p.Promote())
	s.noError(p.Rejoin(t.Context()))
	s.noError(p.WaitFor(t.Context(), true))
	s.awaitSQL(`SELECT (standbys = '{a}')::text FROM fence`, "true")
	s.noError(p.Stop())
	s.noError(p.Promote())
	s.await("outage-1", "finished", finished)
	if st := s.status("outage-1"); st.Counts["sent"] != failoverMails {
		t.Errorf("ended as %v, want all of %d sent: no worker died", st.Counts, failoverMails)
	}
	onceEach(t, came, failoverMails)
	if got := s.sql(`SELECT failovers || ' ' || up FROM fence`); got != "2 false" {
		t.Errorf("failovers and fence: %s", got)
	}
}

// TestAFailoverThatLosesCommitsIsHeld kills the primary of a pair while the standby lacks the last commits.
func TestAFailoverThatLosesCommitsIsHeld(t *testing.T) {
	eachFailover(t, func(t *testing.T) {
		p, s, came, workers := onPostgresPair(t, false)
		s.noError(p.CutOff(t.Context()))
		came.await(t, "outage-1", len(came.of("outage-1"))+100)
		const marks = `SELECT sum(number)::text FROM mark_number`
		if there, has := s.sql(marks), s.sqlAt(p.StandbyURL(), marks); there == has {
			t.Errorf("both servers have %s marks: nothing would be lost", has)
		}
		s.noError(p.Kill())
		s.noError(p.Promote())
		st := s.await("outage-1", "held", func(st notice.Status) bool { return st.State == notice.Held })
		if st.Reason != notice.ReasonRestored {
			t.Errorf("held as %q", st.Reason)
		}
		for _, w := range workers {
			w.stop() // all that may leave has left then
		}
		if twice := came.twice(); twice != 0 {
			t.Errorf("%d mailboxes have the mail twice", twice)
		}
		if got := s.sql(`SELECT failovers || ' ' || up FROM fence`); got != "0 true" {
			t.Errorf("failovers and fence: %s", got)
		}
	})
}
