package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tocsin/internal/notice"
)

const webhookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

// told is a message as a receiver got it.
type told struct {
	Path, ID, Type string
	Header         http.Header
	Body           []byte
	Data           notice.WebhookData
}

// listener is a receiver of webhooks: another program, which answers by path.
type listener struct {
	t      *testing.T
	server *httptest.Server
	got    chan told

	mu     sync.Mutex
	answer map[string]int           // by path; else 204
	slow   map[string]chan struct{} // by path: answers when it is closed
}

func listen(t *testing.T) *listener {
	t.Helper()
	l := &listener{t: t, got: make(chan told, 1000), answer: map[string]int{}, slow: map[string]chan struct{}{}}
	l.server = httptest.NewServer(l)
	t.Cleanup(l.server.Close)
	return l
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m := told{Path: r.URL.Path, ID: r.Header.Get("webhook-id"), Header: r.Header}
	m.Body, _ = io.ReadAll(r.Body)
	var event struct {
		Type string
		Data notice.WebhookData
	}
	if json.Unmarshal(m.Body, &event) == nil {
		m.Type, m.Data = strings.TrimPrefix(event.Type, "tocsin.notice."), event.Data
	}
	l.mu.Lock()
	status, slow := l.answer[m.Path], l.slow[m.Path]
	l.mu.Unlock()
	if r.Method == http.MethodPost {
		l.got <- m
	}
	if slow != nil {
		select {
		case <-slow:
		case <-r.Context().Done():
		}
	}
	w.WriteHeader(max(status, http.StatusNoContent))
}

func (l *listener) answers(path string, status int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer[path] = status
}

// next waits for messages to a path until the event comes, and returns all of them.
func (l *listener) next(path, event string) (all []told) {
	l.t.Helper()
	for timeout := time.After(2 * time.Minute); ; {
		select {
		case m := <-l.got:
			if m.Path != path {
				continue
			}
			if all = append(all, m); m.Type == event {
				return all
			}
		case <-timeout:
			l.t.Fatalf("%s was not told of %s, but of %d others", path, event, len(all))
		}
	}
}

// telling returns a setting of the environment with receivers of a listener: a line of YAML each.
func (l *listener) telling(lines ...string) string {
	l.t.Helper()
	dir := l.t.TempDir()
	file := filepath.Join(dir, "tocsin.yaml")
	text := strings.ReplaceAll("webhooks:\n  - "+strings.Join(lines, "\n  - ")+"\n", "URL", l.server.URL)
	for path, text := range map[string]string{file: text, filepath.Join(dir, "secret"): webhookSecret + "\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			l.t.Fatal(err)
		}
	}
	return "TOCSIN_CONFIG=" + file
}

// verifiedAll checks the signatures of messages with the library for receivers.
func verifiedAll(t *testing.T, all []told) {
	t.Helper()
	judge, err := standardwebhooks.NewWebhook(webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if err := judge.Verify(m.Body, m.Header); err != nil {
			t.Errorf("the signature of %s: %v", m.Body, err)
		}
		if strings.Contains(string(m.Body), "example.com") || strings.Contains(string(m.Body), "Customer") {
			t.Errorf("a message has a customer in it: %s", m.Body)
		}
	}
}

// TestReceiversAreTold of a notice by two servers: each message comes once, signed, and one that fails comes again with
// its id, also from a server that was started anew.
func TestReceiversAreTold(t *testing.T) {
	t.Parallel()
	l := listen(t)
	config := l.telling("{name: on-call, url: URL/on-call, secret_file: secret}",
		"{name: broken, url: URL/broken, secret_file: secret, events: [finished]}",
		"{name: slow, url: URL/slow, secret_file: secret, events: [released]}",
		"{name: chat, url: URL/chat, form: slack, events: [finished]}")
	l.answers("/broken", 500)
	l.slow["/slow"] = make(chan struct{})
	s := start(t, config)
	other := s.launchAPI()
	s.customers(5)
	s.work()
	s.must(nil, "notice", "send", s.notice("down"), "--yes", "--wait")

	var all []told
	tried := map[string][]string{}
	for timeout := time.After(time.Minute); len(tried["/broken"]) < 2 || len(tried["/on-call"]) < 2 || len(tried["/chat"]) < 1 || len(tried["/slow"]) < 1; {
		select {
		case m := <-l.got:
			tried[m.Path] = append(tried[m.Path], m.ID)
			if m.Path != "/chat" {
				all = append(all, m)
			} else if !strings.Contains(string(m.Body), "is finished: 5 sent.") {
				t.Errorf("the chat was told %s", m.Body)
			}
		case <-timeout:
			t.Fatalf("they were told: %v", tried)
		}
	}
	verifiedAll(t, all)
	ids := slices.Clone(tried["/broken"])
	if slices.Sort(ids); len(slices.Compact(ids)) != 1 {
		t.Errorf("a message that fails comes under other ids: %v", tried["/broken"])
	}
	var types []string
	for _, m := range all {
		if m.Path == "/on-call" {
			types = append(types, m.Type)
		}
		if m.Path == "/on-call" && m.Type == "finished" && (m.Data.Counts["sent"] != 5 || m.Data.Key != "down" || m.Data.Recipients != 5) {
			t.Errorf("told %s", m.Body)
		}
	}
	if !slices.Equal(types, []string{"released", "finished"}) {
		t.Errorf("on-call was told %v by two servers", types)
	}

	other.kill()
	s.server.kill()
	l.answers("/broken", 200)
	// The servers may have had the message when they were killed: its lease is over.
	s.sql(`WITH d AS (UPDATE webhook_message SET due_at = clock_timestamp() WHERE due_at IS NOT NULL RETURNING id) SELECT count(*)::text FROM d`)
	s.server = s.launch("serve")
	again := l.next("/broken", "finished")
	if again[0].ID != tried["/broken"][0] {
		t.Errorf("after a restart it comes as %s, before as %s", again[0].ID, tried["/broken"][0])
	}
	verifiedAll(t, again)
	close(l.slow["/slow"])

	if out, errs, code := s.run("webhooks", "test", "on-call"); code != exitDone || !strings.Contains(out, "took the test event, and answered 204") {
		t.Errorf("test: exit %d: %s%s", code, out, errs)
	}
	verifiedAll(t, l.next("/on-call", "tocsin.webhook.test"))
	l.answers("/on-call", 503)
	if out, errs, code := s.run("webhooks", "test", "on-call"); code != exitFailed || !strings.Contains(errs, "503 Service Unavailable") {
		t.Errorf("test: exit %d: %s%s", code, out, errs)
	}
	out, _, _ := s.run("webhooks", "list")
	if !strings.Contains(out, "on-call") || !strings.Contains(out, "it answers 503 Service Unavailable") || strings.Contains(out, l.server.URL) {
		t.Errorf("listed:\n%s", out)
	}
	l.answers("/on-call", 200)
	s.must(nil, "webhooks", "retry", "on-call")
	l.next("/on-call", "tocsin.webhook.test")
	if _, errs, code := s.run("webhooks", "test", "nobody"); code != exitFailed || !strings.Contains(errs, "on-call, slow") {
		t.Errorf("test of one that is not there: exit %d: %s", code, errs)
	}
	if out, _, _ = s.run("check"); !strings.Contains(out, "webhook on-call") || !strings.Contains(out, "it answers; `tocsin webhooks test on-call`") {
		t.Errorf("check:\n%s", out)
	}
}

// TestStandardWebhooksForNodeTakesOurSignatures has npm's library of Standard Webhooks judge a message.
func TestStandardWebhooksForNodeTakesOurSignatures(t *testing.T) {
	t.Parallel()
	library := os.Getenv("TOCSIN_TEST_STANDARDWEBHOOKS")
	if library == "" {
		t.Skip("make test-all fetches npm's standardwebhooks, and names its directory in TOCSIN_TEST_STANDARDWEBHOOKS")
	}
	if _, err := os.Stat(library); err != nil {
		t.Skipf("npm's standardwebhooks is not there: %v", err)
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("there is no node")
	}
	l := listen(t)
	s := start(t, l.telling("{name: on-call, url: URL/on-call, secret_file: secret}"))
	s.customers(1)
	s.work()
	s.must(nil, "notice", "send", s.notice("down"), "--yes", "--wait")
	m := l.next("/on-call", "finished")[0]
	judge := func(body string) (string, error) {
		cmd := exec.Command(node, "-e", `
			const { Webhook } = require(process.argv[1]);
			const m = JSON.parse(require("fs").readFileSync(0, "utf8"));
			console.log(new Webhook(m.secret).verify(m.body, m.headers).specversion);`, library)
		in, err := json.Marshal(map[string]any{"secret": webhookSecret, "body": body, "headers": map[string]string{
			"webhook-id": m.ID, "webhook-timestamp": m.Header.Get("webhook-timestamp"), "webhook-signature": m.Header.Get("webhook-signature")}})
		if err != nil {
			t.Fatal(err)
		}
		cmd.Stdin = strings.NewReader(string(in))
		out, err := cmd.CombinedOutput()
		return strings.TrimSpace(string(out)), err
	}
	if out, err := judge(string(m.Body)); err != nil || out != "1.0" {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := judge(strings.Replace(string(m.Body), `"down"`, `"up"`, 1)); err == nil || !strings.Contains(out, "No matching signature found") {
		t.Errorf("of a body that was changed it says %v: %s", err, out)
	}
}
