package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"tocsin/internal/hook"
	"tocsin/internal/notice"
	"tocsin/internal/optout"
	"tocsin/internal/render"
	"tocsin/templates"
)

// errAway is an error of the ledger.
var errAway = errors.New("the ledger is away: ann@example.com")

func (f *fake) Choices(_ context.Context, token string) (notice.Choices, error) {
	c := notice.Choices{Topic: notice.ScopePostmortem, Languages: []string{"de-CH", "en"}}
	switch token {
	case "good":
		return c, nil
	case "away":
		return c, errAway
	}
	return c, notice.NotFound("there is no such reader")
}

func (f *fake) Choose(ctx context.Context, token string, topic notice.Scope, stop bool) (notice.Choices, error) {
	c, err := f.Choices(ctx, token)
	if err == nil && topic != "" && !slices.Contains(notice.Topics, topic) {
		return c, notice.Invalid("topic", "is none")
	}
	if err == nil {
		defer f.lock()()
		f.chosen = append(f.chosen, fmt.Sprint(token, " ", topic, " ", stop))
	}
	return c, err
}

// public is a server that is open to the internet, with a client that follows no redirect.
func public(t *testing.T) (*bundle, func(method, path, body, media string, header ...string) (*http.Response, string)) {
	t.Helper()
	b := setup(t)
	pages := optout.New(render.New(templates.FS, nil), "Example Status <status@example.net>")
	server := httptest.NewServer(NewPublic(Options{Desk: b.fake, Log: slog.New(slog.NewTextHandler(b.log, nil))}, &hook.Hooks{}, pages))
	t.Cleanup(server.Close)
	return b, func(method, path, body, media string, header ...string) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", media)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := server.Client().Transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp, string(text)
	}
}

const urlencoded = "application/x-www-form-urlencoded"

// multi is a body of multipart/form-data, as RFC 8058 §3.2 wants providers to send it.
func multi(t *testing.T, name, value string) (body, media string) {
	t.Helper()
	var b strings.Builder
	w := multipart.NewWriter(&b)
	if err := errors.Join(w.WriteField(name, value), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.String(), w.FormDataContentType()
}

func TestReadersChooseWithoutCookies(t *testing.T) {
	t.Parallel()
	b, send := public(t)
	oneClick, media := multi(t, "List-Unsubscribe", "One-Click")
	other, otherMedia := multi(t, "List-Unsubscribe", "Two-Clicks")
	long, longMedia := multi(t, "List-Unsubscribe", strings.Repeat("x", maxChoice))
	for _, tt := range []struct {
		method, path, body, media string
		status                    int
		chosen                    string
	}{
		{"GET", "/u/good", "", "", 200, ""},
		{"HEAD", "/u/good", "", "", 200, ""},
		{"GET", "/u/good?List-Unsubscribe=One-Click", "", "", 200, ""},
		{"POST", "/u/good", "List-Unsubscribe=One-Click", urlencoded, 200, "good  true"},
		{"POST", "/u/good", oneClick, media, 200, "good  true"},
		{"POST", "/u/good", "topic=advisory&do=stop", urlencoded, 200, "good advisory true"},
		{"POST", "/u/good", "topic=advisory&do=resume", urlencoded, 200, "good advisory false"},
		{"POST", "/u/good", "topic=outage&do=stop", urlencoded, 422, ""},
		{"POST", "/u/good", "do=resume", urlencoded, 400, ""},
		{"POST", "/u/good", "topic=advisory", urlencoded, 400, ""},
		{"POST", "/u/good", "", urlencoded, 400, ""},
		{"POST", "/u/good", "%zz", urlencoded, 400, ""},
		{"POST", "/u/good?List-Unsubscribe=One-Click", "", "", 400, ""},
		{"POST", "/u/good", "List-Unsubscribe=One-Click", "text/plain", 400, ""},
		{"POST", "/u/good", other, otherMedia, 400, ""},
		{"POST", "/u/good", oneClick[:20], media, 400, ""},
		{"POST", "/u/good", long, longMedia, 413, ""},
		{"POST", "/u/good", "x=" + strings.Repeat("x", maxChoice), urlencoded, 413, ""},
		{"GET", "/u/forged", "", "", 404, ""},
		{"POST", "/u/forged", "List-Unsubscribe=One-Click", urlencoded, 404, ""},
		{"GET", "/u/away", "", "", 500, ""},
		{"POST", "/u/away", "List-Unsubscribe=One-Click", urlencoded, 500, ""},
		{"PUT", "/u/good", "", "", 405, ""},
		{"GET", "/u/", "", "", 404, ""},
	} {
		resp, text := send(tt.method, tt.path, tt.body, tt.media)
		if resp.StatusCode != tt.status || resp.Header.Get("Set-Cookie") != "" || strings.Contains(text, "ann@") {
			t.Errorf("%s %s %.40q: %s: %s", tt.method, tt.path, tt.body, resp.Status, text)
		}
		if got := strings.Join(b.chosen, ", "); got != tt.chosen {
			t.Errorf("%s %s %.40q chose %q, want %q", tt.method, tt.path, tt.body, got, tt.chosen)
		}
		b.chosen = nil
	}
	if log := b.log.String(); strings.Contains(log, "good") || strings.Contains(log, "forged") {
		t.Errorf("a token is in the log:\n%s", log)
	}
}

func TestThePageOfAReaderAsksForNothingElse(t *testing.T) {
	t.Parallel()
	_, send := public(t)
	_, forged := send("GET", "/u/forged", "", "", "Accept-Language", "tlh, ar;q=0.5")
	if !strings.Contains(forged, `lang="ar" dir="rtl"`) {
		t.Errorf("a forged link is answered with\n%s", forged)
	}
	resp, text := send("GET", "/u/good", "", "")
	for name, want := range map[string]string{"Content-Type": "text/html; charset=utf-8", "Content-Language": "de-CH", "Referrer-Policy": "no-referrer",
		"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	policy := resp.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "style-src 'sha256-", "form-action 'self'", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("the policy %q lacks %s", policy, want)
		}
	}
	for _, never := range []string{"<script", "http:", "https:", "src=", "@example"} {
		if strings.Contains(text, never) {
			t.Errorf("the page has %s:\n%s", never, text)
		}
	}
	if strings.Index(text, "Berichte nach") > strings.Index(text, "Hinweise") {
		t.Errorf("the topic of the mail is not the first:\n%s", text)
	}
	// The form of the page is one that the server takes.
	if !strings.Contains(text, `name="topic" value="postmortem"`) || !strings.Contains(text, `name="do" value="stop"`) {
		t.Errorf("the page has no form:\n%s", text)
	}
	form := url.Values{"topic": {"postmortem"}, "do": {"stop"}}
	if _, text := send("POST", "/u/good", form.Encode(), urlencoded); !strings.Contains(text, `role="status">Ihre Auswahl ist gespeichert.`) {
		t.Errorf("the choice is answered with\n%s", text)
	}
}

// TestAPageThatFindsNoPlaceIsAnsweredLater: readers don't take the database away from everything else.
func TestAPageThatFindsNoPlaceIsAnsweredLater(t *testing.T) {
	t.Parallel()
	b := setup(t)
	pages := optout.New(render.New(templates.FS, nil), "")
	rs := &readers{server: b.server, pages: pages, places: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := httptest.NewRecorder()
	rs.show(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/u/good", nil))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "try again") {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}
