package api

import (
	"container/list"
	"net"
	"net/http"
	"sync"
)

// mostConnections is how many connections a Server holds at once. It leaves file descriptors for Postgres, Redis and relays
// where a process may have 1,024 of them.
const mostConnections = 512

// crowd is a listener with a limit of open connections. Where it is reached, the connection that has been without a request
// for longest makes room for a new one; where all have requests, the new one waits.
type crowd struct {
	net.Listener
	room   chan struct{} // holds an element for each open connection
	closed chan struct{}
	close  func()

	mu    sync.Mutex
	idle  list.List // of net.Conn, the longest without a request first
	place map[net.Conn]*list.Element
}

func newCrowd(ln net.Listener, most int) *crowd {
	c := &crowd{Listener: ln, room: make(chan struct{}, most), closed: make(chan struct{}), place: map[net.Conn]*list.Element{}}
	c.close = sync.OnceFunc(func() { close(c.closed) })
	return c
}

// Accept waits for a connection and for room.
func (c *crowd) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case c.room <- struct{}{}:
	default:
		c.dismiss()
		select {
		case c.room <- struct{}{}:
		case <-c.closed:
			conn.Close()
			return nil, net.ErrClosed
		}
	}
	return &guest{Conn: conn, leave: sync.OnceFunc(func() { <-c.room })}, nil
}

// Close ends Accept, also where it waits for room.
func (c *crowd) Close() error {
	c.close()
	return c.Listener.Close()
}

// dismiss closes the connection that has been without a request for longest.
func (c *crowd) dismiss() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if first := c.idle.Front(); first != nil {
		c.forget(first.Value.(net.Conn)).Close()
	}
}

// note is the http.Server's ConnState.
func (c *crowd) note(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forget(conn)
	if state == http.StateNew || state == http.StateIdle {
		c.place[conn] = c.idle.PushBack(conn)
	}
}

func (c *crowd) forget(conn net.Conn) net.Conn {
	if at, ok := c.place[conn]; ok {
		c.idle.Remove(at)
		delete(c.place, conn)
	}
	return conn
}

// guest is a connection that gives its room back when it is closed.
type guest struct {
	net.Conn
	leave func()
}

func (g *guest) Close() error {
	defer g.leave()
	return g.Conn.Close()
}

// CloseWrite lets net/http end its answer before the client has ended its request: a reset would overtake the answer.
func (g *guest) CloseWrite() error {
	if half, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
