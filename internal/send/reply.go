package send

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"tocsin/internal/notice"
)

// The limits of a reply: anything longer is no reply. A line fits the buffer of the reader, 4 KiB.
const (
	maxLines = 100
	maxText  = 500 // bytes of its text that are kept
)

// reply is a relay's answer to one command (RFC 5321 §4.2).
type reply struct {
	code     int
	enhanced string // RFC 3463 status code, "" if none
	text     string // of all lines, without codes; safe to print
}

// errMalformed says that the bytes of an answer are no SMTP reply.
var errMalformed = errors.New("the relay's answer is no SMTP reply")

// readReply reads one reply, all lines of it, and nothing beyond.
func readReply(r *bufio.Reader) (reply, error) { return readLines(r, nil) }

// readLines reads one reply; heard, where it is not nil, is given the text of each line as it stands.
func readLines(r *bufio.Reader, heard func(string)) (reply, error) {
	var rep reply
	for n := range maxLines {
		line, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			return reply{}, fmt.Errorf("%w: a line is too long", errMalformed)
		case err != nil && len(line) > 0 && errors.Is(err, io.EOF):
			return reply{}, io.ErrUnexpectedEOF
		case err != nil:
			return reply{}, err
		}
		code, last, rest, ok := parseLine(strings.TrimRight(string(line), "\r\n"))
		if !ok || n > 0 && code != rep.code {
			return reply{}, errMalformed
		}
		if heard != nil {
			heard(rest)
		}
		enhanced, rest := cutEnhanced(code, rest)
		if n == 0 {
			rep = reply{code, enhanced, rest}
		} else {
			rep.text += " " + rest
		}
		if last {
			rep.text = printable(rep.text)
			return rep, nil
		}
	}
	return reply{}, fmt.Errorf("%w: it has too many lines", errMalformed)
}

// parseLine takes a line apart: three digits, then the end, a space or, where more lines follow, a hyphen.
func parseLine(line string) (code int, last bool, text string, ok bool) {
	if len(line) < 3 || line[0] < '2' || line[0] > '5' {
		return 0, false, "", false
	}
	for _, d := range []byte(line[:3]) {
		if d < '0' || d > '9' {
			return 0, false, "", false
		}
		code = code*10 + int(d-'0')
	}
	switch {
	case len(line) == 3:
		return code, true, "", true
	case line[3] == ' ' || line[3] == '-':
		return code, line[3] == ' ', line[4:], true
	}
	return 0, false, "", false
}

// cutEnhanced cuts the RFC 3463 status code off a line's text: class, subject and detail, the latter of up to three
// digits. One that says success of a refusal, or the other way round, is no code but text.
func cutEnhanced(code int, text string) (enhanced, rest string) {
	if len(text) < 5 || text[0] != '2' && text[0] != '4' && text[0] != '5' || (text[0] == '2') != (code < 400) {
		return "", text
	}
	end := 1
	for range 2 {
		first := end + 1
		if end >= len(text) || text[end] != '.' {
			return "", text
		}
		for end = first; end < len(text) && text[end] >= '0' && text[end] <= '9'; end++ {
		}
		if end == first || end > first+3 {
			return "", text
		}
	}
	rest = strings.TrimLeft(text[end:], " \t\n\f\r")
	if end < len(text) && len(rest) == len(text)-end {
		return "", text
	}
	return text[:end], rest
}

// plain reports whether printable would leave s as it is.
func plain(s string) bool {
	space := true // before it
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == ' ' && space {
			return false
		}
		space = s[i] == ' '
	}
	return len(s) <= maxText && (!space || s == "")
}

// printable makes text of a relay's bytes: valid UTF-8 without control characters, of at most maxText bytes.
func printable(s string) string {
	if plain(s) {
		return s
	}
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxText {
		cut := maxText - len("…")
		for !utf8.RuneStart(s[cut]) {
			cut--
		}
		s = s[:cut] + "…"
	}
	return s
}

// answer is the end of an attempt by a reply to a command.
func (r reply) answer(c command, o notice.Outcome) notice.Answer {
	return notice.Answer{Outcome: o, NoDot: c != cmdDot, Command: c.String(), Code: r.code, Enhanced: r.enhanced, Text: r.text}
}

// refusal is the end of an attempt by a refusal, where no other relay is asked.
func (r reply) refusal(c command) notice.Answer {
	a := r.answer(c, notice.OutcomeLater)
	switch judge(c, r) {
	case refused, elsewhere:
		a.Outcome = notice.OutcomeNever
	case ofRelay:
		a.OfRelay = true
	}
	return a
}

// explain says in a few words why no reply was heard.
func explain(err error) string {
	if s, ok := errors.AsType[*silence](err); ok {
		return printable(s.Error())
	}
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "the relay closed the connection in the middle of a reply"
	case errors.Is(err, io.EOF):
		return "the relay closed the connection"
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "the relay did not answer in time"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err // without the socket's addresses
	}
	return printable(err.Error())
}
