package render

import (
	"bytes"
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
	// No letter has more columns than bytes: a short line is written as it is, unless spaces in it are to become one.
	if len(plain.buf) <= limit && l.Underline == "" && !spacedOut(plain.buf) {
		w.string(l.First)
		w.bytes(plain.buf)
		w.newline()
		return
	}
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

// spacedOut reports whether a line is empty, begins or ends with a space, or has a tab or two spaces in a row.
func spacedOut(s []byte) bool {
	return len(s) == 0 || s[0] == ' ' || s[len(s)-1] == ' ' || bytes.IndexByte(s, '\t') >= 0 || bytes.Contains(s, []byte("  "))
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
		w := columnsOf(r)
		if w == 0 {
			return uniseg.StringWidth(s)
		}
		n += w
	}
	return n
}

// columnsOf is the width of a letter or mark of the usual scripts that joins with nothing around it; 0 for any other,
// which uniseg knows.
func columnsOf(r rune) int {
	switch {
	case r < utf8.RuneSelf, r >= 'À' && r <= 'ɏ', r >= 'α' && r <= 'ώ', r >= 'Α' && r <= 'Ρ', r >= 'Σ' && r <= 'ή', // Latin, Greek
		r >= 'Ѐ' && r <= 'ҁ', r >= 'א' && r <= 'ת', r >= 'ء' && r <= 'غ', r >= 'ف' && r <= 'ي': // Cyrillic, Hebrew, Arabic
		return 1
	case r >= 0x4E00 && r <= 0x9FFF, r >= 'ぁ' && r <= 'ゖ', r >= 'ァ' && r <= 'ー', r >= '가' && r <= '힣', r == '、', r == '。': // Chinese, Japanese, Korean
		return 2
	}
	return 0
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
