package cldr

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lists is how lists are written. A list pattern has {0} and {1}: of two elements, of the first two of several, of those
// between, and of the last.
type Lists struct {
	All   [4]string `json:"and"`
	Parts [4]string `json:"units"`
}

// And joins all elements, the last by the word for "and".
func (l *Lists) And(elements []string) string {
	if l == nil {
		return strings.Join(elements, ", ")
	}
	return join(l.All, elements)
}

// units joins the parts of a measure, such as 1 hour and 30 minutes.
func (l *Lists) units(elements []string) string {
	if l == nil {
		return strings.Join(elements, " ")
	}
	return join(l.Parts, elements)
}

func join(patterns [4]string, elements []string) string {
	if len(elements) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString(elements[0])
	for i, e := range elements[1:] {
		pattern := patterns[2]
		switch {
		case len(elements) == 2:
			pattern = patterns[0]
		case i == len(elements)-2:
			pattern = patterns[3]
		case i == 0:
			pattern = patterns[1]
		}
		// Every pattern begins with {0} and ends with {1}: table_test.go sees to it.
		b.WriteString(before(strings.TrimSuffix(strings.TrimPrefix(pattern, "{0}"), "{1}"), e))
		b.WriteString(e)
	}
	return b.String()
}

// before returns the separator as it is written before an element. Spanish has e for y before the sound of i, and Hebrew a
// hyphen between its "and" and another script, as ICU has them beyond CLDR's patterns.
func before(separator, element string) string {
	switch separator {
	case " y ":
		s := strings.ToLower(element)
		if strings.HasPrefix(s, "i") || strings.HasPrefix(s, "hi") && !strings.HasPrefix(s, "hia") && !strings.HasPrefix(s, "hie") {
			return " e "
		}
	case " ו":
		if r, _ := utf8.DecodeRuneInString(element); !unicode.Is(unicode.Hebrew, r) {
			return " ו-"
		}
	}
	return separator
}
