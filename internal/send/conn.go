package send

import (
	"errors"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"sync"
	"syscall"
	"time"
)

// conn is one connection to a relay, past EHLO, TLS and AUTH, and the jobs that it has in hand. One goroutine uses it;
// others may look at the fields that the mutex guards.
type conn struct {
	relay      *relayState
	address    netip.Addr
	o          *Options
	raw        net.Conn        // the socket: its deadlines hold for TLS too
	wire       net.Conn        // the socket, or TLS above it
	socket     syscall.RawConn // to look at it without reading
	text       *textproto.Conn // the commands and replies, above TLS where there is any
	secure     bool            // under TLS
	declined   *refusal        // of STARTTLS, though it was offered
	unverified error           // why the certificate does not verify, where that is overlooked

	offered    map[string]string // the relay's answer to EHLO: parameters by keyword, in capitals
	eightBit   bool              // the relay offers 8BITMIME
	utf8       bool              // the relay offers SMTPUTF8
	pipelining bool              // the relay offers PIPELINING
	apart      bool              // no envelope goes to the relay with a dot
	sizes      bool              // the relay offers SIZE
	dsn        bool              // the relay offers DSN
	size       int               // bytes of the largest mail that it takes; 0 = it names none

	ready    *task  // its envelope was accepted: the relay waits for its message
	out      []byte // the bytes to write next
	used     bool   // a transaction went well on it
	dirty    bool   // there is a transaction to be reset
	swift    bool   // the last dot was answered soon
	answered bool   // the dot before the envelope that is looked at was
	surplus  bool   // the relay says that it is one too many: it takes no more mails
	broken   bool   // its state is not known: it is closed without QUIT
	ours     bool   // we broke the last transaction off

	mu    sync.Mutex
	next  *task // its envelope went out with the dot that is being answered
	atDot bool  // a dot may have been written that is not answered: nothing cuts the wait for that short
	cut   bool  // it was stopped: no dot is written any more,
	moves bool  // and its job goes to another connection

	// Guarded by the pool's mutex:
	hands      int   // jobs that it has in hand
	between    bool  // it has just done with one, and is about to take another
	waiting    *task // of these, the one that the relay has to answer,
	waitsSince time.Time

	inbox  chan *task  // a job for a connection that waits for one
	expiry *time.Timer // ends such a wait
	gone   chan struct{}
}

// past is a deadline that stops an operation under way.
var past = time.Unix(1, 0)

var errStopped = errors.New("stopped before the end of the message")

// quiet reports whether the relay has said nothing that was not read, and has not hung up. It never waits.
// Every layer that may hold bytes is asked: the buffer, the socket, and TLS in between.
func (c *conn) quiet() bool {
	if c.text.R.Buffered() > 0 || !c.socketQuiet() {
		return false
	}
	if !c.secure {
		return true
	}
	c.raw.SetReadDeadline(past)
	_, err := c.text.R.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// allow gives the reads and writes that follow so much time, unless the connection was stopped.
func (c *conn) allow(d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return errStopped
	}
	return c.raw.SetDeadline(time.Now().Add(d))
}

// write sends b, and leaves the rest of the StepTimeout for the reply to it.
func (c *conn) write(b []byte) error {
	if err := c.allow(c.o.StepTimeout); err != nil {
		return err
	}
	_, err := c.put(b)
	return err
}

// put writes b and returns how much of it was taken.
func (c *conn) put(b []byte) (n int, err error) {
	if n, err = c.text.W.Write(b); err == nil {
		err = c.text.W.Flush()
		n = len(b) - c.text.W.Buffered()
	}
	return n, err
}

// beginDot notes that a dot may be written from now on, and has to be by until. The end of the connection's life no
// longer stops it.
func (c *conn) beginDot(until time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cut {
		return errStopped
	}
	c.atDot = true
	return c.raw.SetWriteDeadline(until)
}

// leaveDot notes that the dot, if there was one, is answered or never will be. It reports whether the connection was
// stopped.
func (c *conn) leaveDot() (stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.atDot = false
	return c.cut
}

// stop ends a transaction before its dot, and takes back the job that waits behind a dot.
func (c *conn) stop() (next *task) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next, c.next = c.next, nil
	if !c.atDot {
		c.cut = true
		c.raw.SetDeadline(past)
	}
	return next
}

func (c *conn) holdsNext() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.next != nil
}

// stopped reports whether somebody stopped the transaction before its dot.
func (c *conn) stopped() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cut
}

// answering reports whether the answer to a dot is waited for.
func (c *conn) answering() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.atDot
}

// detach takes back the next job, unless somebody has taken it away meanwhile.
func (c *conn) detach() *task {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.next
	c.next = nil
	return next
}

// quit takes leave and closes the connection, TLS with its close_notify. Without, the relay can't tell the end from a
// cut (RFC 8446 §6.1). A connection in an unknown state gets neither.
func (c *conn) quit() {
	defer c.raw.Close()
	c.raw.SetDeadline(time.Now().Add(2 * time.Second))
	if c.text.PrintfLine("QUIT") == nil {
		readReply(c.text.R)
	}
	c.wire.Close()
}
