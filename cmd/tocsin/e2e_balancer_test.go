package main

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// turns is a balancer's choice: each request goes to the next server, and to the one after where nobody listens.
type turns struct {
	servers []string // host:port
	n       atomic.Int64
}

func (b *turns) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	next := int(b.n.Add(1))
	for i := range b.servers {
		r.URL.Host = b.servers[(next+i)%len(b.servers)]
		if answer, err = http.DefaultTransport.RoundTrip(r); err == nil || r.ContentLength != 0 {
			return answer, err
		}
	}
	return answer, err
}

// TestServersBehindABalancer has each request of a notice answered by another server, both show its progress live, and
// one is killed while it goes out.
func TestServersBehindABalancer(t *testing.T) {
	t.Parallel()
	s := start(t)
	first, second := strings.TrimPrefix(s.setting("TOCSIN_URL"), "http://"), freeAddress(t)
	s.with("TOCSIN_LISTEN=" + second).launch("serve")
	s.with("TOCSIN_URL=http://"+second).must(nil, "notice", "list") // which tries until the server answers
	balancer := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: first}) },
		Transport: &turns{servers: []string{first, second}}})
	t.Cleanup(balancer.Close)
	b := s.with("TOCSIN_URL=" + balancer.URL)

	const n = 300
	b.customers(n)
	b.gate.shut(100)
	b.must(nil, "notice", "send", b.notice("down"), "--yes")
	b.must(nil, "notice", "send", b.notice("down"), "--yes") // the press of somebody impatient, at other servers
	lives := []*live{follow(t, first), follow(t, second)}
	b.work()
	b.gate.await()
	for _, l := range lives {
		l.until("33.3%") // reached
	}
	s.server.kill()
	b.gate.open()
	b.await("down", "finished", finished)
	st := b.settled("down", 0)
	if st.Counts["sent"] != n || len(b.delivered()) != n {
		t.Errorf("%v, and %d mailboxes have a mail, want %d", st.Counts, len(b.delivered()), n)
	}
	lives[1].until("100%")
}

// setting is that of the environment, the last one of a name.
func (s *system) setting(name string) (value string) {
	for _, v := range s.env {
		if of, is, _ := strings.Cut(v, "="); of == name {
			value = is
		}
	}
	return value
}

// live is the stream of the live parts of a notice's page.
type live struct {
	t     *testing.T
	body  io.Closer
	lines *bufio.Scanner
}

// follow opens the stream of the notice "down" at a server.
func follow(t *testing.T, server string) *live {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+server+"/notices/down", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer s3cret")
	r.Header.Set("Accept", "text/event-stream")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("the stream of %s: %s", server, answer.Status)
	}
	return &live{t: t, body: answer.Body, lines: bufio.NewScanner(answer.Body)}
}

// until reads the stream until a part has a text.
func (l *live) until(text string) {
	l.t.Helper()
	defer time.AfterFunc(2*time.Minute, func() { l.body.Close() }).Stop()
	for l.lines.Scan() {
		if strings.Contains(l.lines.Text(), text) {
			return
		}
	}
	l.t.Errorf("the stream ended before a part had %q: %v", text, l.lines.Err())
}
