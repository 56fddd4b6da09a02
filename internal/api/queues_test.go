package api

import (
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestThePagesOfTheQueueWantTheToken(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) {
		o.Tokens = []string{testToken}
		o.Queues = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "page "+r.Method+" "+r.URL.Path) })
	})
	basic := func(password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+password))
	}
	for _, tt := range []struct {
		name, method, path, auth string
		want                     int
	}{
		{"nobody", "GET", "/queues", "", 401},
		{"below", "GET", "/queues/api/queues", "", 401},
		{"a wrong password", "GET", "/queues", basic("nonsense"), 401},
		{"no password", "GET", "/queues", basic(""), 401},
		{"the token as password", "GET", "/queues", basic(testToken), 200},
		{"below, with the token as password", "GET", "/queues/static/js/main.js", basic(testToken), 200},
		{"the token", "GET", "/queues/api/queues", "Bearer " + testToken, 200},
		{"changing something", "POST", "/queues/api/queues/chunks:pause", basic(testToken), 405},
		{"deleting something", "DELETE", "/queues/api/queues/chunks", "Bearer " + testToken, 405},
		{"the token as password elsewhere", "GET", "/v1/notices", basic(testToken), 401},
		{"a path that begins alike", "GET", "/queuesx", basic(testToken), 401},
		{"a detour", "GET", "/queues/../v1/notices", basic(testToken), 404},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp, text := b.send(t, tt.method, tt.path, "", "Authorization", tt.auth)
			if resp.StatusCode != tt.want || (resp.StatusCode == 200) != strings.HasPrefix(text, "page GET") {
				t.Errorf("status %d, want %d: %s", resp.StatusCode, tt.want, text)
			}
			challenge := resp.Header.Get("WWW-Authenticate")
			if strings.HasPrefix(challenge, "Basic") != (tt.want == 401 && isQueues(tt.path)) {
				t.Errorf("WWW-Authenticate %q", challenge)
			}
			if policy := resp.Header.Get("Content-Security-Policy"); (policy != "") != (tt.want == 200) {
				t.Errorf("Content-Security-Policy %q", policy)
			}
		})
	}
}

func TestWithoutPagesThereIsNoQueue(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Tokens = []string{testToken} })
	if resp, text := b.send(t, "GET", "/queues", "", "Authorization", "Bearer "+testToken); resp.StatusCode != 404 {
		t.Errorf("status %d: %s", resp.StatusCode, text)
	}
}
