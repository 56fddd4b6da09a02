package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tocsin/internal/notice"
)

// TestLogsAndMetricsTellNothingOfPersons sends with every fault that writes a log line. Then it looks for every address,
// every name and every sentence of the mails in all that was logged and measured.
func TestLogsAndMetricsTellNothingOfPersons(t *testing.T) {
	t.Parallel()
	s := startAlone(t, "TOCSIN_LOG=json")
	var secret []string // nothing of it may be told
	var b strings.Builder
	b.WriteString("id,name,email,language,time_zone,server\n")
	for i, local := range []string{"ada.one", "bob.two", "tempfail.cid", "permfail.dot", "drop-after-dot.eva", "drop-before-dot.flo", "slow.guy", "Umlaut.Ümit"} {
		address, name := local+"@persons.example", fmt.Sprintf("Person Number%d Surname%d", i, i)
		fmt.Fprintf(&b, "person-%d,%s,%s,en,Europe/Amsterdam,s1\n", i, name, address)
		secret = append(secret, address, local, name, fmt.Sprintf("Surname%d", i))
	}
	b.WriteString("person-x,Malformed Person,malformed.person@@persons.example,en,,\n")
	b.WriteString("person-y,Zoneless Person,zoneless@persons.example,en,Nowhere/Town,\n")
	secret = append(secret, "persons.example", "Malformed Person", "malformed.person", "Zoneless Person", "zoneless", "stranger",
		"operator-test", "s3cret", "We are on it and will write again", "Mail is down on server seven", "nobody.knows")
	dir := s.write(map[string]string{
		"customers.csv": b.String(),
		"notice.yaml":   "key: watched-1\nkind: outage\nphase: identified\nseverity: major\naudience: all\n",
		"en.md":         "---\nsubject: Mail is down on server seven\n---\nDear {{.Customer.Name}},\n\nWe are on it and will write again.\n",
	})
	if _, _, code := s.run("customers", "import", filepath.Join(dir, "customers.csv")); code != 1 {
		t.Errorf("importing bad rows: exit %d", code)
	}
	watching := freeAddress(t)
	s.env = append(s.env, "TOCSIN_WORK_LISTEN="+watching)
	worker := s.work()
	s.must(nil, "notice", "test", dir, "--to", "operator-test@persons.example")
	s.run("notice", "send", dir, "--yes", "--wait", "--json") // exit 1: a mail is refused for good
	st := s.await("watched-1", "finished", finished)
	s.run("customers", "history", "nobody.knows@persons.example")
	s.run("customers", "delete", "stranger@persons.example")
	s.run("notice", "settle", "watched-1", "--sent", "--address", "drop-after-dot.eva@persons.example", "--yes")
	s.run("notice", "settle", "watched-1", "--requeue", "--address", "nobody.knows@persons.example", "--yes")

	measured := s.scrape(watching)
	if got := measured[`tocsin_answers_total{class="2xx",relay="127.0.0.1"}`]; got != float64(st.Counts["sent"]) {
		t.Errorf("2xx: %v in the metrics, %d are sent", got, st.Counts["sent"])
	}
	if measured[`tocsin_answers_total{class="5xx",relay="127.0.0.1"}`] != 1 || measured[`tocsin_answers_total{class="4xx",relay="127.0.0.1"}`] != 1 ||
		measured[`tocsin_answers_total{class="none",relay="127.0.0.1"}`] < 1 {
		t.Errorf("answers: %v", measured)
	}
	for _, name := range []string{"tocsin_commit_seconds_count", `tocsin_commit_rows_sum{kind="mark"}`, "tocsin_sweep_seconds_count", "tocsin_open_marks_limit"} {
		if measured[name] == 0 {
			t.Errorf("%s is 0", name)
		}
	}
	if measured["tocsin_open_marks"] != 0 {
		t.Errorf("%v open marks after the end", measured["tocsin_open_marks"])
	}
	standing := s.scrape(s.address())
	now := s.status("watched-1")
	for _, state := range notice.DeliveryStates {
		if got := standing[fmt.Sprintf("tocsin_deliveries{state=%q}", state)]; got != float64(now.Counts[state.String()]) {
			t.Errorf("%v deliveries are %s in the metrics, %d in the status", got, state, now.Counts[state.String()])
		}
	}
	if standing["tocsin_ledger_up"] != 1 || standing["tocsin_oldest_owed_seconds"] != 0 {
		t.Errorf("standing: %v", standing)
	}

	// The failures of servers are logged too.
	s.must(nil, "notice", "send", s.notice("watched-2"), "--yes")
	if err := s.services.StopPostgres(true); err != nil {
		t.Fatal(err)
	}
	s.run("customers", "history", "ada.one@persons.example")
	if err := s.services.StartPostgres(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.await("watched-2", "finished", finished)
	if code := worker.stop(); code != 0 {
		t.Errorf("the worker ended with %d", code)
	}
	s.server.stop()
	for name, log := range map[string]string{"serve": s.server.log.String(), "work": worker.log.String()} {
		lines := bufio.NewScanner(strings.NewReader(log))
		n := 0
		for ; lines.Scan(); n++ {
			var entry map[string]any
			if err := json.Unmarshal(lines.Bytes(), &entry); err != nil || entry["msg"] == "" || entry["level"] == "" || entry["time"] == "" {
				t.Errorf("%s: not an entry of a log: %s", name, lines.Text())
			}
			tellsNothing(t, name+"'s log", lines.Text(), secret)
		}
		if n < 3 {
			t.Errorf("%s logged %d lines: there is nothing to look through\n%s", name, n, log)
		}
	}
}

func tellsNothing(t *testing.T, where, text string, secret []string) {
	t.Helper()
	for _, word := range secret {
		if strings.Contains(strings.ToLower(text), strings.ToLower(word)) {
			t.Errorf("%s tells %q: %s", where, word, text)
		}
	}
}

// address is where the API listens.
func (s *system) address() string {
	for _, e := range s.env {
		if addr, ok := strings.CutPrefix(e, "TOCSIN_LISTEN="); ok {
			return addr
		}
	}
	return ""
}

// scrape reads the metrics of a process, by name and labels.
func (s *system) scrape(addr string) map[string]float64 {
	s.t.Helper()
	get := func(token string) *http.Response {
		r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+addr+"/metrics", nil)
		if err != nil {
			s.t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	if resp := get("wrong"); resp.StatusCode != http.StatusUnauthorized {
		s.t.Errorf("metrics with a wrong token: %s", resp.Status)
	}
	text, err := io.ReadAll(get("s3cret").Body)
	if err != nil {
		s.t.Fatal(err)
	}
	tellsNothing(s.t, "the metrics of "+addr, string(text), []string{"persons.example", "Surname", "@", "s3cret", "watched-1", "server seven"})
	values := map[string]float64{}
	for line := range strings.Lines(string(text)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if f, err := strconv.ParseFloat(value, 64); ok && err == nil {
			values[name] = f
		}
	}
	return values
}
