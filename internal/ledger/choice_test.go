package ledger_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// customers keeps c1 to cN, each with a mailbox of their own; the plan of the even ones is gold.
func (d *desk) customers(n int) {
	d.t.Helper()
	d.exec(`INSERT INTO customer (id, name, email, email_key, attributes)
		SELECT 'c' || i, 'Customer ' || i, 'c' || i || '@example.com', 'c' || i || '@example.com',
			CASE WHEN i % 2 = 0 THEN '{"plan": "gold"}' ELSE '{}' END::jsonb FROM generate_series(1, $1::int) i`, n)
}

// told lists who stands on the notice that was sent last.
func (d *desk) told() string {
	d.t.Helper()
	var ids string
	d.must(d.pool.QueryRow(d.t.Context(), `SELECT coalesce(string_agg(customer_id, ' ' ORDER BY customer_id), '') FROM member m JOIN notice n ON n.plan_id = m.plan_id WHERE n.id = $1`, d.id).Scan(&ids))
	return ids
}

var gold = attribute("plan", notice.FilterEq, "gold")

func TestAChoiceIsAListOrAnEarlierNotice(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(6)
	d.sendTo(notice.Body{Key: "first"}, ledger.Choice{Filter: gold})
	first := d.id
	if got := d.told(); got != "c2 c4 c6" {
		t.Fatalf("the filter chose %s", got)
	}
	// c2 leaves the plan, c4 has no address any more, c7 and c8 come, and c8 takes the plan.
	d.exec(`UPDATE customer SET attributes = '{}' WHERE id = 'c2'`)
	d.exec(`UPDATE customer SET email = '', email_key = '' WHERE id = 'c4'`)
	d.exec(`INSERT INTO customer (id, email, email_key, attributes) VALUES ('c7', '7@example.com', '7@example.com', '{}'), ('c8', '8@example.com', '8@example.com', '{"plan": "gold"}')`)
	chosen := 0
	for _, c := range []struct {
		name   string
		choice ledger.Choice
		want   string
	}{
		{"a list", ledger.Choice{Customers: []string{"c1", "c8"}}, "c1 c8"},
		{"a list and a filter", ledger.Choice{Customers: []string{"c1", "c8"}, Filter: gold}, "c8"},
		{"an earlier notice", ledger.Choice{Notice: first}, "c2 c4 c6"},
		{"an earlier notice and a filter", ledger.Choice{Notice: first, Filter: gold}, "c4 c6"},
		{"and who is new", ledger.Choice{Notice: first, New: &ledger.Choice{Filter: gold}}, "c2 c4 c6 c8"},
		{"and who is new, narrowed", ledger.Choice{Notice: first, New: &ledger.Choice{Filter: gold}, Filter: column("id", notice.FilterNe, "c6")}, "c2 c4 c8"},
		{"over two notices", ledger.Choice{Notice: first, New: &ledger.Choice{Notice: first, New: &ledger.Choice{Filter: column("id", notice.FilterEq, "c1")}}}, "c1 c2 c4 c6"},
	} {
		chosen++
		d.sendTo(notice.Body{Key: fmt.Sprint("n", chosen), Incident: fmt.Sprint("i", chosen)}, c.choice)
		if got := d.told(); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// TestAnEarlierNoticeIsItsWholeAudience includes who was cancelled, suppressed or has failed.
func TestAnEarlierNoticeIsItsWholeAudience(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(4)
	d.exec(`UPDATE customer SET email = '', email_key = '' WHERE id = 'c4'`)
	d.send(notice.Body{Key: "first"})
	c := d.claim("w")
	d.mark(attempt(c, 1)) // the customer without a mailbox stands first
	d.answer(attempt(c, 1), notice.DeliveryFailed, 550)
	d.closeChunk(c)
	d.must(d.Cancel(t.Context(), d.id, "test"))
	d.wantCounts(map[string]int{"failed": 1, "cancelled": 2, "suppressed": 1})
	d.sendTo(notice.Body{Key: "second"}, ledger.Choice{Notice: d.id})
	if got := d.told(); got != "c1 c2 c3 c4" {
		t.Errorf("it went to %s", got)
	}
}

// TestAnEarlierNoticeIsKnownBeforeItIsExpanded: its rows are frozen, though nothing of it is born yet.
func TestAnEarlierNoticeIsKnownBeforeItIsExpanded(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(3)
	b := notice.Body{Key: "first", Incident: "first", Kind: notice.Outage, Phase: "identified"}
	id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
	d.must(err)
	if _, err := d.Release(t.Context(), id, all(b), ledger.Press{Domain: "example.net", Who: "test"}); err != nil {
		t.Fatal(err)
	}
	d.sendTo(notice.Body{Key: "second"}, ledger.Choice{Notice: id})
	if got := d.told(); got != "c1 c2 c3" {
		t.Errorf("it went to %s", got)
	}
}

// TestOutsideSaysWhatLeavesACustomerOut: the source of an audience goes before its filter.
func TestOutsideSaysWhatLeavesACustomerOut(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(4)
	d.sendTo(notice.Body{Key: "first"}, ledger.Choice{Customers: []string{"c1", "c2"}})
	not2 := column("id", notice.FilterNe, "c2")
	for _, c := range []struct {
		choice   ledger.Choice
		id, want string
	}{
		{ledger.Choice{Filter: not2}, "c2", notice.ExcludedByFilter},
		{ledger.Choice{Customers: []string{"c1", "c2"}, Filter: not2}, "c2", notice.ExcludedByFilter},
		{ledger.Choice{Customers: []string{"c1", "c2"}, Filter: not2}, "c3", notice.ExcludedByList},
		{ledger.Choice{Notice: d.id}, "c3", notice.ExcludedByNotice},
		{ledger.Choice{Notice: d.id, Filter: not2}, "c2", notice.ExcludedByFilter},
		{ledger.Choice{Notice: d.id, New: &ledger.Choice{Filter: not2}, Filter: column("id", notice.FilterNe, "c3")}, "c3", notice.ExcludedByFilter},
		{ledger.Choice{Customers: []string{"c1"}}, "c9", notice.UnknownCustomer},
	} {
		if got, err := d.Outside(t.Context(), c.choice, c.id); err != nil || got != c.want {
			t.Errorf("%s, %+v: %q, %v, want %q", c.id, c.choice, got, err, c.want)
		}
	}
}

func TestThePlanSaysWhoIsLeftOutAndWhatHasChanged(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(10)
	b := notice.Body{Key: "update", Incident: "thread"}
	preview := func(c ledger.Choice) notice.Plan {
		a := all(b)
		a.Choice = c
		p, err := d.Plan(t.Context(), a)
		d.must(err)
		return p
	}
	if p := preview(ledger.Choice{}); len(p.Excluded) != 0 || p.Previous != nil {
		t.Errorf("the first notice to everybody: %v, %+v", p.Excluded, p.Previous)
	}
	d.sendTo(notice.Body{Key: "first", Incident: "thread"}, ledger.Choice{Filter: gold})
	first := d.id
	c := d.claim("w")
	d.mark(attempt(c, 0))
	d.answer(attempt(c, 0), notice.DeliverySent, 250)
	d.mark(attempt(c, 1))
	d.answer(attempt(c, 1), notice.DeliveryFailed, 550)
	d.closeChunk(c)
	// c10, by the order of mailboxes, has it; c2 has failed; c4, c6 and c8 are owed it, and so c4 stays for now.
	d.exec(`INSERT INTO suppression (address_key, reason, added_by) VALUES ('c4@example.com', 'request', 'test')`)
	tests := map[string]struct {
		choice     ledger.Choice
		excluded   map[string]int
		suppressed map[string]int
		previous   notice.Difference
	}{
		"everybody": {ledger.Choice{}, map[string]int{}, map[string]int{"suppression_list": 1}, notice.Difference{Key: "first", Same: 3, New: 6, Left: 1}},
		"a list": {ledger.Choice{Customers: []string{"c1", "c2", "c6"}, Filter: gold}, map[string]int{"not_listed": 7, "filter": 1}, map[string]int{},
			notice.Difference{Key: "first", Same: 1, New: 1, Left: 3}},
		"an earlier notice": {ledger.Choice{Notice: first, Filter: column("id", notice.FilterNe, "c10")}, map[string]int{"not_on_notice": 5, "filter": 1},
			map[string]int{"suppression_list": 1}, notice.Difference{Key: "first", Same: 2, New: 1, Left: 2}},
	}
	for name, c := range tests {
		p := preview(c.choice)
		if diff := cmp.Diff([]any{c.excluded, c.suppressed, &c.previous}, []any{p.Excluded, p.Suppressed, p.Previous}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestADraftKeepsItsListUntilItIsReleased(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(4)
	ctx := t.Context()
	draft := func(ids ...string) (int64, error) {
		b := notice.Body{Key: "k", Incident: "k", Kind: notice.Outage, Phase: "identified", Audience: notice.Audience{Customers: ids}}
		b.Audience.Sum(b.Key)
		id, _, err := d.PutDraft(ctx, ledger.Draft{Body: b.Kept(), Customers: ids, Texts: map[string]notice.Text{}, Who: "test"})
		return id, err
	}
	id, err := draft("c3", "c1", "c4")
	d.must(err)
	_, err = draft("c4", "c2", "c1", "c1")
	d.must(err)
	d.must(d.DeleteCustomer(ctx, "c2"))
	ids, err := d.Listed(ctx, id)
	if d.must(err); strings.Join(ids, " ") != "c1 c4" {
		t.Errorf("the list is %q", ids)
	}
	n, err := d.Notice(ctx, id)
	d.must(err)
	if n.Body.Audience.Customers != nil || n.Body.Audience.Size != 3 {
		t.Errorf("the body keeps %+v", n.Body.Audience)
	}
	a := all(n.Body)
	a.Choice.Customers = ids
	if _, err := d.Release(ctx, id, a, ledger.Press{Domain: "example.net", Who: "test"}); err != nil {
		t.Fatal(err)
	}
	if ids, err := d.Listed(ctx, id); err != nil || len(ids) != 0 {
		t.Errorf("after the release the list is %q, %v", ids, err)
	}
	// The same list in another order, with an id that has gone since, is the same notice; another list is not.
	if _, err := draft("c1", "c2", "c4"); err != nil {
		t.Errorf("the same list: %v", err)
	}
	if _, err := draft("c1", "c4"); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("another list: %v, want a conflict", err)
	}
	if first, n, err := d.UnknownCustomers(ctx, []string{"c1", "C4", "c3", "nobody"}); first != 1 || n != 2 || err != nil {
		t.Errorf("unknown: %d, %d, %v", first, n, err)
	}
	if first, n, err := d.UnknownCustomers(ctx, []string{"c1"}); first != -1 || n != 0 || err != nil {
		t.Errorf("none unknown: %d, %d, %v", first, n, err)
	}
}

// TestALongList takes the way of a list through the ledger, and logs how long that takes, and how much memory on this
// side. make test-all has 200,000 customers on it.
func TestALongList(t *testing.T) {
	t.Parallel()
	d := open(t)
	n := testkit.Size(10_000, 200_000)
	d.customers(n)
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint("c", i+1)
	}
	ids = slices.Concat(ids[n/2:], ids[:n/2])
	b := notice.Body{Key: "k", Incident: "k", Kind: notice.Outage, Phase: "identified", Audience: notice.Audience{Customers: ids}}
	b.Audience.Sum(b.Key)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	at := time.Now()
	step := func(what string) { t.Logf("%s: %s", what, time.Since(at).Round(time.Millisecond)); at = time.Now() }
	if first, _, err := d.UnknownCustomers(t.Context(), ids); err != nil || first != -1 {
		t.Fatal(first, err)
	}
	step("looked for unknown ids")
	id, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b.Kept(), Customers: ids, Texts: map[string]notice.Text{}, Who: "test"})
	d.must(err)
	step("kept the draft")
	a := all(b.Kept())
	a.Choice.Customers, err = d.Listed(t.Context(), id)
	d.must(err)
	if _, err := d.Release(t.Context(), id, a, ledger.Press{Domain: "example.net", Who: "test"}); err != nil {
		t.Fatal(err)
	}
	step("released it")
	later := all(notice.Body{Key: "later", Incident: "k"})
	later.Choice = ledger.Choice{Notice: id, New: &ledger.Choice{Notice: id, New: &ledger.Choice{Filter: gold}}}
	p, err := d.Plan(t.Context(), later)
	d.must(err)
	step("planned one to who stood on it")
	runtime.ReadMemStats(&after)
	t.Logf("allocated %d MiB in all, heap now %d MiB", (after.TotalAlloc-before.TotalAlloc)>>20, after.HeapAlloc>>20)
	if p.Customers != n || p.Previous.Same != n {
		t.Errorf("it would go to %d customers, %+v", p.Customers, p.Previous)
	}
}
