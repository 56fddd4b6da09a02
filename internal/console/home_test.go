package console

import (
	"testing"

	"tocsin/internal/notice"
)

// TestTheListCountsThoseNotReachedAsAReportDoes: the list of notices says the same as a report of each. An uncertain mail may have
// reached its reader.
func TestTheListCountsThoseNotReachedAsAReportDoes(t *testing.T) {
	t.Parallel()
	n := noticeRow{Status: notice.Status{Recipients: 45, Counts: map[string]int{}}}
	for i, state := range []string{"queued", "sending", "sent", "deferred", "failed", "uncertain", "suppressed", "cancelled", "bounced"} {
		n.Counts[state] = i + 1
	}
	if n.Missed() != 5+7+8+9 || n.Open() != 1+2+4 {
		t.Errorf("%d are not reached and %d are open", n.Missed(), n.Open())
	}
}
