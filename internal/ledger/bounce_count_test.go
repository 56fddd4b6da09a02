package ledger_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// returns is a notice of which mails leave and come back. Their numbers are those of their deliveries.
type returns struct {
	*desk
	run ledger.Claim
}

// toDomains returns a notice to so many mailboxes of each domain, in the order of their names.
func toDomains(t *testing.T, mailboxes map[string]int) returns {
	d := open(t)
	for i, domain := range slices.Sorted(maps.Keys(mailboxes)) {
		d.exec(`INSERT INTO customer (id, name, email, email_key) SELECT id, id, id || '@' || $2::text, id || '@' || $2 FROM (
			SELECT 'c' || $1::int || lpad(i::text, 3, '0') AS id FROM generate_series(1, $3::int) i) c`, i, domain, mailboxes[domain])
	}
	d.send(notice.Body{Key: "n1"})
	return returns{d, d.claim("a worker")}
}

func (r returns) leave(from, to int) {
	r.t.Helper()
	for seq := from; seq < to; seq++ {
		r.mark(attempt(r.run, seq))
		r.answer(attempt(r.run, seq), notice.DeliverySent, 250)
	}
}

// back has mails come back with a class, and wants the last one to have the log warn.
func (r returns) back(from, to int, class notice.BounceClass, warned bool) {
	r.t.Helper()
	for seq := from; seq < to; seq++ {
		e, err := r.Return(r.t.Context(), returned(attempt(r.run, seq), class))
		r.must(err)
		if want := warned && seq == to-1; !e.Changed || e.Warned != want || class == notice.BouncePolicy && e.Suppressed {
			r.t.Errorf("after %d: %+v, want a warning: %t", seq, e, want)
		}
	}
}

func (r returns) warnings(want ...string) {
	r.t.Helper()
	var got, domains []string
	for _, act := range r.acts() {
		if text, ok := strings.CutPrefix(act, "tocsin: warn: "); ok {
			got = append(got, text)
			_, domain, _ := strings.Cut(text, " mails to ")
			domain, _, _ = strings.Cut(domain, " ")
			domains = append(domains, domain)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		r.t.Errorf("warnings (-want +got):\n%s", diff)
	}
	slices.Sort(domains)
	st, err := r.Status(r.t.Context(), r.ref)
	r.must(err)
	if !slices.Equal(domains, st.Bounces.PolicyDomains) || r.standing().Refusing != len(domains) {
		r.t.Errorf("the status has %v, and the ledger stands with %d, want %v", st.Bounces.PolicyDomains, r.standing().Refusing, domains)
	}
}

// TestADomainThatRefusesByPolicyIsWarnedOf once more than 5 % of the mails that left to it came back so, and three.
func TestADomainThatRefusesByPolicyIsWarnedOf(t *testing.T) {
	t.Parallel()
	t.Run("two are too few", func(t *testing.T) {
		t.Parallel()
		r := toDomains(t, map[string]int{"a.example": 2, "b.example": 3})
		r.leave(0, 5)
		r.back(0, 4, notice.BouncePolicy, false)
		r.warnings()
		r.back(4, 5, notice.BouncePolicy, true)
		r.warnings("3 of 3 mails to b.example came back, refused by policy")
	})
	t.Run("no more than 5 %, of those alone that were refused by policy", func(t *testing.T) {
		t.Parallel()
		r := toDomains(t, map[string]int{"a.example": 80, "b.example": 80})
		r.leave(0, 160)
		r.back(0, 4, notice.BouncePolicy, false) // 5 % of 80
		r.back(4, 10, notice.BounceNoMailbox, false)
		r.back(80, 84, notice.BouncePolicy, false)
		r.warnings()
		r.back(10, 11, notice.BouncePolicy, true)
		r.back(11, 15, notice.BouncePolicy, false) // once
		r.back(84, 85, notice.BouncePolicy, true)
		r.warnings("5 of 80 mails to a.example came back, refused by policy", "5 of 80 mails to b.example came back, refused by policy")
	})
	t.Run("of those that left so far", func(t *testing.T) {
		t.Parallel()
		r := toDomains(t, map[string]int{"a.example": 200})
		r.leave(0, 80)
		r.back(0, 3, notice.BouncePolicy, false)
		r.back(3, 4, notice.BouncePolicy, false)
		r.leave(80, 200)
		r.back(4, 10, notice.BouncePolicy, false)
		r.warnings()
		r.back(10, 11, notice.BouncePolicy, true)
		r.warnings("11 of 200 mails to a.example came back, refused by policy")
	})
	t.Run("while the others wait", func(t *testing.T) {
		t.Parallel()
		r := toDomains(t, map[string]int{"a.example": 200})
		r.leave(0, 30)
		r.back(0, 3, notice.BouncePolicy, true)
		r.warnings("3 of 30 mails to a.example came back, refused by policy")
	})
}

// TestWhatCameBackIsCountedByClassAndDomain in each status and report, after an erasure, and when the rows were dropped.
func TestWhatCameBackIsCountedByClassAndDomain(t *testing.T) {
	t.Parallel()
	r := toDomains(t, map[string]int{"a.example": 20, "b.example": 10, "vanity-of-one.example": 1})
	r.leave(0, 31)
	r.back(0, 3, notice.BounceFull, false)
	r.back(20, 22, notice.BounceNoMailbox, false)
	r.back(22, 23, notice.BounceFull, false)
	r.back(30, 31, notice.BounceOther, false)
	complaint := ledger.Returned{NoticeID: r.id, Seq: 5, Epoch: r.run.Epoch, Kind: notice.KindComplaint, Complains: true}
	unharmful := complaint
	unharmful.Seq, unharmful.Complains = 6, false
	for _, c := range []ledger.Returned{complaint, complaint, unharmful} {
		_, err := r.Return(t.Context(), c)
		r.must(err)
	}
	again, err := r.Return(t.Context(), returned(attempt(r.run, 0), notice.BounceFull))
	if r.must(err); !again.Repeated {
		t.Errorf("a bounce came twice: %+v", again)
	}
	r.closeChunk(r.run)

	want := notice.Bounces{Bounced: 7, Percent: 22.6, Complaints: 1, PolicyDomains: []string{},
		ByClass: map[string]int{"no_such_mailbox": 2, "full": 4, "policy": 0, "transient": 0, "other": 1}}
	look := func(when string) {
		t.Helper()
		st, err := r.Status(t.Context(), r.ref)
		r.must(err)
		if diff := cmp.Diff(want, st.Bounces); diff != "" || st.Counts["bounced"] != want.Bounced {
			t.Errorf("%s the status has %v (-want +got):\n%s", when, st.Counts, diff)
		}
	}
	report := func(when string, domains ...notice.DomainBounces) {
		t.Helper()
		look(when)
		one, err := r.Report(t.Context(), r.ref)
		r.must(err)
		all, err := r.IncidentReport(t.Context(), r.ref)
		r.must(err)
		with := want
		with.ByDomain = domains
		if diff := cmp.Diff(with, one.Bounces); diff != "" {
			t.Errorf("%s the report says (-want +got):\n%s", when, diff)
		}
		if diff := cmp.Diff(one.Bounces, all.Bounces); diff != "" {
			t.Errorf("%s the report on the incident differs:\n%s", when, diff)
		}
	}
	a := notice.DomainBounces{Domain: "a.example", Mails: 20, Bounced: 3, ByClass: map[string]int{"full": 3}, Complaints: 1}
	b := notice.DomainBounces{Domain: "b.example", Mails: 10, Bounced: 3, ByClass: map[string]int{"no_such_mailbox": 2, "full": 1}}
	report("first", a, b, notice.DomainBounces{Domain: "vanity-of-one.example", Mails: 1, Bounced: 1, ByClass: map[string]int{"other": 1}})

	r.must(r.DeleteCustomer(t.Context(), "c2001"))
	r.wantGone("vanity-of-one")
	r.must(r.DeleteCustomer(t.Context(), "c0006"))
	a.Mails, a.Complaints = 19, 0
	report("after an erasure", a, b, notice.DomainBounces{Bounced: 1, ByClass: map[string]int{"other": 1}, Complaints: 1})

	r.must(r.Finish(t.Context(), r.id))
	r.age("2 years")
	r.drop()
	report("when its rows were dropped", notice.DomainBounces{Bounced: 7, ByClass: map[string]int{"no_such_mailbox": 2, "full": 4, "other": 1}, Complaints: 1})
	r.wantRows(0, `SELECT count(*) FROM bounce_count WHERE domain <> ''`)
}
