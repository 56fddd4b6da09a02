package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

func TestTheWaitEndsAsTheSendingWent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		st   notice.Status
		want string // "" = it went well
	}{
		"all sent":                   {notice.Status{State: notice.Sent, Recipients: 100, Counts: map[string]int{"sent": 100}}, ""},
		"a few dead mailboxes":       {notice.Status{State: notice.Sent, Recipients: 150, Counts: map[string]int{"sent": 95, "failed": 5, "suppressed": 50}}, ""},
		"more than a few":            {notice.Status{State: notice.Sent, Recipients: 150, Counts: map[string]int{"sent": 94, "failed": 6, "suppressed": 50}}, "6 of 100 mails of k failed; see: tocsin report k --state failed"},
		"nobody could be mailed":     {notice.Status{State: notice.Sent, Recipients: 2, Counts: map[string]int{"suppressed": 2}}, "nobody on the audience of k could be mailed"},
		"all failed":                 {notice.Status{State: notice.Sent, Recipients: 1, Counts: map[string]int{"failed": 1}}, "1 of 1 mails of k failed"},
		"all superseded":             {notice.Status{State: notice.Sent, Recipients: 9, Counts: map[string]int{"cancelled": 9}}, "nothing of k was sent"},
		"one of many is uncertain":   {notice.Status{State: notice.Sent, Recipients: 200_000, Counts: map[string]int{"sent": 199_999, "uncertain": 1}}, "tocsin notice reconcile k --maillog FILE"},
		"held":                       {notice.Status{State: notice.Held, Reason: "power feeds", Recipients: 2, Counts: map[string]int{"queued": 2}}, "k is held (power feeds)"},
		"cancelled":                  {notice.Status{State: notice.Cancelled, Recipients: 2, Counts: map[string]int{"sent": 1, "cancelled": 1}}, "k is cancelled"},
		"returned later":             {notice.Status{State: notice.Sent, Recipients: 2, Counts: map[string]int{"bounced": 2}}, ""},
		"long ago, its rows dropped": {notice.Status{State: notice.Sent, RowsDroppedAt: &time.Time{}, Recipients: 2, Counts: map[string]int{"uncertain": 2}}, ""},
	} {
		c.st.Key = "k"
		switch err := judged(c.st, 5); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	var p percent
	for _, bad := range []string{"", "x", "-1", "101%", "NaN"} {
		if err := p.UnmarshalText([]byte(bad)); err == nil {
			t.Errorf("%q is a share", bad)
		}
	}
	if err := p.UnmarshalText([]byte("2.5%")); err != nil || p != 2.5 {
		t.Errorf("2.5%% is %v, %v", p, err)
	}
}

func TestProgressSaysWhyNothingMoves(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	progress, now := newSending(&out), time.Date(2026, 11, 9, 21, 0, 0, 0, time.UTC)
	st := notice.Status{Key: "k", State: notice.Sending, Recipients: 2887, Counts: map[string]int{"queued": 1849, "suppressed": 1038}}
	show := func(after time.Duration, pace *notice.Pace) {
		now = now.Add(after)
		st.Pace = pace
		progress.show(st, now)
	}
	show(0, &notice.Pace{})
	show(time.Second, &notice.Pace{})
	show(5*time.Second, &notice.Pace{})
	show(5*time.Second, &notice.Pace{})
	show(time.Second, &notice.Pace{Workers: 1, Relays: []notice.RelayHealth{{Relay: "main", State: "resting", Error: "connection refused"}}})
	st.Counts = map[string]int{"deferred": 1849, "suppressed": 1038}
	show(time.Second, &notice.Pace{Workers: 1, Relays: []notice.RelayHealth{{Relay: "main", State: "up"}}})
	st.State, st.Counts = notice.Sent, map[string]int{"sent": 1849, "suppressed": 1038}
	show(time.Second, nil)
	want := `sending, 1,038 could not be reached: 0 of 1,849 sent
sending, 1,038 could not be reached: no worker is alive; start one with: tocsin work
sending, 1,038 could not be reached: no relay can be reached; the last error is of main: connection refused
sending, 1,849 deferred, 1,038 could not be reached: the relays put off 1,849 mails, which are tried again; see: tocsin report k --state deferred
sent, 1,038 could not be reached: 1,849 of 1,849 sent
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

// TestTheWaitFailsWhereNobodyWasReached sends to addresses that are none, or that the relay refuses for good.
func TestTheWaitFailsWhereNobodyWasReached(t *testing.T) {
	t.Parallel()
	s := start(t)
	file := filepath.Join(s.write(map[string]string{"c.csv": "id,name,email,plan\nA5,x,,none\nA6,x,,none\nB1,x,permfail@example.com,bad\nB2,x,b2@example.com,good\n"}), "c.csv")
	s.must(nil, "customers", "import", file)
	out, errs, code := s.run("notice", "send", s.notice("early", `audience: 'plan = "good"'`), "--yes")
	if code != 0 {
		t.Fatalf("exit %d, %s%s", code, out, errs)
	}
	s.await("early", "waiting for a worker", func(st notice.Status) bool { return st.Pace != nil && st.Pace.Workers == 0 })
	if out, _, _ := s.run("notice", "status", "early"); !strings.Contains(out, "no worker is alive") {
		t.Errorf("the status does not say why nothing moves:\n%s", out)
	}
	s.work()
	for _, c := range []struct {
		key, plan string
		flags     []string
		want      int
		says      string
	}{
		{"nobody", "none", nil, 1, "nobody on the audience of nobody could be mailed"},
		{"refused", "bad", nil, 1, "tocsin report refused --state failed"},
		{"half", "*d", nil, 1, "1 of 2 mails of half failed"},
		{"half", "*d", []string{"--json"}, 1, "1 of 2 mails of half failed"},
		{"half", "*d", []string{"--tolerate", "50%"}, 0, "tocsin report half --state failed"},
		{"good", "good", nil, 0, "1 sent"},
	} {
		out, errs, code := s.run(append([]string{"notice", "send", s.notice(c.key, "audience: 'plan = \""+c.plan+"\"'"), "--yes", "--wait"}, c.flags...)...)
		if code != c.want || !strings.Contains(out+errs, c.says) {
			t.Errorf("%s %v: exit %d, want %d and %s\n%s%s", c.key, c.flags, code, c.want, c.says, out, errs)
		}
	}
	// Without --wait a second press is done, whatever became of the first.
	var r receipt
	if s.must(&r, "notice", "send", s.notice("nobody", `audience: 'plan = "none"'`), "--json"); r.Created {
		t.Errorf("the second press answered %+v", r)
	}
}

func TestADatabaseThatIsNotMigratedIsNamed(t *testing.T) {
	t.Parallel()
	s := &system{t: t, services: sharedServices(t)}
	s.services.DatabaseURL = testkit.EmptyPostgres(t)
	address := freeAddress(t)
	s.env = []string{"DATABASE_URL=" + s.services.DatabaseURL, "REDIS_URL=" + s.services.RedisURL, "TOCSIN_SMTP_URL=smtp://127.0.0.1:1",
		"TOCSIN_FROM=status@example.net", "TOCSIN_LISTEN=" + address, "TOCSIN_URL=http://" + address, "TOCSIN_TOKEN=s3cret"}
	serve, work := s.launch("serve"), s.work()
	_, errs, code := s.run("notice", "status", "some.key")
	if code != 1 || !strings.Contains(errs, "run `tocsin migrate`") {
		t.Errorf("exit %d, %s", code, errs)
	}
	for _, p := range []*program{serve, work} {
		deadline := time.Now().Add(time.Minute)
		for tick := time.NewTicker(50 * time.Millisecond); !strings.Contains(p.log.String(), "tocsin migrate"); <-tick.C {
			if time.Now().After(deadline) {
				t.Fatalf("%v does not say that the database is not migrated:\n%s", p.Args[1:], p.log)
			}
		}
	}
}

// TestALimitThatIsReachedIsSaid sends more mails than a relay's rate lets out while one looks.
func TestALimitThatIsReachedIsSaid(t *testing.T) {
	t.Parallel()
	s, _ := startLimited(t, 0, "relays:\n  - {name: main, url: \"smtp://RELAY\", rate: 20/s}\n")
	s.customers(600)
	s.work()
	dir := s.notice("limited", "audience: all")
	s.must(nil, "notice", "send", dir, "--yes", "--json")
	s.await("limited", "a limit is named", func(st notice.Status) bool { return st.Pace != nil && len(st.Pace.Limited) > 0 })
	const says = "limited to 20/s by relay main's rate"
	if out, _, _ := s.run("notice", "status", "limited"); !strings.Contains(out, says) {
		t.Errorf("the status does not say %q:\n%s", says, out)
	}
	waiting := make(chan string)
	go func() {
		_, errs, _ := s.run("notice", "send", dir, "--wait")
		waiting <- errs
	}()
	s.await("limited", "it goes on for a while", func(st notice.Status) bool { return delivered(st) > 200 })
	s.must(nil, "notice", "cancel", "limited", "--json")
	if errs := <-waiting; !strings.Contains(errs, says) {
		t.Errorf("--wait does not say %q:\n%s", says, errs)
	}
}

func TestALimitInWords(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		limit notice.Limited
		want  string
	}{
		{notice.Limited{Relay: "main", RatePerS: 200}, "200/s by relay main's rate"},
		{notice.Limited{Relay: "main", RatePerS: 0.5}, "30/m by relay main's rate"},
		{notice.Limited{Domain: "a.example", RatePerS: 100.0 / 3600}, "100/h to a.example, by its rate"},
		{notice.Limited{Domain: "a.example", RatePerS: 5000.0 / 3600}, "5,000/h to a.example, by its rate"},
		{notice.Limited{Domain: "a.example", Connections: 8}, "8 at once to a.example, by its connections"},
	} {
		if got := limits([]notice.Limited{c.limit}); got != c.want {
			t.Errorf("%+v is %q, want %q", c.limit, got, c.want)
		}
	}
}
