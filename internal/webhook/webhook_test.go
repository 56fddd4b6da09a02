package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tocsin/internal/notice"
)

const (
	secret      = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" // of the specification's example
	otherSecret = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
)

var message = notice.WebhookMessage{Number: 7, Webhook: "on-call", ID: "5f0f3c8e-8f0e-4a0e-9d8e-0a4a3e0d9f11", Event: notice.EventFinished,
	At: time.Date(2026, 11, 9, 3, 14, 7, 0, time.UTC), Tries: 1,
	Data: json.RawMessage(`{"key":"power.1","state":"sent","recipients":5,"counts":{"sent":3,"failed":1,"uncertain":1,"queued":0}}`)}

// verify computes a signature as the specification says: base64(HMAC-SHA256(secret, id.timestamp.payload)).
func verify(secret, id, timestamp string, payload []byte) string {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		panic(err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(payload)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// TestVerifyAsTheSpecificationSays holds the judge of the other tests to the example of the specification.
func TestVerifyAsTheSpecificationSays(t *testing.T) {
	t.Parallel()
	got := verify(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", []byte(`{"test": 2432232314}`))
	if want := "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// receive starts a receiver that answers with a status, and returns the outcome of one message to it.
func receive(t *testing.T, r Receiver, secrets []string, answer http.HandlerFunc) (a notice.WebhookAnswer, got *http.Request, body []byte) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		got = req
		body, _ = io.ReadAll(req.Body)
		answer(w, req)
	}))
	defer server.Close()
	r.URL = server.URL + "/hook?token=confidential"
	to, err := NewReceiver(r, secrets)
	if err != nil {
		t.Fatal(err)
	}
	return to.post(t.Context(), newClient(), message, Origin{URL: "https://tocsin.example.net", Version: "v1"}, time.Now()), got, body
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

func TestAMessageIsSignedWithEachSecret(t *testing.T) {
	t.Parallel()
	a, got, body := receive(t, Receiver{Form: FormStandard}, []string{secret, otherSecret}, status(204))
	if a != (notice.WebhookAnswer{Status: 204}) {
		t.Errorf("%+v", a)
	}
	id, timestamp := got.Header.Get("webhook-id"), got.Header.Get("webhook-timestamp")
	want := verify(secret, id, timestamp, body) + " " + verify(otherSecret, id, timestamp, body)
	if signature := got.Header.Get("webhook-signature"); signature != want || id != message.ID {
		t.Errorf("message %s is signed %s, want %s", id, signature, want)
	}
	if at, err := strconv.ParseInt(timestamp, 10, 64); err != nil || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
		t.Errorf("the timestamp is %s", timestamp)
	}
	var event map[string]any
	if err := json.Unmarshal(body, &event); err != nil {
		t.Fatal(err)
	}
	delete(event, "data")
	// The attributes that CloudEvents 1.0 requires, and those that it names.
	if diff := cmp.Diff(map[string]any{"specversion": "1.0", "id": message.ID, "source": "https://tocsin.example.net", "type": "tocsin.notice.finished",
		"subject": "power.1", "time": "2026-11-09T03:14:07Z", "datacontenttype": "application/json"}, event); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if kind := got.Header.Get("Content-Type"); kind != "application/cloudevents+json; charset=utf-8" || got.Method != http.MethodPost {
		t.Errorf("%s of %s", got.Method, kind)
	}
}

func TestAnswersOfReceivers(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a redirect is followed") }))
	defer elsewhere.Close()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		fault  string
		gone   bool
	}{
		"200":         {status(200), "", false},
		"202":         {status(202), "", false},
		"400":         {status(400), "it answers 400 Bad Request", false},
		"410":         {status(410), "it answers 410 Gone", true},
		"500":         {status(500), "it answers 500 Internal Server Error", false},
		"redirect":    {http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect).ServeHTTP, "redirects are not followed", false},
		"hangs up":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF", false},
		"much to say": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) }, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _, _ := receive(t, Receiver{Form: FormStandard}, []string{secret}, c.answer)
			if !strings.Contains(a.Fault, c.fault) || (c.fault == "") != (a.Fault == "") || a.Gone != c.gone {
				t.Errorf("%+v", a)
			}
			if strings.Contains(a.Fault, "confidential") {
				t.Errorf("%s has the URL in it", a.Fault)
			}
		})
	}
}

func TestASlowReceiverIsGivenUpOn(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	client := newClient()
	if client.Timeout != patience {
		t.Errorf("the client waits for %v", client.Timeout)
	}
	client.Timeout = 50 * time.Millisecond
	r, err := NewReceiver(Receiver{URL: server.URL + "/confidential"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a := r.post(t.Context(), client, message, Origin{}, time.Now()); a.Fault != "no answer came in time" {
		t.Errorf("%+v", a)
	}
}

func TestMessagesOfChats(t *testing.T) {
	t.Parallel()
	_, got, body := receive(t, Receiver{Form: FormSlack}, nil, status(200))
	var slack map[string]string
	if err := json.Unmarshal(body, &slack); err != nil {
		t.Fatal(err)
	}
	if want := "*<https://tocsin.example.net/notices/power.1|power.1>* is finished: 3 sent, 1 failed, 1 uncertain."; slack["text"] != want || got.Header.Get("webhook-signature") != "" {
		t.Errorf("got %q, want %q", slack["text"], want)
	}
	_, _, body = receive(t, Receiver{Form: FormTeams}, nil, status(202))
	var teams struct {
		Type        string
		Attachments []struct {
			ContentType string
			Content     struct {
				Type, Version string
				Body          []struct{ Type, Text string }
				Actions       []struct{ Type, URL string }
			}
		}
	}
	if err := json.Unmarshal(body, &teams); err != nil {
		t.Fatal(err)
	}
	card := teams.Attachments[0].Content
	if teams.Type != "message" || teams.Attachments[0].ContentType != "application/vnd.microsoft.card.adaptive" || card.Type != "AdaptiveCard" ||
		card.Body[1].Text != "Is finished: 3 sent, 1 failed, 1 uncertain." || card.Actions[0].URL != "https://tocsin.example.net/notices/power.1" {
		t.Errorf("%s", body)
	}
}

// TestEveryEventHasWords looks at each form of each event, with a reason in which every letter means something to
// Slack or to Markdown.
func TestEveryEventHasWords(t *testing.T) {
	t.Parallel()
	m := message
	m.Data = json.RawMessage(`{"key":"a","state":"held","reason":"<!channel> & [x](http://evil.example) *b*"}`)
	for _, event := range append([]notice.WebhookEvent{notice.EventTest}, notice.WebhookEvents...) {
		m.Event = event
		for _, form := range Forms {
			body, _, err := form.body(m, Origin{})
			if err != nil || !json.Valid(body) {
				t.Errorf("%s in the form %s: %v, %s", event, form, err, body)
			}
			if form == FormSlack && strings.Contains(string(body), "<!channel>") || form == FormTeams && strings.Contains(string(body), "[x](") {
				t.Errorf("%s in the form %s has markup of people: %s", event, form, body)
			}
		}
		if event != notice.EventTest && says[event] == "" {
			t.Errorf("%s has no words", event)
		}
	}
}

func TestWaitsDoubleAndAreJittered(t *testing.T) {
	t.Parallel()
	for tries, middle := range map[int]time.Duration{1: 2 * time.Second, 2: 4 * time.Second, 5: 32 * time.Second, 12: time.Hour, 1000: time.Hour} {
		for range 100 {
			if got := waitAfter(tries); got < middle/2 || got > middle*3/2 {
				t.Fatalf("after %d tries it waits %v, want about %v", tries, got, middle)
			}
		}
	}
}

func TestCheckSaysWhetherAReceiverAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		level  notice.Level
	}{"takes no HEAD": {405, notice.LevelOK}, "is there": {200, notice.LevelOK}, "is broken": {502, notice.LevelWarning}, "leads elsewhere": {301, notice.LevelWarning}} {
		server := httptest.NewServer(status(c.status))
		r := &Receiver{Name: "on-call", URL: server.URL + "/confidential"}
		if f := r.Check(t.Context()); len(f) != 1 || f[0].Level != c.level {
			t.Errorf("one that %s: %+v", name, f)
		}
		server.Close()
		if f := r.Check(t.Context()); len(f) != 1 || f[0].Level != notice.LevelWarning || strings.Contains(f[0].Message, "confidential") {
			t.Errorf("one that is away: %+v", f)
		}
	}
}
