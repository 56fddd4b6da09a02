package main

import (
	"regexp"
	"strings"
	"sync"
	"testing"

	"tocsin/internal/notice"
)

// added is the output of notice add-address.
type added struct {
	notice.Added
	code int
	errs string
}

func (s *system) addAddress(key, customer, address string) (a added) {
	out, errs, code := s.run("notice", "add-address", key, "--customer", customer, "--address", address, "--json")
	if a.errs, a.code = errs, code; code == 0 {
		s.decode(out, &a.Added)
	}
	return a
}

// TestANoticeIsSentToAnotherAddress of a customer, after it has finished: once, in their language, however many press
// at once.
func TestANoticeIsSentToAnotherAddress(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.importing("id,name,email,language,server\nc1,Ann,c1@example.com,nl,s1\nc2,Bram,permfail@example.com,nl,s2\n" +
		"c3,Cas,shared@example.com,en,s3\nc4,Dirk,shared@example.com,en,s4\nc5,Eva,,nl,s5\nc6,Fen,c6@example.com,en,\n")
	s.work()
	s.must(nil, "notice", "send", s.notice("n1", `audience: 'server != ""'`), "--yes", "--wait", "--json", "--tolerate", "100")
	before := s.status("n1")

	spellings := []string{"Thuis@Elders.example", "thuis@elders.example", " thuis@ELDERS.example ", `"thuis"@elders.example`}
	results := make([]added, 8)
	var all sync.WaitGroup
	for i := range results {
		all.Go(func() { results[i] = s.addAddress("n1", "c2", spellings[i%4]) })
	}
	all.Wait()
	created := 0
	for _, a := range results {
		if a.Created {
			created++
		}
		if a.code != 0 || a.Seq != before.Recipients {
			t.Errorf("exit %d, %+v, %s", a.code, a.Added, a.errs)
		}
	}
	if created != 1 {
		t.Errorf("%d rows were added", created)
	}
	for customer, address := range map[string]string{"c4": "dirk@elders.example", "c5": "eva@elders.example"} {
		if a := s.addAddress("n1", customer, address); a.code != 0 || !a.Created {
			t.Errorf("%s: exit %d, %s", customer, a.code, a.errs)
		}
	}
	st := s.await("n1", "sent", func(st notice.Status) bool { return finished(st) && st.Counts["sent"] == before.Counts["sent"]+3 })
	if st.Customers != before.Customers || st.Recipients != before.Recipients+3 || st.Added != 3 || st.ByLanguage["nl"] != before.ByLanguage["nl"]+2 {
		t.Errorf("before %+v, after %+v", before, st)
	}
	mails := s.delivered()
	for address, name := range map[string]string{"thuis@elders.example": "Beste Bram,", "dirk@elders.example": "Dear Dirk,", "eva@elders.example": "Beste Eva,"} {
		if len(mails[address]) != 1 || !strings.Contains(mails[address][0].Raw, name) || strings.Contains(mails[address][0].Raw, "Cas") {
			t.Errorf("%s has %+v", address, mails[address])
			continue
		}
		if out, said, code := s.run("notice", "show", "n1", "--address", address, "--raw"); code != 0 || out != mails[address][0].Raw {
			t.Errorf("%s is shown: exit %d, %s", address, code, said)
		}
	}

	refused := func(want, key, customer, address string) {
		t.Helper()
		if a := s.addAddress(key, customer, address); a.code != 1 || !regexp.MustCompile(want).MatchString(a.errs) || strings.Contains(a.errs, address) {
			t.Errorf("%s of %s: exit %d, %s", address, customer, a.code, a.errs)
		}
	}
	refused(`recipient \d of notice n1 already. Yes, at 20.* 250`, "n1", "c2", "C1@example.com")
	refused(`recipient \d of notice n1 already. No: at 20.* 550`, "n1", "c1", "permfail@example.com")
	refused(`recipient \d of notice n1 already. Yes`, "n1", "c1", "thuis@elders.example")
	refused(`no such customer`, "n1", "c9", "x@elders.example")
	refused(`does not stand on notice "n1"`, "n1", "c6", "x@elders.example")
	refused(`there is no notice`, "n9", "c1", "x@elders.example")
	refused(`address`, "n1", "c1", "elders.example")
	s.must(nil, "suppressions", "add", "weg@elders.example")
	refused(`list of suppressions`, "n1", "c1", "weg@elders.example")

	var told struct{ Deliveries []notice.HistoryEntry }
	s.must(&told, "customers", "history", "c2", "--json")
	if len(told.Deliveries) != 2 || told.Deliveries[0].Delivery.State != notice.DeliveryFailed || told.Deliveries[1].Delivery.Reason != "added" {
		t.Errorf("their history has %+v", told.Deliveries)
	}
	if f := s.search("c2", "--notice", "n1"); len(f.Deliveries) != 2 {
		t.Errorf("a search finds %+v", f.Deliveries)
	}
	if out, _, _ := s.run("notice", "status", "n1"); !strings.Contains(out, "7, 3 added since the release") {
		t.Errorf("for people: %s", out)
	}
	if out, _, code := s.run("report", "n1", "--format", "csv"); code != 0 || strings.Count(out, ",\"added\",") != 3 {
		t.Errorf("the report: exit %d, %s", code, out)
	}
	if out, _, code := s.run("acts", "--what", "add address"); code != 0 || strings.Count(out, "another address of a customer of recipient") != 3 || strings.Contains(out, "elders") {
		t.Errorf("the log: exit %d, %s", code, out)
	}
}
