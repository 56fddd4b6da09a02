package main

import (
	"fmt"
	"testing"

	"tocsin/internal/notice"
)

// TestALogThatIsFollowedSettlesByItself has a real Postfix take mails. Nobody hears its answers, and its log is followed.
func TestALogThatIsFollowedSettlesByItself(t *testing.T) {
	t.Parallel()
	s := start(t)
	relay := startPostfix(t, s.sink.Addr())
	const recipients = 300
	line := s.sendOverFaultyLine(relay.address, recipients)
	uncertain := s.status("outage-1").Counts["uncertain"]
	unheard, unsent := line.counts()
	follower := s.launch("reconcile", "--follow", "--maillog", relay.log)
	delivered := func() string { return s.sql("SELECT count(*) FROM outcome WHERE delivered_by <> ''") }
	left := 0
	s.await("outage-1", "settled by its relay's log", func(st notice.Status) bool {
		left = st.Counts["uncertain"]
		return uncertain-left >= unheard && delivered() == fmt.Sprint(recipients-left)
	})
	if left < unsent {
		t.Errorf("%d of %d are uncertain, and %d dots never left", left, uncertain, unsent)
	}
	doc, _ := s.reconcile(relay.log)
	if doc.Sent != 0 || len(doc.Missing) != left {
		t.Errorf("the whole log shows %+v, and %d are uncertain", doc, left)
	}
	follower.kill()
}
