package main

import (
	"io"
	"net/http"
	"net/mail"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

// advisory is a notice that its readers can stop.
func (s *system) advisory(key, phase string) string {
	return s.write(map[string]string{
		"notice.yaml": "key: " + key + "\nkind: advisory\nphase: " + phase + "\naudience: all\n",
		"en.md":       "---\nsubject: Change your passwords\n---\nDear {{.Customer.Name}}\n",
		"nl.md":       "---\nsubject: Wijzig uw wachtwoorden\n---\nBeste {{.Customer.Name}}\n",
	})
}

// pageOf is the page of the reader of a mail, as its header names it; "" where it names none.
func (s *system) pageOf(key, address string) string {
	s.t.Helper()
	m, err := mail.ReadMessage(strings.NewReader(s.mailsOf(key)[address].Raw))
	if err != nil {
		s.t.Fatal(err)
	}
	page := strings.Trim(m.Header.Get("List-Unsubscribe"), "<>")
	if got := m.Header.Get("List-Unsubscribe-Post"); (got == "List-Unsubscribe=One-Click") != (page != "") {
		s.t.Errorf("%s: List-Unsubscribe-Post: %q", key, got)
	}
	return page
}

// asked is the answer to a request to a page: a GET, or a POST of a form.
func (s *system) asked(page string, form url.Values) (status int, text string) {
	s.t.Helper()
	var resp *http.Response
	var err error
	if form == nil {
		resp, err = http.Get(page)
	} else {
		resp, err = http.PostForm(page, form)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestAReaderUnsubscribesWithOneClick from advisories, gets everything else, and comes back.
func TestAReaderUnsubscribesWithOneClick(t *testing.T) {
	t.Parallel()
	public := freeAddress(t)
	s := start(t, "TOCSIN_PUBLIC_LISTEN="+public, "TOCSIN_PUBLIC_URL=http://"+public+"/")
	s.customers(3)
	s.work()
	send := func(dir string) notice.Status {
		t.Helper()
		var st notice.Status
		s.must(&st, "notice", "send", dir, "--yes", "--wait", "--json")
		return st
	}
	suppressed := func(dir string, want map[string]int) {
		t.Helper()
		if diff := cmp.Diff(want, send(dir).Suppressed); diff != "" {
			t.Errorf("%s leaves out (-want +got):\n%s", dir, diff)
		}
	}
	send(s.advisory("advisory-1", "identified"))
	send(s.notice("outage-1"))
	if page := s.pageOf("outage-1", "c1@example.com"); page != "" {
		t.Errorf("a mail about an outage has the page %s", page)
	}
	arabic, page := s.pageOf("advisory-1", "c2@example.com"), s.pageOf("advisory-1", "c1@example.com")
	if !strings.HasPrefix(page, "http://"+public+"/u/") || strings.Contains(page, "c1") {
		t.Fatalf("the page is %q", page)
	}
	if _, text := s.asked(arabic, nil); !strings.Contains(text, `<html lang="ar" dir="rtl">`) {
		t.Errorf("the page of an Arabic reader whose mail was in English:\n%s", text)
	}
	if status, text := s.asked(page, nil); status != 200 || !strings.Contains(text, `name="do" value="stop"`) || strings.Contains(text, "@example") {
		t.Errorf("the page is answered with %d:\n%s", status, text)
	}
	suppressed(s.advisory("advisory-2", "identified"), map[string]int{}) // to look changes nothing
	oneClick := url.Values{"List-Unsubscribe": {"One-Click"}}
	for range 2 { // mail providers repeat themselves
		if status, _ := s.asked(page, oneClick); status != 200 {
			t.Errorf("one click is answered with %d", status)
		}
	}
	var plan notice.Plan
	out, _, _ := s.run("notice", "preview", s.advisory("advisory-3", "identified"), "--json", "--customer", "c1")
	s.decode(out, &plan)
	if plan.Suppressed[notice.ReasonSuppressionList] != 1 || plan.Asked == nil || plan.Asked.Reason != notice.ReasonSuppressionList {
		t.Errorf("the dry run says %v, %+v", plan.Suppressed, plan.Asked)
	}
	suppressed(s.advisory("advisory-3", "identified"), map[string]int{notice.ReasonSuppressionList: 1})
	for _, d := range s.report("advisory-3") {
		if left := d.State == notice.DeliverySuppressed && d.Reason == notice.ReasonSuppressionList; left != (d.Address == "c1@example.com") {
			t.Errorf("%s is %s %s", d.Address, d.State, d.Reason)
		}
	}
	suppressed(s.advisory("report-1", "postmortem"), map[string]int{})
	suppressed(s.notice("outage-2"), map[string]int{})
	if out, _, _ := s.run("suppressions", "list"); !strings.Contains(out, "advisory") || !strings.Contains(out, "reader") || !strings.Contains(out, "unsubscribed") {
		t.Errorf("the list is\n%s", out)
	}
	// Another key signs from now on: the mails of before are shown as they were, and their links stay good.
	s.sql(`INSERT INTO bounce_key (key) VALUES (uuid_send(gen_random_uuid())) RETURNING ''`)
	sent := s.mailsOf("advisory-1")["c1@example.com"].Raw
	if out, said, code := s.run("notice", "show", "advisory-1", "--address", "c1@example.com", "--raw"); out != sent || code != 0 {
		t.Errorf("exit %d, %s\n%s\nwas sent as\n%s", code, said, out, sent)
	}
	// The page of a later mail, of another topic, knows the choice and takes it back.
	later := s.pageOf("report-1", "c1@example.com")
	if _, text := s.asked(later, url.Values{"topic": {"advisory"}, "do": {"resume"}}); !strings.Contains(text, "Uw keuze is opgeslagen") {
		t.Errorf("it is answered with\n%s", text)
	}
	suppressed(s.advisory("advisory-4", "identified"), map[string]int{})
	// A token that somebody changed, or that names an erased reader, gets the same page and changes nothing.
	s.must(nil, "customers", "delete", "c1")
	last := map[bool]string{true: "b", false: "a"}[strings.HasSuffix(page, "a")]
	gone := map[string]bool{}
	for _, page := range []string{page, page[:len(page)-1] + last, arabic + "a", "http://" + public + "/u/preview"} {
		for _, form := range []url.Values{nil, oneClick} {
			status, text := s.asked(page, form)
			if gone[text] = true; status != 404 {
				t.Errorf("%s is answered with %d", page, status)
			}
		}
	}
	// Neither does a token when its number is that of another notice, as after a backup was put back, or in a copy.
	before, _ := s.asked(arabic, nil)
	s.sql(`UPDATE notice SET message_token = 'other' WHERE key = 'advisory-1' RETURNING ''`)
	after, text := s.asked(arabic, oneClick)
	if gone[text] = true; before != 200 || after != 404 {
		t.Errorf("the page of another reader is answered with %d, and with %d once its notice is another one", before, after)
	}
	if len(gone) != 1 {
		t.Errorf("links that lead nowhere have %d answers", len(gone))
	}
}
