package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tocsin/internal/ledger"
	"tocsin/internal/notice"
)

// Options are the parts of a Server. Log is needed, and Desk and Book but for NewProbes.
type Options struct {
	Desk Desk
	Book Book
	Log  *slog.Logger
	// Pace returns the pace of the workers; nil, or its error, leaves that out of a status.
	Pace func(ctx context.Context) (*notice.Pace, error)
	// Tokens are the bearer tokens of the settings, two while rotating: they may do everything. Keys returns those of the
	// ledger; nil = there are none. Without any token, requests are answered that name a loopback host and come from no
	// foreign web page; see CheckListen.
	Tokens []string
	Keys   func(ctx context.Context) ([]ledger.Key, error)
	// Holds are those of the settings, to say which hold of the ledger stands there.
	Holds []notice.Hold
	// Ready says why the server can't do its work, nil if it can. Its error is logged, and shown if it is a
	// notice.Unready.
	Ready func(ctx context.Context) error
	// Registry holds the metrics of the process; the server adds its own. nil = those alone.
	Registry *prometheus.Registry
	// Proxies are the addresses of proxies that may set X-Forwarded-For.
	Proxies []netip.Prefix
	// Console is the pages for people; nil = none.
	Console Console
	// ConsoleURL is where people reach the console, without a slash at the end; "" = where the client reaches this server.
	ConsoleURL string
	// Span begins the span of a request, and has end end it; nil = there are no traces.
	Span func(r *http.Request) (ctx context.Context, end func(route string, status int))
	// Version is Tocsin's, for the OpenAPI document.
	Version string
	// Drain is how long Serve lets running requests finish; 0 = 30 s.
	Drain time.Duration
}

// Server is Tocsin's HTTP interface.
type Server struct {
	desk     Desk
	book     Book
	pace     func(ctx context.Context) (*notice.Pace, error)
	log      *slog.Logger
	keys     *keys
	wrong    *throttle
	holds    []notice.Hold
	proxies  []netip.Prefix
	span     func(r *http.Request) (ctx context.Context, end func(route string, status int))
	ready    func(ctx context.Context) error
	registry *prometheus.Registry

	consoleURL string
	console    Console

	drain    time.Duration
	public   bool          // its routes admit by themselves, and want no token
	stall    time.Duration // how long a peer may keep the server waiting for the next bytes
	linger   time.Duration // how long a client may go on sending a body that nobody wants before it reads the answer
	most     int           // connections at once
	mux      *routes
	seconds  *prometheus.HistogramVec
	stopping chan struct{} // closed when Serve begins to drain
}

// NewServer returns a server that is ready to Serve.
func NewServer(o Options) *Server {
	s := newServer(o)
	document := s.describe(o.Version, s.describeNotices, s.describeCustomers, s.describeCustomerLists, s.describeSearch, s.describeSuppressions,
		s.describeHolds, s.describeWebhooks, s.describeRelays, s.describeLimits, s.describeBounces, s.describeAccess, s.describeUsers, s.describeProcess, s.describePublic)
	if s.console != nil {
		for pattern, handle := range s.console.Routes() {
			if strings.HasPrefix(pattern, "POST /access/tokens") {
				handle = s.staleAfter(handle)
			}
			s.mux.HandleFunc(pattern, handle)
		}
	}
	s.mux.HandleFunc("GET /openapi.json", serveDocument(document))
	return s
}

// NewProbes returns a server that answers for the process alone: /healthz, /readyz and /metrics.
func NewProbes(o Options) *Server {
	s := newServer(o)
	s.describe(o.Version, s.describeProcess)
	return s
}

func newServer(o Options) *Server {
	s := &Server{
		desk:  o.Desk,
		book:  o.Book,
		pace:  o.Pace,
		log:   o.Log,
		keys:  &keys{fixed: sums(o.Tokens), load: o.Keys, log: o.Log},
		wrong: &throttle{seen: map[netip.Prefix]wrongs{}},
		holds: o.Holds,

		proxies: o.Proxies,

		ready: o.Ready,
		span:  o.Span,

		consoleURL: o.ConsoleURL,
		console:    o.Console,

		registry: o.Registry,
		drain:    o.Drain,
		stall:    30 * time.Second,
		linger:   5 * time.Second,
		most:     mostConnections,
		mux:      &routes{ServeMux: http.NewServeMux()},
		stopping: make(chan struct{}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "tocsin_http_request_duration_seconds",
			Help:    "Time until an HTTP request was answered, by route and status code.",
			Buckets: []float64{.005, .025, .1, .5, 2.5, 10, 60},
		}, []string{"route", "code"}),
	}
	if s.span == nil {
		s.span = func(r *http.Request) (context.Context, func(string, int)) { return r.Context(), func(string, int) {} }
	}
	if s.registry == nil {
		s.registry = prometheus.NewRegistry()
	}
	if s.drain == 0 {
		s.drain = 30 * time.Second
	}
	// The servers of a process count together.
	if already, ok := errors.AsType[prometheus.AlreadyRegisteredError](s.registry.Register(s.seconds)); ok {
		s.seconds = already.ExistingCollector.(*prometheus.HistogramVec)
	}
	s.mux.Handle("GET /metrics", promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{}))
	return s
}

// Serve answers on ln until ctx ends, then lets running requests finish for Options.Drain. It closes ln and may be
// called once. A drain that was cut short is an error.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	all := newCrowd(ln, s.most)
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnState:         all.note,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(all) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	close(s.stopping)
	if s.console != nil {
		s.console.EndStreams()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.drain)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		srv.Close()
		return err
	}
	return nil
}
