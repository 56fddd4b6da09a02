package audience

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"tocsin/internal/notice"
)

// The columns of a customer file that are not attributes.
const (
	columnID             = "id"
	columnName           = "name"
	columnEmail          = "email"
	columnAlternateEmail = "alternate_email"
	columnLanguage       = "language"
	columnTimeZone       = "time_zone"
)

// columns lists them in the order in which they are checked where nothing else gives one.
var columns = []string{columnID, columnName, columnEmail, columnAlternateEmail, columnLanguage, columnTimeZone}

// The longest values of a customer, in bytes.
const (
	maxID        = 255
	maxName      = 1000
	maxAttribute = 4000
)

// CheckCustomer holds one customer to the rules of customer files and puts it in the form that they are kept in:
// blanks around values dropped, language canonical, empty attributes left out. The row has Line 0. The error is
// a *notice.Error whose Field is the JSON name of the first bad field, attributes.plan for an attribute.
func CheckCustomer(c *notice.Customer) (notice.CustomerRow, error) {
	row := newRow(0)
	var check checker
	for _, cell := range [][2]string{
		{columnID, c.ID}, {columnName, c.Name}, {columnEmail, c.Email}, {columnAlternateEmail, c.AlternateEmail},
		{columnLanguage, c.Language}, {columnTimeZone, c.TimeZone},
	} {
		if reason := check.column(&row, cell[0], cell[1]); reason != "" {
			return notice.CustomerRow{}, notice.Invalid(cell[0], "%s", reason)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Attributes)) {
		reason := badAttributeName(name)
		if reason == "" {
			reason = check.attribute(&row, name, c.Attributes[name])
		}
		if reason != "" {
			return notice.CustomerRow{}, notice.Invalid(attributeField(name), "%s", reason)
		}
	}
	*c = row.Customer
	return row, nil
}

func newRow(line int) notice.CustomerRow {
	return notice.CustomerRow{Line: line, Customer: notice.Customer{Attributes: map[string]string{}}}
}

// badAttributeName returns what is wrong with the name of an attribute, "" for nothing.
func badAttributeName(name string) string {
	if slices.Contains(columns, name) {
		return "is a field of the customer and can't be an attribute as well"
	}
	if !attributeName.MatchString(name) {
		return "is no name for an attribute: a letter or _, then at most 63 letters, digits and _"
	}
	return ""
}

// attributeField names an attribute in an error.
func attributeField(name string) string { return "attributes." + shorten(name) }

// shorten returns a name for an error: one that may be anything in quotes, and at most 40 characters of it.
func shorten(name string) string {
	if attributeName.MatchString(name) {
		return name
	}
	if r := []rune(name); len(r) > 40 {
		name = string(r[:40]) + "…"
	}
	return fmt.Sprintf("%q", name)
}

// checker checks values, and remembers the languages and zones that it has seen: a file repeats few of them.
// The zero checker remembers nothing.
type checker struct {
	languages map[string][2]string // canonical tag and reason, by spelling
	zones     map[string]string    // reason by spelling
}

// What a checker keeps of a file that repeats nothing is bounded by words and by bytes of each.
const (
	remembered  = 1000
	longestWord = 64 // of a language or a zone; longer ones are refused
)

// column sets a field of the customer from a cell and returns what is wrong with it, "" for nothing.
func (c *checker) column(row *notice.CustomerRow, column, value string) (reason string) {
	limit := maxAttribute
	switch column {
	case columnID:
		limit = maxID
	case columnName:
		limit = maxName
	}
	if value, reason = cleanText(value, limit); reason != "" {
		return reason
	}
	to := &row.Customer
	switch column {
	case columnID:
		if to.ID = value; value == "" {
			return "is missing"
		}
	case columnName:
		to.Name = value
	case columnEmail:
		to.Email, row.EmailKey, reason = mailbox(value)
	case columnAlternateEmail:
		to.AlternateEmail, row.AlternateEmailKey, reason = mailbox(value)
	case columnLanguage:
		to.Language, reason = c.language(value)
	case columnTimeZone:
		to.TimeZone, reason = value, c.zone(value)
	}
	return reason
}

// attribute sets an attribute of the customer, if it is not empty, and returns what is wrong with its value.
func (c *checker) attribute(row *notice.CustomerRow, name, value string) (reason string) {
	if value, reason = cleanText(value, maxAttribute); reason == "" && value != "" {
		row.Customer.Attributes[name] = value
	}
	return reason
}

func mailbox(s string) (text, key, reason string) {
	if s == "" {
		return "", "", ""
	}
	a, err := ParseAddress(s)
	if err != nil {
		return "", "", reasonOf(err)
	}
	return a.Text, a.Key(), ""
}

func (c *checker) language(s string) (tag, reason string) {
	if s == "" {
		return "", ""
	}
	if known, ok := c.languages[s]; ok {
		return known[0], known[1]
	}
	tag, reason = canonicalLanguage(s)
	remember(c.languages, s, [2]string{strings.Clone(tag), reason})
	return tag, reason
}

func (c *checker) zone(s string) (reason string) {
	if s == "" {
		return ""
	}
	if reason, ok := c.zones[s]; ok {
		return reason
	}
	reason = checkZone(s)
	remember(c.zones, s, reason)
	return reason
}

// remember copies the key, so that a file's line does not stay in memory for the sake of a word in it.
func remember[V any](known map[string]V, key string, value V) {
	if known == nil || len(key) > longestWord {
		return
	}
	if len(known) >= remembered {
		clear(known)
	}
	known[strings.Clone(key)] = value
}

// cleanText drops the blanks around a value and returns what is wrong with the rest, "" for nothing. Control
// characters at the ends are no blanks: they are refused like those inside.
func cleanText(s string, limit int) (text, reason string) {
	if !utf8.ValidString(s) {
		return "", "is not UTF-8"
	}
	s = strings.TrimFunc(s, func(r rune) bool { return unicode.Is(unicode.Zs, r) })
	for _, r := range s {
		switch {
		case r == '\r', r == '\n', r == '\u2028', r == '\u2029':
			return "", "holds a line break"
		case unicode.IsControl(r):
			return "", fmt.Sprintf("holds the control character %U", r)
		}
	}
	if len(s) > limit {
		return "", fmt.Sprintf("is longer than %d bytes", limit)
	}
	return s, ""
}
