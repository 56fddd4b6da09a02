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
	First     string `json:"first,omitempty"`     // what its first line begins with
	Prefix    string `json:"prefix,omitempty"`    // and the others
	Underline string `json:"underline,omitempty"` // a character
	Words     []word `json:"words"`
}

// word is what a line is not broken within; or what is printed as one or more words once the values are known.
type word struct {
	Text   string  `json:"text,omitempty"`
	Width  int     `json:"width,omitempty"` // columns
	Glued  bool    `json:"glued,omitempty"` // no space before it
	Pieces []piece `json:"pieces,omitempty"`
}

// add adds the words of a text. What has no spaces and is wide, as Chinese and Japanese are, may be broken where
// Unicode (UAX #14) allows it; a URL never is.
func (l *line) add(text string) {
	for s := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == '\t' }) {
		for i, part := range breakable(s) {
			l.Words = append(l.Words, word{Text: part, Width: columns(part), Glued: i > 0})
		}
	}
}

// line wraps a line at spaces into lines of at most width columns.
func (w *writer) line(l *line, values []result) { w.wrap(l, values, width-len(l.First)) }

func (w *writer) wrap(l *line, values []result, limit int) {
	wrap := wrapping{writer: w, first: l.First, prefix: l.Prefix, limit: limit}
	for i := range l.Words {
		if word := &l.Words[i]; word.Pieces == nil {
			wrap.put(word.Text, word.Width, word.Glued)
		} else {
			wrap.compose(word.Pieces, values)
		}
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
	first, prefix string
	limit         int // columns, beside the prefix
	used, widest  int
}

// put writes a word of n columns.
func (w *wrapping) put(s string, n int, glued bool) {
	gap := 1
	if glued {
		gap = 0
	}
	if w.used > 0 && w.used+gap+n > w.limit {
		w.newline()
		w.used = 0
	}
	switch {
	case w.widest == 0:
		w.string(w.first)
	case w.used == 0:
		w.string(w.prefix)
	case gap > 0:
		w.writer.put(' ')
		w.used++
	}
	w.string(s)
	w.used += n
	w.widest = max(w.widest, w.used)
}

// compose writes the words that pieces come to.
func (w *wrapping) compose(pieces []piece, values []result) {
	plain := writer{buf: w.scratch[:0], plain: true}
	plain.pieces(pieces, values)
	w.scratch = plain.buf
	text := string(plain.buf)
	for s := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ' ' || r == '\t' }) {
		if ascii(s) {
			w.put(s, len(s), false)
			continue
		}
		for i, part := range breakable(s) {
			w.put(part, columns(part), i > 0)
		}
	}
}

// breakable cuts a word where a line may end within it: beside wide characters alone.
func breakable(word string) (parts []string) {
	if columns(word) <= utf8.RuneCountInString(word) {
		return []string{word}
	}
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
func columns(s string) int {
	if ascii(s) {
		return len(s)
	}
	return uniseg.StringWidth(s)
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
