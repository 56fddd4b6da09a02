package intake

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// listener bounds connections: how many there are, how long they live, and how much they say without handing over a mail.
type listener struct {
	net.Listener
	limits limits

	mu      sync.Mutex
	conns   map[*conn]struct{}
	hurried bool
}

func newListener(ln net.Listener, limits limits) *listener {
	return &listener{Listener: ln, limits: limits, conns: map[*conn]struct{}{}}
}

// Accept returns the next connection, and sends away those that are too many.
func (l *listener) Accept() (net.Conn, error) {
	for {
		raw, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if c := l.admit(raw); c != nil {
			return c, nil
		}
		raw.SetWriteDeadline(time.Now().Add(time.Second))
		raw.Write([]byte("421 4.3.2 Too many connections, try again\r\n"))
		raw.Close()
	}
}

func (l *listener) admit(raw net.Conn) *conn {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.hurried || len(l.conns) >= l.limits.connections {
		return nil
	}
	c := &conn{Conn: raw, l: l, until: time.Now().Add(l.limits.life)}
	l.conns[c] = struct{}{}
	return c
}

// all returns the connections; with hurried, no more are admitted.
func (l *listener) all(hurried bool) (all []*conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.hurried = l.hurried || hurried
	for c := range l.conns {
		all = append(all, c)
	}
	return all
}

// hurry ends the connections that hand over no mail, and each other one after its mail.
func (l *listener) hurry() {
	for _, c := range l.all(true) {
		c.expire()
	}
}

// end cuts all connections.
func (l *listener) end() {
	l.Close()
	for _, c := range l.all(true) {
		c.Close()
	}
}

// conn is a connection with an end.
type conn struct {
	net.Conn
	l      *listener
	inMail atomic.Bool
	said   atomic.Int64 // bytes of commands since the last mail

	mu    sync.Mutex
	until time.Time // the next command must be there by then
}

var errChatty = errors.New("too many commands and no mail")

// Read reads.
func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if !c.inMail.Load() && c.said.Add(int64(n)) > c.l.limits.commands {
		return 0, errChatty
	}
	return n, err
}

// SetReadDeadline is asked for before each command.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.until) {
		t = c.until
	}
	return c.Conn.SetReadDeadline(t)
}

// expire has no command follow any more: the client hears 421. A mail under way comes in and is answered.
func (c *conn) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = time.Now()
	if !c.inMail.Load() {
		c.Conn.SetReadDeadline(c.until)
	}
}

func (c *conn) mailBegins() { c.inMail.Store(true) }

func (c *conn) mailEnds() {
	c.said.Store(0)
	c.inMail.Store(false)
}

// Close closes.
func (c *conn) Close() error {
	c.l.mu.Lock()
	delete(c.l.conns, c)
	c.l.mu.Unlock()
	return c.Conn.Close()
}
