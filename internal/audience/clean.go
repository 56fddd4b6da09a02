package audience

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// cleanText puts a value in the form in which values are kept: NFC, without invisible characters and without blanks
// around it. A value in which nothing can be seen is empty. reason names its fault, "" for none. Control characters at
// the ends are no blanks: they are refused like those inside.
func cleanText(s string, limit int) (text, reason string) {
	if reason := brokenText(s); reason != "" {
		return "", reason
	}
	if s = strings.TrimFunc(tidy(s), isBlank); !strings.ContainsFunc(s, isVisible) {
		s = ""
	}
	if len(s) > limit {
		return "", fmt.Sprintf("is longer than %d bytes", limit)
	}
	return s, ""
}

// cleanID is cleanText for an external id, which is compared letter by letter. An id that holds an invisible
// character, or that a spreadsheet has spoilt, is refused.
func cleanID(s string) (id, reason string) {
	id, reason = cleanText(s, maxID)
	switch {
	case reason != "":
	case id == "":
		reason = "is missing"
	case id != strings.TrimFunc(norm.NFC.String(s), isBlank):
		reason = "holds an invisible character; type it afresh"
	case shortened.MatchString(id):
		reason = "was shortened by a spreadsheet, like 1.23E+11: format the column as text before you export it"
	case guarded.MatchString(id):
		reason = "begins with an apostrophe, by which spreadsheets mark text: leave it out"
	}
	if reason != "" {
		return "", reason
	}
	return id, ""
}

var (
	// shortened is how spreadsheets write a number of more digits than fit a cell.
	shortened = regexp.MustCompile(`^[+-]?[0-9]([.,][0-9]+)?[eE][+-][0-9]{2,3}$`)
	guarded   = regexp.MustCompile(`^'[0-9]+$`)
)

// brokenText returns the fault in the characters of a value, "" for none.
func brokenText(s string) string {
	if !utf8.ValidString(s) {
		return "is not UTF-8"
	}
	for _, r := range s {
		switch {
		case r == '\r', r == '\n', r == '\u2028', r == '\u2029':
			return "holds a line break"
		case unicode.IsControl(r):
			return fmt.Sprintf("holds the control character %U", r)
		case r == utf8.RuneError, r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef:
			return "holds a broken character: its text was lost before it came here"
		}
	}
	return ""
}

// tidy returns a text in NFC without invisible characters: texts that look the same become the same.
func tidy(s string) string {
	if isASCII(s) {
		return s
	}
	for {
		// Marks may change places once nothing stands between them, and a joiner has another neighbour then.
		once := tidyOnce(s)
		if once == s {
			return s
		}
		s = once
	}
}

func tidyOnce(s string) string {
	runes := []rune(norm.NFC.String(s))
	kept := make([]rune, 0, len(runes))
	for i, r := range runes {
		if !isInvisible(r) || belongs(kept, r, runes[i+1:]) {
			kept = append(kept, r)
		}
	}
	return norm.NFC.String(string(kept))
}

// isInvisible reports whether r shows nothing by itself: format characters, variation selectors and fillers. Signs that
// stand in front of Arabic and Syriac numbers are format characters that show.
func isInvisible(r rune) bool {
	switch r {
	case '\u034f', '\u115f', '\u1160', '\u17b4', '\u17b5', '\u3164', '\uffa0':
		return true
	}
	return unicode.In(r, unicode.Cf, unicode.Variation_Selector) && !unicode.Is(unicode.Prepended_Concatenation_Mark, r)
}

const (
	zeroWidthNonJoiner = '\u200c'
	zeroWidthJoiner    = '\u200d'
)

// belongs reports whether an invisible character is part of the spelling. That is a joiner within an emoji or within a
// word of a script that spells with joiners, and a variation selector behind a sign or an ideograph.
func belongs(before []rune, r rune, after []rune) bool {
	if len(before) == 0 || isBlank(before[len(before)-1]) {
		return false
	}
	last := before[len(before)-1]
	if unicode.Is(unicode.Variation_Selector, r) {
		return unicode.In(last, unicode.So, unicode.Han, unicode.Mongolian)
	}
	if r != zeroWidthJoiner && r != zeroWidthNonJoiner {
		return false
	}
	next := slices.IndexFunc(after, func(r rune) bool { return !isInvisible(r) })
	return next >= 0 && joins(last) && joins(after[next])
}

// joins reports whether r can stand at a joiner. The letters of Europe never do.
func joins(r rune) bool {
	if unicode.In(r, unicode.So, unicode.Sk, unicode.Variation_Selector) {
		return !isBlank(r)
	}
	return unicode.In(r, unicode.L, unicode.M) && !unicode.In(r, unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Inherited)
}

// isBlank reports whether r is white space on a line; the empty pattern of Braille looks like it.
func isBlank(r rune) bool { return unicode.Is(unicode.Zs, r) || r == '\u2800' }

// isVisible reports whether r alone shows something: an accent does not.
func isVisible(r rune) bool {
	return !isBlank(r) && !isInvisible(r) && !unicode.In(r, unicode.Mn, unicode.Me)
}

// unguard takes off the ="…" by which spreadsheets are told that a number is text.
func unguard(cell string) string {
	if inner, ok := strings.CutPrefix(strings.TrimSpace(cell), `="`); ok && strings.HasSuffix(inner, `"`) {
		return strings.ReplaceAll(inner[:len(inner)-1], `""`, `"`)
	}
	return cell
}

// spreadsheetErrors are the cells that spreadsheets export where a formula failed.
var spreadsheetErrors = []string{"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!"}
