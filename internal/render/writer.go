package render

import "strings"

// writer writes a part of a mail, quoted-printable (RFC 2045 §6.7) unless plain is set. A dot at the beginning of a
// line becomes =2E, so that dot-stuffing (RFC 5321 §4.5.2) never changes a mail.
type writer struct {
	buf     []byte
	col     int // how much of the line is written
	plain   bool
	crlf    bool // plain, and lines are ended by CRLF
	scratch []byte
}

// lineEnd is how long a quoted-printable line gets, its last "=" apart.
const lineEnd = 75

const hexDigits = "0123456789ABCDEF"

// put writes a byte of a line.
func (w *writer) put(c byte) {
	if w.plain {
		w.buf = append(w.buf, c)
		return
	}
	if w.col >= lineEnd {
		w.soft()
	}
	if c < ' ' || c > '~' || c == '=' || c == '.' && w.col == 0 {
		w.escape(c)
		return
	}
	w.buf = append(w.buf, c)
	w.col++
}

// escape writes a byte as its number.
func (w *writer) escape(c byte) {
	if w.col+3 > lineEnd {
		w.soft()
	}
	w.buf = append(w.buf, '=', hexDigits[c>>4], hexDigits[c&15])
	w.col += 3
}

// soft ends a line that goes on.
func (w *writer) soft() {
	w.buf = append(w.buf, '=', '\r', '\n')
	w.col = 0
}

func (w *writer) newline() {
	if !w.plain || w.crlf {
		w.buf = append(w.buf, '\r')
	}
	w.buf = append(w.buf, '\n')
	w.col = 0
}

// string writes lines that are ended by \n. A space at the end of a line, which some servers take away, is quoted.
func (w *writer) string(s string) {
	if w.plain && strings.IndexByte(s, '\n') < 0 {
		w.buf = append(w.buf, s...)
		return
	}
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\n':
			w.newline()
		case !w.plain && (c == ' ' || c == '\t') && i+1 < len(s) && s[i+1] == '\n':
			w.escape(c)
		default:
			w.put(c)
		}
	}
}

// bytes writes text within a line.
func (w *writer) bytes(s []byte) {
	if w.plain {
		w.buf = append(w.buf, s...)
		return
	}
	for _, c := range s {
		w.put(c)
	}
}

// pieces writes pieces other than fields.
func (w *writer) pieces(pieces []piece, values []result) {
	for i := range pieces {
		if p := &pieces[i]; !w.filled(p, values) {
			w.string(p.Text)
		}
	}
}

// filled writes a piece that holds values, if it is one.
func (w *writer) filled(p *piece, values []result) bool {
	switch {
	case p.Line != nil:
		w.line(p.Line, values)
	case p.Table != nil:
		w.table(p.Table, values)
	case p.Value > 0:
		w.value(values[p.Value-1], p.Form)
	default:
		return false
	}
	return true
}

// value writes a value in a form.
func (w *writer) value(v result, form int) {
	isolated := form&formIsolated != 0 && v.text && mixes(v.s, v.rtl)
	if isolated {
		w.string("\u2068")
	}
	if w.plain && form&^formIsolated == 0 {
		w.buf = append(w.buf, v.s...)
	} else {
		w.formed(v.s, form)
	}
	if isolated {
		w.string("\u2069")
	}
}

// formed writes a value as its form wants it.
func (w *writer) formed(s string, form int) {
	for i := range len(s) {
		c := s[i]
		switch {
		case form&(formURL|formQuery) == 0:
			w.form(c, form)
		case unreserved(c) || form&formQuery == 0 && reserved(s, i):
			w.form(c, form)
		default:
			w.put('%')
			w.put(hexDigits[c>>4])
			w.put(hexDigits[c&15])
		}
	}
}

// form writes a byte of a value, escaped for HTML where form says so.
func (w *writer) form(c byte, form int) {
	if form&formHTML != 0 {
		entity := ""
		switch c {
		case '"':
			entity = "&#34;"
		case '&':
			entity = "&amp;"
		case '\'':
			entity = "&#39;"
		case '+':
			entity = "&#43;"
		case '<':
			entity = "&lt;"
		case '>':
			entity = "&gt;"
		}
		if entity != "" {
			w.string(entity)
			return
		}
	}
	w.put(c)
}

// unreserved reports whether c stands for itself anywhere in an address (RFC 3986 §2.3).
func unreserved(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// reserved reports whether the byte i of s means something in an address: a % does where two digits follow.
func reserved(s string, i int) bool {
	if s[i] == '%' {
		return len(s) > i+2 && hexadecimal(s[i+1]) && hexadecimal(s[i+2])
	}
	return strings.IndexByte("!#$&*+,/:;=?@[]", s[i]) >= 0
}

func hexadecimal(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }

// quoted returns pieces with their text in quoted-printable. After a value a line is broken softly, because the column
// of the text behind it is not known before.
func quoted(pieces []piece) []piece {
	out := make([]piece, 0, len(pieces))
	broken := false
	for i, p := range pieces {
		if !p.constant() {
			out, broken = append(out, p), p.Line == nil && p.Table == nil
			continue
		}
		var w writer
		if broken {
			w.soft()
		}
		text := p.Text
		if last := len(text) - 1; i == len(pieces)-1 && (text[last] == ' ' || text[last] == '\t') {
			w.string(text[:last])
			w.escape(text[last])
		} else {
			w.string(text)
		}
		out, broken = append(out, piece{Text: string(w.buf), Col: w.col}), false
	}
	return out
}
