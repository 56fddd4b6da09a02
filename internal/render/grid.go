package render

import (
	"slices"
	"strings"

	extast "github.com/yuin/goldmark/extension/ast"
)

// table is a table of a text part. Its columns are as wide as their cells once the values are known. It is encoded as a
// part of a Mail.
type table struct {
	Prefix string      `json:"prefix,omitempty"` // of each line
	Right  []bool      `json:"right,omitempty"`  // of each column: whether its cells stand at its right side
	Rows   [][][]piece `json:"rows"`             // the first has the names of the columns
}

// table writes a table of a Markdown tree.
func (w *plainWriter) table(n *extast.Table) {
	t := &table{Prefix: w.prefix}
	for _, a := range n.Alignments {
		t.Right = append(t.Right, a == extast.AlignRight)
	}
	personal := false
	for row := n.FirstChild(); row != nil; row = row.NextSibling() {
		var cells [][]piece
		for cell := row.FirstChild(); cell != nil; cell = cell.NextSibling() {
			pieces := w.pieces(strings.Join(strings.Fields(w.inline(cell)), " "))
			personal = personal || slices.ContainsFunc(pieces, func(p piece) bool { return !p.constant() })
			cells = append(cells, pieces)
		}
		t.Rows = append(t.Rows, cells)
	}
	if first := w.begin(); first != w.prefix { // the marker of a list item has a line of its own
		w.text = add(w.text, piece{Text: strings.TrimRight(first, " ") + "\n"})
	}
	if personal {
		w.text = add(w.text, piece{Table: t})
		return
	}
	out := writer{plain: true}
	out.table(t, nil)
	w.text = add(w.text, piece{Text: string(out.buf)})
}

// table writes a table: in columns if they fit into a line, else a paragraph for each row.
func (w *writer) table(t *table, values []result) {
	rows, widths := make([][]string, len(t.Rows)), make([]int, len(t.Right))
	total := len(t.Prefix)
	for i, cells := range t.Rows {
		for j, pieces := range cells {
			plain := writer{plain: true}
			plain.pieces(pieces, values)
			rows[i] = append(rows[i], string(plain.buf))
			widths[j] = max(widths[j], columns(rows[i][j]))
		}
	}
	for _, n := range widths {
		total += n + 2
	}
	if total-2 > width {
		w.records(t.Prefix, rows)
		return
	}
	rule := make([]string, len(widths))
	for j, n := range widths {
		rule[j] = strings.Repeat("-", n)
	}
	for _, cells := range slices.Insert(rows, 1, rule) {
		line := t.Prefix
		for j, cell := range cells {
			gap := strings.Repeat(" ", widths[j]-columns(cell))
			if t.Right[j] {
				cell, gap = gap+cell, ""
			}
			line += cell + gap + "  "
		}
		w.string(strings.TrimRight(line, " "))
		w.newline()
	}
}

// records writes each row of a table that is too wide as lines of the column's name and the cell.
func (w *writer) records(prefix string, rows [][]string) {
	for i, cells := range rows[1:] {
		if i > 0 {
			w.string(strings.TrimRight(prefix, " "))
			w.newline()
		}
		for j, cell := range cells {
			if cell == "" {
				continue
			}
			if name := rows[0][j]; name != "" {
				cell = name + ": " + cell
			}
			w.line(&line{First: prefix, Prefix: prefix + "  ", Pieces: []piece{{Text: cell}}}, nil)
		}
	}
}
