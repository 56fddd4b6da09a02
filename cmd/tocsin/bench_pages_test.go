package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/sink"
	"tocsin/internal/testkit"
)

var benchPages = flag.Int("bench.pages", 2_000, "deliveries of the ledger in TestPages")

// TestPages opens each page of the console over a ledger of -bench.pages deliveries. It prints the time until the page
// is there at the server, and the plans of its queries. It asserts that each is there, and no time: a machine is as fast
// as it is.
func TestPages(t *testing.T) {
	testkit.Large(t, "TestTheConsoleInABrowser")
	s := startOn(t, testkit.OwnServices(t), sink.Options{Discard: true})
	s.customers(*benchPages)
	s.work()
	s.must(nil, "notice", "send", s.notice("large", "incident: large"), "--yes")
	s.await("large", "sent", finished)
	db := s.connect()
	defer db.Close(t.Context())
	var name, data string
	if err := db.QueryRow(t.Context(), `SELECT current_database(), current_setting('data_directory')`).Scan(&name, &data); err != nil {
		t.Fatal(err)
	}
	mail := s.search("c7").Deliveries[0].Delivery
	pages := []struct{ name, path, text string }{
		{"notices", "/", ""}, {"now", "/now", ""}, {"notice", "/notices/large", ""}, {"incident", "/incidents/large", ""}, {"mails", "/notices/large/mails", ""},
		{"mails in a language", "/notices/large/mails?language=nl", ""}, {"mails in a language that none has", "/notices/large/mails?language=fr", ""},
		{"mails, half way", fmt.Sprintf("/notices/large/mails?state=sent&after=%d", *benchPages/2), ""}, {"mail", fmt.Sprintf("/notices/large/mails/%d", mail.Seq), ""},
		{"search by address", "/search", "c7@example.com"}, {"search by id", "/search", "c7"}, {"search by name", "/search", "Customer 7"},
		{"search by Message-ID", "/search", mail.MessageID}, {"log", "/acts", ""}, {"queues", "/queues", ""}, {"access", "/access", ""},
		{"settings", "/settings", ""}, {"ready texts", "/templates", ""}, {"a ready text", "/templates/example?template=outage&phase=identified&language=nl", ""},
		{"suppressions", "/suppressions", ""},
	}
	for _, page := range pages {
		if page.name == "notice" || page.name == "incident" { // the server counts their tables apart from them
			began := time.Now()
			s.page(page.path, "")
			s.counted(page.path)
			t.Logf("%-33s its tables are there after %s", page.name, time.Since(began).Round(time.Millisecond))
		}
		var took []time.Duration
		for range 40 {
			took = append(took, s.page(page.path, page.text))
		}
		slices.Sort(took)
		t.Logf("%-33s median %s, 95 in 100 within %s", page.name, took[len(took)/2].Round(time.Millisecond), took[len(took)*95/100].Round(time.Millisecond))
	}
	// The plans come last: to write them down takes time.
	for _, set := range []string{"session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0", "auto_explain.log_analyze = on", "auto_explain.log_nested_statements = on"} {
		if _, err := db.Exec(t.Context(), fmt.Sprintf(`ALTER DATABASE %q SET %s`, name, set)); err != nil {
			t.Fatal(err)
		}
	}
	s.server.stop()
	s.server = s.launch("serve")
	s.must(nil, "notice", "list", "--json")
	for _, page := range pages {
		before := len(plans(t, data))
		s.page(page.path, page.text)
		t.Logf("the plans of %s:\n%s", page.name, strings.Join(plans(t, data)[before:], "\n"))
	}
}

// TestACanaryOfMany prints how long a canary of 200 takes on an audience of -bench.pages: from the release to its hold,
// and from the resume to the first mail of the rest. It asserts that the rest waits, and no time.
func TestACanaryOfMany(t *testing.T) {
	testkit.Large(t, "TestACleanCanaryIsHeldAndGoesOn")
	s := startOn(t, testkit.OwnServices(t), sink.Options{Discard: true})
	s.customers(*benchPages)
	s.work()
	began := time.Now()
	took := func(step string) {
		t.Logf("%-40s %s", step, time.Since(began).Round(time.Millisecond))
		began = time.Now()
	}
	dir := s.notice("large", "incident: large", "canary: 200")
	s.must(nil, "notice", "preview", dir)
	took("the dry run")
	s.must(nil, "notice", "send", dir, "--yes")
	took("dry run and release")
	st := s.await("large", "held", func(st notice.Status) bool { return st.AtCanary() })
	took("from the release to the hold")
	if st.Canary.Counts["sent"] != 200 || st.Counts["queued"] != st.Recipients-200 {
		t.Errorf("the canary is %+v of %v", st.Canary, st.Counts)
	}
	s.must(nil, "notice", "resume", "large")
	s.await("large", "on", func(st notice.Status) bool { return st.Counts["sent"] > 200 })
	took("from the resume to the next mail")
	s.must(nil, "notice", "cancel", "large")
	took("the cancel of the rest")
}

// counted waits until a page has its tables.
func (s *system) counted(path string) {
	s.t.Helper()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		if _, html := s.get(path, ""); !strings.Contains(html, `id="counting"`) {
			return
		}
		select {
		case <-tick.C:
		case <-s.t.Context().Done():
			s.t.Fatal("the tables of a page do not come")
		}
	}
}

// page gets a page, by a search for a text where there is one, and returns the time until it was there.
func (s *system) page(path, text string) time.Duration {
	s.t.Helper()
	took, _ := s.get(path, text)
	return took
}

// get is page, with the HTML.
func (s *system) get(path, text string) (time.Duration, string) {
	s.t.Helper()
	var base string
	for _, e := range s.env {
		if u, ok := strings.CutPrefix(e, "TOCSIN_URL="); ok {
			base = u
		}
	}
	method, body := http.MethodGet, io.Reader(nil)
	if text != "" {
		method, body = http.MethodPost, strings.NewReader(url.Values{"text": {text}}.Encode())
	}
	req, err := http.NewRequestWithContext(s.t.Context(), method, base+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer s3cret")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	began := time.Now()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("%s: status %d, %v: %s", path, resp.StatusCode, err, answer)
	}
	return time.Since(began), string(answer)
}

// planLog is a plan in the log of Postgres, which goes on to the next line that begins with a time.
var planLog = regexp.MustCompile(`(?m)^.*duration: .* plan:\n(?:[\t ].*\n)*`)

func plans(t *testing.T, data string) []string {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(filepath.Dir(data), "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	return planLog.FindAllString(string(log), -1)
}
