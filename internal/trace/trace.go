// Package trace tells a collector of OpenTelemetry how a notice goes out: request, release, chunk, attempt. It speaks OTLP over
// HTTP, and names spans and attributes as the semantic conventions for messaging do. No span holds an address, a customer or a
// text. A nil Tracer tells nobody.
package trace

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	otlp "go.opentelemetry.io/otel/trace"

	"tocsin/internal/ledger"
)

// Options are the settings of a Tracer.
type Options struct {
	URL      string // of the collector, without a slash at its end, such as http://127.0.0.1:4318
	Every    int    // of so many deliveries that were sent the attempts of one are told; all others are
	Service  string // tocsin-serve or tocsin-work
	Instance string // this process, apart from others
	Version  string
	Logger   *slog.Logger
}

// Tracer tells one collector.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   otlp.Tracer
	every    int
}

// New returns a Tracer. It does not wait for the collector, and drops spans that the collector does not take. The variables
// OTEL_EXPORTER_OTLP_HEADERS, …_CERTIFICATE and …_TIMEOUT are read as OpenTelemetry says.
func New(o Options) (*Tracer, error) {
	exporter, err := otlptracehttp.New(context.Background(), otlptracehttp.WithEndpointURL(o.URL+"/v1/traces"))
	if err != nil {
		return nil, err
	}
	about := resource.NewSchemaless(attribute.String("service.name", o.Service), attribute.String("service.instance.id", o.Instance),
		attribute.String("service.version", o.Version))
	otel.SetErrorHandler(&complaints{logger: o.Logger})
	provider := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(about), sdk.WithIDGenerator(names{}),
		sdk.WithSampler(sdk.ParentBased(sdk.AlwaysSample())))
	return &Tracer{provider: provider, tracer: provider.Tracer("tocsin"), every: max(1, o.Every)}, nil
}

// flushTimeout bounds how long the end of a process waits for its collector.
const flushTimeout = 5 * time.Second

// Close tells the collector the rest.
func (t *Tracer) Close() {
	if t == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		otel.Handle(err)
	}
}

// Request begins the span of an HTTP request, below the one that its traceparent (W3C Trace Context) names. end takes the route,
// never the path, which may hold an address.
func (t *Tracer) Request(r *http.Request) (ctx context.Context, end func(route string, status int)) {
	if t == nil || probes[r.URL.Path] {
		return r.Context(), func(string, int) {}
	}
	ctx = propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
	ctx, span := t.tracer.Start(ctx, r.Method, otlp.WithSpanKind(otlp.SpanKindServer))
	return ctx, func(route string, status int) {
		span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.Int("http.response.status_code", status))
		if route != "" {
			span.SetName(route) // "GET /v1/notices/{id}"
			span.SetAttributes(attribute.String("http.route", route))
		}
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
		span.End()
	}
}

// probes are asked every few seconds, and say nothing of a notice.
var probes = map[string]bool{"/healthz": true, "/readyz": true, "/metrics": true}

// Released tells of the release of a notice, which began at an instant. Its span is the root of the notice's trace, and is linked
// to that of the request.
func (t *Tracer) Released(ctx context.Context, n ledger.Notice, began time.Time) {
	if t == nil {
		return
	}
	ctx = context.WithValue(ctx, tokenKey{}, n.MessageToken)
	_, span := t.tracer.Start(ctx, "release "+class(n), otlp.WithNewRoot(), otlp.WithTimestamp(began), otlp.WithLinks(otlp.LinkFromContext(ctx)),
		otlp.WithSpanKind(otlp.SpanKindProducer), otlp.WithAttributes(attributes("create", "release", class(n), n.ID)...))
	span.End()
}

// attributes are those of each span of a notice.
func attributes(kind, operation, destination string, noticeID int64) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("messaging.system", "tocsin"), attribute.String("messaging.operation.type", kind),
		attribute.String("messaging.operation.name", operation), attribute.String("messaging.destination.name", destination),
		attribute.Int64("tocsin.notice.id", noticeID)}
}

// class is that of the queue which a notice's chunks stand in.
func class(n ledger.Notice) string {
	if n.Body.Urgent() {
		return "urgent"
	}
	return "chunks"
}

// identity names the trace of a notice and the span of its release. Both follow from the token in its Message-IDs: serve and all
// workers name them alike, after a restart too.
func identity(token string) (trace otlp.TraceID, span otlp.SpanID) {
	sum := sha256.Sum256([]byte("trace of " + token))
	copy(trace[:], sum[:])
	copy(span[:], sum[len(trace):])
	return trace, span
}

type tokenKey struct{}

// names names spans by chance. Where the context has the token of a notice, it names the release by that identity.
type names struct{}

func (names) NewIDs(ctx context.Context) (trace otlp.TraceID, span otlp.SpanID) {
	if token, ok := ctx.Value(tokenKey{}).(string); ok {
		return identity(token)
	}
	rand.Read(trace[:])
	rand.Read(span[:])
	return trace, span
}

func (names) NewSpanID(context.Context, otlp.TraceID) (span otlp.SpanID) {
	rand.Read(span[:])
	return span
}

// complaintInterval is how often the log tells at most that the collector takes no spans.
const complaintInterval = time.Minute

// complaints logs the errors of the exporter.
type complaints struct {
	logger *slog.Logger
	mu     sync.Mutex
	last   time.Time
}

func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.last) < complaintInterval {
		return
	}
	c.last = time.Now()
	c.logger.Warn("spans are dropped: the collector of traces does not take them", slog.String("error", fmt.Sprint(err)))
}
