package audience

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"tocsin/internal/notice"
)

// header is what the first line of a CSV says.
type header struct {
	delimiter byte
	columns   []string
	attribute []bool // per column
}

// readHeader reads the line that names the columns. A file without one may begin with a customer, so no error
// repeats what is there before an id column was found.
func (r *Reader) readHeader() error {
	first, err := r.lines.next()
	for err == nil && !first.long && strings.TrimSpace(first.text) == "" {
		first, err = r.lines.next()
	}
	switch {
	case errors.Is(err, io.EOF):
		return notice.Invalid("file", "is empty; its first line must name the columns, such as id,name,email")
	case err != nil:
		return err
	case first.long:
		return notice.Invalid("file", "line %d, which must name the columns, %s", first.number, lineTooLong)
	case strings.HasPrefix(first.text, "\xff\xfe"), strings.HasPrefix(first.text, "\xfe\xff"):
		return notice.Invalid("file", "is UTF-16; save it as UTF-8")
	case strings.Contains(first.text, "\r"):
		return notice.Invalid("file", "has lines that end in CR alone; save it with LF or CRLF")
	case !utf8.ValidString(first.text):
		return notice.Invalid("file", "line %d, which must name the columns, is not UTF-8", first.number)
	}
	h := &header{delimiter: delimiterOf(first.text)}
	r.lines.pos--
	r.csv = h
	names, _, bad, err := r.record()
	if err != nil {
		return err
	}
	if bad != "" {
		return notice.Invalid("file", "line %d, which must name the columns: %s", first.number, bad)
	}
	return h.name(names, first.number)
}

// name checks the names of the columns.
func (h *header) name(names []string, number int) error {
	for i, name := range names {
		names[i] = strings.TrimSpace(name)
		if lower := strings.ToLower(names[i]); slices.Contains(columns, lower) {
			names[i] = lower
		}
	}
	if !slices.Contains(names, columnID) {
		return notice.Invalid("file", "line %d must name the columns, one of them id", number)
	}
	seen := map[string]bool{}
	for i, name := range names {
		lower := strings.ToLower(name)
		h.columns = append(h.columns, name)
		h.attribute = append(h.attribute, !slices.Contains(columns, name))
		switch {
		case name == "":
			return notice.Invalid("file", "line %d: column %d has no name", number, i+1)
		case seen[lower]:
			return notice.Invalid("file", "line %d: there are two columns %s", number, shorten(name))
		case h.attribute[i]:
			if reason := badAttributeName(name); reason != "" {
				return notice.Invalid("file", "line %d: column %d, %s, %s", number, i+1, shorten(name), reason)
			}
		}
		seen[lower] = true
	}
	return nil
}

// delimiterOf returns the delimiter that a header has most of outside quotes, a comma if it has none.
func delimiterOf(text string) byte {
	counts := map[byte]int{}
	quoted := false
	for i := range len(text) {
		if text[i] == '"' {
			quoted = !quoted
		} else if !quoted {
			counts[text[i]]++
		}
	}
	best := byte(',')
	for _, d := range []byte{';', '\t'} {
		if counts[d] > counts[best] {
			best = d
		}
	}
	return best
}

// nextRecord reads rows until one is not blank.
func (r *Reader) nextRecord() (row notice.CustomerRow, _ *notice.Rejection, err error) {
	for {
		cells, number, bad, err := r.record()
		if err != nil {
			return row, nil, err
		}
		if bad != "" {
			return row, reject(number, "", bad), nil
		}
		if !slices.ContainsFunc(cells, func(c string) bool { return strings.TrimSpace(c) != "" }) {
			continue
		}
		if len(cells) != len(r.csv.columns) {
			return row, reject(number, "", fmt.Sprintf("has %d cells where the header has %d", len(cells), len(r.csv.columns))), nil
		}
		row = newRow(number)
		for i, cell := range cells {
			column := r.csv.columns[i]
			var reason string
			if r.csv.attribute[i] {
				reason = r.check.attribute(&row, column, cell)
			} else {
				reason = r.check.column(&row, column, cell)
			}
			if reason != "" {
				return row, reject(number, column, reason), nil
			}
		}
		return row, nil, nil
	}
}

// record reads the cells of one record, which may span lines inside quotes. bad says what is wrong with its
// quotes; then only the line where it starts is used up, so that one stray quote doesn't swallow the customers
// behind it.
func (r *Reader) record() (cells []string, number int, bad string, err error) {
	r.lines.keep()
	first, err := r.lines.next()
	switch {
	case err != nil:
		return nil, 0, "", err
	case first.long:
		return nil, first.number, lineTooLong, nil
	case !strings.Contains(first.text, `"`):
		return strings.Split(first.text, string(r.csv.delimiter)), first.number, "", nil
	}
	behind := r.lines.pos
	s := splitter{delimiter: r.csv.delimiter}
	size := len(first.text)
	for ln := first; ; size += len(ln.text) + 1 {
		if bad = s.line(ln.text); bad != "" || !s.quoted {
			break
		}
		if ln, err = r.lines.next(); err != nil && !errors.Is(err, io.EOF) {
			return nil, 0, "", err
		}
		if err != nil || ln.long || size > maxLine {
			bad = "has a quote that is never closed"
			break
		}
	}
	if bad != "" {
		r.lines.pos = behind
		return nil, first.number, bad, nil
	}
	return s.cells, first.number, "", nil
}

// splitter cuts a record into cells by RFC 4180, line by line.
type splitter struct {
	delimiter byte
	cells     []string
	quoted    bool            // inside a quoted cell at the end of the last line
	cell      strings.Builder // of a quoted cell, what came so far
}

// line takes the record's next line and returns what is wrong with its quotes, "" for nothing.
func (s *splitter) line(text string) (bad string) {
	if s.quoted {
		s.cell.WriteByte('\n')
	}
	for {
		if !s.quoted {
			cell, rest, more := strings.Cut(text, string(s.delimiter))
			switch {
			case strings.HasPrefix(text, `"`):
				s.quoted = true
				s.cell.Reset()
				text = text[1:]
				continue
			case strings.Contains(cell, `"`):
				return "has a quote inside a cell without quotes; put the cell in quotes and double the quote"
			}
			s.cells = append(s.cells, cell)
			if !more {
				return ""
			}
			text = rest
			continue
		}
		part, rest, closed := strings.Cut(text, `"`)
		s.cell.WriteString(part)
		switch {
		case !closed:
			return ""
		case strings.HasPrefix(rest, `"`):
			s.cell.WriteByte('"')
			text = rest[1:]
			continue
		}
		s.quoted = false
		s.cells = append(s.cells, s.cell.String())
		if rest == "" {
			return ""
		}
		if rest[0] != s.delimiter {
			return "has text behind a closing quote; double a quote that belongs to the text"
		}
		text = rest[1:]
	}
}
