package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/rivo/uniseg"
)

// columns is how wide help, tables and sentences are at most, unless a single word is wider: a terminal has as many.
const columns = 80

// fewest is the least width for wrapping the last cell of a row next to the others. With less room, a last cell that
// does not fit goes below them.
const fewest = 25

// underneath is how far a last cell that stands below the others is indented.
const underneath = 2

// grid aligns the cells of the rows that are written to it, with tabs between the cells. The last cell of a row may be of
// any length: it has a line of its own where there is too little room.
type grid struct {
	w    io.Writer
	text bytes.Buffer
}

// table aligns the text that is written to it at the tabs; Flush it at the end.
func table(w io.Writer) *grid { return &grid{w: w} }

func (g *grid) Write(p []byte) (int, error) { return g.text.Write(p) }

// Flush writes the rows so far. Those that come later are aligned anew.
func (g *grid) Flush() error {
	var rows [][]string
	for line := range strings.Lines(g.text.String()) {
		rows = append(rows, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
	}
	widths := widest(rows)
	left := 0
	for _, width := range widths {
		left += width + 2
	}
	indent := left
	if below(rows, left) {
		indent = underneath
	}
	var out strings.Builder
	for _, cells := range rows {
		last := len(cells) - 1
		if len(cells) <= len(widths) { // it has no last cell
			cells, last = append(cells, ""), last+1
		}
		row := ""
		for i, cell := range cells[:last] {
			row += cell + strings.Repeat(" ", max(0, widths[i]-uniseg.StringWidth(cell))+2)
		}
		if text := fit(g.w, cells[last], indent); indent == left || text == "" {
			row += text
		} else if row = strings.TrimRight(row, " "); row != "" {
			row += "\n" + strings.Repeat(" ", indent) + text
		} else {
			row = strings.Repeat(" ", indent) + text
		}
		out.WriteString(strings.TrimRight(row, " ") + "\n")
	}
	g.text.Reset()
	_, err := io.WriteString(g.w, out.String())
	return err
}

// widest returns the width of each column but the last. A heading is alone in its row and may be wider.
func widest(rows [][]string) (widths []int) {
	most := 0
	for _, cells := range rows {
		most = max(most, len(cells))
	}
	widths = make([]int, max(most-1, 0))
	for _, cells := range rows {
		if strings.Join(cells[1:], "") == "" {
			continue
		}
		for i, cell := range cells[:min(len(cells), len(widths))] {
			widths[i] = max(widths[i], uniseg.StringWidth(cell))
		}
	}
	return widths
}

// below reports whether the last cells of rows have too little room to the right of the others, which take left columns.
func below(rows [][]string, left int) bool {
	room := columns - left
	for _, cells := range rows {
		last := cells[len(cells)-1]
		if room < fewest && uniseg.StringWidth(last) > room {
			return true
		}
		for _, word := range split(last, room) {
			// A label stands next to its value; the cells of a list do not need each other so much.
			if width := uniseg.StringWidth(strings.TrimRight(word, " ")); len(cells) > 2 && width > room && width <= columns-underneath {
				return true
			}
		}
	}
	return false
}

// hang breaks a text at blanks, so that it fits width columns when it begins indent columns from the left.
func hang(text string, indent, width int) string {
	var b strings.Builder
	column, gap := indent, ""
	for _, word := range split(text, width-indent) {
		n := uniseg.StringWidth(strings.TrimRight(word, " "))
		if column > indent && column+len(gap)+n > width {
			b.WriteString("\n" + strings.Repeat(" ", indent))
			column, gap = indent, ""
		}
		b.WriteString(gap + strings.TrimRight(word, " "))
		column += len(gap) + n
		gap = word[len(strings.TrimRight(word, " ")):]
	}
	return b.String()
}

// split splits a text behind its blanks. A word that is wider than a line, as in a script without blanks, is split
// where a line of it may end (UAX #14).
func split(text string, line int) (all []string) {
	for _, word := range strings.SplitAfter(text, " ") {
		if uniseg.StringWidth(word) <= line || uniseg.StringWidth(word) == len([]rune(word)) {
			all = append(all, word)
			continue
		}
		for state, part := -1, ""; word != ""; {
			part, word, _, state = uniseg.FirstLineSegmentInString(word, state)
			all = append(all, part)
		}
	}
	return all
}

// fit breaks a text into lines where w is a terminal; the first begins indent columns from the left. Elsewhere, in a
// log or for grep, the text stays one line.
func fit(w io.Writer, text string, indent int) string {
	if isTerminal(w) {
		return hang(text, indent, columns)
	}
	return text
}

// sentence writes a text and ends its line.
func sentence(w io.Writer, format string, args ...any) {
	fmt.Fprintln(w, fit(w, fmt.Sprintf(format, args...), 0))
}
