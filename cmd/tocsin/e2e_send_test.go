package main

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"tocsin/internal/audience"
	"tocsin/internal/notice"
	"tocsin/internal/sink"
	"tocsin/internal/testkit"
)

// TestOneMailPerMailboxInItsLanguage sends to customers who share mailboxes, write them in upper and lower
// case, and have them in IDN domains; then presses send three times at once.
func TestOneMailPerMailboxInItsLanguage(t *testing.T) {
	t.Parallel()
	s := start(t)
	want := map[string]string{} // language per address key
	languages := []string{"en", "nl", "ar", "nl-BE", "", "xx-unknown"}
	texts := map[string]string{"en": "en", "nl": "nl", "ar": "ar", "nl-BE": "nl", "": "en", "xx-unknown": "en"}
	var b strings.Builder
	b.WriteString("id,name,email,language,time_zone,server\n")
	row := func(id int, address, language string) {
		fmt.Fprintf(&b, "c%04d,Customer %d,%s,%s,Europe/Amsterdam,s%d\n", id, id, address, strings.Replace(language, "xx-unknown", "fi", 1), id%40)
		a, err := audience.ParseAddress(address)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := want[a.Key()]; !ok {
			want[a.Key()] = texts[language]
		}
	}
	customers := testkit.Size(2000, 5000)
	for i := range customers {
		language := languages[i%len(languages)]
		switch i % 10 {
		case 0: // three customers to a mailbox, all with the same language
			row(i, fmt.Sprintf("shared%d@example.com", i/30), languages[(i/30)%len(languages)])
		case 1:
			row(i, fmt.Sprintf("Upper%d@Example.COM", i/20), languages[(i/20)%len(languages)])
		case 2:
			row(i, fmt.Sprintf("idn%d@bücher.example", i/20), languages[(i/20)%len(languages)])
		case 3:
			row(i, fmt.Sprintf("IDN%d@xn--bcher-kva.example", i/20), languages[(i/20)%len(languages)])
		default:
			row(i, fmt.Sprintf("own%d@example.org", i), language)
		}
	}
	file := filepath.Join(s.write(map[string]string{"customers.csv": b.String()}), "customers.csv")
	s.must(nil, "customers", "import", file)
	s.work()
	s.work()
	dir := s.notice("outage-1")
	var first struct {
		notice.Status
		Created bool
	}
	s.must(&first, "notice", "send", dir, "--yes", "--wait", "--json")
	if !first.Created || first.State != notice.Sent || first.Customers != customers || first.Recipients != len(want) {
		t.Errorf("sent: %+v, want %d customers at %d mailboxes", first, customers, len(want))
	}
	mails := s.delivered()
	if len(mails) != len(want) {
		t.Errorf("%d mailboxes have mail, want %d", len(mails), len(want))
	}
	for key, language := range want {
		got := mails[key]
		if len(got) != 1 || got[0].Language != language {
			t.Errorf("%s has %d mails, want one in %q: %+v", key, len(got), language, languagesOf(got))
		}
	}
	count := s.sink.Count()
	var presses sync.WaitGroup
	for range 3 {
		presses.Go(func() {
			out, errs, code := s.run("notice", "send", dir, "--yes", "--wait", "--json")
			var again struct{ Created bool }
			if err := json.Unmarshal([]byte(out), &again); err != nil || code != 0 || again.Created {
				t.Errorf("a repeated send: exit %d, %v, %s%s", code, err, out, errs)
			}
		})
	}
	presses.Wait()
	if got := s.sink.Count(); got != count {
		t.Errorf("the sink has %d mails after sending again, had %d", got, count)
	}
	s.settled("outage-1", 0)
}

func languagesOf(mails []sink.Mail) (all []string) {
	for _, m := range mails {
		all = append(all, m.Language)
	}
	return all
}

// TestThreePressesAtOnceReleaseOnce is the impatient operator: nobody knows yet that it was sent.
func TestThreePressesAtOnceReleaseOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(500)
	s.work()
	dir := s.notice("outage-1")
	created := make(chan bool, 3)
	var presses sync.WaitGroup
	for range 3 {
		presses.Go(func() {
			out, errs, code := s.run("notice", "send", dir, "--yes", "--wait", "--json")
			var doc struct{ Created bool }
			if err := json.Unmarshal([]byte(out), &doc); err != nil || code != 0 {
				t.Errorf("exit %d, %v: %s%s", code, err, out, errs)
			}
			created <- doc.Created
		})
	}
	presses.Wait()
	if n := trues(created, 3); n != 1 {
		t.Errorf("%d of three presses say that they released it, want 1", n)
	}
	if st := s.settled("outage-1", 0); st.Counts["sent"] != 500 {
		t.Errorf("ended as %v, want 500 sent", st.Counts)
	}
}

func trues(c chan bool, n int) (count int) {
	for range n {
		if <-c {
			count++
		}
	}
	return count
}

// TestWhatRelaysAnswerIsWhatTheReportSays goes through each way in which a relay treats a mail.
func TestWhatRelaysAnswerIsWhatTheReportSays(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := filepath.Join(s.write(map[string]string{"c.csv": `id,name,email,alternate_email
1,One,ok@example.com,
2,Two,permfail@example.com,
3,Three,tempfail@example.com,
4,Four,slow@example.com,
5,Five,drop-before-dot@example.com,
6,Six,drop-after-dot@example.com,
7,Seven,,
8,Eight,eight@broken.example,eight@elsewhere.example
9,Nine,nine@broken.example,
`}), "c.csv")
	s.must(nil, "customers", "import", file)
	s.work()
	if _, errs, code := s.run("notice", "send", s.notice("outage-1", "broken_domains: [broken.example]"), "--yes", "--wait"); code != 1 || !strings.Contains(errs, "notice settle outage-1") {
		t.Errorf("exit %d with a mail that is uncertain: %s", code, errs)
	}
	s.settled("outage-1", 2)
	table, _, _ := s.run("report", "outage-1", "--format", "csv")
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	header := "address,customers,language,time_zone,state,reason,attempts,relay,smtp_code,enhanced_code,smtp_text,message_id,sent_at,updated_at"
	if got := strings.Join(rows[0], ","); got != header {
		t.Errorf("columns %s", got)
	}
	got := map[string]string{}
	for _, r := range rows[1:] {
		got[r[1]] = strings.Join([]string{r[4], r[5], r[6], r[8], r[9]}, " ")
	}
	crossed := 0 // a dot that was under way when the relay cut the line before it
	if got["5"] == "uncertain  1  " {
		crossed, got["5"] = 1, "sent  2 250 2.0.0"
	}
	for customer, want := range map[string]string{
		"1": "sent  1 250 2.0.0", "2": "failed  1 550 5.1.1", "3": "sent  2 250 2.0.0", "4": "sent  1 250 2.0.0",
		"5": "sent  2 250 2.0.0", "6": "uncertain  1  ", "7": "suppressed no_address 0  ", "8": "sent alternate 1 250 2.0.0",
		"9": "suppressed unreachable 0  ",
	} {
		if got[customer] != want {
			t.Errorf("customer %s: %q, want %q", customer, got[customer], want)
		}
	}
	var history struct{ Deliveries []notice.HistoryEntry }
	s.must(&history, "customers", "history", "8", "--json")
	if len(history.Deliveries) != 1 || history.Deliveries[0].Delivery.Address != "eight@elsewhere.example" || history.Deliveries[0].Delivery.State != notice.DeliverySent {
		t.Errorf("history of customer 8: %+v", history)
	}
	// An uncertain mail can't be requeued yet; an operator can say that it arrived.
	out, errs, code := s.run("notice", "settle", "outage-1", "--requeue", "--all-uncertain", "--yes")
	if code != 1 || !strings.Contains(out, "before 20") {
		t.Errorf("a requeue before the gate: exit %d, %q, want a refusal that names the time", code, out+errs)
	}
	s.must(nil, "notice", "settle", "outage-1", "--sent", "--address", "Drop-After-Dot@example.com", "--yes")
	if st := s.status("outage-1"); st.Counts["uncertain"] != crossed || st.Counts["sent"] != 6-crossed {
		t.Errorf("after settling: %v", st.Counts)
	}
}

func TestUpdatesOfAnIncidentFormAThread(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.customers(3)
	s.work()
	s.must(nil, "notice", "send", s.notice("outage-1"), "--yes", "--wait")
	s.must(nil, "notice", "send", s.notice("outage-1.resolved", "incident: outage-1"), "--yes", "--wait")
	for key, mails := range s.delivered() {
		slices.SortFunc(mails, func(a, b sink.Mail) int { return a.At.Compare(b.At) })
		if len(mails) != 2 || !strings.Contains(mails[1].Raw, "In-Reply-To: "+mails[0].MessageID) {
			t.Errorf("%s: the second mail does not refer to the first", key)
		}
	}
}

func TestAWorkersMetricsWantTheToken(t *testing.T) {
	t.Parallel()
	s := start(t)
	address := freeAddress(t)
	s.with("TOCSIN_WORK_LISTEN=" + address).work()
	get := func(path, token string) int {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if token != "" {
			r.Header.Set("Authorization", "Bearer "+token)
		}
		for {
			answer, err := http.DefaultClient.Do(r)
			if errors.Is(err, syscall.ECONNREFUSED) {
				continue // it has not begun to listen
			}
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			return answer.StatusCode
		}
	}
	for _, tt := range []struct {
		path, token string
		want        int
	}{
		{"/healthz", "", 200}, {"/readyz", "", 200}, {"/metrics", "", 401}, {"/metrics", "wrong", 401}, {"/metrics", "s3cret", 200},
	} {
		if got := get(tt.path, tt.token); got != tt.want {
			t.Errorf("GET %s with token %q: %d, want %d", tt.path, tt.token, got, tt.want)
		}
	}
}
