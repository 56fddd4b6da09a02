package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tocsin/internal/api"
	"tocsin/internal/intake"
	"tocsin/internal/notice"
	"tocsin/internal/testkit"
)

// bouncesToken makes a token that may hand in bounces and nothing else.
func (s *system) bouncesToken() string {
	s.t.Helper()
	var made struct{ Token string }
	s.must(&made, "tokens", "add", "bounces", "--role", "bounces", "--json")
	return made.Token
}

// dead imports n customers with addresses at dead.example, where Postfix takes all mail and has no mailbox.
func (s *system) dead(n int) {
	s.t.Helper()
	rows := "id,name,email\n"
	for i := range n {
		rows += fmt.Sprintf("d%d,Customer %d,nobody%d@dead.example\n", i, i, i)
	}
	s.must(nil, "customers", "import", filepath.Join(s.write(map[string]string{"dead.csv": rows}), "dead.csv"))
}

// TestPostfixBouncesComeBack has Postfix take mails for mailboxes that it does not have, and return them to their
// envelope senders, by SMTP and by LMTP.
func TestPostfixBouncesComeBack(t *testing.T) {
	t.Parallel()
	for _, lmtp := range []bool{false, true} {
		t.Run(map[bool]string{false: "by SMTP", true: "by LMTP"}[lmtp], func(t *testing.T) {
			t.Parallel()
			s := start(t, "TOCSIN_RETURN_PATH=bounces@returns.example.net")
			listen, source := freeAddress(t), "smtp"
			setting, transport := "TOCSIN_BOUNCES_LISTEN="+listen, "smtp:[127.0.0.1]:"+listen[strings.LastIndex(listen, ":")+1:]
			if lmtp {
				dir, err := os.MkdirTemp("", "tocsin-lmtp-") // the testing package's are closed to Postfix's own user
				if err = errors.Join(err, os.Chmod(dir, 0o755)); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { os.RemoveAll(dir) })
				listen, source = filepath.Join(dir, "lmtp"), "lmtp"
				setting, transport = "TOCSIN_BOUNCES_LMTP="+listen, "lmtp:unix:"+listen
			}
			relay := startPostfix(t, s.sink.Addr(), "mydestination = dead.example", "local_transport = local:relay.test",
				"transport_maps = inline:{ {returns.example.net = "+transport+"} }", "minimal_backoff_time = 1s", "queue_run_delay = 1s")
			s.env = append(s.env, "TOCSIN_SMTP_URL=smtp://"+relay.address)
			watched := freeAddress(t)
			token := s.bouncesToken()
			bounces := s.with("TOCSIN_TOKEN="+token, setting, "TOCSIN_BOUNCES_HTTP="+watched).launch("bounces")

			s.customers(20)
			dead := testkit.Size(20, 200)
			s.dead(dead)
			s.work()
			s.must(nil, "notice", "send", s.notice("outage-1"), "--yes")
			st := s.await("outage-1", "known to have bounced", func(st notice.Status) bool { return st.Counts["bounced"] == dead })
			if st.Counts["sent"] != 20 || st.Recipients != 20+dead {
				t.Errorf("%+v", st.Counts)
			}
			for _, d := range s.report("outage-1") {
				want := notice.DeliverySent
				if strings.HasSuffix(d.Address, "@dead.example") {
					want = notice.DeliveryBounced
				}
				if d.State != want || want == notice.DeliveryBounced && d.Reason != string(notice.BounceNoMailbox) {
					t.Errorf("delivery %d is %s (%s), want %s", d.Seq, d.State, d.Reason, want)
				}
			}
			if text := get(t, "http://"+watched+"/readyz", ""); !strings.Contains(text, "ok") {
				t.Errorf("/readyz says %s", text)
			}
			want := fmt.Sprintf(`tocsin_intake_mails_total{result="taken",source=%q} %d`, source, dead)
			until(t, "/metrics has "+want, func() bool {
				return strings.Contains(get(t, "http://"+watched+"/metrics", token), want)
			})
			if code := bounces.stop(); code != exitDone {
				t.Errorf("it ended with %d", code)
			}
			if log := bounces.log.String(); strings.Contains(log, "dead.example") || strings.Contains(log, "bounces+") {
				t.Errorf("the log holds addresses:\n%s", log)
			}
		})
	}
}

// get returns the body of a page that answers with 200.
func get(t *testing.T, url, token string) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%s: %s, %v: %s", url, resp.Status, err, text)
	}
	return string(text)
}

// TestBouncesOnce drains a Maildir as cron would, with tokens that may and may not.
func TestBouncesOnce(t *testing.T) {
	t.Parallel()
	s := start(t)
	dir := t.TempDir()
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "new", "1.a"), string(dsn("bounces@example.net", "5.1.1", "550 5.1.1 no such user", "Subject: x")))
	once := func(env ...string) (string, int) {
		_, errs, code := s.with(append(env, "TOCSIN_BOUNCES_MAILDIR="+dir)...).run("bounces", "--once")
		return errs, code
	}
	var viewer struct{ Token string }
	s.must(&viewer, "tokens", "add", "eve", "--role", "viewer", "--json")
	for name, token := range map[string]string{"unknown": "wrong", "of another role": viewer.Token} {
		errs, code := once("TOCSIN_TOKEN=" + token)
		if code != exitFailed || !strings.Contains(errs, "result=denied") || !strings.Contains(errs, "tocsin tokens add bounces --role bounces") || !strings.Contains(errs, "1 mail could not be handed over") {
			t.Errorf("a token that is %s: exit code %d, %s", name, code, errs)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "new", "1.a")); err != nil {
		t.Errorf("the mail was not left: %v", err)
	}
	if errs, code := once("TOCSIN_TOKEN=" + s.bouncesToken()); code != exitDone || !strings.Contains(errs, "result=taken") {
		t.Errorf("exit code %d, %s", code, errs)
	}
	if _, err := os.Stat(filepath.Join(dir, "cur", "1.a:2,S")); err != nil {
		t.Error(err)
	}
}

func TestBouncesIsToldWhereFrom(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"TOCSIN_BOUNCES_MAILDIR":                 {"bounces"},
		"--once: wants TOCSIN_BOUNCES_MAILDIR":   {"bounces", "--once", "--bounces-listen", "127.0.0.1:0"},
		"TOCSIN_RETURN_PATH: is not set":         {"bounces", "--bounces-listen", "127.0.0.1:0"},
		"is not a Maildir":                       {"bounces", "--bounces-maildir", t.TempDir()},
		"nor the full path of a socket":          {"bounces", "--bounces-lmtp", "lmtp"},
		"TOCSIN_TOKEN: is needed to listen on :": {"bounces", "--bounces-lmtp", filepath.Join(t.TempDir(), "s"), "--return-path", "a@example.net", "--bounces-http", ":0"},
	} {
		var errs strings.Builder
		if code := Run(t.Context(), args, strings.NewReader(""), io.Discard, &errs, nil); code != exitUsage || !strings.Contains(strings.Join(strings.Fields(errs.String()), " "), want) {
			t.Errorf("%q: exit code %d, %s; want %s", args, code, errs.String(), want)
		}
	}
}

func TestWhatAnAnswerMeansForAMail(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		ours   bool // Tocsin answers, and nothing in its place
		want   intake.Result
	}{
		{200, true, intake.Taken},
		{400, true, intake.Refused}, {413, true, intake.Refused}, {415, true, intake.Refused},
		{401, true, intake.Denied}, {403, true, intake.Denied}, {401, false, intake.Denied},
		{404, true, intake.Left}, {408, true, intake.Left}, {429, true, intake.Left}, {500, true, intake.Left}, {503, true, intake.Left},
		{400, false, intake.Left}, {404, false, intake.Left}, {502, false, intake.Left}, {413, false, intake.Refused}, {301, false, intake.Left},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if tt.ours {
				w.Header().Set("Content-Type", "application/problem+json")
			}
			w.WriteHeader(tt.status)
			json.NewEncoder(w).Encode(api.Problem{Status: tt.status, Detail: "as told"})
		}))
		client, err := api.NewClient(server.URL, "t", "")
		if err != nil {
			t.Fatal(err)
		}
		got := intake.Taken
		if err := taker(client)(t.Context(), []byte("Subject: x\r\n\r\n")); err != nil {
			got = intake.Left
			if f, ok := errors.AsType[*intake.Failure](err); ok {
				got = f.Result
			}
		}
		if got != tt.want {
			t.Errorf("%d (%t): %s, want %s", tt.status, tt.ours, got, tt.want)
		}
		server.Close()
	}
}

// TestBouncesWaitsForTheAPI has mails stay in the Maildir until the API is there.
func TestBouncesWaitsForTheAPI(t *testing.T) {
	t.Parallel()
	s := prepare(t, sharedServices(t), usualSink)
	s.must(nil, "migrate")
	dir := t.TempDir()
	for _, sub := range []string{"new", "cur", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "new", "1.a"), string(dsn("bounces@example.net", "5.1.1", "550 5.1.1 no such user", "Subject: x")))
	bounces := s.with("TOCSIN_BOUNCES_MAILDIR=" + dir).launch("bounces")
	until(t, "the mail is left", func() bool { return strings.Contains(bounces.log.String(), "result=left") })
	if _, err := os.Stat(filepath.Join(dir, "new", "1.a")); err != nil {
		t.Error(err)
	}
	s.launch("serve")
	until(t, "the mail is taken", func() bool { _, err := os.Stat(filepath.Join(dir, "cur", "1.a:2,S")); return err == nil })
	if code := bounces.stop(); code != exitDone {
		t.Errorf("it ended with %d", code)
	}
}

// until waits until something holds, for two minutes at most.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not in two minutes: %s", what)
		}
		<-tick.C
	}
}
