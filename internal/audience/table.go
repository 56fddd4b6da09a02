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

// table reads a file of one value a line: a CSV whose header names the wanted columns, other columns being ignored,
// or, where its first line names none, the bare values of the first wanted column.
type table struct {
	lines   *lines
	named   string   // by the header: the name of the first wanted column; "" for bare values
	records *records // nil for bare values
	wanted  []string
	at      []int // per wanted column, its place in a record; -1 for none
	width   int   // of a record
}

// newTable returns a table of the file. A header must name one of the first names, which is the first wanted column; the
// others are wanted too.
func newTable(r io.Reader, first []string, others ...string) (*table, error) {
	l, err := newLines(r, "")
	if err != nil {
		return nil, err
	}
	t := &table{lines: l, wanted: append([]string{first[0]}, others...)}
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
	if names := strings.Split(strings.TrimPrefix(header, "\ufeff"), string(records.delimiter)); t.find(names, first) {
		t.records = records
		_, err := l.next(nil)
		return t, err
	}
	if !strings.ContainsAny(header, ",;\t") {
		t.at = make([]int, len(t.wanted))
		for i := range t.at[1:] {
			t.at[i+1] = -1
		}
		return t, nil
	}
	return nil, notice.Invalid("file", "line %d has several columns, and none of them is named %s", l.last+1, strings.Join(first, " or "))
}

// find looks for the wanted columns in a header; false where none of the first names is among them.
func (t *table) find(names, first []string) bool {
	for i, name := range names {
		names[i] = strings.ToLower(strings.TrimSpace(strings.Trim(strings.TrimSpace(name), `"`)))
	}
	t.width = len(names)
	i := slices.IndexFunc(first, func(name string) bool { return slices.Contains(names, name) })
	if i < 0 {
		return false
	}
	t.named, t.wanted[0] = first[i], first[i]
	for _, name := range t.wanted {
		t.at = append(t.at, slices.Index(names, name))
	}
	return true
}

// next returns the line of the next record that is not blank, and its wanted cells, "" for one that it does not have;
// bad says what is wrong with it. The error is io.EOF after the last.
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
		cells = make([]string, len(t.wanted))
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

// SuppressionReader reads a file of suppressions: a CSV with a header that names the columns address and, if it likes,
// reason, or the bare addresses, one a line.
type SuppressionReader struct {
	table  *table
	reason string
}

// NewSuppressionReader returns a reader of the file; reason is for rows that give none. Its error is a *notice.Error
// if that can't be such a file.
func NewSuppressionReader(r io.Reader, reason string) (*SuppressionReader, error) {
	if reason == "" {
		reason = notice.SuppressedRequest
	}
	reason, err := CheckReason(reason)
	if err != nil {
		return nil, err
	}
	t, err := newTable(r, []string{"address"}, "reason")
	if err != nil {
		return nil, err
	}
	return &SuppressionReader{table: t, reason: reason}, nil
}

// Next returns the next good row, or else why a row is rejected, or else the error that ends the file: io.EOF after
// the last row. A rejection never repeats the address.
func (r *SuppressionReader) Next() (row notice.SuppressionRow, _ *notice.Rejection, err error) {
	line, cells, bad, err := r.table.next()
	if err != nil {
		return row, nil, err
	}
	if bad != "" {
		return row, reject(line, "", bad), nil
	}
	address, err := ParseSuppressed(cells[0])
	if err != nil {
		return row, reject(line, "address", reasonOf(err)), nil
	}
	row = notice.SuppressionRow{Line: line, Key: address.Key(), Reason: r.reason}
	if cells[1] != "" {
		if row.Reason, err = CheckReason(cells[1]); err != nil {
			return row, reject(line, "reason", reasonOf(err)), nil
		}
	}
	return row, nil, nil
}

// ParseSuppressed is ParseAddress for the list of addresses that are never mailed. It refuses patterns: the list has
// single addresses, and one like *@example.com would silently suppress nobody.
func ParseSuppressed(s string) (Address, error) {
	a, err := ParseAddress(s)
	if text := strings.TrimSpace(s); strings.HasPrefix(text, "@") || strings.Contains(text, "*") || strings.Trim(a.Local, "%?_.") == "" && err == nil {
		return Address{}, notice.Invalid("address", "is a pattern; the list has single addresses: write each of them")
	}
	return a, err
}

// CheckReason puts the reason of a suppression in the form in which it is kept. Its error is a *notice.Error.
func CheckReason(text string) (string, error) {
	clean, reason := cleanText(text, notice.MaxReason)
	switch {
	case reason != "":
		return "", notice.Invalid("reason", "%s", reason)
	case clean == "":
		return "", notice.Invalid("reason", "is empty; say bounced, complaint, request or some words of your own")
	case !utf8.ValidString(clean) || strings.Contains(clean, "@"):
		return "", notice.Invalid("reason", "holds an @: an address does not belong there")
	}
	return clean, nil
}
