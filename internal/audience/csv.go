package audience

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"tocsin/internal/notice"
)

// header is the content of the first line of a CSV.
type header struct {
	columns []column
	given   notice.Fields // the fields that it names
	text    []string      // as written
}

// column is one column of a CSV.
type column struct {
	name string // of a field or an attribute; "" for one that has no name
	kind columnKind
}

type columnKind int

const (
	ofField columnKind = iota
	ofAttribute
	ofNothing // it is left out
	unnamed   // at the end: it must be empty
)

// beginCSV reads the text in front of the header and returns the records, beginning with the header. A line "sep=;",
// as Excel understands it, names the delimiter.
func beginCSV(l *lines) (*records, error) {
	first, err := l.first()
	var delimiter byte
	if m := sepLine.FindStringSubmatch(first); err == nil && m != nil {
		delimiter = m[1][0]
		if _, err = l.next(nil); err == nil {
			first, err = l.first()
		}
	}
	if err != nil {
		return nil, err
	}
	if reason := otherText(first); reason != "" {
		return nil, notice.Invalid("file", "%s", reason)
	}
	if delimiter == 0 {
		delimiter = delimiterOf(first)
	}
	return &records{lines: l, delimiter: delimiter}, nil
}

var sepLine = regexp.MustCompile(`(?i)^\x{feff}?"?sep=([,;|\t:])"?$`)

// readHeader reads the line that names the columns. A file without one may begin with a customer: so no error repeats
// the text of that line before an id column was found.
func (r *Reader) readHeader(o FileOptions) error {
	records, err := beginCSV(r.lines)
	if errors.Is(err, io.EOF) {
		return notice.Invalid("file", "is empty; its first line must name the columns, such as id,name,email")
	}
	if err != nil {
		return err
	}
	names, number, bad, err := records.next()
	if err != nil {
		return err
	}
	if bad == "" && !utf8.ValidString(strings.Join(names, "")) {
		bad = "is not UTF-8"
	}
	if bad != "" {
		return notice.Invalid("file", "line %d, which must name the columns, %s", number, bad)
	}
	h, err := nameColumns(names, number, o)
	if err != nil {
		return err
	}
	r.records, r.header = records, h
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
		cells, number, bad, err := r.records.next()
		if err != nil {
			return row, nil, err
		}
		if bad == "" && isEmpty(cells) {
			continue
		}
		if bad == "" {
			cells, bad = r.header.fit(cells)
		}
		if bad != "" {
			return row, reject(number, "", bad), nil
		}
		row = newRow(number)
		row.Given = r.header.given
		for i, cell := range cells {
			if reason := r.cell(&row, r.header.columns[i], cell); reason != "" {
				return row, reject(number, r.header.columns[i].name, reason), nil
			}
		}
		return row, nil, nil
	}
}

// fit cuts empty cells off that stand beyond the columns. A comma between cells with a blank behind it may have been
// in a text without quotes: all cells behind it would be those of their neighbours.
func (h *header) fit(cells []string) (fitting []string, bad string) {
	n := len(h.columns)
	blankFirst := func(c string) bool { return strings.HasPrefix(c, " ") && strings.TrimSpace(c) != "" }
	if len(cells) > n && isEmpty(cells[n:]) && !slices.ContainsFunc(cells, blankFirst) {
		cells = cells[:n]
	}
	if len(cells) != n {
		return nil, fmt.Sprintf("has %d cells where the header has %d", len(cells), n)
	}
	if slices.Equal(cells, h.text) {
		return nil, "repeats the header"
	}
	return cells, ""
}

// cell sets one value of a customer and returns the fault in it, "" for none.
func (r *Reader) cell(row *notice.CustomerRow, c column, cell string) (reason string) {
	cell = unguard(cell)
	if slices.Contains(spreadsheetErrors, cell) && c.kind != ofNothing {
		return "is the error " + cell + " of a spreadsheet's formula"
	}
	switch c.kind {
	case ofNothing:
	case unnamed:
		if !isEmpty([]string{cell}) {
			return "stands in a column without a name"
		}
	case ofAttribute:
		return r.check.attribute(row, c.name, cell)
	case ofField:
		return r.check.column(row, c.name, cell)
	}
	return ""
}
