package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

func TestReadiness(t *testing.T) {
	t.Parallel()
	var down error
	b := setup(t, func(o *Options) { o.Ready = func(context.Context) error { return down } })
	ctx := context.Background()
	if err := b.client.Ready(ctx); err != nil {
		t.Error(err)
	}
	down = errors.New("no schema in database tocsin")
	b.client.patience = 0
	resp, text := b.send(t, "GET", "/readyz", "")
	if p := problemIn(t, resp, text); p.Status != 503 || strings.Contains(text, "schema") {
		t.Errorf("got %s", text)
	}
	if err := b.client.Ready(ctx); err == nil || !strings.Contains(err.Error(), "not ready") {
		t.Errorf("client: %v", err)
	}
	down = fmt.Errorf("the ledger: %w", notice.Unready("Postgres 14 is too old"))
	if resp, text := b.send(t, "GET", "/readyz", ""); resp.StatusCode != 503 || !strings.Contains(text, "not ready: Postgres 14 is too old") {
		t.Errorf("got %s", text)
	}
	if !strings.Contains(b.log.String(), "no schema in database tocsin") {
		t.Errorf("the log does not say why: %s", b.log)
	}
	if err := b.client.Healthy(ctx); err != nil {
		t.Errorf("health: %v", err)
	}
}

func TestTheLogAndTheMetricsNameRoutesOnly(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/v1/customers/bob@example.org/deliveries", "/v1/bob@example.org", "/v1/customers?after=bob", "/v1/customers/bob",
		"/v1/notices/k/deliveries?search=bob@example.org", "/v1/notices?bob=1", "/v1/notices?incident=bob;bob", "/v1/customers/bob?%62ob"} {
		b.send(t, "GET", path, "")
	}
	b.fail = errors.New("it broke at bob@example.org")
	b.send(t, "GET", "/v1/customers/bob@example.org/deliveries?x=bob", "")
	b.send(t, "POST", "/v1/search", `{"text": "bob"}`)
	b.fail = nil
	_, metrics := b.send(t, "GET", "/metrics", "")
	for _, want := range []string{
		`tocsin_http_request_duration_seconds_count{code="200",route="GET /v1/customers/{id}/deliveries"} 1`,
		`tocsin_http_request_duration_seconds_count{code="404",route="none"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s in the metrics:\n%s", want, metrics)
		}
	}
	if log := b.log.String(); !strings.Contains(log, `route="GET /v1/customers/{id}/deliveries" status=200`) || strings.Contains(log, "bob") {
		t.Errorf("logged:\n%s", log)
	}
}

// slow answers a preview after d, unless the request ends before.
type slow struct {
	*fake
	d time.Duration
}

func (s slow) Preview(ctx context.Context, b notice.Body, v notice.Previewing) (notice.Plan, error) {
	select {
	case <-ctx.Done():
		return notice.Plan{}, ctx.Err()
	case <-time.After(s.d):
	}
	return s.fake.Preview(ctx, b, v)
}

func TestAHandlerMayTakeLongerThanItsBody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.stall = 600 * time.Millisecond
	b.server.desk = slow{b.fake, 800 * time.Millisecond}
	for range 2 {
		if _, err := b.client.Preview(context.Background(), body("k"), notice.Previewing{}); err != nil {
			t.Errorf("preview: %v\n%s", err, b.log)
		}
	}
	b.server.book = slowImport{b.fake, 800 * time.Millisecond}
	if _, err := b.client.ImportCustomers(context.Background(), http.NoBody, CustomerFile{Format: FormatNDJSON}); err != nil {
		t.Errorf("import of nothing: %v\n%s", err, b.log)
	}
}

// slowImport takes d over a file, unless the request ends before.
type slowImport struct {
	*fake
	d time.Duration
}

func (s slowImport) ImportCustomers(ctx context.Context, rows ledger.CustomerRows, o notice.ImportOptions) (notice.ImportReport, error) {
	report, err := s.fake.ImportCustomers(ctx, rows, o)
	if err != nil {
		return report, err
	}
	select {
	case <-ctx.Done():
		return report, ctx.Err()
	case <-time.After(s.d):
		return report, nil
	}
}

func TestServeDrains(t *testing.T) {
	t.Parallel()
	b := setup(t)
	if _, err := b.client.Draft(context.Background(), body("k")); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{}, 1)
	b.server.book = watched{b.fake, asked}
	b.client.base = "http://" + ln.Addr().String()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	served := make(chan error, 1)
	go func() { served <- b.server.Serve(ctx, ln) }()
	waited := make(chan error, 1)
	go func() {
		st, err := b.client.Status(context.Background(), "k", time.Minute)
		if err == nil && st.State != notice.Draft {
			err = errors.New("another state")
		}
		waited <- err
	}()
	<-asked
	begin := time.Now()
	stop()
	if err := <-waited; err != nil {
		t.Errorf("the request that waited: %v", err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	if took := time.Since(begin); took >= time.Minute {
		t.Errorf("the wait went on to its end: drained for %v", took)
	}
	if _, err := net.Dial("tcp", ln.Addr().String()); err == nil {
		t.Error("it still listens")
	}
}

func TestADrainThatTakesTooLongIsCutShort(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Drain = 50 * time.Millisecond })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	began := make(chan struct{})
	b.server.desk = stuck{b.fake, began}
	b.client.base = "http://" + ln.Addr().String()
	served := make(chan error, 1)
	go func() { served <- b.server.Serve(ctx, ln) }()
	answered := make(chan error, 1)
	go func() {
		_, err := b.client.Preview(context.Background(), body("k"), notice.Previewing{})
		answered <- err
	}()
	<-began
	stop()
	if err := <-served; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Serve: %v", err)
	}
	if err := <-answered; err == nil {
		t.Error("the request that hung was answered")
	}
}

// stuck begins a preview and stays there until the request ends.
type stuck struct {
	*fake
	began chan struct{}
}

func (s stuck) Preview(ctx context.Context, _ notice.Body, _ notice.Previewing) (notice.Plan, error) {
	close(s.began)
	<-ctx.Done()
	return notice.Plan{}, ctx.Err()
}
