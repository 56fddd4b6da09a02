package render

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// width is how many columns the lines of a text part take, where words allow it.
const width = 72

// line is a line of a text part before it is wrapped. It is encoded as a part of a Mail.
type line struct {
	First     string  `json:"first,omitempty"`     // the beginning of its first line
	Prefix    string  `json:"prefix,omitempty"`    // and of the others
	Underline string  `json:"underline,omitempty"` // a character
	Pieces    []piece `json:"pieces"`
}

// line wraps a line at spaces into lines of at most width columns. Wide text without spaces, such as Chinese, is broken
// where Unicode (UAX #14) allows it; a URL never is.
func (w *writer) line(l *line, values []result) { w.wrap(l, values, width-len(l.First)) }

func (w *writer) wrap(l *line, values []result, limit int) {
	plain := writer{buf: w.scratch[:0], plain: true}
	plain.pieces(l.Pieces, values)
	w.scratch = plain.buf
	wrap := wrapping{writer: w, line: l, limit: limit}
	for s := range strings.FieldsFuncSeq(string(plain.buf), func(r rune) bool { return r == ' ' || r == '\t' }) {
		wrap.word(s)
	}
	if wrap.widest == 0 {
		return
	}
	w.newline()
	if l.Underline != "" {
		w.string(l.Prefix)
		for range wrap.widest {
			w.put(l.Underline[0])
		}
		w.newline()
	}
}

// wrapping is a line that is being wrapped.
type wrapping struct {
	*writer
	line         *line
	limit        int // columns, without the prefix
	used, widest int
}

func (w *wrapping) word(s string) {
	n := columns(s)
	if n <= utf8.RuneCountInString(s) {
		w.put(s, n, 1)
		return
	}
	gap := 1
	for _, part := range breakable(s) {
		w.put(part, columns(part), gap)
		gap = 0
	}
}

// put writes n columns, after a gap.
func (w *wrapping) put(s string, n, gap int) {
	if w.used > 0 && w.used+gap+n > w.limit {
		w.newline()
		w.used = 0
	}
	switch {
	case w.widest == 0:
		w.string(w.line.First)
	case w.used == 0:
		w.string(w.line.Prefix)
	case gap > 0:
		w.writer.put(' ')
		w.used++
	}
	w.string(s)
	w.used += n
	w.widest = max(w.widest, w.used)
}

// breakable cuts a wide word where a line may end within it: before or after wide characters alone.
func breakable(word string) (parts []string) {
	state := -1
	for rest := word; rest != ""; {
		var part string
		part, rest, _, state = uniseg.FirstLineSegmentInString(rest, state)
		if n := len(parts); n > 0 && narrow(parts[n-1], true) && narrow(part, false) {
			parts[n-1] += part
			continue
		}
		parts = append(parts, part)
	}
	return parts
}

// narrow reports whether the end, or the beginning, of s is ASCII.
func narrow(s string, end bool) bool {
	if end {
		return s[len(s)-1] < utf8.RuneSelf
	}
	return s[0] < utf8.RuneSelf
}

// columns is how wide a terminal shows s.
func columns(s string) (n int) {
	for _, r := range s {
		if r >= utf8.RuneSelf && (r < 'À' || r > 'ɏ') { // Latin letters are one column wide
			return uniseg.StringWidth(s)
		}
		n++
	}
	return n
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
