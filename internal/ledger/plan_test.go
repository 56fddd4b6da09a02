package ledger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// drafted returns a ledger with so many customers and a draft to all of them, and that draft's body.
func drafted(t *testing.T, customers int) (*desk, notice.Body) {
	t.Helper()
	d := open(t)
	d.customers(customers)
	return d, d.draft("n1", "")
}

// draft makes a draft to everybody, or replaces it.
func (d *desk) draft(key, severity string) notice.Body {
	d.t.Helper()
	b := notice.Body{Key: key, Incident: key, Kind: notice.Outage, Phase: "identified", Severity: severity, DefaultLanguage: "en"}
	id, _, err := d.PutDraft(d.t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "test"})
	d.must(err)
	d.id, d.ref = id, key
	return b
}

func (d *desk) freeze(b notice.Body) notice.Plan {
	d.t.Helper()
	p, err := d.Freeze(d.t.Context(), d.id, all(b))
	d.must(err)
	return p
}

func press(digest string) ledger.Press {
	return ledger.Press{Digest: digest, Domain: "example.net", Who: "test"}
}

// wantTaken releases a plan, which has to stand.
func (d *desk) wantTaken(digest string) {
	d.t.Helper()
	if released, err := d.Take(d.t.Context(), d.id, press(digest)); err != nil || !released {
		d.t.Fatalf("the plan was not taken: %v %v", released, err)
	}
}

// wantDropped wants the release of a plan refused, because it does not stand any more.
func (d *desk) wantDropped(digest string) {
	d.t.Helper()
	released, err := d.Take(d.t.Context(), d.id, press(digest))
	if released || notice.CodeOf(err) != notice.CodePlanChanged {
		d.t.Errorf("got %v %v, want plan_changed", released, err)
	}
	if state, err := d.State(d.t.Context(), d.ref); err != nil || state != notice.Draft {
		d.t.Errorf("the notice is %s, %v", state, err)
	}
}

// addresses are those of the notice's rows, by seq.
func (d *desk) addresses() (all []string) {
	d.t.Helper()
	rows, err := d.Deliveries(d.t.Context(), d.id, notice.DeliveryPage{After: -1, Limit: 1000})
	d.must(err)
	for _, r := range rows {
		all = append(all, r.Address)
	}
	return all
}

func TestWhatWasShownIsWhatGoes(t *testing.T) {
	t.Parallel()
	d, b := drafted(t, 3)
	p := d.freeze(b)
	if p.Customers != 3 || len(p.Digest) != 64 {
		t.Fatalf("the plan is %+v", p)
	}
	d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('late', 'late@example.com', 'late@example.com')`)
	d.exec(`UPDATE customer SET email = 'moved@example.com', email_key = 'moved@example.com', name = 'Moved' WHERE id = 'c1'`)
	d.exec(`DELETE FROM customer WHERE id = 'c2'`) // as an import would not: nothing was erased
	d.wantTaken(p.Digest)
	if diff := cmp.Diff([]string{"c1@example.com", "c2@example.com", "c3@example.com"}, d.addresses()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c := d.claim("w")
	if name := c.Due[0].Recipient.Customers[0].Name; name != "Customer 1" {
		t.Errorf("the mail is for %q", name)
	}
	if released, err := d.Take(t.Context(), d.id, press(p.Digest)); released || err != nil {
		t.Errorf("a second press: %v %v", released, err)
	}
	if released, err := d.Take(t.Context(), d.id, press(strings.Repeat("0", 64))); released || err != nil {
		t.Errorf("a press of another plan after the release: %v %v", released, err)
	}
}

func TestADigestStandsForBodyTextsAndRows(t *testing.T) {
	t.Parallel()
	d, b := drafted(t, 3)
	first := d.freeze(b).Digest
	if again := d.freeze(b).Digest; again != first {
		t.Error("the same plan has two digests")
	}
	seen := map[string]bool{first: true}
	step := func(what string, change func()) {
		t.Helper()
		change()
		digest := d.freeze(b).Digest
		if seen[digest] {
			t.Errorf("%s: the digest is the same", what)
		}
		seen[digest] = true
	}
	step("a customer more", func() {
		d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('x', 'x@example.com', 'x@example.com')`)
	})
	step("another address", func() {
		d.exec(`UPDATE customer SET email = 'y@example.com', email_key = 'y@example.com' WHERE id = 'x'`)
	})
	step("another language", func() { d.exec(`UPDATE customer SET language = 'nl' WHERE id = 'x'`) })
	step("another zone", func() { d.exec(`UPDATE customer SET time_zone = 'Europe/Amsterdam' WHERE id = 'x'`) })
	step("another attribute", func() { d.exec(`UPDATE customer SET attributes = '{"plan": "gold"}' WHERE id = 'x'`) })
	step("a suppression", func() { d.suppress("y@example.com") })
	step("another body", func() { b = d.draft("n1", "major") })
	step("another text", func() {
		_, _, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "other"}}, Who: "test"})
		d.must(err)
	})
}

func TestAPlanBelongsToItsDraft(t *testing.T) {
	t.Parallel()
	for name, drop := range map[string]func(*desk, notice.Body){
		"a new plan":     func(d *desk, b notice.Body) { d.customer("more"); d.freeze(b) },
		"another body":   func(d *desk, b notice.Body) { d.draft("n1", "major") },
		"back and forth": func(d *desk, b notice.Body) { d.draft("n1", "major"); d.draft("n1", "") },
		"other texts": func(d *desk, b notice.Body) {
			_, _, err := d.PutDraft(d.t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "other"}}, Who: "test"})
			d.must(err)
		},
		"an erasure": func(d *desk, b notice.Body) { d.must(d.DeleteCustomer(d.t.Context(), "c2")) },
		"a day that has gone by": func(d *desk, b notice.Body) {
			d.exec(`UPDATE plan SET made_at = made_at - interval '25 hours'`)
			_, _, err := d.DropOldPlans(d.t.Context(), 24*time.Hour)
			d.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, b := drafted(t, 3)
			p := d.freeze(b)
			drop(d, b)
			d.wantDropped(p.Digest)
		})
	}
	t.Run("not the same draft again, nor a bare dry run", func(t *testing.T) {
		t.Parallel()
		d, b := drafted(t, 3)
		p := d.freeze(b)
		d.draft("n1", "")
		d.customer("more")
		if bare, err := d.Plan(t.Context(), all(b)); err != nil || bare.Digest != "" || bare.Customers != 4 {
			t.Errorf("a bare dry run: %+v, %v", bare, err)
		}
		if _, _, err := d.DropOldPlans(t.Context(), 24*time.Hour); err != nil {
			t.Error(err)
		}
		d.wantTaken(p.Digest)
		d.wantCounts(map[string]int{"queued": 3})
	})
}

// customer adds one.
func (d *desk) customer(id string) {
	d.t.Helper()
	d.exec(`INSERT INTO customer (id, email, email_key) VALUES ($1::text, $1 || '@example.com', $1 || '@example.com')`, id)
}

func TestAPlanThatMustNotGoIsNotKept(t *testing.T) {
	t.Parallel()
	d, b := drafted(t, 2)
	a := all(b)
	a.Judge = func() error { return notice.Conflict("a hole") }
	if p, err := d.Freeze(t.Context(), d.id, a); err != nil || p.Digest != "" || p.Customers != 2 {
		t.Errorf("the plan is %+v, %v", p, err)
	}
	var kept int
	d.must(d.pool.QueryRow(t.Context(), `SELECT count(*) FROM plan, recipient`).Scan(&kept))
	if kept != 0 {
		t.Errorf("%d rows were kept", kept)
	}
	broken := errors.New("broken")
	a.Each = func(notice.Recipient, string) error { return broken }
	if _, err := d.Freeze(t.Context(), d.id, a); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
}

// TestTheListOfSuppressionsIsAskedAgainAtTheRelease in both directions; all else is as it was shown.
func TestTheListOfSuppressionsIsAskedAgainAtTheRelease(t *testing.T) {
	t.Parallel()
	d, b := drafted(t, 6)
	d.customer("none")
	d.exec(`UPDATE customer SET email = '', email_key = '' WHERE id = 'none'`)
	d.suppress("c1@example.com", "c2@example.com")
	p := d.freeze(b)
	if diff := cmp.Diff(map[string]int{"suppression_list": 2, "no_address": 1}, p.Suppressed); diff != "" || p.ByLanguage["en"] != 4 {
		t.Fatalf("the plan is %+v", p)
	}
	d.must(d.Unsuppress(t.Context(), "c2@example.com"))
	d.suppress("c5@example.com", "c6@example.com")
	d.wantTaken(p.Digest)
	d.wantCounts(map[string]int{"queued": 3, "suppressed": 4})
	st, err := d.Status(t.Context(), d.ref)
	d.must(err)
	if diff := cmp.Diff(map[string]int{"suppression_list": 3, "no_address": 1}, st.Suppressed); diff != "" || st.ByLanguage["en"] != 3 || st.Recipients != 7 {
		t.Errorf("the status is %+v (-want +got):\n%s", st, diff)
	}
	d.deliver()
	rows, err := d.Deliveries(t.Context(), d.id, notice.DeliveryPage{After: -1, Limit: 10})
	d.must(err)
	became := map[string]string{}
	for _, r := range rows {
		became[r.Address] = strings.TrimSpace(r.State.String() + " " + r.Reason)
	}
	want := map[string]string{"": "suppressed no_address", "c1@example.com": "suppressed suppression_list", "c2@example.com": "sent", "c3@example.com": "sent",
		"c4@example.com": "sent", "c5@example.com": "suppressed suppression_list", "c6@example.com": "suppressed suppression_list"}
	if diff := cmp.Diff(want, became); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestADriftSaysWhatHasChanged(t *testing.T) {
	t.Parallel()
	d, b := drafted(t, 8)
	d.exec(`UPDATE customer SET email = 'c7@example.com', email_key = 'c7@example.com' WHERE id = 'c8'`) // shared
	p := d.freeze(b)
	d.must(d.DeleteCustomer(t.Context(), "c1"))
	d.exec(`DELETE FROM customer WHERE id = 'c2'`)
	d.customer("new")
	d.exec(`UPDATE customer SET email = 'other@example.com', email_key = 'other@example.com' WHERE id = 'c3'`)
	d.exec(`UPDATE customer SET email = '', email_key = '' WHERE id = 'c8'`)
	d.exec(`UPDATE customer SET language = 'nl' WHERE id = 'c4'`)
	d.exec(`UPDATE customer SET language = 'de' WHERE id = 'c5'`) // has no text: that of the default, as before
	a := all(b)
	a.Match = func(want string) (string, bool) {
		return map[string]string{"nl": "nl"}[want] + map[bool]string{true: "en"}[want != "nl"], true
	}
	drift, err := d.Drift(t.Context(), d.id, a, p.Digest)
	d.must(err)
	want := &notice.Drift{Added: 1, Lost: 2, Address: 2, Language: 1, Examples: map[string][]string{
		"added": {"new"}, "lost": {"c2"}, "other_address": {"c3", "c8"}, "other_language": {"c4"}}}
	if diff := cmp.Diff(want, drift); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if drift, err := d.Drift(t.Context(), d.id, a, strings.Repeat("0", 64)); err != nil || drift != nil {
		t.Errorf("of a plan that never was: %v, %v", drift, err)
	}
	var plans int
	d.must(d.pool.QueryRow(t.Context(), `SELECT count(*) FROM plan`).Scan(&plans))
	if plans != 1 {
		t.Errorf("%d plans are kept", plans)
	}
}

func TestTheRowsOfDroppedPlansGo(t *testing.T) {
	t.Parallel()
	d, b := drafted(t, 6000)
	first := d.freeze(b).Digest
	d.exec(`UPDATE customer SET name = 'x' WHERE id = 'c1'`)
	second := d.freeze(b).Digest
	d.exec(`UPDATE customer SET name = 'y' WHERE id = 'c1'`)
	third := d.freeze(b).Digest
	collect := func() {
		t.Helper()
		for more := true; more; {
			var err error
			_, more, err = d.DropOldPlans(t.Context(), 24*time.Hour)
			d.must(err)
		}
	}
	kept := func(want int) {
		t.Helper()
		var plans, rows, members int
		d.must(d.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM plan), (SELECT count(*) FROM recipient), (SELECT count(*) FROM member)`).Scan(&plans, &rows, &members))
		if plans != want || rows != want*6000 || members != want*6000 {
			t.Errorf("%d plans, %d recipients and %d members are kept, want those of %d", plans, rows, members, want)
		}
	}
	collect()
	kept(2) // the plan that was dropped last can still be compared
	if drift, err := d.Drift(t.Context(), d.id, all(b), first); err != nil || drift != nil {
		t.Errorf("of a plan whose rows are gone: %v, %v", drift, err)
	}
	if drift, err := d.Drift(t.Context(), d.id, all(b), second); err != nil || drift == nil || drift.Added+drift.Lost != 0 {
		t.Errorf("of the plan before: %+v, %v", drift, err)
	}
	d.wantTaken(third)
	collect()
	kept(1)
	d.wantCounts(map[string]int{"queued": 6000})
}
