package audience

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"tocsin/internal/notice"
)

// ListedID is an external id in a file, and its line.
type ListedID struct {
	ID   string
	Line int
}

// ReadList reads a list of customers. It may be a CSV with a header that names the column id, or bare ids, one a line.
// The report of a notice is one too; its column customers has several ids. The error is a *notice.Error that names the
// line, unless the file could not be read. Memory grows with the file.
func ReadList(r io.Reader) ([]ListedID, error) {
	t, err := newTable(r, nil, columnNames{columnID, "customers"})
	if err != nil {
		return nil, err
	}
	var ids []ListedID
	for {
		line, cells, bad, err := t.next()
		switch {
		case errors.Is(err, io.EOF) && len(ids) == 0:
			return nil, notice.Invalid("file", "names no customer")
		case errors.Is(err, io.EOF):
			return ids, nil
		case notice.CodeOf(err) == notice.CodeInvalid:
			return nil, err
		case err != nil:
			return nil, fmt.Errorf("read the list: %w", err)
		case bad == "" && t.named == "customers":
			cells, bad = splitIDs(cells[0])
		}
		for _, cell := range cells {
			if bad != "" {
				break
			}
			var id string
			id, bad = CheckListed(cell)
			ids = append(ids, ListedID{ID: id, Line: line})
		}
		if bad != "" {
			return nil, notice.Invalid(fmt.Sprintf("line %d", line), "%s", bad)
		}
		if len(ids) > notice.MaxListed {
			return nil, notice.Invalid("file", "names more than %d customers", notice.MaxListed)
		}
	}
}

// JoinIDs writes the ids of customers into one cell of a report, with blanks between them. One that holds a blank, a
// comma, a semicolon or a quote stands in quotes, which are doubled inside.
func JoinIDs(ids []string) string {
	written := make([]string, len(ids))
	for i, id := range ids {
		written[i] = id
		if id == "" || strings.ContainsFunc(id, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`",;`, r) }) {
			written[i] = `"` + strings.ReplaceAll(id, `"`, `""`) + `"`
		}
	}
	return strings.Join(written, " ")
}

// FormulaStarts are the characters with which a spreadsheet takes a cell for a formula. Japanese and Chinese ones do
// so with full-width characters too. The semicolon is among them: a spreadsheet that separates there begins a new
// cell.
const FormulaStarts = "=+-@\t;＝＋－＠"

// splitIDs reads a cell that JoinIDs has written. A report puts an apostrophe before a cell that a spreadsheet would
// run: splitIDs leaves it out. A row without customers, since all were erased, has no ids.
func splitIDs(cell string) (ids []string, bad string) {
	if bare, guarded := strings.CutPrefix(cell, "'"); guarded && strings.IndexAny(strings.TrimLeft(bare, " \u00a0\u3000\ufeff"), FormulaStarts) == 0 {
		cell = bare
	}
	for cell = strings.TrimSpace(cell); cell != ""; cell = strings.TrimSpace(cell) {
		if cell[0] != '"' {
			id, rest, _ := strings.Cut(cell, " ")
			ids, cell = append(ids, id), rest
			continue
		}
		end := 1
		for end < len(cell) && (cell[end] != '"' || strings.HasPrefix(cell[end+1:], `"`)) {
			if cell[end] == '"' {
				end++
			}
			end++
		}
		if end >= len(cell) {
			return nil, "opens a quote around an id that is never closed"
		}
		ids = append(ids, strings.ReplaceAll(cell[1:end], `""`, `"`))
		cell = cell[end+1:]
	}
	return ids, ""
}

// CheckListed puts an id of a list in the form in which customers' ids are kept, and returns its fault, "" for none.
func CheckListed(id string) (clean, reason string) {
	if clean, reason = cleanID(id); clean == "" && reason == "is missing" {
		reason = "has no id"
	}
	return clean, reason
}
