package render

import (
	"regexp"
	"strings"

	"tocsin/internal/notice"
)

// The most that a text may have in one place. Markdown takes time that grows with the square of these.
const (
	maxNesting = 20       // quotations and lists within each other
	maxSigns   = 3000     // signs that may mean something, in a paragraph
	maxBlock   = 16 << 10 // bytes of a paragraph
	maxTable   = 64 << 10 // and of a table
	maxColumns = 50
	maxRows    = 2000
)

// delimiter is a line that makes a table of the line above it and those below.
var delimiter = regexp.MustCompile(`^[ \t>]*[|:-][ \t|:-]*\|[ \t|:-]*\n?$`)

// isSign are the characters that may mean something in Markdown.
var isSign = func() (table [256]bool) {
	for _, c := range []byte("*_`[]()<>!&\\:@") {
		table[c] = true
	}
	return table
}()

// bounded refuses Markdown that would take too long to convert. at names the place of a line.
func bounded(md string, at func(line int) string) error {
	signs, size, number, rows := 0, 0, 0, 0
	for line := range strings.Lines(md) {
		number++
		if strings.Trim(line, " \t\n>") == "" || strings.ContainsAny(indentation.FindString(line), "-*+.)") {
			signs, size, rows = 0, 0, 0 // a new paragraph begins
		}
		if delimiter.MatchString(line) && strings.Count(line, "-") > 0 && rows == 0 || rows > 0 {
			rows++
		}
		depth, indent := 0, 0
		for i := 0; i < len(line) && strings.IndexByte(" \t>-*+.)0123456789", line[i]) >= 0; i++ {
			switch line[i] {
			case ' ':
				indent++
			case '\t':
				indent += 4
			case '>', '-', '*', '+', '.', ')':
				depth++
			}
		}
		size += len(line)
		for i := range len(line) {
			if isSign[line[i]] {
				signs++
			}
		}
		wrong := ""
		switch {
		case strings.TrimSpace(strings.Trim(line, "\n -*_")) == "":
			continue // a rule
		case depth > maxNesting || indent > 4*maxNesting:
			wrong = "has more than 20 quotations or lists within each other"
		case signs > maxSigns:
			wrong = "belongs to a paragraph with more than 3000 signs such as * and [: put a blank line into it"
		case rows == 1 && strings.Count(line, "|") > maxColumns:
			wrong = "begins a table of more than 50 columns"
		case rows > maxRows:
			wrong = "belongs to a table of more than 2000 rows"
		case size > maxTable && rows > 0:
			wrong = "belongs to a table of more than 64 KiB"
		case size > maxBlock && rows == 0:
			wrong = "belongs to a paragraph of more than 16 KiB: put a blank line into it"
		default:
			continue
		}
		return notice.Invalid(at(number), "%s", wrong)
	}
	return nil
}
