package api

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"tocsin/internal/notice"
)

// bundle is a server on a loopback port with a fake desk and book behind it and a client before it.
type bundle struct {
	*fake
	server *Server
	http   *httptest.Server
	client *Client
	log    *lockedBuffer
}

const testToken = "t0ken-t0ken-t0ken"

// pressed is who acts with the client of a bundle.
const pressed = "TOCSIN_TOKEN (Ada)"

func setup(t *testing.T, change ...func(*Options)) *bundle {
	t.Helper()
	b := &bundle{fake: newFake(), log: &lockedBuffer{}}
	o := Options{Desk: b.fake, Book: b.fake, Tokens: []string{testToken}, Version: "1.2.3",
		Log: slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, c := range change {
		c(&o)
	}
	b.server = NewServer(o)
	b.http = httptest.NewServer(b.server)
	t.Cleanup(b.http.Close)
	var token string
	if len(o.Tokens) > 0 {
		token = o.Tokens[0]
	}
	var err error
	if b.client, err = NewClient(b.http.URL, token, "Ada"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.client.http.CloseIdleConnections)
	return b
}

// send sends a request with the token and returns the answer and its body. header holds names and values in turn.
func (b *bundle) send(t *testing.T, method, path, body string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, b.http.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+testToken)
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
		if header[i+1] == "" {
			req.Header.Del(header[i])
		}
	}
	resp, err := b.client.http.Do(req)
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

// body is a notice that the server takes.
func body(key string) notice.Body {
	return notice.Body{Key: key, Kind: notice.Outage, Phase: "investigating",
		Texts: map[string]notice.Text{"en": {Subject: "Mail is down", Body: "We know."}}}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
