package testkit

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Line stands between a program and Postgres. It can fall silent like a line when a firewall has forgotten its
// connections: they stay open on both sides, and carry nothing any more.
type Line struct {
	URL string // of Postgres, through the line

	alter       func(b []byte) []byte // has a client say something else; nil: it is passed on as it is
	listener    net.Listener
	network, to string // where Postgres is
	open        sync.WaitGroup

	mu    sync.Mutex
	hush  chan struct{} // closed: the connections that have it are silent
	conns []net.Conn
}

// NewLine returns a line to the Postgres at a URL, until the test ends.
func NewLine(t testing.TB, url string) *Line {
	t.Helper()
	return NewLineThat(t, url, nil)
}

// NewLineThat returns a line that has clients say something else.
func NewLineThat(t testing.TB, url string, alter func(b []byte) []byte) *Line {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	l := &Line{hush: make(chan struct{}), alter: alter}
	l.network, l.to = pgconn.NetworkAddress(cfg.Host, cfg.Port)
	if l.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	l.URL = fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=disable", cfg.User, cfg.Password, l.listener.Addr(), cfg.Database)
	l.open.Go(l.accept)
	t.Cleanup(func() {
		l.listener.Close()
		l.mu.Lock()
		for _, c := range l.conns {
			c.Close()
		}
		l.mu.Unlock()
		l.open.Wait()
	})
	return l
}

// FallSilent silences all connections that there are, and those that are made before Mend, for ever.
func (l *Line) FallSilent() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.hush)
}

// Mend has new connections carry bytes again.
func (l *Line) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hush = make(chan struct{})
}

func (l *Line) accept() {
	for {
		client, err := l.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial(l.network, l.to)
		if err != nil {
			client.Close()
			continue
		}
		l.mu.Lock()
		hush := l.hush
		l.conns = append(l.conns, client, server)
		l.mu.Unlock()
		l.open.Go(func() { pass(client, server, hush, l.alter) })
		l.open.Go(func() { pass(server, client, hush, nil) })
	}
}

// pass copies from one side to the other, until one of them ends or they are silent.
func pass(from, to net.Conn, hush chan struct{}, alter func([]byte) []byte) {
	b := make([]byte, 32<<10)
	for {
		n, err := from.Read(b)
		select {
		case <-hush:
			io.Copy(io.Discard, from)
			return
		default:
		}
		sent := b[:n]
		if alter != nil {
			sent = alter(sent)
		}
		if _, failed := to.Write(sent); err != nil || failed != nil {
			from.Close()
			to.Close()
			return
		}
	}
}
