package ledger_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// fewPins numbers the mails to one customer and to two, and has none for more.
type fewPins []string

func (p fewPins) Number(r notice.Recipient, _ string) int {
	if len(r.Customers) <= len(p) {
		return len(r.Customers)
	}
	return 0
}

func (p fewPins) Correction(notice.Recipient, string) int { return 0 }

func (p fewPins) Encoded() (all [][]byte) {
	for _, m := range p {
		all = append(all, []byte(m))
	}
	return all
}

// pinned makes a draft, and freezes its plan with pins.
func (d *desk) pinned(key string, pins ledger.Pins) (digest string) {
	d.t.Helper()
	a := all(d.draft(key, ""))
	a.Pins = pins
	p, err := d.Freeze(d.t.Context(), d.id, a)
	d.must(err)
	return p.Digest
}

// kept returns the compiled mails that the ledger has.
func (d *desk) kept() (all []string) {
	d.t.Helper()
	rows, err := d.pool.Query(d.t.Context(), `SELECT convert_from(encoded, 'UTF8') FROM mail`)
	d.must(err)
	for rows.Next() {
		var m string
		d.must(rows.Scan(&m))
		all = append(all, m)
	}
	d.must(rows.Err())
	slices.Sort(all)
	return all
}

func TestPlansShareCompiledMailsUntilTheLastIsDropped(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	d.customers(3)
	d.exec(`UPDATE customer SET email = 'c1@example.com', email_key = 'c1@example.com' WHERE id = 'c2'`)
	want := func(when string, mails ...string) {
		t.Helper()
		if diff := cmp.Diff(mails, d.kept()); diff != "" {
			t.Fatalf("%s (-want +got):\n%s", when, diff)
		}
	}
	collect := func(keep time.Duration) {
		t.Helper()
		for more := true; more; {
			var err error
			_, more, err = d.DropOldPlans(ctx, keep)
			d.must(err)
		}
	}
	d.wantTaken(d.pinned("n1", fewPins{"one", "two"}))
	released := d.id
	d.pinned("n2", fewPins{"one", "other", "equal", "equal"})
	want("after two plans", "equal", "one", "other", "two")
	d.pinned("n2", fewPins{"one"})
	collect(time.Hour)
	want("a plan was replaced", "equal", "one", "other", "two") // the last dropped plan of a draft is kept for a while
	collect(0)
	want("the draft's plans were dropped", "one", "two")

	d.id = released
	claim := d.claim("w")
	numbers := []int{}
	for _, due := range claim.Due {
		numbers = append(numbers, due.Mail)
	}
	if !slices.Equal(numbers, []int{2, 1}) {
		t.Errorf("the mails of its recipients have the numbers %v", numbers)
	}
	mails, err := d.Mails(ctx, d.id, numbers)
	d.must(err)
	if string(mails[1]) != "one" || string(mails[2]) != "two" {
		t.Errorf("they are %v", mails)
	}
	if _, err := d.Mails(ctx, d.id, []int{1, 3}); err == nil {
		t.Error("a mail that is missing is none")
	}
	d.closeChunk(claim)
	d.deliver()
	d.age("400 days")
	d.drop()
	want("the notice was dropped")
}

// TestAPlanIsThatOfItsMails: a plan with other compiled mails has another digest, and a release of the earlier one is refused.
func TestAPlanIsThatOfItsMails(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(2)
	shown := d.pinned("n1", fewPins{"as shown"})
	if again := d.pinned("n1", fewPins{"as shown"}); again != shown {
		t.Error("the same mails give another digest")
	}
	d.pinned("n1", fewPins{"of a template that was changed since"})
	if released, err := d.Take(t.Context(), d.id, press(shown)); released || notice.CodeOf(err) != notice.CodePlanChanged {
		t.Errorf("released: %v, %v", released, err)
	}
	d.wantTaken(d.pinned("n1", fewPins{"as shown"}))
}

// TestAnErasureTakesTheMailOfTheOthersAway, which was compiled for all who shared the mailbox.
func TestAnErasureTakesTheMailOfTheOthersAway(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(3)
	d.exec(`UPDATE customer SET email = 'c1@example.com', email_key = 'c1@example.com' WHERE id = 'c2'`)
	d.wantTaken(d.pinned("n1", fewPins{"one", "two"}))
	d.must(d.DeleteCustomer(t.Context(), "c2"))
	for _, due := range d.claim("w").Due {
		shared := strings.HasPrefix(due.Recipient.Address, "c1@")
		if len(due.Recipient.Customers) != 1 || (due.Mail == 0) != shared {
			t.Errorf("%+v", due)
		}
	}
}

func TestAMailThatIsNotTheOneWhichWasKeptIsRefused(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.customers(1)
	d.wantTaken(d.pinned("n1", fewPins{"one"}))
	d.exec(`UPDATE mail SET encoded = 'another'`)
	if m, err := d.Mails(t.Context(), d.id, []int{1}); err == nil {
		t.Errorf("it is %q", m[1])
	}
}

// TestMailsAreKeptWhileOthersAreDropped plans several drafts with the same mails, in other orders, while plans are collected.
func TestMailsAreKeptWhileOthersAreDropped(t *testing.T) {
	t.Parallel()
	d := open(t)
	ctx := t.Context()
	d.customers(2)
	g, _ := errgroup.WithContext(ctx)
	for i := range 3 {
		key := fmt.Sprintf("n%d", i)
		pins := fewPins{"a", "b", "c"}
		if i%2 == 1 {
			slices.Reverse(pins)
		}
		g.Go(func() error {
			for n := range 8 {
				b := notice.Body{Key: key, Incident: key, Kind: notice.Outage, Phase: "identified", DefaultLanguage: "en",
					Severity: []string{"minor", "major"}[n%2]}
				id, _, err := d.PutDraft(ctx, ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "test"})
				if err != nil {
					return err
				}
				a := all(b)
				a.Pins = pins
				if _, err := d.Freeze(ctx, id, a); err != nil {
					return err
				}
				if _, _, err := d.DropOldPlans(ctx, 0); err != nil {
					return err
				}
			}
			return nil
		})
	}
	d.must(g.Wait())
	for more := true; more; {
		var err error
		_, more, err = d.DropOldPlans(ctx, 0)
		d.must(err)
	}
	if kept := d.kept(); len(kept) != 0 {
		t.Errorf("%v are left", kept)
	}
}
