package ledger_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// advisory is a notice that readers can stop.
func advisory(key string) notice.Body {
	return notice.Body{Key: key, Incident: key, Kind: notice.Advisory, Phase: "identified", DefaultLanguage: "en"}
}

// choose makes a reader's choice, and checks the topics that are stopped since.
func (d *desk) choose(topic notice.Scope, stop bool, want ...notice.Scope) {
	d.t.Helper()
	c, err := d.Choose(d.t.Context(), d.id, 0, topic, stop)
	slices.Sort(c.Stopped)
	if diff := cmp.Diff(want, c.Stopped); diff != "" || err != nil {
		d.t.Fatalf("stop %v %q: %v (-want +got):\n%s", stop, topic, err, diff)
	}
}

// suppressedOf returns how many mailboxes a notice like that would leave out because of the list.
func (d *desk) suppressedOf(kind notice.Kind, phase string) int {
	d.t.Helper()
	p, err := d.Plan(d.t.Context(), all(notice.Body{Key: "p", Incident: "p", Kind: kind, Phase: phase, Severity: "critical", DefaultLanguage: "en"}))
	d.must(err)
	return p.Suppressed[notice.ReasonSuppressionList]
}

// TestAReaderStopsOneTopicAndResumesIt: the notices of that topic are left out, and no others.
func TestAReaderStopsOneTopicAndResumesIt(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(3)
	d.send(advisory("a"))
	d.choose("", true, notice.ScopeAdvisory)
	d.wantState(0, notice.DeliverySuppressed) // this notice stops too
	d.choose("", true, notice.ScopeAdvisory)  // a mail provider may press twice
	for _, c := range []struct {
		kind  notice.Kind
		phase string
		want  int
	}{
		{notice.Advisory, "resolved", 1}, {notice.Advisory, "postmortem", 0}, {notice.Outage, "identified", 0}, {notice.Outage, "postmortem", 0},
		{notice.Maintenance, "scheduled", 0},
	} {
		if got := d.suppressedOf(c.kind, c.phase); got != c.want {
			t.Errorf("%s %s leaves out %d, want %d", c.kind, c.phase, got, c.want)
		}
	}
	d.choose(notice.ScopePostmortem, true, notice.ScopeAdvisory, notice.ScopePostmortem)
	if got := d.suppressedOf(notice.Maintenance, "postmortem"); got != 1 {
		t.Errorf("a post-mortem leaves out %d", got)
	}
	d.choose(notice.ScopeAdvisory, false, notice.ScopePostmortem)
	if got := d.suppressedOf(notice.Advisory, "resolved"); got != 0 {
		t.Errorf("an advisory after it was resumed leaves out %d", got)
	}
}

// TestAReaderDoesNotLiftTheEntriesOfOthers, nor do others lift those of a reader without their number.
func TestAReaderDoesNotLiftTheEntriesOfOthers(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(1)
	d.send(advisory("a"))
	add := func(key string, scope notice.Scope) {
		_, _, err := d.Suppress(t.Context(), notice.SuppressionRow{Key: key, Reason: "request", Scope: scope}, "operator")
		d.must(err)
	}
	for _, c := range []struct {
		key   string
		scope notice.Scope
		want  []notice.Scope
	}{
		{"c1@example.com", notice.ScopePostmortem, []notice.Scope{notice.ScopePostmortem}},
		{"c1@example.com", notice.ScopeNotUrgent, notice.Topics},
		{"c1@example.com", notice.ScopeAll, notice.Topics},
		{"*@example.com", notice.ScopeAdvisory, []notice.Scope{notice.ScopeAdvisory}},
	} {
		add(c.key, c.scope)
		for _, topic := range notice.Topics {
			d.choose(topic, true, topic)
			d.choose(topic, false)
		}
		got, err := d.Choices(t.Context(), d.id, 0)
		if diff := cmp.Diff(c.want, got.Barred); diff != "" || err != nil {
			t.Errorf("%s of %s: %v (-want +got):\n%s", c.key, c.scope, err, diff)
		}
		d.must(d.Unsuppress(t.Context(), c.key))
	}
	d.choose("", true, notice.ScopeAdvisory)
	add("c1@example.com", notice.ScopeAll) // it bounced, and is mended
	d.must(d.Unsuppress(t.Context(), "c1@example.com"))
	if err := d.Unsuppress(t.Context(), "c1@example.com"); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("the reader's own entry is taken off by the address: %v", err)
	}
	if got := d.suppressedOf(notice.Advisory, "resolved"); got != 1 {
		t.Errorf("%d are left out: the reader's choice is lost", got)
	}
	listed, err := d.Suppressions(t.Context(), 0, 10)
	if err != nil || len(listed) != 1 || listed[0].AddedBy != notice.Reader || listed[0].Reason != notice.SuppressedUnsubscribed {
		t.Fatalf("the list is %+v, %v", listed, err)
	}
	d.must(d.UnsuppressNumber(t.Context(), listed[0].Number))
}

// TestAnErasedReaderHasNoChoice: the old link is as good as a forged one, and the choice outlives the erasure as a hash.
func TestAnErasedReaderHasNoChoice(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(1)
	d.send(advisory("a"))
	d.choose("", true, notice.ScopeAdvisory)
	d.must(d.DeleteCustomer(t.Context(), "c1"))
	for name, err := range map[string]error{
		"Choices":      second(d.Choices(t.Context(), d.id, 0)),
		"stop":         second(d.Choose(t.Context(), d.id, 0, notice.ScopePostmortem, true)),
		"resume":       second(d.Choose(t.Context(), d.id, 0, "", false)),
		"another seq":  second(d.Choices(t.Context(), d.id, 7)),
		"an unknown":   second(d.Choices(t.Context(), 4711, 0)),
		"no notice":    second(d.MessageToken(t.Context(), 4711)),
		"far too high": second(d.Choices(t.Context(), 1<<62, 1<<31-1)),
	} {
		if notice.CodeOf(err) != notice.CodeNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
	listed, err := d.Suppressions(t.Context(), 0, 10)
	if err != nil || len(listed) != 1 || listed[0].Address != "" {
		t.Fatalf("the list is %+v, %v", listed, err)
	}
	d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('again', 'c1@example.com', 'c1@example.com')`)
	if got := d.suppressedOf(notice.Advisory, "resolved"); got != 1 {
		t.Errorf("%d are left out after the address came back", got)
	}
	d.send(notice.Body{Key: "pm", Incident: "a", Kind: notice.Advisory, Phase: "postmortem", DefaultLanguage: "en"})
	d.choose(notice.ScopeAdvisory, false)
	if got := d.suppressedOf(notice.Advisory, "resolved"); got != 0 {
		t.Errorf("%d are left out after it was resumed", got)
	}
}

// TestAReaderOfAnOutageHasNoChoice, nor one of maintenance or of a draft.
func TestAReaderOfAnOutageHasNoChoice(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(1)
	for _, b := range []notice.Body{
		{Key: "o", Incident: "o", Kind: notice.Outage, Phase: "resolved", DefaultLanguage: "en"},
		{Key: "m", Incident: "m", Kind: notice.Maintenance, Phase: "scheduled", DefaultLanguage: "en"},
	} {
		d.send(b)
		if _, err := d.Choose(t.Context(), d.id, 0, notice.ScopeAdvisory, true); notice.CodeOf(err) != notice.CodeNotFound {
			t.Errorf("%s: %v", b.Kind, err)
		}
	}
}

// TestAChoiceWaitsForAnErasure that has begun: the mailbox would stand on the list in clear, after its customer was erased.
func TestAChoiceWaitsForAnErasure(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(1)
	d.send(advisory("a"))
	tx, err := d.pool.Begin(t.Context())
	d.must(err)
	defer tx.Rollback(t.Context()) // a second end does nothing
	_, err = tx.Exec(t.Context(), `UPDATE recipient SET address_key = 'erased:' || seq`)
	d.must(err)
	done := make(chan error, 1)
	go func() { done <- second(d.Choose(t.Context(), d.id, 0, "", true)) }()
	d.waiting(1, done)
	d.must(tx.Commit(t.Context()))
	if err := <-done; notice.CodeOf(err) != notice.CodeNotFound {
		t.Errorf("%v", err)
	}
	d.wantRows(0, `SELECT count(*) FROM suppression`)
}
