package ledger_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

func TestAReportCountsWhatBecameOfEveryDelivery(t *testing.T) {
	t.Parallel()
	db := openStore(t)
	db.outage(t) // and a second notice of the same incident, with 8 deliveries that are owed
	db.exec(t, `UPDATE outcome SET relay = 'main', enhanced = '5.1.1', reply = 'No such mailbox' WHERE seq = 3`)
	r, err := db.Report(t.Context(), "outage")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Notices) != 1 || r.Incident != "thread" || r.Recipients != 8 || r.Counts["sent"] != 2 || r.Counts["bounced"] != 0 {
		t.Errorf("%+v", r)
	}
	reach := notice.Reach{Reached: 2, NotReached: 3, Open: 3, Percent: 25}
	if diff := cmp.Diff(reach, r.Reach); diff != "" || r.AsOf.IsZero() || r.NotReached != `audience: {notice: "outage", state: [failed, suppressed]}` {
		t.Errorf("as of %v, %q: %s", r.AsOf, r.NotReached, diff)
	}
	languages := map[string]map[string]int{"nl": {"sent": 1}, "en": {"sent": 1, "queued": 3, "failed": 1, "suppressed": 2}}
	if diff := cmp.Diff(languages, r.ByLanguage); diff != "" {
		t.Errorf("by language (-want +got):\n%s", diff)
	}
	outcomes := []notice.Outcomes{
		{State: notice.DeliverySent, Count: 2, Reason: notice.ReasonRetried},
		{State: notice.DeliveryFailed, Count: 1, Reason: notice.ReasonTooLong, Relay: "main", SMTPCode: 550, Enhanced: "5.1.1", SMTPText: "No such mailbox"},
		{State: notice.DeliverySuppressed, Count: 1, Reason: notice.ReasonNoAddress},
		{State: notice.DeliverySuppressed, Count: 1, Reason: notice.ReasonUnreachable},
	}
	if diff := cmp.Diff(outcomes, r.Outcomes); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}

	all, err := db.IncidentReport(t.Context(), "thread")
	if err != nil || len(all.Notices) != 2 || all.Notices[0].Key != "outage" || all.Recipients != 16 || all.Reach.Open != 11 || all.NotReached != "" || all.Counts["queued"] != 11 || all.ByLanguage["en"]["queued"] != 11 {
		t.Errorf("of the incident: %+v, %v", all, err)
	}
	if _, err := db.Report(t.Context(), "gone"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("of a notice that is not there: %v", err)
	}
	if _, err := db.IncidentReport(t.Context(), "gone"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("of an incident that is not there: %v", err)
	}
}
