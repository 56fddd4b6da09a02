package render

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// width is how many columns the lines of a text part take, where words allow it.
const width = 72

// reflow lays out what the text template of a body printed: wraps paragraphs, indents lists, underlines headings.
func reflow(s string) string {
	f := &flow{}
	for line := range strings.SplitSeq(s, "\n") {
		f.add(line)
	}
	return f.out.String()
}

// hasWords reports whether reflow would leave anything of s.
func hasWords(s []byte) bool {
	for line := range bytes.SplitSeq(s, []byte("\n")) {
		if _, words, ok := bytes.Cut(line, []byte(string(markWords))); ok && len(bytes.TrimSpace(words)) > 0 {
			return true
		}
	}
	return false
}

type flow struct {
	out   strings.Builder
	blank bool   // a blank line is wanted before what comes next
	quote string // what that line begins with
}

func (f *flow) add(line string) {
	if quote, ok := strings.CutPrefix(line, string(markBlank)); ok {
		if !f.blank || len(quote) < len(f.quote) {
			f.blank, f.quote = true, quote
		}
		return
	}
	head, words, ok := strings.Cut(line, string(markWords))
	prefix, marker, _ := strings.Cut(head, string(markMarker))
	if !ok || prefix == "" {
		return
	}
	kind := rune(prefix[0])
	prefix = prefix[1:]
	first := prefix
	if marker != "" {
		first = prefix[:max(0, len(prefix)-len(marker))] + marker
	}
	if kind == lineCode {
		f.print(first + strings.TrimRight(words, " \t"))
		return
	}
	widest := 0
	for _, text := range wrap(words, width-len(first)) {
		f.print(first + text)
		first = prefix
		widest = max(widest, columns(text))
	}
	if kind != lineWords && widest > 0 {
		f.print(prefix + strings.Repeat(map[rune]string{lineTitle: "=", lineSection: "-"}[kind], widest))
	}
}

func (f *flow) print(line string) {
	if f.blank && f.out.Len() > 0 {
		f.out.WriteString(strings.TrimRight(f.quote, " ") + "\n")
	}
	f.blank = false
	f.out.WriteString(strings.TrimRight(line, " ") + "\n")
}

// wrap breaks words at spaces into lines of at most limit columns; none for no words. What has no spaces and is wide,
// as Chinese and Japanese are, it breaks where Unicode (UAX #14) allows it. A URL is never broken.
func wrap(words string, limit int) (lines []string) {
	var line strings.Builder
	used := 0
	put := func(s string, space bool) {
		n := columns(s)
		if used > 0 && used+n+1 > limit+map[bool]int{true: 0, false: 1}[space] {
			lines = append(lines, line.String())
			line.Reset()
			used = 0
		}
		if used > 0 && space {
			line.WriteByte(' ')
			used++
		}
		line.WriteString(s)
		used += n
	}
	for word := range strings.FieldsFuncSeq(words, func(r rune) bool { return r == ' ' || r == '\t' }) {
		for i, part := range breakable(word) {
			put(part, i == 0)
		}
	}
	if used > 0 {
		lines = append(lines, line.String())
	}
	return lines
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
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return uniseg.StringWidth(s)
		}
	}
	return len(s)
}
