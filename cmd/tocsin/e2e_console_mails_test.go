package main

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// TestMailsOfALanguageAreCountedAsTheyAreListed: recipients without a mail stand in the list of their language, and in the number that the page
// has for it. So do those of a language in which nobody has a mail. A search within a language finds nobody else.
func TestMailsOfALanguageAreCountedAsTheyAreListed(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(9)
	for _, c := range []string{"c1", "c2", "c5", "c8"} { // one of three who read Dutch, and all who read Arabic
		s.run("suppressions", "add", c+"@example.com")
	}
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes", "--wait")
	listed := regexp.MustCompile(`href="/notices/outage-1/mails/\d+"`)
	for _, tt := range []struct {
		language, state, text string
		want                  int
	}{
		{"nl", "", "", 3}, {"nl", "suppressed", "", 1}, {"nl", "sent", "", 2}, {"ar", "", "", 3}, {"ar", "suppressed", "", 3}, {"ar", "sent", "", 0},
		{"en", "suppressed", "", 0}, {"", "suppressed", "", 4}, {"", "", "", 9}, {"nl", "", "c4", 1}, {"nl", "", "c3", 0}, {"", "", "c3", 1},
	} {
		form := url.Values{"language": {tt.language}, "state": {tt.state}, "text": {tt.text}}
		status, _, page := s.asks("POST", "/notices/outage-1/mails", "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
		if n := len(listed.FindAllString(page, -1)); status != 200 || n != tt.want {
			t.Errorf("%+v: status %d, %d mails", tt, status, n)
		}
		if tt.text != "" {
			continue
		}
		if tab := fmt.Sprintf("<b>%d</b>", tt.want); !regexp.MustCompile(`aria-current="page">[^<]*`+tab).MatchString(page) && tt.want > 0 {
			t.Errorf("%+v: no tab has %s", tt, tab)
		}
		if option := fmt.Sprintf(`<option value="%s" selected>`, tt.language); tt.language != "" && !regexp.MustCompile(option+fmt.Sprintf(`[^<]* \(%d\)<`, tt.want)).MatchString(page) {
			t.Errorf("%+v: no language has the number:\n%s", tt, page)
		}
	}
}
