package render

import "encoding/base64"

// base64Line is how many characters a line of base64 has (RFC 2045 §6.8).
const base64Line = 76

// wholeLine is how many bytes such a line has in it.
const wholeLine = base64Line / 4 * 3

// fewLines is how long a text is, in bytes, before it is worth being encoded before the values are known.
const fewLines = 3 * wholeLine

// base64 writes pieces as base64, by way of plain. A text that was encoded before begins a line, after a shorter one
// for all before it.
func (w *writer) base64(plain *writer, pieces []piece, values []result, field func(*writer, field)) {
	*plain = writer{buf: plain.buf[:0], plain: true, crlf: true, scratch: plain.scratch}
	col := 0
	for i := range pieces {
		switch p := &pieces[i]; {
		case p.encoded != nil:
			lack := (3 - len(plain.buf)%3) % 3
			w.lines(append(plain.buf, p.Text[:lack]...), col)
			w.buf = append(w.buf, p.encoded[lack]...)
			plain.buf, col = plain.buf[:0], 0
			if i < len(pieces)-1 {
				rest := (len(p.Text) - lack) % wholeLine
				plain.buf, col = append(plain.buf, p.Text[len(p.Text)-rest%3:]...), rest/3*4
			}
		case plain.filled(p, values):
		case p.Field != 0:
			field(plain, p.Field)
		default:
			plain.buf = append(plain.buf, p.Text...)
		}
	}
	w.lines(plain.buf, col)
	w.col = 0
}

// lines writes bytes as lines of base64, the first of which has some columns already, and ends the last.
func (w *writer) lines(plain []byte, col int) {
	for len(plain) > 0 {
		n := min(len(plain), (base64Line-col)/4*3)
		w.buf = append(base64.StdEncoding.AppendEncode(w.buf, plain[:n]), "\r\n"...)
		plain, col = plain[n:], 0
	}
	if col > 0 {
		w.buf = append(w.buf, "\r\n"...)
	}
}

// encodeConstants encodes the subject and the long texts of parts in base64 that are the same for all recipients. How a
// text is encoded depends on how many bytes are before it, and three of those lengths differ. Parts of earlier versions
// stay as they were.
func (m *Mail) encodeConstants() {
	if m.subject = m.oneSubject(); m.subject != nil {
		var w writer
		w.field(fieldSubject, "", m.subject, &Stamp{})
		m.subjectLine = w.buf
	}
	for i := range m.Pieces {
		all := m.Pieces[i].Base64
		for n := range all {
			if p := &all[n]; m.Version >= alignedVersion && p.constant() && len(p.Text) >= fewLines {
				p.encode(n == len(all)-1)
			}
		}
	}
}

// encode encodes a long text of a part. Its last line stays open where more follows: without the one or two bytes that are
// encoded with the next.
func (p *piece) encode(last bool) {
	p.encoded = new([3]string)
	for lack := range p.encoded {
		text := []byte(p.Text[lack:])
		if !last {
			text = text[:len(text)/3*3]
		}
		var w writer
		w.lines(text, 0)
		if !last && len(text)%wholeLine > 0 {
			w.buf = w.buf[:len(w.buf)-len("\r\n")]
		}
		p.encoded[lack] = string(w.buf)
	}
}

// textPart returns a part of text: quoted-printable, or base64 where that is smaller. It is for scripts with letters of
// several bytes each.
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
