//go:build !linux

package send

import (
	"errors"
	"os"
	"syscall"
	"time"
)

// limitUnacknowledged leaves the kernel's own limit in force: TCP_USER_TIMEOUT is Linux's.
func limitUnacknowledged(_, _ string, _ syscall.RawConn) error { return nil }

// socketQuiet reports whether nothing can be read within a millisecond.
func (c *conn) socketQuiet() bool {
	c.raw.SetReadDeadline(time.Now().Add(time.Millisecond))
	_, err := c.text.R.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}
