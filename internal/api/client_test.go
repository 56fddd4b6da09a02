package api

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tocsin/internal/notice"
)

func TestNewClientRefusesWhatIsNoAddressOfAServer(t *testing.T) {
	t.Parallel()
	for url, ok := range map[string]bool{
		"http://127.0.0.1:8080":       true,
		"https://tocsin.example/sub/": true,
		"127.0.0.1:8080":              false,
		"":                            false,
		"ftp://x":                     false,
		"http://":                     false,
		"http://user:pw@host":         false,
		"http://host/?a=b":            false,
	} {
		if _, err := NewClient(url, "", ""); (err == nil) != ok {
			t.Errorf("NewClient(%q): %v", url, err)
		}
	}
}

func TestErrorsComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	for _, want := range []*notice.Error{
		{Code: notice.CodeInvalid, Field: "zone", Message: "no such zone"},
		{Code: notice.CodeConflict, Message: "it has holes"},
		{Code: notice.CodeTooEarly, Message: "from noon"},
	} {
		b.fail = want
		_, err := all(b.client.Notices(ctx, ""))
		if got, ok := err.(*notice.Error); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("got %#v, want %#v", err, want)
		}
	}
	b.fail = errors.New("the disk is full")
	if _, err := all(b.client.Notices(ctx, "")); err == nil || !strings.Contains(err.Error(), "under request ") || strings.Contains(err.Error(), "disk") {
		t.Errorf("an internal error: %v", err)
	}
	b.fail = nil
	_, err := b.client.Draft(ctx, notice.Body{Key: "k", Kind: "party", Phase: "resolved"})
	if e, ok := err.(*notice.Error); !ok || e.Field != "kind" || e.Code != notice.CodeInvalid {
		t.Errorf("a body that is refused: %#v", err)
	}
	b.client.token = ""
	if _, err := all(b.client.Notices(ctx, "")); err == nil || !strings.Contains(err.Error(), "wants a token: set TOCSIN_TOKEN") {
		t.Errorf("without a token: %v", err)
	}
}

// flaky answers with each status in turn, then as next does.
func flaky(t *testing.T, next http.Handler, statuses ...int) (url string, asked *atomic.Int32) {
	asked = new(atomic.Int32)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := int(asked.Add(1))
		switch {
		case n > len(statuses):
			next.ServeHTTP(w, r)
		case statuses[n-1] == 0:
			panic(http.ErrAbortHandler)
		default:
			w.WriteHeader(statuses[n-1])
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

func TestGETsAreTriedAgain(t *testing.T) {
	t.Parallel()
	b, ctx := setup(t), context.Background()
	url, asked := flaky(t, b.server, 502, 503, 0, 504)
	b.client.base = url
	if _, err := all(b.client.Notices(ctx, "")); err != nil || asked.Load() != 5 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
	url, asked = flaky(t, b.server, 500)
	b.client.base = url
	if _, err := all(b.client.Notices(ctx, "")); err == nil || asked.Load() != 1 || !strings.Contains(err.Error(), "does not seem to be Tocsin") {
		t.Errorf("an internal error, asked %d times: %v", asked.Load(), err)
	}
	url, asked = flaky(t, b.server, 503)
	b.client.base = url
	if _, err := b.client.Draft(ctx, body("k")); err == nil || asked.Load() != 1 {
		t.Errorf("a POST, asked %d times: %v", asked.Load(), err)
	}
}

func TestAServerThatIsAway(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + ln.Addr().String()
	ln.Close()
	cl, err := NewClient(url, "", "")
	if err != nil {
		t.Fatal(err)
	}
	cl.patience = 250 * time.Millisecond
	want := "cannot reach Tocsin at " + url + ": connection refused; is `tocsin serve` running? TOCSIN_URL says where"
	for name, act := range map[string]func(context.Context) error{
		"GET":     func(ctx context.Context) error { _, err := all(cl.Notices(ctx, "")); return err },
		"release": func(ctx context.Context) error { _, err := cl.Release(ctx, "k", notice.Releasing{}); return err },
		"pause":   func(ctx context.Context) error { _, err := cl.Pause(ctx, "k"); return err },
	} {
		begin := time.Now()
		err := act(context.Background())
		if err == nil || err.Error() != want || !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
		if took := time.Since(begin); took < 90*time.Millisecond {
			t.Errorf("%s: given up after %v", name, took)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := all(cl.Notices(ctx, "")); !errors.Is(err, context.Canceled) {
		t.Errorf("after an interrupt: %v", err)
	}
}

func TestDraftIsSentOnceTheServerIsUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var refusals atomic.Int32
	dial := (&net.Dialer{}).DialContext
	b.client.http.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if refusals.Add(1) < 3 {
			return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
		}
		return dial(ctx, network, addr)
	}
	if r, err := b.client.Draft(context.Background(), body("k")); err != nil || !r.Created {
		t.Errorf("%+v, %v", r, err)
	}
	refusals.Store(0)
	b.client.http.CloseIdleConnections()
	file := filepath.Join(t.TempDir(), "c.csv")
	if err := os.WriteFile(file, []byte("id,name\n1,Ann\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if r, err := b.client.ImportCustomers(context.Background(), f, CustomerFile{Format: FormatCSV}); err != nil || r.Read != 1 {
		t.Errorf("import: %+v, %v", r, err)
	}
}
