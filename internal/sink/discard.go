package sink

import (
	"bytes"
	"net"
	"sync"
)

// discardListener hands out connections that make discarding cheap.
type discardListener struct{ net.Listener }

func (l discardListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &discardConn{Conn: c, in: make([]byte, 64<<10)}, nil
}

// discardConn spares the server its two greatest costs when mail is only counted. They are a look at every byte of a
// message, and a write for every reply to commands that came together. One goroutine uses it; any may close it.
type discardConn struct {
	net.Conn
	in       []byte // the buffer of one read
	pending  []byte // read, and not handed on yet
	skipping bool
	tail     []byte // while skipping: the last bytes before those to come, at most 4

	writing sync.Mutex
	out     []byte // replies that wait for the next read
}

// endOfMessage ends a message, the line end before it included (RFC 5321 §4.1.1.4).
var endOfMessage = []byte("\r\n.\r\n")

// NetConn returns the socket.
func (c *discardConn) NetConn() net.Conn { return c.Conn }

// skip makes the bytes up to the end of the message disappear: of the message the reader gets the dot alone.
func (c *discardConn) skip() { c.skipping, c.tail = true, append(c.tail[:0], "\r\n"...) }

// Write keeps b until the client has nothing more to say for now.
func (c *discardConn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.out = append(c.out, b...)
	return len(b), nil
}

// Close sends the replies that wait, unless a write is under way and stuck, and closes the socket.
func (c *discardConn) Close() error {
	if c.writing.TryLock() {
		c.send()
		c.writing.Unlock()
	}
	return c.Conn.Close()
}

func (c *discardConn) flush() error {
	c.writing.Lock()
	defer c.writing.Unlock()
	return c.send()
}

func (c *discardConn) send() error {
	if len(c.out) == 0 {
		return nil
	}
	_, err := c.Conn.Write(c.out)
	c.out = c.out[:0]
	return err
}

// Read sends the replies that wait and reads new bytes, without the message while skipping.
func (c *discardConn) Read(b []byte) (int, error) {
	for len(c.pending) == 0 {
		if err := c.flush(); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(c.in)
		if err != nil {
			return 0, err
		}
		c.pending = c.in[:n]
		if c.skipping {
			c.pending = c.message(c.pending)
		}
	}
	n := copy(b, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// message returns the dot and the bytes after it, or nothing where the message goes on.
func (c *discardConn) message(b []byte) []byte {
	// The end may lie across two reads: it is looked for first where they meet.
	seam := append(c.tail, b[:min(len(b), len(endOfMessage)-1)]...)
	end := -1
	if i := bytes.Index(seam, endOfMessage); i >= 0 {
		end = i + len(endOfMessage) - len(c.tail)
	} else if i := bytes.Index(b, endOfMessage); i >= 0 {
		end = i + len(endOfMessage)
	}
	if end < 0 {
		if len(b) >= len(endOfMessage)-1 {
			seam = b
		}
		c.tail = append(c.tail[:0], seam[max(0, len(seam)-len(endOfMessage)+1):]...)
		return nil
	}
	c.skipping = false
	return append([]byte(".\r\n"), b[end:]...)
}
