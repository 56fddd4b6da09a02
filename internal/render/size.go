package render

import "tocsin/internal/notice"

// mostGrowth is how many bytes a value may come to for each of its own, escaped for HTML (&#34;) in quoted-printable.
// mostOfItsOwn is how many it may have beyond them, as a date or a number in words.
const (
	mostGrowth   = 15
	mostOfItsOwn = 500
)

// AtMost returns a size in bytes that the message to a recipient stays below, found without making it.
func (m *Mail) AtMost(r notice.Recipient) int {
	data := mostOfItsOwn
	for _, c := range r.Customers {
		data += len(c.ID) + len(c.Name)
		for name, value := range c.Attributes {
			data += len(name) + len(value)
		}
	}
	for i := range m.Values {
		data += m.Values[i].Expr.constants()
	}
	value := mostGrowth * data
	subjects := 0
	for _, s := range m.Subjects {
		subjects += mostOf(s, value, 0)
	}
	return mostOf(m.Pieces, value, subjects)
}

// mostOf is the most that pieces come to, where a value and the subject come to so much.
func mostOf(pieces []piece, value, subject int) (n int) {
	for i := range pieces {
		p := &pieces[i]
		n += len(p.Text)
		switch {
		case p.Value > 0:
			n += value
		case p.Field == fieldSubject || p.Field == fieldTitle || p.Field == fieldTextTitle:
			n += mostGrowth*subject + mostOfItsOwn
		case p.Field != 0:
			n += mostOfItsOwn
		case p.Line != nil: // each of its words may begin a line
			n += 3 * (1 + len(p.Line.First) + len(p.Line.Prefix)) * (len(p.Line.Pieces) + mostOf(p.Line.Pieces, value, subject))
		case p.Base64 != nil: // each text in it may begin a line
			n += (mostOf(p.Base64, value, subject)/wholeLine + 1 + len(p.Base64)) * (base64Line + 2)
		case p.Table != nil:
			n += p.Table.most(value)
		}
	}
	return n
}

// most is the most that a table comes to: each of its cells may be as wide as all of it.
func (t *table) most(value int) int {
	cells, all := 0, len(t.Prefix)
	for _, row := range t.Rows {
		for _, cell := range row {
			cells++
			all += 3 + mostOf(cell, value, 0)
		}
	}
	return 3 * cells * all
}

// constants is how many bytes the constants of an expression have.
func (x *expr) constants() int {
	n := len(x.Name)
	for _, a := range x.Args {
		n += a.constants()
	}
	return n
}
