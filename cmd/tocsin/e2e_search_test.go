package main

import (
	"regexp"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// TestASearchAnswersInItsFirstLine, by each thing that a customer on the phone may have.
func TestASearchAnswersInItsFirstLine(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.importing("id,name,email,server\nc1,Ann Smith,c1@example.com,s639\nc2,Bram Smit,permfail@example.com,s639\n" +
		"c3,Lea,drop-after-dot@example.com,s639\nc4,Zoe,zoe@example.com,mx1\nc5,No Box,,s639\nc6,Late,late@example.com,\n")
	s.work()
	s.must(nil, "notice", "send", s.notice("n1", `audience: 'server = "s639"'`), "--yes")
	s.await("n1", "sent", finished)
	// The sink names no queue; a Postfix does.
	if _, err := s.connect().Exec(t.Context(), `UPDATE answer SET replies = array_fill('Ok: queued as 4ZAB12Qz'::text, ARRAY[cardinality(seqs)])`); err != nil {
		t.Fatal(err)
	}
	for as, text := range map[notice.ReadAs]string{notice.ReadMessageID: s.search("c1").Deliveries[0].Delivery.MessageID, notice.ReadQueueID: "4ZAB12Qz"} {
		if f := s.search(text); f.ReadAs != as || f.Verdict != notice.VerdictYes || len(f.Deliveries) != 1 || len(f.Customers) != 1 {
			t.Errorf("%s: %+v", text, f)
		}
	}
	for _, test := range []struct {
		text    string
		as      notice.ReadAs
		verdict notice.Verdict
		line    string // of the answer, as people get it
	}{
		{"C1@Example.com", notice.ReadAddress, notice.VerdictYes, `^Yes, at 20[0-9: -]+ \S+, 127.0.0.1 answered 250 `},
		{"c1", notice.ReadCustomer, notice.VerdictYes, `^Yes, at `},
		{"ann sm", notice.ReadText, notice.VerdictYes, `^Yes, at `},
		{"mith", notice.ReadText, notice.VerdictYes, `^Yes, at `},
		{"c2", notice.ReadCustomer, notice.VerdictNo, `^No: at .* 127.0.0.1 answered 550 `},
		{"c3", notice.ReadCustomer, notice.VerdictUnknown, `^Unknown: the mail may have left by `},
		{"c4", notice.ReadCustomer, notice.VerdictNotInvited, `^Not in the audience: server = mx1; it is for server = "s639"`},
		{"zoe@example.com", notice.ReadAddress, notice.VerdictNotInvited, `^Not in the audience: server = mx1`},
		{"c5", notice.ReadCustomer, notice.VerdictNo, `^No: the customer has no mailbox`},
		{"c6", notice.ReadCustomer, notice.VerdictNotInvited, `^Not in the audience: no server; `},
		{"nobody@example.com", notice.ReadAddress, notice.VerdictNoCustomer, `^No such customer: `},
		{"<none.1@example.net>", notice.ReadMessageID, notice.VerdictUnknown, `^Unknown: no mail that the ledger has`},
	} {
		f := s.search(test.text, "--notice", "n1")
		out, _, _ := s.run("search", test.text, "--notice", "n1")
		if f.ReadAs != test.as || f.Verdict != test.verdict || !regexp.MustCompile(test.line).MatchString(out) {
			t.Errorf("%s: %s, %s: %s", test.text, f.ReadAs, f.Verdict, out)
		}
	}
	if f := s.search("SMI"); f.Verdict != notice.VerdictSeveral || len(f.Customers) != 2 {
		t.Errorf("a part of two names: %+v", f)
	}
	if f := s.search("c4"); f.Verdict != notice.VerdictNoNotice {
		t.Errorf("one whom no notice concerned: %+v", f)
	}
	var kinds []string
	for _, e := range s.search("c2").Timeline {
		kinds = append(kinds, e.Kind)
	}
	if strings.Join(kinds, " ") != "released began failed" {
		t.Errorf("the timeline of a refused mail: %v", kinds)
	}
}

func (s *system) search(text string, more ...string) (f notice.Found) {
	s.t.Helper()
	s.must(&f, append([]string{"search", text, "--json"}, more...)...)
	return f
}
