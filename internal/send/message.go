package send

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"tocsin/internal/notice"
)

// carries returns an error if the relay can't be asked to take m.
func (c *conn) carries(m notice.Mail) error {
	for _, address := range []string{m.From, m.To} {
		bare := !strings.Contains(address, `"`)
		if strings.ContainsFunc(address, unicode.IsControl) || bare && strings.ContainsAny(address, " <>") {
			return errors.New("the address holds characters that SMTP does not allow")
		}
	}
	if m.To == "" {
		return errors.New("there is no address to send to")
	}
	if !c.utf8 && international(&m) {
		return shortfall("the relay does not offer SMTPUTF8, which the address needs")
	}
	if c.size > 0 && len(m.Raw) > c.size {
		return shortfall(fmt.Sprintf("the mail has %d bytes, and the relay takes %d at most (SIZE)", len(m.Raw), c.size))
	}
	return nil
}

// reversePath is the reverse-path of a mail on its way through r. With a token it is the mail's own (VERP), so that a
// bounce tells of which mail it is.
func (r *Relay) reversePath(from, token string) string {
	local, domain, ok := strings.Cut(r.ReturnPath, "@")
	switch {
	case !ok:
		return from
	case token == "":
		return r.ReturnPath
	}
	return local + "+" + token + "@" + domain
}

// shortfall says that a relay lacks an extension that a mail needs. Another may.
type shortfall string

func (s shortfall) Error() string { return string(s) }

// international reports whether an address of m needs SMTPUTF8 (RFC 6531).
func international(m *notice.Mail) bool { return !(ascii(m.From) && ascii(m.To)) }

// appendCommand appends a command with its line end.
func (c *conn) appendCommand(out []byte, cmd command, m *notice.Mail) []byte {
	switch cmd {
	case cmdRSET:
		out = append(out, "RSET"...)
	case cmdMAIL:
		out = append(append(append(out, "MAIL FROM:<"...), m.From...), '>')
		if c.eightBit && !sevenBit(m.Raw) { // RFC 6152
			out = append(out, " BODY=8BITMIME"...)
		}
		if international(m) {
			out = append(out, " SMTPUTF8"...)
		}
		if c.sizes { // RFC 1870: a relay can refuse before the message is sent
			out = strconv.AppendInt(append(out, " SIZE="...), int64(len(m.Raw)), 10)
		}
		if c.dsn && m.Token != "" { // RFC 3461 §4.3, §4.4
			out = append(append(out, " RET=HDRS ENVID="...), m.Token...)
		}
	case cmdRCPT:
		out = append(append(append(out, "RCPT TO:<"...), m.To...), '>')
		if c.dsn && m.Token != "" { // RFC 3461 §4.1
			out = append(out, " NOTIFY=FAILURE"...)
		}
	case cmdDATA:
		out = append(out, "DATA"...)
	case cmdDot:
		out = append(out, '.')
	}
	return append(out, "\r\n"...)
}

func ascii[T string | []byte](s T) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// sevenBit reports whether a message is ASCII, eight bytes at a time.
func sevenBit(raw []byte) bool {
	for ; len(raw) >= 8; raw = raw[8:] {
		if binary.NativeEndian.Uint64(raw)&0x8080808080808080 != 0 {
			return false
		}
	}
	return ascii(raw)
}

// stuff returns the message as it goes over the wire before the final dot. Lines that begin with a dot get a second one
// (RFC 5321 §4.5.2), and the last line has its end. A line end that is not CRLF is refused: relays disagree on its
// meaning. A dot between two of them can end the message for one relay and not for another.
func stuff(raw []byte) ([]byte, error) {
	foreign := bytes.Count(raw, []byte("\r")) != bytes.Count(raw, []byte("\n"))
	dots, rest := 0, raw
	for len(rest) > 0 && !foreign {
		if rest[0] == '.' {
			dots++
		}
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			break
		}
		foreign = end == 0 || rest[end-1] != '\r'
		rest = rest[end+1:]
	}
	if foreign {
		return nil, errors.New("the message has a line end that is not CRLF")
	}
	ended := len(rest) == 0 && len(raw) > 0
	if dots == 0 && ended {
		return raw, nil
	}
	out := make([]byte, 0, len(raw)+dots+2)
	if bytes.HasPrefix(raw, []byte(".")) {
		out = append(out, '.')
	}
	out = append(out, bytes.ReplaceAll(raw, []byte("\n."), []byte("\n.."))...)
	if !ended {
		out = append(out, "\r\n"...)
	}
	return out, nil
}
