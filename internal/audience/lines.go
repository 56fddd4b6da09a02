package audience

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"tocsin/internal/notice"
)

// maxLine is the longest line, and the longest record of several lines, in bytes of UTF-8.
const maxLine = 1 << 20

const lineTooLong = "is longer than 1 MiB"

// lines hands out the lines of a file, decoded.
type lines struct {
	decoder *decoder
	from    *bufio.Reader
	last    int // number of the last line read
}

func newLines(r io.Reader, encoding string) (*lines, error) {
	d, err := newDecoder(r, encoding)
	if err != nil {
		return nil, err
	}
	return &lines{decoder: d, from: bufio.NewReaderSize(d, window)}, nil
}

// piece returns the next piece of a line, with its end if it comes to that. It is valid until the next call. The error
// is io.EOF or wraps the file's.
func (l *lines) piece() (piece []byte, ended bool, err error) {
	piece, err = l.from.ReadSlice('\n')
	switch {
	case err == nil:
		l.last++
		return piece, true, nil
	case errors.Is(err, bufio.ErrBufferFull):
		return piece, false, nil
	case errors.Is(err, io.EOF) && len(piece) > 0:
		return piece, false, nil // the next call ends
	case errors.Is(err, io.EOF):
		return nil, false, io.EOF
	}
	return nil, false, fmt.Errorf("read customer file after line %d: %w", l.last, err)
}

// line is one line of the file without its end.
type line struct {
	number int
	text   string
	long   bool // there was more than maxLine of it; text is its beginning
}

// next returns the next line, and shows each piece of it to watch, unless that is nil.
func (l *lines) next(watch func(piece []byte)) (line, error) {
	ln := line{number: l.last + 1}
	var text []byte
	for {
		piece, ended, err := l.piece()
		if errors.Is(err, io.EOF) && (len(text) > 0 || ln.long) {
			l.last = ln.number
			break
		}
		if err != nil {
			return line{}, err
		}
		if watch != nil {
			watch(piece)
		}
		if len(text)+len(piece) > maxLine+2 {
			ln.long = true
		}
		if !ln.long {
			text = append(text, piece...)
		}
		if ended {
			break
		}
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	text = bytes.TrimSuffix(text, []byte("\r"))
	ln.text, ln.long = string(text), ln.long || len(text) > maxLine
	return ln, nil
}

// peek returns the next line without its end, or its first 64 KiB, and leaves it to be read.
func (l *lines) peek() (string, error) {
	for n := 1; ; n = l.from.Buffered() + 1 {
		b, err := l.from.Peek(min(n, window))
		if i := bytes.IndexByte(b, '\n'); i >= 0 {
			return strings.TrimSuffix(string(b[:i]), "\r"), nil
		}
		switch {
		case errors.Is(err, io.EOF) && len(b) > 0, len(b) == window:
			return strings.TrimSuffix(string(b), "\r"), nil
		case errors.Is(err, io.EOF):
			return "", io.EOF
		case err != nil:
			return "", fmt.Errorf("read customer file: %w", err)
		}
	}
}

// first skips blank lines, and returns the one behind them without reading it. Its error is io.EOF for an empty file,
// and a *notice.Error for one that is no text of lines. Else it wraps the file's.
func (l *lines) first() (string, error) {
	for {
		text, err := l.peek()
		if err != nil {
			return "", err
		}
		if strings.TrimFunc(text, isBlankOrMark) == "" && len(text) < window {
			if _, err := l.next(nil); err != nil {
				return "", err
			}
			continue
		}
		if strings.Contains(text, "\r") {
			return "", notice.Invalid("file", "has lines that end in CR alone; save it with LF or CRLF")
		}
		return text, nil
	}
}

func isBlankOrMark(r rune) bool { return isBlank(r) || r == '\t' || r == '\r' || r == '\ufeff' }
