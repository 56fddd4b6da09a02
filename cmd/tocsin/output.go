package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// isTerminal reports whether a person sits at the other end of f.
func isTerminal(f any) bool {
	file, ok := f.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// document writes the one document of --json.
func document(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// count writes a number for human eyes: 200,000.
func count(n int) string { return message.NewPrinter(language.English).Sprintf("%d", n) }

// many counts things: "1 mail", "2,000 mails".
func many(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return count(n) + " " + thing
}

// when writes an instant in the time zone of the reader, with the offset; "-" for none.
func when(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05 -07:00")
}

// day writes an instant to the minute in the time zone of the reader; "-" for none.
func day(t *time.Time) string {
	if t == nil || t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04")
}

// shown makes a text that came from outside fit for a line of a terminal: without control characters, which
// could otherwise move the cursor or break a table.
func shown(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// brief cuts a text that is too long to be read at a glance, such as a filter with a list of servers.
func brief(s string) string {
	const longest = 500
	if runes := []rune(s); len(runes) > longest {
		return fmt.Sprintf("%s … (%s characters)", string(runes[:longest]), count(len(runes)))
	}
	return s
}

// orNone writes "-" for an empty text, and any other as shown does.
func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return shown(s)
}

// tally writes counts as rows of a table, the largest first.
func tally(w io.Writer, counts map[string]int) {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if counts[a] != counts[b] {
			return counts[b] - counts[a]
		}
		return strings.Compare(a, b)
	})
	for _, name := range names {
		fmt.Fprintf(w, "  %s\t%s\n", orNone(name), count(counts[name]))
	}
}
