package audience

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

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

// fieldBits are the fields that columns give.
var fieldBits = map[string]notice.Fields{
	columnName: notice.GivenName, columnEmail: notice.GivenEmail, columnAlternateEmail: notice.GivenAlternateEmail,
	columnLanguage: notice.GivenLanguage, columnTimeZone: notice.GivenTimeZone,
}

// CheckCustomer holds one customer to the rules of customer files and puts it in the form in which customers are kept.
// Values lose the blanks around them and invisible characters, the language becomes canonical, empty attributes are
// left out. The row has Line 0 and gives all fields. The error is a *notice.Error; its Field is the JSON name of the
// first bad field, attributes.plan for an attribute.
func CheckCustomer(c *notice.Customer) (notice.CustomerRow, error) {
	row := newRow(0)
	row.Given = notice.GivenAll
	var check checker
	for _, cell := range [][2]string{
		{columnID, c.ID}, {columnName, c.Name}, {columnEmail, c.Email}, {columnAlternateEmail, c.AlternateEmail},
		{columnLanguage, c.Language}, {columnTimeZone, c.TimeZone},
	} {
		if reason := check.column(&row, cell[0], cell[1]); reason != "" {
			return notice.CustomerRow{}, notice.Invalid(cell[0], "%s", reason)
		}
	}
	before := ""
	for _, name := range slices.SortedFunc(maps.Keys(c.Attributes), func(a, b string) int {
		return strings.Compare(strings.ToLower(a), strings.ToLower(b))
	}) {
		reason := badAttributeName(name)
		if strings.EqualFold(name, before) {
			reason = "stands there twice: names that differ by case alone are one"
		}
		if before = name; reason == "" {
			reason = check.attribute(&row, name, c.Attributes[name])
		}
		if reason != "" {
			return notice.CustomerRow{}, notice.Invalid(attributeField(name), "%s", reason)
		}
	}
	maps.DeleteFunc(row.Customer.Attributes, func(_, value string) bool { return value == "" })
	*c = row.Customer
	return row, nil
}

// CheckPatch reads a change of one customer, a JSON Merge Patch (RFC 7396). Members that it does not have stay as they
// are, and null empties. id is the customer's. The error is a *notice.Error; its Field is the JSON name of the first
// bad field.
func CheckPatch(id string, patch []byte) (notice.CustomerRow, error) {
	row := newRow(0)
	if row.Customer.ID = id; !utf8.Valid(patch) {
		return row, notice.Invalid("", "is not UTF-8")
	}
	var check checker
	err := check.object(&row, string(patch))
	if cell, ok := errors.AsType[*cellError](err); ok {
		return row, notice.Invalid(cell.column, "%s", cell.reason)
	}
	if err != nil {
		return row, notice.Invalid("", "the body is not one JSON object")
	}
	if row.Customer.ID != id {
		return row, notice.Invalid(columnID, "differs from the one in the path")
	}
	return row, nil
}

// CanonicalID is the form in which an id is looked up, whatever it was asked for as.
func CanonicalID(id string) string { return norm.NFC.String(id) }

func newRow(line int) notice.CustomerRow {
	return notice.CustomerRow{Line: line, Customer: notice.Customer{Attributes: map[string]string{}}}
}

// badAttributeName returns the fault in the name of an attribute, "" for none.
func badAttributeName(name string) string {
	if slices.Contains(columns, strings.ToLower(name)) {
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
	languages map[string][3]string // canonical form, reason and warning, by spelling
	zones     map[string]string    // reason by spelling
	names     map[string]string    // of attributes: the first spelling, by lower case
}

func newChecker() checker {
	return checker{languages: map[string][3]string{}, zones: map[string]string{}, names: map[string]string{}}
}

// A checker's memory of a file that repeats nothing is bounded by words and by bytes of each.
const (
	remembered  = 1000
	longestWord = 64 // of a language or a zone; longer ones are refused
	maxNames    = 1000
)

// column sets a field of the customer from a cell and returns the fault in it, "" for none.
func (c *checker) column(row *notice.CustomerRow, column, value string) (reason string) {
	switch column {
	case columnID:
		value, reason = cleanID(value)
	case columnName:
		value, reason = cleanText(value, maxName)
	default:
		value, reason = cleanText(value, maxAttribute)
	}
	if reason != "" {
		return reason
	}
	to := &row.Customer
	switch column {
	case columnID:
		to.ID = value
	case columnName:
		to.Name = value
	case columnEmail:
		to.Email, row.EmailKey, reason = mailbox(value)
	case columnAlternateEmail:
		to.AlternateEmail, row.AlternateEmailKey, reason = mailbox(value)
	case columnLanguage:
		to.Language, reason, row.Warning = c.language(value)
	case columnTimeZone:
		to.TimeZone, reason = value, c.zone(value)
	}
	return reason
}

// attribute sets an attribute of the customer, to "" where it is to be emptied, and returns the fault in its value.
// The attribute has the spelling that its name had first.
func (c *checker) attribute(row *notice.CustomerRow, name, value string) (reason string) {
	folded := strings.ToLower(name)
	first, known := c.names[folded]
	switch {
	case known:
		name = first
	case len(c.names) == maxNames:
		return fmt.Sprintf("is an attribute too many: the file names %d others", maxNames)
	case c.names != nil:
		c.names[strings.Clone(folded)] = strings.Clone(name)
	}
	if value, reason = cleanText(value, maxAttribute); reason == "" {
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

// language returns the canonical form of a cell of languages, its fault, and a warning about a possible fault.
func (c *checker) language(s string) (list, reason, warning string) {
	if s == "" {
		return "", "", ""
	}
	known, ok := c.languages[s]
	if !ok {
		list, reason, warning = canonicalLanguages(s)
		known = [3]string{strings.Clone(list), reason, warning}
		remember(c.languages, s, known)
	}
	return known[0], known[1], known[2]
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

// TidyStored puts a customer that was kept by an earlier version in today's form. Name and attributes become as an
// import would keep them; addresses get their keys, or their faults. A value that can't be mended, and the id, stay.
func TidyStored(c notice.StoredCustomer) notice.StoredCustomer {
	if name, reason := cleanText(c.Name, maxName); reason == "" {
		c.Name = name
	}
	attributes := make(map[string]string, len(c.Attributes))
	for name, value := range c.Attributes {
		clean, reason := cleanText(value, maxAttribute)
		if reason != "" {
			clean = value
		}
		if clean != "" {
			attributes[name] = clean
		}
	}
	c.Attributes = attributes
	c.Email, c.EmailKey, c.EmailFault = tidyMailbox(c.Email)
	c.AlternateEmail, c.AlternateEmailKey, c.AlternateEmailFault = tidyMailbox(c.AlternateEmail)
	return c
}

func tidyMailbox(s string) (text, key, fault string) {
	if text, key, fault = mailbox(s); fault != "" {
		return s, "", fault
	}
	return text, key, ""
}

// IDFault returns the fault in an id that is kept, "" for none.
func IDFault(id string) string {
	clean, reason := cleanID(id)
	if reason == "" && clean != id {
		reason = "is not in the form in which ids are kept now: a file with this id makes another customer"
	}
	return reason
}
