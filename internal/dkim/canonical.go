package dkim

import (
	"bytes"
	"crypto/sha256"
)

// appendField appends a field in the relaxed form (RFC 6376 §3.4.2), without its line end.
func appendField(out, field []byte) []byte {
	name, value, _ := bytes.Cut(field, []byte(":"))
	out = append(append(out, bytes.ToLower(bytes.TrimRight(name, " \t"))...), ':')
	begin := len(out)
	for _, c := range value {
		switch c {
		case '\r', '\n':
		case ' ', '\t':
			if len(out) > begin && out[len(out)-1] != ' ' {
				out = append(out, ' ')
			}
		default:
			out = append(out, c)
		}
	}
	if len(out) > begin && out[len(out)-1] == ' ' {
		out = out[:len(out)-1]
	}
	return out
}

// hashBody returns the SHA-256 of a body in the relaxed form (RFC 6376 §3.4.4). Blanks at the end of lines and empty
// lines at the end of the body don't count, and several blanks are one.
func hashBody(body []byte) []byte {
	h := sha256.New()
	var line []byte
	empty := 0
	for len(body) > 0 {
		raw, rest, ended := bytes.Cut(body, crlf)
		text := bytes.TrimRight(raw, " \t")
		if len(text) == 0 {
			empty++
			body = rest
			continue
		}
		for ; empty > 0; empty-- {
			h.Write(crlf)
		}
		if ended && len(text) == len(raw) && !bytes.Contains(text, []byte("  ")) && bytes.IndexByte(text, '\t') < 0 {
			h.Write(body[:len(raw)+len(crlf)]) // most lines are as they should be
		} else {
			line = append(appendRelaxed(line[:0], text), crlf...)
			h.Write(line)
		}
		body = rest
	}
	return h.Sum(nil)
}

var crlf = []byte("\r\n")

// appendRelaxed appends a line with each run of blanks as one.
func appendRelaxed(out, line []byte) []byte {
	for len(line) > 0 {
		n := bytes.IndexAny(line, " \t")
		if n < 0 {
			return append(out, line...)
		}
		out = append(append(out, line[:n]...), ' ')
		line = bytes.TrimLeft(line[n:], " \t")
	}
	return out
}
