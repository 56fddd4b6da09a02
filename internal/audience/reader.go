package audience

import (
	"errors"
	"fmt"
	"io"

	"tocsin/internal/notice"
)

// FileFormat is how a customer file is written.
type FileFormat int

// The formats of customer files.
//
// CSV has a header line that names its columns in any order: id, name, email, alternate_email, language and
// time_zone in any case, and every other column an attribute. Cells are divided by comma, semicolon or tab,
// whichever the header has most of, or as a line "sep=;" in front of it says. NDJSON has one object a line with the
// same names, and the attributes in an object "attributes" of texts, numbers and booleans. In both, a field that a row
// does not have stays as it is, and an empty one (null in NDJSON) is emptied.
const (
	FormatCSV FileFormat = iota + 1
	FormatNDJSON
)

// FileOptions say how a customer file is to be read. Only Format is needed.
type FileOptions struct {
	Format   FileFormat
	Encoding string // by its name in the Encoding Standard; "": it is recognised
	// Map names the columns of a CSV that its header calls something else: "E-Mail" is "email". "" leaves a column
	// out.
	Map map[string]string
	// Attributes are columns that are attributes though their names look like a field's.
	Attributes []string
}

// Reader reads the customers of a file one by one; its memory does not grow with the file.
type Reader struct {
	lines   *lines
	check   checker
	records *records // nil for NDJSON
	header  *header
	err     error // why nothing comes any more
}

// NewReader returns a reader of the file; r is read as rows are asked for. Of a CSV the header is read at once.
// The error is a *notice.Error if the file can't be a customer file, else it wraps the error of r.
func NewReader(r io.Reader, o FileOptions) (*Reader, error) {
	l, err := newLines(r, o.Encoding)
	if err != nil {
		return nil, err
	}
	reader := &Reader{lines: l, check: newChecker()}
	switch o.Format {
	case FormatCSV:
		err = reader.readHeader(o)
	case FormatNDJSON:
		err = reader.readBrackets()
	default:
		err = fmt.Errorf("read customer file: no format %d", o.Format)
	}
	if err != nil {
		return nil, err
	}
	return reader, nil
}

// Encoding is the name of the encoding that the file was read in so far.
func (r *Reader) Encoding() string { return r.lines.decoder.encoding() }

// Next returns the next good row, or else the rejection of a row, or else the error that ends the file. That error is
// io.EOF after the last row, and a *notice.Error where text can't be told from rows any more. Else it wraps the error
// of the file. A rejection names the line where the record starts (1 is the first line of the file), the first bad
// column and the reason, never the value. Next does not look whether an id comes twice. The slices and maps of a row
// are the caller's.
func (r *Reader) Next() (notice.CustomerRow, *notice.Rejection, error) {
	if r.err != nil {
		return notice.CustomerRow{}, nil, r.err
	}
	read := r.nextObject
	if r.records != nil {
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

// readBrackets refuses an NDJSON file that begins like something else.
func (r *Reader) readBrackets() error {
	first, err := r.lines.first()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	return notJSON(first)
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
