package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"tocsin/internal/notice"
)

// TestABodyThatNeverComesIsAnsweredAndClosed has no token, a wrong one, and the right one with operations that read no body.
func TestABodyThatNeverComesIsAnsweredAndClosed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.linger = 50 * time.Millisecond
	probes := NewProbes(Options{Log: slog.New(slog.DiscardHandler), Tokens: []string{testToken}})
	probes.linger = b.server.linger
	watching, _ := serving(t, probes)
	tests := []struct {
		name, host, request string
		want                int
	}{
		{"without a token", b.http.URL, "POST /v1/notices", 401},
		{"without a token, nowhere", b.http.URL, "PUT /nowhere", 401},
		{"an open path", b.http.URL, "GET /healthz", 200},
		{"the document, longer than a buffer", b.http.URL, "GET /openapi.json", 200},
		{"a path of nothing", b.http.URL, "POST /nowhere\nAuthorization: Bearer " + testToken, 404},
		{"a list", b.http.URL, "GET /v1/notices\nAuthorization: Bearer " + testToken, 200},
		{"a decision without a body", b.http.URL, "POST /v1/notices/k/pause\nAuthorization: Bearer " + testToken, 404},
		{"metrics", b.http.URL, "GET /metrics\nAuthorization: Bearer " + testToken, 200},
		{"a worker's health", watching, "GET /healthz", 200},
		{"a worker's metrics", watching, "GET /metrics", 401},
		{"a worker's nothing", watching, "GET /nowhere", 401},
	}
	for _, tt := range tests {
		for _, length := range []string{"Content-Length: 1000", "Transfer-Encoding: chunked", "Content-Length: 10000000"} {
			t.Run(tt.name+", "+length, func(t *testing.T) {
				t.Parallel()
				conn := dial(t, tt.host)
				line, header, _ := strings.Cut(tt.request, "\n")
				fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: x\r\n%s\r\n%s\r\n\r\n", line, length, header)
				in := bufio.NewReader(conn)
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					t.Fatal(err)
				}
				if resp.StatusCode != tt.want {
					t.Errorf("status %d, want %d", resp.StatusCode, tt.want)
				}
				if _, err := io.Copy(io.Discard, resp.Body); err != nil {
					t.Error(err)
				}
				if _, err := in.ReadByte(); !errors.Is(err, io.EOF) {
					t.Errorf("the connection is still open: %v", err)
				}
			})
		}
	}
}

// serving has s serve until the test ends, and returns where, and a function that ends it before.
func serving(t *testing.T, s *Server) (url string, stop func()) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, ln) }()
	stop = func() {
		cancel()
		<-served
		served <- nil
	}
	t.Cleanup(stop)
	return "http://" + ln.Addr().String(), stop
}

// dial connects to the host of a URL; a read that takes too long fails the test.
func dial(t *testing.T, url string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(25 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return conn
}

func TestABodyHasMoreTimeWhileItKeepsComing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.stall = time.Second
	text, err := json.Marshal(body("k"))
	if err != nil {
		t.Fatal(err)
	}
	conn := b.raw(t, "POST", "/v1/notices", "application/json", len(text)+10_000)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	fmt.Fprintf(conn, "%s", text)
	for range 10 { // twice the time that the first byte may take
		<-tick.C
		fmt.Fprint(conn, strings.Repeat(" ", 1000))
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusCreated {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestABodyThatComesByteByByteIsGivenUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.server.stall = 500 * time.Millisecond
	conn := b.raw(t, "POST", "/v1/notices", "application/json", 1_000_000)
	answered := make(chan struct{})
	defer close(answered)
	go func() {
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-answered:
				return
			case <-tick.C:
				fmt.Fprint(conn, " ")
			}
		}
	}()
	if err := conn.SetReadDeadline(time.Now().Add(25 * time.Second)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusRequestTimeout {
		t.Errorf("%v, %v", resp, err)
	}
}

func TestAConnectionWithoutARequestMakesRoom(t *testing.T) {
	t.Parallel()
	s := setup(t).server
	s.most = 3
	url, _ := serving(t, s)
	silent := dial(t, url)
	for range 3 {
		askHealth(t, dial(t, url))
	}
	if _, err := silent.Read(make([]byte, 1)); !ended(err) {
		t.Errorf("the connection that asked for nothing is still open: %v", err)
	}
}

func TestTheLongestWithoutARequestGoesFirst(t *testing.T) {
	t.Parallel()
	c := newCrowd(nil, 2)
	asks, _ := net.Pipe()
	silent, _ := net.Pipe()
	busy, _ := net.Pipe()
	for _, conn := range []net.Conn{busy, asks, silent} {
		c.note(conn, http.StateNew)
	}
	c.note(busy, http.StateActive)
	c.note(asks, http.StateActive)
	c.note(asks, http.StateIdle)
	for i, want := range []net.Conn{silent, asks, nil} {
		c.dismiss()
		for _, conn := range []net.Conn{silent, asks, busy} {
			open := conn.SetDeadline(time.Time{}) == nil
			if gone := conn == want || i > 0 && conn == silent || i > 1 && conn == asks; open == gone {
				t.Errorf("after %d were dismissed, open is %v", i+1, open)
			}
		}
	}
}

// ended reports whether the error of a read says that the other end has closed the connection.
func ended(err error) bool { return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) }

// askHealth asks for the health of the process over a connection that stays open.
func askHealth(t *testing.T, conn net.Conn) {
	t.Helper()
	fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%d, %v", resp.StatusCode, err)
	}
}

func TestAFullServerStops(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *Options) { o.Drain = 50 * time.Millisecond })
	b.server.most = 1
	began := make(chan struct{})
	b.server.desk = stuck{b.fake, began}
	url, stop := serving(t, b.server)
	b.client.base = url
	go func() { _, _ = b.client.Preview(context.Background(), body("k"), notice.Previewing{}) }() // it is cut short
	<-began
	waiting := dial(t, url)
	stop()
	if _, err := waiting.Read(make([]byte, 1)); !ended(err) {
		t.Errorf("the connection that waits for room is still open: %v", err)
	}
}
