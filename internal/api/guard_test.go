package api

import (
	"net/http"
	"strings"
	"testing"
)

func TestAuthenticationPrecedesRouting(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Tokens = []string{testToken, "", "the-old-token"} })
	tests := []struct {
		name, method, path, auth string
		want                     int
	}{
		{"a known path", "GET", "/v1/notices", "", 401},
		{"an unknown path", "GET", "/nowhere", "", 401},
		{"an unclean path", "GET", "//v1/notices", "", 401},
		{"another method", "PATCH", "/v1/notices", "", 401},
		{"metrics", "GET", "/metrics", "", 401},
		{"a wrong token", "GET", "/v1/notices", "Bearer nonsense", 401},
		{"an empty token", "GET", "/v1/notices", "Bearer ", 401},
		{"another scheme", "GET", "/v1/notices", "Basic " + testToken, 401},
		{"the token", "GET", "/v1/notices", "Bearer " + testToken, 200},
		{"the scheme in lower case", "GET", "/v1/notices", "bearer " + testToken, 200},
		{"the token that is rotated out", "GET", "/v1/notices", "Bearer the-old-token", 200},
		{"metrics with the token", "GET", "/metrics", "Bearer " + testToken, 200},
		{"health", "GET", "/healthz", "", 200},
		{"readiness", "GET", "/readyz", "", 200},
		{"the document", "GET", "/openapi.json", "", 200},
		{"a detour over an open path", "GET", "/healthz/../v1/notices", "", 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, text := b.send(t, tt.method, tt.path, "", "Authorization", tt.auth)
			if resp.StatusCode != tt.want {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tt.want, text)
			}
			if challenge := resp.Header.Get("WWW-Authenticate"); (challenge != "") != (tt.want == 401) {
				t.Errorf("WWW-Authenticate %q with status %d", challenge, resp.StatusCode)
			}
		})
	}
}

func TestWithoutATokenOnlyThisMachineIsAnswered(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Tokens = []string{" ", ""} })
	own := strings.TrimPrefix(b.http.URL, "http://")
	port := own[strings.LastIndex(own, ":"):]
	tests := []struct {
		name, host, origin string
		want               int
	}{
		{"by its address", own, "", 200},
		{"by localhost", "localhost" + port, "", 200},
		{"by IPv6", "[::1]" + port, "", 200},
		{"by a name that resolves to here", "evil.example" + port, "", 403},
		{"by an address of the network", "192.0.2.1" + port, "", 403},
		{"by a name that begins alike", "127.0.0.1.evil.example" + port, "", 403},
		{"from its own origin", own, "http://" + own, 200},
		{"from a page elsewhere", own, "https://evil.example", 403},
		{"from a page on another port", own, "http://127.0.0.1:1", 403},
		{"from a sandboxed page", own, "null", 403},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, text := b.send(t, "GET", "/v1/notices", "", "Authorization", "", "Host", tt.host, "Origin", tt.origin)
			if resp.StatusCode != tt.want {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tt.want, text)
			}
		})
	}
	if resp, _ := b.send(t, "GET", "/healthz", "", "Host", "10.0.0.7"); resp.StatusCode != http.StatusOK {
		t.Errorf("health by another name: status %d", resp.StatusCode)
	}
}

func TestCheckListen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		addr   string
		tokens []string
		ok     bool
	}{
		{"127.0.0.1:8080", nil, true},
		{"127.1.2.3:8080", nil, true},
		{"[::1]:8080", nil, true},
		{"localhost:8080", nil, true},
		{":8080", nil, false},
		{"0.0.0.0:8080", nil, false},
		{"[::]:8080", []string{""}, false},
		{"192.0.2.1:8080", nil, false},
		{"tocsin.example:8080", nil, false},
		{":8080", []string{"x"}, true},
		{"8080", []string{"x"}, false},
	}
	for _, tt := range tests {
		if err := CheckListen(tt.addr, tt.tokens); (err == nil) != tt.ok {
			t.Errorf("CheckListen(%q, %q) = %v", tt.addr, tt.tokens, err)
		}
	}
}

func TestCleanOperator(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"Ada":                    "Ada",
		"  Ada \t Lovelace\x00 ": "Ada Lovelace",
		"ada\x1b[31m\r\nX: y":    "ada [31m X: y",
		"\xffZoë":                "Zoë",
		strings.Repeat("é", 60):  strings.Repeat("é", 50),
		strings.Repeat("a ", 60): strings.TrimSpace(strings.Repeat("a ", 50)),
	} {
		if got := cleanOperator(given); got != want {
			t.Errorf("cleanOperator(%q) = %q, want %q", given, got, want)
		}
	}
}
