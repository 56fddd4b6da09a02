package main

import (
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collector takes spans as OpenTelemetry's does, over HTTP.
type collector struct {
	t   *testing.T
	url string

	mu    sync.Mutex
	spans []*otlp.Span
	said  string // all that it was told, as text
}

func collect(t *testing.T) *collector {
	t.Helper()
	c := &collector{t: t}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	c.url = server.URL
	return c
}

func (c *collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var told v1.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &told)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		c.t.Errorf("%s: %v", r.URL.Path, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.said += told.String()
	for _, of := range told.ResourceSpans {
		for _, in := range of.ScopeSpans {
			c.spans = append(c.spans, in.Spans...)
		}
	}
}

// named returns the spans with a name.
func (c *collector) named(name string) (spans []*otlp.Span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.spans {
		if s.Name == name {
			spans = append(spans, s)
		}
	}
	return spans
}

// only returns the one span with a name.
func (c *collector) only(name string) *otlp.Span {
	c.t.Helper()
	spans := c.named(name)
	if len(spans) != 1 {
		c.t.Fatalf("%d spans %q, want one", len(spans), name)
	}
	return spans[0]
}

// value is that of an attribute, "" for none.
func value(s *otlp.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			if text := a.Value.GetStringValue(); text != "" {
				return text
			}
			return a.Value.String()
		}
	}
	return ""
}

// TestATraceFollowsANotice has a collector hear of a notice's request, release, chunk and attempts, and of nobody's
// address.
func TestATraceFollowsANotice(t *testing.T) {
	t.Parallel()
	c := collect(t)
	s := start(t, "TOCSIN_OTLP_URL="+c.url, "TOCSIN_TRACE_EVERY=1")
	s.customers(3)
	file := filepath.Join(s.write(map[string]string{"refused.csv": "id,name,email,language\nc4,Customer 4,permfail4@example.com,en\n"}), "refused.csv")
	s.must(nil, "customers", "import", file)
	s.must(nil, "customers", "history", "permfail4@example.com")
	s.must(nil, "notice", "send", s.notice("traced"), "--yes")
	worker := s.work()
	s.await("traced", "finished", finished)
	if code := worker.stop(); code != 0 {
		t.Errorf("the worker ended with %d", code)
	}
	s.server.stop()

	release, work := c.only("release urgent"), c.only("work urgent")
	request := c.only("POST /v1/notices/{id}/release")
	if len(release.Links) != 1 || string(release.Links[0].SpanId) != string(request.SpanId) || len(release.ParentSpanId) != 0 {
		t.Errorf("the release is not linked to its request: %v", release)
	}
	childOf(t, work, release)
	attempts := c.named("send")
	states := map[string]int{}
	for _, a := range attempts {
		childOf(t, a, work)
		states[value(a, "tocsin.delivery.state")]++
		if a.StartTimeUnixNano > a.EndTimeUnixNano || a.StartTimeUnixNano < work.StartTimeUnixNano || a.EndTimeUnixNano > work.EndTimeUnixNano {
			t.Errorf("the attempt is not within its chunk: %v", a)
		}
	}
	if states["sent"] != 3 || states["failed"] != 1 || len(attempts) != 4 {
		t.Errorf("attempts by state: %v", states)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, private := range []string{"example.com", "permfail", "Customer", `"c4"`, "/c4", "No such mailbox"} {
		if strings.Contains(c.said, private) {
			t.Errorf("the collector was told %q", private)
		}
	}
}

// childOf checks that a span is a child of another.
func childOf(t *testing.T, s, parent *otlp.Span) {
	t.Helper()
	if string(s.TraceId) != string(parent.TraceId) || string(s.ParentSpanId) != string(parent.SpanId) {
		t.Errorf("%s has the parent %s in %s, want %s in %s", s.Name, hex.EncodeToString(s.ParentSpanId), hex.EncodeToString(s.TraceId),
			hex.EncodeToString(parent.SpanId), hex.EncodeToString(parent.TraceId))
	}
}
