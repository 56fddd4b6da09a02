package ledger_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// asking is a release by somebody where 5 mails want an approval.
func asking(digest, who string) ledger.Press {
	p := press(digest)
	p.Who, p.ApproveFrom = who, 5
	return p
}

// approving is an approval by a person, or an override with a reason.
func approving(digest, person, override string) ledger.Press {
	p := asking(digest, person)
	p.Approval = &ledger.Approval{Person: person, Override: override}
	return p
}

func (d *desk) wantPressed(p ledger.Press, want bool) {
	d.t.Helper()
	if released, err := d.Take(d.t.Context(), d.id, p); err != nil || released != want {
		d.t.Fatalf("by %s: released %v, %v; want %v", p.Who, released, err, want)
	}
}

// wantRefused wants a conflict that says so, and the draft as it was.
func (d *desk) wantRefused(p ledger.Press, says string) {
	d.t.Helper()
	if _, err := d.Take(d.t.Context(), d.id, p); err == nil || !strings.Contains(err.Error(), says) {
		d.t.Errorf("by %s: %v, want %q", p.Who, err, says)
	}
	d.wantNotice(notice.Draft)
}

func (d *desk) nowStands() notice.Status {
	d.t.Helper()
	st, err := d.Status(d.t.Context(), d.ref)
	d.must(err)
	return st
}

// replace has somebody replace the draft.
func (d *desk) replace(b notice.Body, severity, who string) notice.Body {
	d.t.Helper()
	b.Severity = severity
	_, _, err := d.PutDraft(d.t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: who})
	d.must(err)
	return b
}

func TestAReleaseToManyWaitsForAnotherPerson(t *testing.T) {
	t.Parallel()
	d, b := drafted(t, 5) // by test
	digest := d.freeze(b).Digest
	d.wantPressed(asking(digest, "ann (laptop)"), false)
	d.wantPressed(asking(digest, "somebody else"), false) // pressed again: nothing changes
	st := d.nowStands()
	if st.State != notice.Draft || st.ReleasedAt != nil || st.AwaitingApproval == nil {
		t.Fatalf("it is %s, and waits for %+v", st.State, st.AwaitingApproval)
	}
	if s := d.standing(); s.Awaiting != 1 {
		t.Errorf("%d releases wait", s.Awaiting)
	}
	asked := *st.AwaitingApproval
	if time.Since(asked.AskedAt) > time.Minute {
		t.Errorf("asked at %s", asked.AskedAt)
	}
	asked.AskedAt = time.Time{}
	if diff := cmp.Diff(notice.AwaitedApproval{Plan: digest, Recipients: 5, From: 5, AskedBy: "ann (laptop)"}, asked); diff != "" {
		t.Errorf("it waits so (-want +got):\n%s", diff)
	}
	d.wantRefused(approving(digest, "", ""), "TOCSIN_TOKEN")
	d.wantRefused(approving(digest, "TEST", ""), "TEST wrote on notice \"n1\": another person has to approve it")
	d.wantRefused(approving(strings.Repeat("ab", 32), "bob", ""), "does not stand any more")
	d.wantPressed(approving(digest, "bob", ""), true)
	d.wantPressed(approving(digest, "carol", ""), false)
	d.wantCounts(map[string]int{"queued": 5})
	if s := d.standing(); s.Awaiting != 0 {
		t.Errorf("%d releases wait", s.Awaiting)
	}
	if st = d.nowStands(); st.ReleasedBy != "ann (laptop)" || st.ApprovedBy != "bob" || st.CreatedBy != "test" || st.AwaitingApproval != nil {
		t.Errorf("released by %q, approved by %q, written by %q, waits for %+v", st.ReleasedBy, st.ApprovedBy, st.CreatedBy, st.AwaitingApproval)
	}
	want := []string{"ann: ask approval: 5 recipients, plan " + digest[:12], "bob: approve: 5 recipients, plan " + digest[:12]}
	if diff := cmp.Diff(want, d.acts()); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}

func TestAReleaseToFewWaitsForNobody(t *testing.T) {
	t.Parallel()
	d, b := drafted(t, 4)
	d.wantPressed(asking(d.freeze(b).Digest, "test"), true)
	if st := d.nowStands(); st.ApprovedBy != "" || st.ReleasedBy != "test" {
		t.Errorf("released by %q, approved by %q", st.ReleasedBy, st.ApprovedBy)
	}
}

func TestAnOverrideSaysWhy(t *testing.T) {
	t.Parallel()
	d, b := drafted(t, 5)
	digest := d.freeze(b).Digest
	d.wantPressed(asking(digest, "test"), false)
	d.wantPressed(approving(digest, "test", " the whole team is on a plane "), true)
	if st := d.nowStands(); st.ApprovedBy != "test" || st.Override != "the whole team is on a plane" {
		t.Errorf("approved by %q, overridden since %q", st.ApprovedBy, st.Override)
	}
	if all := d.acts(); all[len(all)-1] != "test: override approval: 5 recipients, plan "+digest[:12]+": the whole team is on a plane" {
		t.Errorf("the log says %q", all)
	}
}

// TestAnApprovalFallsWithItsPlan: with another body, another look that finds others, and a taking back.
func TestAnApprovalFallsWithItsPlan(t *testing.T) {
	t.Parallel()
	d, b := drafted(t, 5)
	digest := d.freeze(b).Digest
	d.wantPressed(asking(digest, "ann"), false)
	if again := d.freeze(b).Digest; again != digest || d.nowStands().AwaitingApproval == nil {
		t.Errorf("another look at the same customers has plan %s, not %s", again, digest)
	}
	d.customer("more")
	other := d.freeze(b).Digest
	if d.nowStands().AwaitingApproval != nil {
		t.Error("it waits, and its plan does not stand any more")
	}
	d.wantRefused(approving(digest, "bob", ""), "does not stand any more")
	d.wantPressed(asking(other, "ann"), false)
	b = d.replace(b, "major", "bob")
	if d.nowStands().AwaitingApproval != nil {
		t.Error("it waits, and its body was replaced")
	}
	d.wantRefused(approving(other, "carol", ""), "does not stand any more")
	// Everybody who wrote on it is an author for good.
	b = d.replace(b, "minor", "test")
	digest = d.freeze(b).Digest
	d.wantRefused(approving(digest, "bob", ""), "bob wrote on notice")
	d.wantPressed(approving(digest, "carol", ""), true)
	if st := d.nowStands(); st.ReleasedBy != "carol" || st.ApprovedBy != "carol" {
		t.Errorf("released by %q, approved by %q", st.ReleasedBy, st.ApprovedBy)
	}
}

func TestAScheduledNoticeIsApprovedOnce(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(5)
	b := tomorrow("n1")
	b.Incident, b.Kind, b.Phase, b.DefaultLanguage = "n1", notice.Outage, "identified", "en"
	id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
	d.must(err)
	d.id, d.ref = id, "n1"
	digest := d.freeze(b).Digest
	d.wantPressed(asking(digest, "ann"), false)
	if err := d.SendNow(t.Context(), id, "ann"); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("a draft that waits for approval is sent now: %v", err)
	}
	d.wantPressed(approving(digest, "bob", ""), true)
	d.wantNotice(notice.Scheduled)
	d.must(d.TakeBack(t.Context(), id, "ann"))
	if st := d.nowStands(); st.ApprovedBy != "" || st.AwaitingApproval != nil {
		t.Errorf("taken back, it is approved by %q and waits for %+v", st.ApprovedBy, st.AwaitingApproval)
	}
	d.wantPressed(asking(d.freeze(b).Digest, "ann"), false)
	d.wantNotice(notice.Draft)
}

// TestAnApprovalCoversReminders, and a release that wanted none has no reminder that would want one.
func TestAnApprovalCoversReminders(t *testing.T) {
	t.Parallel()
	for from, want := range map[int]struct {
		approved string
		most     int
	}{5: {"bob", 105}, 6: {"", 5}} {
		d := open(t)
		d.customers(5)
		b := maintenance("m.scheduled", notice.PhaseScheduled, moment().Add(48*time.Hour))
		b.Remind = []string{"24h"}
		d.announcing(b)
		p := asking(d.freeze(b).Digest, "ann")
		p.ApproveFrom = from
		for _, r := range b.Reminders("") {
			p.Reminders = append(p.Reminders, ledger.Draft{Body: b.Reminding(r), Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}})
		}
		if from == 5 {
			d.wantPressed(p, false)
			if list, err := d.Notices(t.Context(), notice.Page{Limit: 9}); err != nil || len(list) != 1 {
				t.Errorf("while it waits there are %d notices, %v", len(list), err)
			}
			p.Who, p.Approval = "bob", &ledger.Approval{Person: "bob"}
		}
		d.wantPressed(p, true)
		reminder, err := d.Status(t.Context(), "m.scheduled.reminder-24h")
		d.must(err)
		n, err := d.Notice(t.Context(), reminder.Number)
		if d.must(err); reminder.ApprovedBy != want.approved || n.MaxRecipients != want.most || n.State != notice.Scheduled {
			t.Errorf("from %d on: the reminder is %s, approved by %q, for %d at most", from, n.State, reminder.ApprovedBy, n.MaxRecipients)
		}
	}
}

// TestNoWayRoundAnApproval: an audience that is resolved later, a higher maximum of it, and rows that are added.
func TestNoWayRoundAnApproval(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(3)
	b := tomorrow("later")
	b.Incident, b.Kind, b.Phase, b.DefaultLanguage, b.AudienceAt, b.MaxRecipients = "later", notice.Outage, "identified", "en", notice.AtSend, 5
	id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
	d.must(err)
	d.id, d.ref = id, "later"
	p := asking(d.freeze(b).Digest, "ann")
	p.MaxRecipients = 5
	d.wantPressed(p, false) // it may go to 5
	b = d.replace(b, "", "test")
	b.MaxRecipients = 4
	b = d.replace(b, "", "test")
	p = asking(d.freeze(b).Digest, "ann")
	p.MaxRecipients = 4
	d.wantPressed(p, true)
	d.must(d.SendNow(t.Context(), id, "ann"))
	d.must(d.HoldLeaving(t.Context(), id, "too many"))
	for _, person := range []string{"", "test", "ann"} {
		d.wantConflict(d.LetLeave(t.Context(), id, 5, ledger.Allowance{From: 5, Person: person}, person))
	}
	d.must(d.LetLeave(t.Context(), id, 5, ledger.Allowance{From: 5, Person: "bob"}, "bob"))
	if st := d.nowStands(); st.ApprovedBy != "bob" {
		t.Errorf("approved by %q", st.ApprovedBy)
	}

	four, c := drafted(t, 4)
	four.wantPressed(asking(four.freeze(c).Digest, "test"), true)
	more := elsewhere("c1", "c1@elsewhere.example")
	more.ApproveFrom = 5
	if _, err := four.AddRecipient(t.Context(), four.id, more, "test"); err == nil || !strings.Contains(err.Error(), "from that on another person") {
		t.Errorf("a fifth mailbox: %v", err)
	}
	more.ApproveFrom = 6
	if _, err := four.AddRecipient(t.Context(), four.id, more, "test"); err != nil {
		t.Errorf("a fifth mailbox where 6 want an approval: %v", err)
	}
}

// TestApprovalsMeet two approvers, a release, an edit and a deletion of the draft, or a cancellation: it goes once under the plan that was
// approved, or not at all.
func TestApprovalsMeet(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(20)
	for name, meet := range map[string]func(b notice.Body, digest string) error{
		"a release": func(_ notice.Body, digest string) error {
			_, err := d.Take(context.Background(), d.id, asking(digest, "ann"))
			return err
		},
		"a deletion": func(notice.Body, string) error { return d.DeleteDraft(context.Background(), d.id, "ann") },
		"a cancel":   func(notice.Body, string) error { return d.Cancel(context.Background(), d.id, "ann") },
		"an edit": func(b notice.Body, _ string) error {
			b.Severity = "major"
			_, _, err := d.PutDraft(context.Background(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "bob"})
			return err
		},
	} {
		for round := range 8 {
			b := d.draft(strings.ReplaceAll(name, " ", "-")+string(rune('a'+round)), "")
			digest := d.freeze(b).Digest
			d.wantPressed(asking(digest, "ann"), false)
			var all sync.WaitGroup
			people, errs, released := []string{"bob", "carol", "test"}, make([]error, 3), make([]bool, 3)
			for i, person := range people {
				all.Go(func() { released[i], errs[i] = d.Take(context.Background(), d.id, approving(digest, person, "")) })
			}
			var met error
			all.Go(func() { met = meet(b, digest) })
			all.Wait()
			approvedBy(t, d, name, people, released, errs, met)
		}
	}
}

// approvedBy checks the results of three approvals, of which the last is by an author, and of the act that met them.
func approvedBy(t *testing.T, d *desk, name string, people []string, released []bool, errs []error, met error) {
	t.Helper()
	by := ""
	for i, person := range people {
		if released[i] {
			by += person
		}
		if code := notice.CodeOf(errs[i]); errs[i] != nil && code != notice.CodePlanChanged && code != notice.CodeConflict && code != notice.CodeNotFound {
			t.Errorf("%s: %s approves: %v", name, person, errs[i])
		}
	}
	st, err := d.Status(t.Context(), d.ref)
	switch {
	case by == "" && (name == "an edit" || name == "a deletion") && met == nil:
		if err == nil && st.State != notice.Draft {
			t.Errorf("%s: nobody released it, and it is %s", name, st.State)
		}
	case by != "bob" && by != "carol", st.ApprovedBy != by, st.ReleasedBy != "ann":
		t.Errorf("%s: released by %q; the notice says %q, asked by %q: %v %v", name, by, st.ApprovedBy, st.ReleasedBy, errs, met)
	case st.Recipients != 20:
		t.Errorf("%s: it has %d recipients", name, st.Recipients)
	}
}
