package audience

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tocsin/internal/notice"
)

// table reads a file of one value a line. It may be a CSV with a header that names the wanted columns; other columns
// are ignored. Where the first line names none, the lines are bare values of the first wanted column.
type table struct {
	lines   *lines
	named   string   // by the header: the name of the first wanted column; "" for bare values
	records *records // nil for bare values
	at      []int    // per wanted column, its place in a record; -1 for none
	width   int      // of a record
}

// columnNames are the names that a wanted column can have, in lower case.
type columnNames []string

// newTable returns a table of the file. A header must name the first of the columns. Where first accepts the first
// cell of a first line of several cells, that line is a record. Then the file has no header, and its cells are those
// of the columns in their order.
func newTable(r io.Reader, first func(cell string) bool, columns ...columnNames) (*table, error) {
	l, err := newLines(r, "")
	if err != nil {
		return nil, err
	}
	t := &table{lines: l, at: make([]int, len(columns))}
	records, err := beginCSV(l)
	if errors.Is(err, io.EOF) {
		return nil, notice.Invalid("file", "is empty")
	}
	if err != nil {
		return nil, err
	}
	header, err := l.peek()
	if err != nil {
		return nil, err
	}
	cells := strings.Split(strings.TrimPrefix(header, "\ufeff"), string(records.delimiter))
	for i, cell := range cells {
		cells[i] = strings.TrimSpace(strings.Trim(strings.TrimSpace(cell), `"`))
	}
	t.width = len(cells)
	switch {
	case t.find(cells, columns):
		t.records = records
		_, err := l.next(nil)
		return t, err
	case first != nil && len(cells) > 1 && first(cells[0]):
		t.records = records
		for i := range t.at {
			if t.at[i] = i; i >= len(cells) {
				t.at[i] = -1
			}
		}
		return t, nil
	case !strings.ContainsAny(header, ",;\t"):
		t.at[0] = 0
		return t, nil
	}
	return nil, notice.Invalid("file", "line %d has several columns, and none of them is named %s", l.last+1, strings.Join(columns[0], " or "))
}

// find looks for the wanted columns in a header; false where the first is not among them.
func (t *table) find(header []string, columns []columnNames) bool {
	for i, names := range columns {
		t.at[i] = -1
		for _, name := range names {
			if t.at[i] = slices.IndexFunc(header, func(cell string) bool { return strings.ToLower(cell) == name }); t.at[i] >= 0 {
				break
			}
		}
	}
	if t.at[0] >= 0 {
		t.named = strings.ToLower(header[t.at[0]])
	}
	return t.at[0] >= 0
}

// next returns the line of the next record that is not blank, and its wanted cells. A cell that the record does not
// have is "". bad names the record's fault. The error is io.EOF after the last.
func (t *table) next() (line int, cells []string, bad string, err error) {
	for {
		line, record, bad, err := t.read()
		if err != nil || bad != "" {
			return line, nil, bad, err
		}
		if isEmpty(record) {
			continue
		}
		if len(record) > t.width && isEmpty(record[t.width:]) {
			record = record[:t.width]
		}
		if t.records != nil && len(record) != t.width {
			return line, nil, fmt.Sprintf("has %d cells where the header has %d", len(record), t.width), nil
		}
		cells = make([]string, len(t.at))
		for i, at := range t.at {
			if at >= 0 {
				cells[i] = strings.TrimSpace(unguard(record[at]))
			}
		}
		return line, cells, "", nil
	}
}

func (t *table) read() (line int, record []string, bad string, err error) {
	if t.records != nil {
		record, line, bad, err = t.records.next()
		return line, record, bad, err
	}
	ln, err := t.lines.next(nil)
	if ln.long {
		bad = lineTooLong
	}
	return ln.number, []string{strings.TrimPrefix(ln.text, "\ufeff")}, bad, err
}
