package api

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"path"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"tocsin/internal/notice"
)

// request holds the facts that the server keeps of a request while it lasts.
type request struct {
	id    string
	who   string // the actor, as the log names them
	route string // the pattern that it was routed by, "" for none
	body  *timedBody
	end   func(route string, status int) // of its span
}

type requestKey struct{}

// requestOf returns the request that ctx belongs to.
func requestOf(ctx context.Context) *request {
	req, _ := ctx.Value(requestKey{}).(*request)
	return req
}

var sane = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// ServeHTTP answers one request: it is admitted, routed, logged and counted.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begin := time.Now()
	r.RemoteAddr = s.forwarded(r)
	wire := http.NewResponseController(w)
	// The deadline of the connection's previous request could cut off this one's "100 Continue". Setting it fails only on a
	// closed connection, as the write does then.
	_ = wire.SetWriteDeadline(time.Time{})
	req := &request{
		id:   r.Header.Get("X-Request-Id"),
		body: &timedBody{ReadCloser: r.Body, wire: wire, stall: s.stall, patience: s.stall, whole: r.Body == http.NoBody},
	}
	if !sane.MatchString(req.id) {
		req.id = rand.Text()
	}
	ctx, end := s.span(r)
	req.end = end
	r = r.WithContext(context.WithValue(ctx, requestKey{}, req))
	r.Body = req.body
	req.body.allow(s.stall)
	out := &timedWriter{ResponseWriter: w, wire: wire, stall: s.stall, linger: s.linger, rest: req.body}
	h := out.Header()
	h.Set("X-Request-Id", req.id)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")

	defer s.finish(out, r, req, begin)
	who, p := s.admit(r)
	if p != nil {
		s.refuseRequest(out, r, p)
		return
	}
	req.who = actor(who, cleanOperator(r.Header.Get(operatorHeader)))
	r = r.WithContext(notice.WithPress(r.Context(), req.who, peer(r.RemoteAddr)))
	if who.name != notice.FixedToken {
		r = r.WithContext(notice.WithPerson(r.Context(), who.name))
	}
	if s.console != nil {
		r = s.console.With(r, who.name, who.role)
	}
	s.dispatch(out, r, req, who)
}

// dispatch routes r, if the one who asks may use the route. An answer of the mux itself, in plain text, becomes a problem.
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, req *request, who caller) {
	if escaped := r.URL.EscapedPath(); path.Clean(escaped) != escaped || !storable(r.URL.Path) {
		s.refuseRequest(w, r, plain(http.StatusNotFound, "there is nothing at this path"))
		return
	}
	h, pattern := s.mux.Handler(r)
	if pattern != "" {
		req.route = pattern
		if p := permit(who, pattern); p != nil {
			s.refuseRequest(w, r, p)
			return
		}
		s.mux.ServeHTTP(w, r)
		return
	}
	var refusal refusal
	h.ServeHTTP(&refusal, r)
	if refusal.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", refusal.Header().Get("Allow"))
		s.refuseRequest(w, r, plain(http.StatusMethodNotAllowed, "this path takes "+refusal.Header().Get("Allow")))
		return
	}
	s.refuseRequest(w, r, plain(http.StatusNotFound, "there is nothing at this path"))
}

// peer is the address of a peer without its port.
func peer(remote string) string {
	at, err := netip.ParseAddrPort(remote)
	if err != nil {
		return ""
	}
	return at.Addr().Unmap().String()
}

// storable reports whether the database could hold s at all.
func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

// finish logs and counts the request by its route, never by its path, which may hold an address.
func (s *Server) finish(w *timedWriter, r *http.Request, req *request, begin time.Time) {
	crash := recover()
	if crash != nil && crash != http.ErrAbortHandler {
		if r.Context().Err() == nil {
			s.log.Error("request panicked", slog.String("request_id", req.id), slog.String("route", req.route),
				slog.String("panic", scrub(stringOf(crash))), slog.String("stack", string(debug.Stack())))
		}
		if w.status == 0 {
			plain(http.StatusInternalServerError, "internal error").write(w, r)
			crash = nil
		}
	}
	route := req.route
	if route == "" {
		route = "none"
	}
	req.end(req.route, w.status)
	took := time.Since(begin)
	s.seconds.WithLabelValues(route, strconv.Itoa(w.status)).Observe(took.Seconds())
	level := slog.LevelInfo
	switch r.URL.Path {
	case "/healthz", "/readyz", "/metrics":
		level = slog.LevelDebug
	}
	s.log.LogAttrs(r.Context(), level, "request", slog.String("request_id", req.id), slog.String("route", route),
		slog.Int("status", w.status), slog.Int64("bytes", w.bytes), slog.Duration("took", took))
	if crash != nil {
		// The answer has begun: only a broken connection tells the client that it is not whole.
		panic(http.ErrAbortHandler)
	}
}

func stringOf(crash any) string {
	switch v := crash.(type) {
	case error:
		return v.Error()
	case string:
		return v
	}
	return "a panic of another kind"
}

// leastRate is how fast a body has to come on average, in bytes a second. Only a file may come as slowly as it likes.
const leastRate = 1 << 10

// timedBody is a request's body with deadlines for its reads: the handler behind it may take longer.
type timedBody struct {
	io.ReadCloser
	wire     *http.ResponseController
	stall    time.Duration
	patience time.Duration // how long the next read may take: waiting uses it up, bytes add to it, up to stall
	rolling  bool          // each read has all of stall: a file may take as long as it keeps coming
	whole    bool          // read to its end
}

// brokenBody is a body that did not arrive whole.
type brokenBody struct{ error }

func (b brokenBody) Unwrap() error { return b.error }

func (b *timedBody) Read(p []byte) (int, error) {
	begin := time.Now()
	_ = b.wire.SetReadDeadline(begin.Add(b.patience)) // fails only on a closed connection, as the read does then
	n, err := b.ReadCloser.Read(p)
	b.patience += time.Duration(n)*time.Second/leastRate - time.Since(begin)
	if b.rolling || b.patience > b.stall {
		b.patience = b.stall
	}
	switch {
	case errors.Is(err, io.EOF):
		// Left standing it would end the handler's context where there was no body: the server reads on behind it. Lifting it
		// fails only on a closed connection.
		_ = b.wire.SetReadDeadline(time.Time{})
		b.whole = true
	case err != nil:
		err = brokenBody{err}
	}
	return n, err
}

// allow gives the part of the body that the handler does not read that long to come: net/http reads on before it writes the answer,
// and after it, and would wait for ever. It reports whether something is still to come.
func (b *timedBody) allow(d time.Duration) bool {
	if !b.whole {
		_ = b.wire.SetReadDeadline(time.Now().Add(d)) // fails only on a closed connection
	}
	return !b.whole
}

// timedWriter gives each write a deadline, so that a stream may last but a client cannot stall it. It remembers the
// status and the size for the log.
type timedWriter struct {
	http.ResponseWriter
	wire   *http.ResponseController
	stall  time.Duration
	linger time.Duration
	rest   *timedBody
	status int
	bytes  int64
}

// Unwrap lets http.ResponseController through.
func (w *timedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// begin notes the status that is answered first. A connection with the rest of a body in it is closed behind the answer:
// else net/http would wait for that rest before it answers.
func (w *timedWriter) begin(status int) {
	if w.status != 0 {
		return
	}
	w.status = status
	if w.rest.allow(w.linger) {
		w.Header().Set("Connection", "close")
	}
}

func (w *timedWriter) WriteHeader(status int) {
	w.begin(status)
	_ = w.wire.SetWriteDeadline(time.Now().Add(w.stall)) // fails only on a closed connection, as the write does then
	w.ResponseWriter.WriteHeader(status)
}

func (w *timedWriter) Write(p []byte) (int, error) {
	w.begin(http.StatusOK)
	_ = w.wire.SetWriteDeadline(time.Now().Add(w.stall)) // fails only on a closed connection, as the write does then
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// refusal hears the mux's answer to a request that it has no pattern for.
type refusal struct {
	header http.Header
	status int
}

func (f *refusal) Header() http.Header {
	if f.header == nil {
		f.header = http.Header{}
	}
	return f.header
}

func (f *refusal) WriteHeader(status int)      { f.status = status }
func (f *refusal) Write(p []byte) (int, error) { return len(p), nil }
