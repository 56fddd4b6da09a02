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

// FileFormat is how a customer file is written.
type FileFormat int

// The formats of customer files.
//
// CSV has a header line that names its columns in any order: id, name, email, alternate_email, language and
// time_zone in any case, and every other column an attribute. Cells are divided by comma, semicolon or tab,
// whichever the header has most of. NDJSON has one object a line with the same names, and the attributes in an
// object "attributes" of texts, numbers and booleans.
const (
	FormatCSV FileFormat = iota + 1
	FormatNDJSON
)

// Reader reads the customers of a file one by one; what it keeps does not grow with the file.
type Reader struct {
	lines lines
	check checker
	csv   *header // nil for NDJSON
	err   error   // why nothing comes any more
}

// NewReader returns a reader of the file; r is read as rows are asked for. Of a CSV the header is read at once.
// The error is a *notice.Error if the file can't be a customer file, else it wraps the error of r.
func NewReader(r io.Reader, format FileFormat) (*Reader, error) {
	reader := &Reader{
		lines: lines{from: bufio.NewReaderSize(r, 64<<10)},
		check: checker{languages: map[string][2]string{}, zones: map[string]string{}},
	}
	if err := reader.start(format); err != nil {
		return nil, err
	}
	return reader, nil
}

func (r *Reader) start(format FileFormat) error {
	switch format {
	case FormatCSV:
		return r.readHeader()
	case FormatNDJSON:
		first, err := r.lines.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if strings.HasPrefix(strings.TrimSpace(first.text), "[") {
			return notice.Invalid("file", "is a JSON array; write one object a line, without brackets and commas around them")
		}
		r.lines.pos--
		return nil
	}
	return fmt.Errorf("read customer file: no format %d", format)
}

// Next returns the next good row, or else why a row is rejected, or else the error that ends the file: io.EOF
// after the last row, or one that wraps the error of the file. A rejection names the line where the record
// starts (1 is the first line of the file), the first bad column and the reason, never the value. Whether an id
// comes twice is not looked at. The slices and maps of a row are the caller's.
func (r *Reader) Next() (notice.CustomerRow, *notice.Rejection, error) {
	if r.err != nil {
		return notice.CustomerRow{}, nil, r.err
	}
	read := r.nextObject
	if r.csv != nil {
		read = r.nextRecord
	}
	row, rejection, err := read()
	if err != nil {
		r.err = err
	}
	if err != nil || rejection != nil {
		return notice.CustomerRow{}, rejection, err
	}
	return row, nil, nil
}

func reject(line int, column, reason string) *notice.Rejection {
	return &notice.Rejection{Line: line, Column: column, Reason: reason}
}

// reasonOf is the message of a *notice.Error without its field.
func reasonOf(err error) string {
	if e, ok := errors.AsType[*notice.Error](err); ok {
		return e.Message
	}
	return err.Error()
}

// maxLine is the longest line, and the longest record of several lines, in bytes.
const maxLine = 1 << 20

const lineTooLong = "is longer than 1 MiB"

// line is one line of the file without its end.
type line struct {
	number int
	text   string
	long   bool // there was more than maxLine of it; text is empty
}

// lines hands out the lines of a file, and can go back to one that it has handed out since the last keep.
type lines struct {
	from *bufio.Reader
	kept []line
	pos  int // in kept, of the next one; set back to hand lines out again
	last int // number of the last line read
}

// next returns the next line. Its error is io.EOF or wraps the file's.
func (l *lines) next() (line, error) {
	if l.pos == len(l.kept) {
		ln, err := l.read()
		if err != nil {
			return line{}, err
		}
		l.kept = append(l.kept, ln)
	}
	l.pos++
	return l.kept[l.pos-1], nil
}

// keep forgets what was handed out before.
func (l *lines) keep() {
	// Only when much is to be forgotten: else a file of bad quotes would be copied again for each line.
	if l.pos > len(l.kept)/2 {
		n := copy(l.kept, l.kept[l.pos:])
		clear(l.kept[n:])
		l.kept, l.pos = l.kept[:n], 0
	}
}

func (l *lines) read() (line, error) {
	var text []byte
	long := false
	for {
		part, err := l.from.ReadSlice('\n')
		if len(text)+len(part) > maxLine+2 {
			text, long = nil, true
		}
		if !long {
			text = append(text, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return line{}, fmt.Errorf("read customer file after line %d: %w", l.last, err)
		}
		if err != nil && len(text) == 0 && !long {
			return line{}, io.EOF
		}
		break
	}
	l.last++
	if l.last == 1 {
		text = bytes.TrimPrefix(text, []byte("\ufeff"))
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	text = bytes.TrimSuffix(text, []byte("\r"))
	if len(text) > maxLine {
		text, long = nil, true
	}
	return line{number: l.last, text: string(text), long: long}, nil
}
