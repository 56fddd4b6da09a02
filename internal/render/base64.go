package render

import "encoding/base64"

// base64Line is how many characters a line of base64 has (RFC 2045 §6.8).
const base64Line = 76

// base64 writes pieces as base64. Unlike quoted-printable, their text can't be encoded before the values are known.
func (w *writer) base64(pieces []piece, values []result, field func(*writer, field)) {
	plain := writer{buf: w.inner[:0], plain: true, crlf: true, scratch: w.scratch}
	for i := range pieces {
		switch p := &pieces[i]; {
		case plain.filled(p, values):
		case p.Field != 0:
			field(&plain, p.Field)
		default:
			plain.buf = append(plain.buf, p.Text...)
		}
	}
	w.inner, w.scratch = plain.buf, plain.scratch
	for rest := plain.buf; len(rest) > 0; {
		n := min(len(rest), base64Line/4*3)
		w.buf = append(base64.StdEncoding.AppendEncode(w.buf, rest[:n]), "\r\n"...)
		rest = rest[n:]
	}
	w.col = 0
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
