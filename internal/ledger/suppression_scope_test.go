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

// scopes is a list of suppressions.
type scopes map[string]notice.Scope

// covers is the model of the list: the mailboxes to which the notice is not mailed.
func (s scopes) covers(mailboxes []string, b notice.Body) (covered []string) {
	for _, m := range mailboxes {
		if s[m] == notice.ScopeAll || s[whole(m)] == notice.ScopeAll || !b.Urgent() && (s[m] != "" || s[whole(m)] != "") {
			covered = append(covered, m)
		}
	}
	return covered
}

// whole is the entry for the domain of a mailbox.
func whole(mailbox string) string { return "*" + mailbox[strings.LastIndex(mailbox, "@"):] }

// TestThePlanTheReleaseTheListAndTheClaimAgreeAboutSuppressions with the model, entries being put on the list before the plan,
// between it and the release, afterwards, and where only the claim sees them; some go before the release.
func TestThePlanTheReleaseTheListAndTheClaimAgreeAboutSuppressions(t *testing.T) {
	t.Parallel()
	d := open(t)
	mailboxes := []string{"a@one.example", "b@one.example", "c@one.example", "a@two.example", "b@two.example", "a@sub.one.example", `"x@two.example"@one.example`}
	for i, m := range mailboxes {
		d.exec(`INSERT INTO customer (id, email, email_key) VALUES ($1, $2, $2)`, fmt.Sprint("c", i), m)
	}
	slices.Sort(mailboxes)
	entries := rapid.MapOfN(rapid.SampledFrom(append([]string{"*@one.example", "*@two.example", "*@example", "*@sub.one.example"}, mailboxes...)),
		rapid.SampledFrom(notice.Scopes), 0, 3)
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		d.exec(`DELETE FROM suppression`)
		d.exec(`UPDATE notice SET state = 'cancelled' WHERE state NOT IN ('draft', 'sent')`) // those of runs that failed
		b := notice.Body{Key: fmt.Sprint("n", n), Incident: fmt.Sprint("n", n), DefaultLanguage: "en", Kind: rapid.SampledFrom(notice.Kinds).Draw(rt, "kind"),
			Severity: rapid.SampledFrom(append([]string{""}, notice.Severities...)).Draw(rt, "severity")}
		b.Phase = rapid.SampledFrom(notice.Phases[b.Kind]).Draw(rt, "phase")
		list := scopes{}
		put := func(when string) {
			drawn := entries.Draw(rt, when)
			for _, key := range slices.Sorted(maps.Keys(drawn)) {
				scope := drawn[key]
				_, _, err := d.Suppress(t.Context(), notice.SuppressionRow{Key: key, Reason: "r", Scope: scope}, "x")
				narrower := list[key] == notice.ScopeAll && scope != notice.ScopeAll
				if narrower != (notice.CodeOf(err) == notice.CodeConflict) || !narrower && err != nil {
					rt.Fatalf("%s of scope %q gets the scope %s: %v", key, list[key], scope, err)
				}
				if !narrower {
					list[key] = scope
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
				rt.Fatalf("%s, with the list %v and an urgent notice: %v (-want +got):\n%s%v", when, list, b.Urgent(), diff, err)
			}
		}
		put("before")
		var err error
		d.ref = b.Key
		d.id, _, err = d.PutDraft(t.Context(), ledger.Draft{Body: b, Texts: map[string]notice.Text{"en": {Subject: "s", Body: "b"}}, Who: "test"})
		d.must(err)
		plan, err := d.Freeze(t.Context(), d.id, all(b))
		if want := len(list.covers(mailboxes, b)); err != nil || plan.Suppressed[notice.ReasonSuppressionList] != want {
			rt.Fatalf("planned with the list %v and an urgent notice: %v: %v, want %d (%v)", list, b.Urgent(), plan.Suppressed, want, err)
		}
		put("meanwhile")
		for _, key := range slices.Sorted(maps.Keys(list)) {
			if !rapid.Bool().Draw(rt, "goes") {
				continue
			}
			domainStays := list[whole(key)] != "" && key != whole(key)
			if err := d.Unsuppress(t.Context(), key); (notice.CodeOf(err) == notice.CodeConflict) != domainStays || !domainStays && err != nil {
				rt.Fatalf("%s is taken off %v: %v", key, list, err)
			}
			if !domainStays {
				delete(list, key)
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
		for key, scope := range entries.Draw(rt, "unseen") {
			if list[key] == "" {
				d.exec(`INSERT INTO suppression (address_key, reason, scope, added_by) VALUES ($1, 'r', $2, 'x')`, key, scope)
				list[key] = scope
			}
		}
		d.deliver()
		suppressed("claimed")
		d.wantNotice(notice.Sent)
	})
}
