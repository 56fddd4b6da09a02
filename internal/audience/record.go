package audience

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"tocsin/internal/notice"
)

// records reads a CSV record by record (RFC 4180). Text of a cell must never be taken for a row. Where the quotes
// leave open which of the two the next lines are, the whole file fails. A row is bad by itself only where its end is
// certain.
type records struct {
	*lines
	delimiter byte
}

// next returns the cells of the next record, and the line where it begins. bad names its fault. The error is io.EOF
// after the last record, a *notice.Error that ends the file, or wraps the file's.
func (r *records) next() (cells []string, number int, bad string, err error) {
	s := splitter{delimiter: r.delimiter, line: r.last + 1}
	number = s.line
	for begin := true; ; begin = false {
		piece, ended, err := r.piece()
		if errors.Is(err, io.EOF) && !begin {
			r.last = s.line // it has no line end
			break
		}
		if err != nil {
			return nil, 0, "", err
		}
		if begin {
			// A file that was joined to this one brought its byte order mark along.
			piece = bytes.TrimPrefix(piece, []byte("\ufeff"))
		}
		if err := s.feed(piece); err != nil {
			return nil, 0, "", err
		}
		if ended && s.state != quoted {
			break
		}
		if ended {
			s.line++
		}
	}
	if err := s.end(); err != nil {
		return nil, 0, "", err
	}
	if s.long {
		return nil, number, lineTooLong, nil
	}
	return s.cells, number, s.bad, nil
}

// splitter cuts one record into cells, byte by byte: in UTF-8 no other character holds the byte of a quote or delimiter.
type splitter struct {
	delimiter byte
	line      int // where it is
	state     cellState
	cell      []byte
	cells     []string
	opened    int // the line where the quote of the cell was opened
	size      int // of the record so far
	long      bool
	bad       string
}

type cellState int

const (
	blank   cellState = iota // nothing but blanks so far
	bare                     // in a cell without quotes
	quoted                   // between quotes
	onQuote                  // behind a quote that closes the cell, unless another one follows
	closed                   // behind a closed cell
)

const bareQuote = "has a quote inside a cell without quotes; put the cell in quotes and double the quote"

// feed takes a piece of the record; a line end is its last byte. Its error ends the file.
func (s *splitter) feed(piece []byte) error {
	if s.size += len(piece); s.size > maxLine+2 {
		s.long, s.cell, s.cells = true, nil, nil
	}
	for _, b := range piece {
		switch s.state {
		case blank, bare:
			s.outside(b)
		case quoted:
			if b == '"' {
				s.state = onQuote
			} else {
				s.keep(b)
			}
		case onQuote, closed:
			if err := s.behind(b); err != nil {
				return err
			}
		}
	}
	return nil
}

// outside takes a byte of a cell without quotes, or the quote that opens one. Blanks in front of that are dropped, and so
// is the = by which spreadsheets are told that a number is text: ="007".
func (s *splitter) outside(b byte) {
	switch {
	case b == s.delimiter:
		s.finish()
	case b == '\n':
	case b == '"' && (s.state == blank || bytes.Equal(bytes.TrimSpace(s.cell), []byte("="))):
		s.state, s.cell, s.opened = quoted, s.cell[:0], s.line
	case b == '"':
		s.bad = bareQuote
		s.keep(b)
	default:
		if b != ' ' && b != '\t' {
			s.state = bare
		}
		s.keep(b)
	}
}

// behind takes a byte behind a quote inside a quoted cell.
func (s *splitter) behind(b byte) error {
	switch {
	case b == '"' && s.state == onQuote:
		s.state = quoted
		s.keep(b)
		return nil
	case b != s.delimiter && b != '\n' && b != '\r' && b != ' ' && b != '\t':
		return s.open("has text behind a closing quote; double a quote that belongs to the text")
	case endsInBackslash(s.cell):
		return s.open(`has a backslash in front of a closing quote: double a quote that belongs to the text, or take a backslash away that is the last character of a cell`)
	}
	s.state = closed
	if b == s.delimiter {
		s.finish()
	}
	return nil
}

func (s *splitter) keep(b byte) {
	if !s.long {
		s.cell = append(s.cell, b)
	}
}

func (s *splitter) finish() {
	if !s.long {
		s.cells = append(s.cells, string(s.cell))
	}
	s.state, s.cell = blank, s.cell[:0]
}

// end takes the end of the record. Its error ends the file.
func (s *splitter) end() error {
	switch s.state {
	case quoted:
		return s.open("opens a quote that is never closed")
	case onQuote:
		if err := s.behind('\n'); err != nil {
			return err
		}
	case blank, bare:
		s.cell = bytes.TrimSuffix(s.cell, []byte("\r"))
		if endsInBackslash(s.cell) {
			s.opened = s.line
			return s.open("ends in a backslash, by which some programs mark a line break inside a cell: put such a cell in quotes, or take the backslash away")
		}
	}
	s.finish()
	return nil
}

// open is the error of a file in which text can't be told from rows any more.
func (s *splitter) open(reason string) error { return openText(s.opened, reason) }

func openText(line int, reason string) error {
	return notice.Invalid("file", "line %d %s. Nothing of the file was kept: behind this place text can't be told from customers", line, reason)
}

// endsInBackslash reports whether an odd number of backslashes ends the cell. In the dialect of many programs the last
// one takes away the meaning of the byte behind it.
func endsInBackslash(cell []byte) bool {
	return (len(cell)-len(bytes.TrimRight(cell, `\`)))%2 == 1
}

// isEmpty reports whether a record holds nothing.
func isEmpty(cells []string) bool {
	for _, c := range cells {
		if strings.TrimFunc(c, isBlankOrMark) != "" {
			return false
		}
	}
	return true
}
