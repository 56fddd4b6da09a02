package sink

import (
	"io"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Pipelined commands and a message in pieces of any size come to the same as one command at a time.
func TestDiscardingCountsWhateverThePieces(t *testing.T) {
	t.Parallel()
	s := start(t, Options{Discard: true})
	rapid.Check(t, func(rt *rapid.T) {
		before := s.Count()
		c := dial(t, s)
		defer c.conn.Close()
		lines := rapid.SliceOf(rapid.SampledFrom([]string{"", ".", "..", "x", "\r", "\n", ".\r", "\n.", "text"}))
		mails := rapid.IntRange(1, 3).Draw(rt, "mails")
		var wire string
		for k := range mails {
			// The DATA of a mail comes with the dot of the one before: only the text after 354 waits for it.
			io.WriteString(c.conn, wire+"MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n")
			if k > 0 {
				c.want("250")
			}
			c.want("250")
			c.want("250")
			c.want("354")
			wire = ""
			for _, l := range lines.Draw(rt, "lines") {
				if strings.HasPrefix(l, ".") {
					l = "." + l
				}
				wire += l + "\r\n"
			}
			wire += ".\r\n"
			cut := rapid.IntRange(0, len(wire)).Draw(rt, "cut")
			for i := range cut {
				io.WriteString(c.conn, wire[i:i+1])
			}
			wire = wire[cut:]
		}
		io.WriteString(c.conn, wire)
		c.want("250")
		c.say("QUIT", "221")
		if n := s.Count() - before; n != mails {
			rt.Fatalf("%d mails, want %d", n, mails)
		}
	})
}
