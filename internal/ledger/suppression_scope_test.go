package ledger_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// entry is a place on the list of suppressions.
type entry struct {
	scope  notice.Scope
	reader bool
}

// entries is a list of suppressions, by address key.
type entries map[string]map[entry]bool

// put puts an entry on the list, and reports whether one for every notice stands in its way.
func (list entries) put(key string, e entry) (narrower bool) {
	all := entry{scope: notice.ScopeAll}
	switch {
	case list[key] == nil:
		list[key] = map[entry]bool{}
	case e != all && !e.reader && list[key][all]:
		return true
	case e == all:
		list.remove(key)
	}
	list[key][e] = true
	return false
}

// remove takes the entries of a key off the list but for its reader's own, and reports whether there were any.
func (list entries) remove(key string) (found bool) {
	for e := range list[key] {
		if !e.reader {
			delete(list[key], e)
			found = true
		}
	}
	return found
}

// covers is the model of the list: the mailboxes to which the notice is not mailed.
func (list entries) covers(mailboxes []string, b notice.Body) (covered []string) {
	holds := map[notice.Scope]bool{notice.ScopeAll: true, notice.ScopeNotUrgent: !b.Urgent(),
		notice.ScopeAdvisory: b.Kind == notice.Advisory && b.Phase != "postmortem", notice.ScopePostmortem: b.Phase == "postmortem"}
	for _, m := range mailboxes {
		for _, key := range []string{m, whole(m)} {
			for e := range list[key] {
				if holds[e.scope] && (len(covered) == 0 || covered[len(covered)-1] != m) {
					covered = append(covered, m)
				}
			}
		}
	}
	return covered
}

// whole is the entry for the domain of a mailbox.
func whole(mailbox string) string { return "*" + mailbox[strings.LastIndex(mailbox, "@"):] }

// TestThePlanTheReleaseTheListAndTheClaimAgreeAboutSuppressions with the model. Entries are put on the list before the plan,
// between it and the release, afterwards, and where only the claim sees them. Some go before the release.
func TestThePlanTheReleaseTheListAndTheClaimAgreeAboutSuppressions(t *testing.T) {
	t.Parallel()
	d := open(t)
	mailboxes := []string{"a@one.example", "b@one.example", "c@one.example", "a@two.example", "b@two.example", "a@sub.one.example", `"x@two.example"@one.example`}
	for i, m := range mailboxes {
		d.exec(`INSERT INTO customer (id, email, email_key) VALUES ($1, $2, $2)`, fmt.Sprint("c", i), m)
	}
	slices.Sort(mailboxes)
	drawn := rapid.MapOfN(rapid.SampledFrom(append([]string{"*@one.example", "*@two.example", "*@example", "*@sub.one.example"}, mailboxes...)),
		rapid.SampledFrom(notice.Scopes), 0, 3)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		d.exec(`DELETE FROM suppression`)
		d.exec(`UPDATE notice SET state = 'cancelled' WHERE state NOT IN ('draft', 'sent')`) // those of runs that failed
		b := notice.Body{Key: fmt.Sprint("n", n), Incident: fmt.Sprint("n", n), DefaultLanguage: "en", Kind: rapid.SampledFrom(notice.Kinds).Draw(rt, "kind"),
			Severity: rapid.SampledFrom(append([]string{""}, notice.Severities...)).Draw(rt, "severity")}
		b.Phase = rapid.SampledFrom(notice.Phases[b.Kind]).Draw(rt, "phase")
		list := entries{}
		putUnseen := func(key string, e entry) {
			d.exec(`INSERT INTO suppression (address_key, reason, scope, by_reader, added_by) VALUES ($1, 'r', $2, $3, 'x') ON CONFLICT DO NOTHING`, key, e.scope, e.reader)
			list.put(key, e)
		}
		put := func(when string) {
			put := drawn.Draw(rt, when)
			for _, key := range slices.Sorted(maps.Keys(put)) {
				e := entry{scope: put[key], reader: rapid.Bool().Draw(rt, "by the reader")}
				if e.reader = e.reader && slices.Contains(notice.Topics, e.scope) && when == "before"; e.reader {
					putUnseen(key, e)
					continue
				}
				_, _, err := d.Suppress(t.Context(), notice.SuppressionRow{Key: key, Reason: "r", Scope: e.scope}, "x")
				if narrower := list.put(key, e); narrower != (notice.CodeOf(err) == notice.CodeConflict) || !narrower && err != nil {
					rt.Fatalf("%s of %v gets the scope %s: %v", key, list[key], e.scope, err)
				}
			}
		}
		suppressed := func(when string) {
			rows, err := d.Deliveries(t.Context(), d.id, notice.DeliveryPage{After: -1, Limit: 10})
			var got []string
			for _, r := range rows {
				if r.State == notice.DeliverySuppressed && r.Reason == notice.ReasonSuppressionList {
					got = append(got, r.Address)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(list.covers(mailboxes, b), got); diff != "" || err != nil {
				rt.Fatalf("%s, with the list %v and a notice of %v (-want +got):\n%s%v", when, list, b.Scopes(), diff, err)
			}
		}
		put("before")
		var err error
		d.ref = b.Key
		d.id, _, err = d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "test"})
		d.must(err)
		plan, err := d.Freeze(t.Context(), d.id, all(b))
		if want := len(list.covers(mailboxes, b)); err != nil || plan.Suppressed[notice.ReasonSuppressionList] != want {
			rt.Fatalf("planned with the list %v and a notice of %v: %v, want %d (%v)", list, b.Scopes(), plan.Suppressed, want, err)
		}
		put("meanwhile")
		for _, key := range slices.Sorted(maps.Keys(list)) {
			if !rapid.Bool().Draw(rt, "goes") {
				continue
			}
			domainStays := len(list[whole(key)]) > 0 && key != whole(key)
			err := d.Unsuppress(t.Context(), key)
			if domainStays {
				if notice.CodeOf(err) != notice.CodeConflict {
					rt.Fatalf("%s is taken off %v, while its domain stays: %v", key, list, err)
				}
				continue
			}
			if found := list.remove(key); found != (err == nil) || !found && (len(list[key]) > 0) != (notice.CodeOf(err) == notice.CodeConflict) {
				rt.Fatalf("%s is taken off: %v; %v stays", key, err, list)
			}
		}
		_, err = d.Take(t.Context(), d.id, ledger.Press{Digest: plan.Digest, Domain: "example.net", Who: "test"})
		d.must(err)
		suppressed("released")
		put("afterwards")
		suppressed("put on the list afterwards")
		if len(list.covers(mailboxes, b)) == len(mailboxes) {
			return // no chunk is left to claim
		}
		for key, scope := range drawn.Draw(rt, "unseen") {
			if len(list[key]) == 0 {
				putUnseen(key, entry{scope: scope})
			}
		}
		d.deliver()
		suppressed("claimed")
		d.wantNotice(notice.Sent)
	})
}

// TestARequeueOfManyLeavesOutTheListedOnes by the scope of their entries; one by its address does not.
func TestARequeueOfManyLeavesOutTheListedOnes(t *testing.T) {
	t.Parallel()
	d := release(t, 3)
	c := d.claim("a worker")
	for seq := range 3 {
		d.mark(attempt(c, seq))
		d.answer(attempt(c, seq), notice.DeliveryFailed, 550)
	}
	d.closeChunk(c)
	h, err := d.History(t.Context(), "c1", "")
	d.must(err)
	first := h[0].Delivery
	for _, row := range []notice.SuppressionRow{{Key: first.Address, Reason: "request", Scope: notice.ScopeAll},
		{Key: "c2@example.com", Reason: "complaint", Scope: notice.ScopeNotUrgent}} {
		_, _, err := d.Suppress(t.Context(), row, "ada")
		d.must(err)
	}
	done, err := d.Settle(t.Context(), d.id, notice.Settlement{Requeue: true, State: "failed"}, "", "ada")
	if err != nil || done.Changed != 2 || done.Skipped != 1 || len(done.Reasons) != 1 || !strings.Contains(done.Reasons[0], "list of suppressions") {
		t.Errorf("of all that failed: %+v, %v", done, err)
	}
	d.wantState(first.Seq, notice.DeliveryFailed)
	done, err = d.Settle(t.Context(), d.id, notice.Settlement{Requeue: true, Address: first.Address}, first.Address, "ada")
	if err != nil || done.Changed != 1 {
		t.Errorf("by its address: %+v, %v", done, err)
	}
}
