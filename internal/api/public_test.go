package api

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tocsin/internal/hook"
)

func TestWhatIsOpenToTheInternetTakesSignedWebhooksAlone(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Tokens = []string{"a token"} })
	public := httptest.NewServer(NewPublic(Options{Desk: b.fake, Log: slog.New(slog.DiscardHandler)}, &hook.Hooks{PostmarkPassword: "secret"}, nil))
	defer public.Close()
	send := func(method, path, body, password string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, public.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.SetBasicAuth("postmark", password)
		resp, err := public.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	const bounced = `{"RecordType":"Bounce","Type":"HardBounce","Email":"a@example.com"}`
	for _, tt := range []struct {
		method, path, body, password string
		want                         int
	}{
		{"POST", "/hooks/postmark", bounced, "secret", 204},
		{"POST", "/hooks/postmark", bounced, "a guess", 403},
		{"POST", "/hooks/mailgun", bounced, "secret", 403},
		{"POST", "/hooks/nobody", bounced, "secret", 403},
		{"POST", "/hooks/postmark", "{", "secret", 400},
		{"POST", "/hooks/postmark", `"` + strings.Repeat("x", maxHook) + `"`, "secret", 413},
		{"GET", "/hooks/postmark", "", "secret", 405},
		{"GET", "/v1/notices", "", "a token", 404},
		{"GET", "/metrics", "", "a token", 404},
		{"GET", "/healthz", "", "", 404},
		{"POST", "/v1/bounces", bounced, "secret", 404},
	} {
		if got := send(tt.method, tt.path, tt.body, tt.password); got != tt.want {
			t.Errorf("%s %s %.40s: status %d, want %d", tt.method, tt.path, tt.body, got, tt.want)
		}
	}
	if len(b.returned) != 1 || !strings.Contains(string(b.returned[0]), "a@example.com") {
		t.Errorf("%d reports were recorded", len(b.returned))
	}
	if resp, _ := b.send(t, "POST", "/hooks/postmark", bounced); resp.StatusCode != 401 {
		t.Errorf("the API itself answers a webhook with %s", resp.Status)
	}
}
