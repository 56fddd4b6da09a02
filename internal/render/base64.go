package render

import "encoding/base64"

// base64Line is how many characters a line of base64 has (RFC 2045 §6.8).
const base64Line = 76

// wholeLine is how many bytes such a line has in it.
const wholeLine = base64Line / 4 * 3

// fewLines is how long a text is, in bytes, before it is worth being encoded before the values are known.
const fewLines = 3 * wholeLine

// base64 writes pieces as base64. A text that was encoded before begins a line, after a shorter one for all before it.
func (w *writer) base64(pieces []piece, values []result, field func(*writer, field)) {
	plain := writer{buf: w.inner[:0], plain: true, crlf: true, scratch: w.scratch}
	for i := range pieces {
		switch p := &pieces[i]; {
		case plain.filled(p, values):
		case p.Field != 0:
			field(&plain, p.Field)
		case p.encoded != nil:
			lack := (3 - len(plain.buf)%3) % 3
			w.lines(append(plain.buf, p.Text[:lack]...))
			w.buf = append(w.buf, p.encoded[lack]...)
			plain.buf = append(plain.buf[:0], p.Text[lack+(len(p.Text)-lack)/wholeLine*wholeLine:]...)
		default:
			plain.buf = append(plain.buf, p.Text...)
		}
	}
	w.lines(plain.buf)
	w.inner, w.scratch, w.col = plain.buf, plain.scratch, 0
}

// lines writes bytes as lines of base64.
func (w *writer) lines(plain []byte) {
	for len(plain) > 0 {
		n := min(len(plain), wholeLine)
		w.buf = append(base64.StdEncoding.AppendEncode(w.buf, plain[:n]), "\r\n"...)
		plain = plain[n:]
	}
}

// encodeConstants encodes the subject and the long texts of parts in base64 that are the same for all recipients. How a text is
// encoded depends on how many bytes are before it, and three of those lengths differ. Parts of earlier versions stay as they were.
func (m *Mail) encodeConstants() {
	if m.subject = m.oneSubject(); m.subject != nil {
		var w writer
		w.field(fieldSubject, "", m.subject, &Stamp{})
		m.subjectLine = w.buf
	}
	for i := range m.Pieces {
		for n := range m.Pieces[i].Base64 {
			if p := &m.Pieces[i].Base64[n]; m.Version >= alignedVersion && p.constant() && len(p.Text) >= fewLines {
				p.encoded = new([3]string)
				for lack := range p.encoded {
					var w writer
					w.lines([]byte(p.Text[lack : lack+(len(p.Text)-lack)/wholeLine*wholeLine]))
					p.encoded[lack] = string(w.buf)
				}
			}
		}
	}
}

// textPart returns a part of text: quoted-printable, or base64 where that is smaller, as it is of a script with letters that are
// each several bytes.
func textPart(kind string, pieces []piece) part {
	lines := make([]piece, len(pieces))
	copy(lines, pieces)
	for i := range lines {
		if lines[i].constant() {
			w := writer{plain: true, crlf: true}
			w.string(lines[i].Text)
			lines[i].Text = string(w.buf)
		}
	}
	encoding, body := "quoted-printable", quoted(pieces)
	if textLength(lines)*4/3*(base64Line+2)/base64Line < textLength(body) {
		encoding, body = "base64", []piece{{Base64: lines}}
	}
	return part{kind: kind + "; charset=UTF-8", header: "Content-Transfer-Encoding: " + encoding + "\r\n", body: body}
}

// textLength is that of the constant text of pieces.
func textLength(pieces []piece) (n int) {
	for i := range pieces {
		n += len(pieces[i].Text)
	}
	return n
}
