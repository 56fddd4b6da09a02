package send

import (
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// userTimeout is how long bytes may stay unacknowledged before the kernel gives the connection up (TCP_USER_TIMEOUT,
// RFC 5482).
const userTimeout = 30 * time.Second

func limitUnacknowledged(_, _ string, raw syscall.RawConn) error {
	var failed error
	err := raw.Control(func(fd uintptr) {
		failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
	})
	if err != nil {
		return err
	}
	return failed
}

// socketQuiet reports whether the socket holds no byte, no end and no error. Asking the kernel leaves no gap in
// which an answer has come and no goroutine has read it yet.
func (c *conn) socketQuiet() bool {
	if c.socket == nil {
		return false
	}
	quiet := false
	err := c.socket.Control(func(fd uintptr) {
		var one [1]byte
		_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		quiet = err == unix.EAGAIN
	})
	return err == nil && quiet
}
