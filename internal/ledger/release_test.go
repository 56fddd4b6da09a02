package ledger_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

func TestReleaseIsDoneOnce(t *testing.T) {
	t.Parallel()
	d := release(t, 5)
	released, err := d.Release(t.Context(), d.id, anybody, ledger.Press{Domain: "example.net", Who: "again"})
	if err != nil || released {
		t.Errorf("a second release did something: %v %v", released, err)
	}
	d.wantCounts(map[string]int{"queued": 5})
}

func TestAReleaseMakesARowAndAPlaceForEveryMailbox(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO customer (id, email, email_key)
		SELECT 'c' || i, CASE WHEN i % 10 = 0 THEN '' ELSE i || '@example.com' END, CASE WHEN i % 10 = 0 THEN '' ELSE i || '@example.com' END
		FROM generate_series(1, 25000) i`)
	d.send(notice.Body{Key: "big"})
	d.wantCounts(map[string]int{"queued": 22500, "suppressed": 2500})
	var rows, members, covered int
	d.must(d.pool.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM delivery), (SELECT count(*) FROM member), (SELECT sum(hi - lo) FROM chunk)`).
		Scan(&rows, &members, &covered))
	if rows != 25000 || members != 25000 || covered != 25000 {
		t.Errorf("%d deliveries, %d members and chunks over %d, want 25000 each", rows, members, covered)
	}
}

func TestARecipientIsBornWithAllWhoShareIt(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO customer (id, name, email, email_key, alternate_email, alternate_email_key, language, time_zone) VALUES
		('1', 'One', 'Shared@Example.com', 'shared@example.com', '', '', 'sv', 'Europe/Stockholm'),
		('2', 'Two', 'shared@example.com', 'shared@example.com', '', '', 'nl', ''),
		('3', 'Three', 'SHARED@example.com', 'shared@example.com', '', '', 'nl', 'Europe/Amsterdam'),
		('4', 'Four', 'four@broken.example', 'four@broken.example', 'shared@example.com', 'shared@example.com', '', ''),
		('5', 'Five', 'five@broken.example', 'five@broken.example', '', '', '', ''),
		('6', 'Six', 'six@broken.example', 'six@broken.example', 'six@broken.example', 'six@broken.example', '', ''),
		('7', 'Seven', '', '', 'seven@example.com', 'seven@example.com', '', '')`)
	a := anybody
	a.Broken.Domains = []string{"broken.example"}
	var seen []notice.Recipient
	a.Each = func(r notice.Recipient, _ string) error { seen = append(seen, r); return nil }
	p, err := d.Plan(t.Context(), a)
	d.must(err)
	if p.Customers != 7 || p.Recipients != 4 {
		t.Errorf("%d customers and %d recipients, want 7 and 4", p.Customers, p.Recipients)
	}
	if diff := cmp.Diff(map[string]int{"no_address": 1, "unreachable": 2}, p.Suppressed); diff != "" {
		t.Errorf("suppressed (-want +got):\n%s", diff)
	}
	want := []notice.Recipient{{Address: "Shared@Example.com", Language: "nl", TimeZone: "Europe/Stockholm", Customers: []notice.Frozen{
		{ID: "1", Name: "One", Attributes: map[string]string{}}, {ID: "2", Name: "Two", Attributes: map[string]string{}},
		{ID: "3", Name: "Three", Attributes: map[string]string{}}, {ID: "4", Name: "Four", Attributes: map[string]string{}},
	}}}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Errorf("recipients (-want +got):\n%s", diff)
	}
}

func TestALaterNoticeOfAnIncidentRefersToItsFirst(t *testing.T) {
	t.Parallel()
	d := release(t, 2)
	first, err := d.Notice(t.Context(), d.id)
	d.must(err)
	d.deliver()
	d.send(notice.Body{Key: "n2", Incident: "n1"})
	second, err := d.Notice(t.Context(), d.id)
	d.must(err)
	d.deliver()
	d.send(notice.Body{Key: "n3", Incident: "n1"})
	c := d.claim("a")
	for _, due := range c.Due {
		if want := []string{first.MessageID(due.Seq), second.MessageID(due.Seq)}; !slices.Equal(due.Thread, want) {
			t.Errorf("delivery %d refers to %q, want %q", due.Seq, due.Thread, want)
		}
	}
}

// TestAThreadHasItsFirstMailAndTheLast of an incident with more notices than a mail refers to. The first that a mailbox got need not be the incident's first.
func TestAThreadHasItsFirstMailAndTheLast(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	got := func(seq, number int) bool { return seq == 0 || seq == 1 && number >= 2 || seq == 2 && number%2 == 1 }
	var all []ledger.Notice
	for number := range 14 {
		if number > 0 {
			d.send(notice.Body{Key: fmt.Sprintf("m%d", number), Incident: "n1"})
		}
		c := d.claim("a")
		for _, due := range c.Due {
			var want []string
			for earlier, n := range all {
				if got(due.Seq, earlier) && (len(want) == 0 || earlier > number-ledger.MostReferred) {
					want = append(want, n.MessageID(due.Seq))
				}
			}
			if !slices.Equal(due.Thread, want) {
				t.Errorf("mail %d to mailbox %d refers to %q, want %q", number, due.Seq, due.Thread, want)
			}
			d.mark(attempt(c, due.Seq))
			if got(due.Seq, number) {
				d.answer(attempt(c, due.Seq), notice.DeliverySent, 250)
			} else {
				d.answer(attempt(c, due.Seq), notice.DeliveryFailed, 550)
			}
		}
		d.closeChunk(c)
		n, err := d.Notice(t.Context(), d.id)
		d.must(err)
		all = append(all, n)
	}
}

// TestEachNoticeOfAnIncidentHasAHigherRevision than those that began before it, in the same second too.
func TestEachNoticeOfAnIncidentHasAHigherRevision(t *testing.T) {
	t.Parallel()
	d := release(t, 1)
	last := 0
	for i := range 4 {
		if i > 0 {
			d.send(notice.Body{Key: fmt.Sprintf("m%d", i), Incident: "n1"})
		}
		n, err := d.Notice(t.Context(), d.id)
		d.must(err)
		if seconds := int(time.Since(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) / time.Second); n.Revision <= last || n.Revision < seconds-60 || n.Revision > seconds+60 {
			t.Errorf("notice %d has the revision %d, and the one before %d", i, n.Revision, last)
		}
		last = n.Revision
	}
}

func TestADraftIsReplacedAndARepeatedBodyIsTheSameNotice(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.exec(`INSERT INTO customer (id, email, email_key) VALUES ('1', 'a@example.com', 'a@example.com')`)
	b := notice.Body{Key: "k", Incident: "k", Kind: notice.Outage, Phase: "identified"}
	put := func(b notice.Body) (bool, error) {
		_, created, err := d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{}, Who: "test"})
		return created, err
	}
	if created, err := put(b); err != nil || !created {
		t.Fatalf("first: created %v, %v", created, err)
	}
	b.Severity = "major"
	if created, err := put(b); err != nil || created {
		t.Errorf("another body for a draft: created %v, %v", created, err)
	}
	id, err := d.Find(t.Context(), "k")
	d.must(err)
	if _, err := d.Release(t.Context(), id, all(b), ledger.Press{Domain: "example.net", Who: "test"}); err != nil {
		t.Fatal(err)
	}
	if created, err := put(b); err != nil || created {
		t.Errorf("the same body after release: created %v, %v", created, err)
	}
	b.Severity = "minor"
	if _, err := put(b); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("another body after release: %v, want a conflict", err)
	}
	b.Key, b.Kind = "k2", notice.Maintenance
	if _, err := put(b); notice.CodeOf(err) != notice.CodeConflict {
		t.Errorf("another kind for the same incident: %v, want a conflict", err)
	}
}

func TestMigrationsHaveNoGaps(t *testing.T) {
	t.Parallel()
	url := testkit.Postgres(t)
	n, err := ledger.Migrate(t.Context(), url)
	if err != nil || n != 0 {
		t.Errorf("migrating again applied %d (%v), want none", n, err)
	}
	entries, err := migrationNames()
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range entries {
		if want := fmt.Sprintf("%04d_", i+1); name[:5] != want {
			t.Errorf("migration %d is called %s, want it to begin with %s", i+1, name, want)
		}
	}
}
