package ledger_test

import (
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// never is an entry for every notice.
func never(key string) notice.SuppressionRow {
	return notice.SuppressionRow{Key: key, Reason: notice.SuppressedRequest, Scope: notice.ScopeAll}
}

func (d *desk) suppress(keys ...string) {
	d.t.Helper()
	for _, key := range keys {
		_, _, err := d.Suppress(d.t.Context(), never(key), "test")
		d.must(err)
	}
}

func TestASuppressedMailboxHasItsRowAndNoMail(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO customer (id, email, email_key, alternate_email, alternate_email_key) VALUES
		('a', 'A@x.example', 'a@x.example', '', ''), ('b', 'a@x.example', 'a@x.example', '', ''),
		('c', 'c@broken.example', 'c@broken.example', 'c@alt.example', 'c@alt.example'),
		('d', 'd@broken.example', 'd@broken.example', 'd@alt.example', 'd@alt.example'),
		('e', 'e@x.example', 'e@x.example', 'e@alt.example', 'e@alt.example')`)
	// c's alternate would be used, and may not; d's primary would not be used anyway; e's alternate would not be.
	d.suppress("a@x.example", "c@alt.example", "d@broken.example", "e@alt.example")
	b := notice.Body{Key: "n1", Incident: "n1", BrokenDomains: []string{"broken.example"}}
	a := all(b)
	a.Broken.Domains = b.BrokenDomains
	p, err := d.Plan(t.Context(), a)
	d.must(err)
	if p.Customers != 5 || p.Recipients != 4 || p.Suppressed["suppression_list"] != 2 || p.Alternates != 1 || p.ByLanguage["en"] != 2 {
		t.Errorf("the plan is %+v", p)
	}
	b.Kind, b.Phase = notice.Outage, "identified"
	id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
	d.must(err)
	a.Body = b
	if _, err := d.Release(t.Context(), id, a, ledger.Press{Domain: "example.net", Who: "test"}); err != nil {
		t.Fatal(err)
	}
	d.id, d.ref = id, "n1"
	d.wantCounts(map[string]int{"queued": 2, "suppressed": 2})
	rows, err := d.Deliveries(t.Context(), id, notice.DeliveryPage{After: -1, Limit: 10})
	d.must(err)
	var told []string
	for _, r := range rows {
		told = append(told, strings.TrimSpace(r.Address+" "+r.Reason))
	}
	want := []string{"A@x.example suppression_list", "c@alt.example suppression_list", "d@alt.example alternate", "e@x.example"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// An operator can have it sent all the same; the list is not asked again for it.
	done, err := d.Settle(t.Context(), id, notice.Settlement{Requeue: true, Address: "a@x.example"}, "a@x.example", "op")
	if err != nil || done.Changed != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	d.deliver()
	d.wantCounts(map[string]int{"sent": 3, "suppressed": 1})
	d.wantNotice(notice.Sent)
}

// TestWhatIsSuppressedAfterTheReleaseIsNotMarkedAnyMore from the moment at which the call returns.
func TestWhatIsSuppressedAfterTheReleaseIsNotMarkedAnyMore(t *testing.T) {
	t.Parallel()
	d := release(t, 6)
	c := d.claim("w")
	d.mark(attempt(c, 0))
	d.answer(attempt(c, 0), notice.DeliveryDeferred, 451)
	d.mark(attempt(c, 4))
	d.mark(attempt(c, 5))
	d.suppress("c1@example.com", "c2@example.com", "c4@example.com", "c5@example.com", "c6@example.com")
	if d.mark(attempt(c, 1)) {
		t.Error("it was marked in a claim of before")
	}
	d.answer(attempt(c, 4), notice.DeliveryDeferred, 451) // a mail that was marked before has its answer, and no next try
	d.answer(attempt(c, 5), notice.DeliverySent, 250)
	d.closeChunk(c)
	d.deliver()
	d.wantCounts(map[string]int{"sent": 2, "suppressed": 2, "cancelled": 2})
	d.wantState(3, notice.DeliverySuppressed)
	d.wantNotice(notice.Sent)
	rows, err := d.Deliveries(t.Context(), d.id, notice.DeliveryPage{After: -1, Limit: 10})
	if err != nil || rows[0].Reason != notice.ReasonSuppressionList || rows[4].Reason != notice.ReasonSuppressionList {
		t.Errorf("the rows are %+v, %v", rows, err)
	}
	done, err := d.Settle(t.Context(), d.id, notice.Settlement{Requeue: true, Address: "c4@example.com"}, "c4@example.com", "op")
	if err != nil || done.Changed != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	d.wantNotice(notice.Sending)
	d.deliver()
	d.wantCounts(map[string]int{"sent": 3, "suppressed": 1, "cancelled": 2})
}

// TestTheListIsAskedAtEachClaim for entries that came while a release was being made.
func TestTheListIsAskedAtEachClaim(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	d.exec(`INSERT INTO suppression (address_key, reason, added_by) VALUES ('c2@example.com', 'request', 'x')`)
	d.deliver()
	d.wantCounts(map[string]int{"sent": 1, "suppressed": 1})
}

// suppressions is a file.
type suppressions []notice.SuppressionRow

func (s *suppressions) Next() (row notice.SuppressionRow, _ *notice.Rejection, err error) {
	if len(*s) == 0 {
		return row, nil, io.EOF
	}
	row, *s = (*s)[0], (*s)[1:]
	if row.Key == "" {
		return row, &notice.Rejection{Line: row.Line, Column: "address"}, nil
	}
	return row, nil, nil
}

func TestTheListOfSuppressions(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	d.suppress("a@x.example")
	report, err := d.ImportSuppressions(ctx, &suppressions{{Key: "a@x.example", Reason: "bounced", Scope: notice.ScopeAll}, {Line: 2},
		{Key: "b@x.example", Reason: "old", Scope: notice.ScopeAll}, {Key: "b@x.example", Reason: "complaint", Scope: notice.ScopeAll}}, "importer")
	d.must(err)
	if report.Read != 4 || report.Inserted != 1 || report.Updated != 1 || report.Unchanged != 1 || len(report.Rejected) != 1 {
		t.Errorf("the report is %+v", report)
	}
	list := func(after int64, limit int) (text string) {
		all, err := d.Suppressions(ctx, after, limit)
		d.must(err)
		for _, s := range all {
			text += s.Address + "=" + s.Reason + "/" + s.AddedBy + " "
		}
		return text
	}
	if got := list(0, 10); got != "a@x.example=bounced/importer b@x.example=complaint/importer " {
		t.Errorf("the list is %s", got)
	}
	if got := list(0, 1) + list(1, 10); !strings.HasPrefix(got, "a@x.example=") || strings.Count(got, "=") != 2 {
		t.Errorf("in pages: %s", got)
	}
	d.must(d.Unsuppress(ctx, "a@x.example"))
	if err := d.Unsuppress(ctx, "a@x.example"); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("removed twice: %v", err)
	}
	if err := d.UnsuppressNumber(ctx, 4711); notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("no such number: %v", err)
	}
}

// TestWhatWaitsForAnEarlierDotIsStillSuppressed: the row of a later notice that waits was never tried.
func TestWhatWaitsForAnEarlierDotIsStillSuppressed(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	d.mark(attempt(d.claim("a"), 0))
	d.send(notice.Body{Key: "n2", Incident: "n1", Phase: "resolved"})
	d.exec(`INSERT INTO suppression (address_key, reason, added_by) VALUES ('c1@example.com', 'request', 'x')`) // while it was released
	d.exec(`UPDATE outcome SET due_at = clock_timestamp() WHERE notice_id = $1`, d.id)
	if c := d.claim("b"); len(c.Due) != 0 {
		t.Errorf("a mail is due to a mailbox that is suppressed: %+v", c.Due)
	}
	d.wantState(0, notice.DeliverySuppressed)
}

// TestALateRefusalToASuppressedMailboxIsNotTriedAgain: the notice was finished when the mailbox was put on the list.
func TestALateRefusalToASuppressedMailboxIsNotTriedAgain(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	lost := attempt(d.claim("a"), 0)
	d.mark(lost)
	d.loseLease()
	d.closeChunk(d.claim("b"))
	d.wantNotice(notice.Sent)
	d.suppress("c1@example.com")
	d.answer(lost, notice.DeliveryDeferred, 450)
	if c := d.claim("c"); len(c.Due) != 0 {
		t.Errorf("a mail is due to a mailbox that is suppressed: %+v", c.Due)
	}
	d.wantState(0, notice.DeliveryCancelled)
}

// TestAnErasedEntryKeepsItsScope: a hash holds for the same notices as the address did. An entry for a domain is no hash,
// also where the erased mailbox has its name.
func TestAnErasedEntryKeepsItsScope(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('a', 'a@x.example', 'a@x.example'), ('b', '*@y.example', '*@y.example')`)
	for _, key := range []string{"a@x.example", "*@y.example"} {
		_, _, err := d.Suppress(t.Context(), notice.SuppressionRow{Key: key, Reason: notice.SuppressedComplaint, Scope: notice.ScopeNotUrgent}, "test")
		d.must(err)
	}
	d.must(d.DeleteCustomer(t.Context(), "a"))
	d.must(d.DeleteCustomer(t.Context(), "b"))
	listed, err := d.Suppressions(t.Context(), 0, 10)
	if err != nil || listed[0].Address != "" || listed[0].Scope != notice.ScopeNotUrgent || listed[1].Address != "*@y.example" {
		t.Errorf("the list is %+v, %v", listed, err)
	}
	d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('c', 'a@x.example', 'a@x.example'), ('d', 'd@y.example', 'd@y.example')`)
	for _, b := range []notice.Body{{Kind: notice.Advisory}, {Kind: notice.Outage}} {
		p, err := d.Plan(t.Context(), all(b))
		if want := 2 - len(p.ByLanguage)*2; err != nil || p.Suppressed[notice.ReasonSuppressionList] != want || b.Urgent() != (want == 0) {
			t.Errorf("%s: %+v, %v", b.Kind, p, err)
		}
	}
}

// TestAFileWidensAnEntryAndNeverNarrowsOne and a wider one stops the deliveries that are owed, as a new one does.
func TestAFileWidensAnEntryAndNeverNarrowsOne(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	complaint := func(key string) notice.SuppressionRow {
		return notice.SuppressionRow{Key: key, Reason: notice.SuppressedComplaint, Scope: notice.ScopeNotUrgent}
	}
	for _, row := range []notice.SuppressionRow{complaint("c1@example.com"), never("c2@example.com")} {
		_, _, err := d.Suppress(t.Context(), row, "test")
		d.must(err)
	}
	d.wantCounts(map[string]int{"queued": 2, "suppressed": 1}) // an outage goes in spite of a complaint
	report, err := d.ImportSuppressions(t.Context(), &suppressions{never("c1@example.com"), complaint("c1@example.com"), complaint("c2@example.com"),
		complaint("c3@example.com")}, "importer")
	if err != nil || report.Inserted != 1 || report.Updated != 1 || report.Unchanged != 2 {
		t.Errorf("%+v, %v", report, err)
	}
	d.wantCounts(map[string]int{"queued": 1, "suppressed": 2})
	all, err := d.Suppressions(t.Context(), 0, 10)
	if err != nil || all[0].Scope != notice.ScopeAll || all[1].Scope != notice.ScopeAll || all[1].Reason != notice.SuppressedRequest || all[2].Scope != notice.ScopeNotUrgent {
		t.Errorf("the list is %+v, %v", all, err)
	}
}
