// Package audience decides which customers to tell, at which mailbox. It reads addresses, filters over customers and
// files of customers. Wrong input is refused with a reason that says how it would be right.
package audience

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/language"
	"golang.org/x/text/unicode/norm"

	"tocsin/internal/notice"
)

// The longest address, in octets. RFC 5321 §4.5.3.1.1 gives the limit of the local part; §4.5.3.1.3 gives a path 256
// with its angle brackets, so 254 without them. That leaves a domain less than the 255 of §4.5.3.1.2.
const (
	maxLocal = 64
	maxPath  = 254
)

// Address is the address of one mailbox. ParseAddress makes it; the zero Address is none.
type Address struct {
	Local  string // as written, a quoted string with its quotes
	Domain string // lower-case A-label
	Text   string // the whole address as written, without surrounding white space and without a dot at its end
}

// ParseAddress reads a bare address as RFC 5321 and RFC 6531 have it: a dot-atom or quoted string, "@", and a domain
// of two labels or more that passes IDNA lookup. White space around it is dropped. Names, comments, angle brackets,
// address literals and single-label domains are refused; so are control characters, invisible characters and the
// punctuation of word processors. Any address that it takes can be sent: no other part of Tocsin judges a customer's
// address. Its error is a *notice.Error with Field "address" that does not repeat the address.
func ParseAddress(s string) (Address, error) {
	text := strings.TrimSpace(s)
	if reason := plainText(text); reason != "" {
		return Address{}, notice.Invalid("address", "%s", reason)
	}
	local, domain, reason := splitAddress(text)
	if reason == "" {
		reason = typeset(local, domain)
	}
	if reason != "" {
		return Address{}, notice.Invalid("address", "%s", reason)
	}
	a := Address{Local: local, Text: strings.TrimRight(text, ".。．｡")}
	if a.Domain, reason = domainKey(domain); reason != "" {
		return Address{}, notice.Invalid("address", "%s", reason)
	}
	// Lower case can take more octets than upper case, and a key must itself be an address.
	if n := max(len(local), len(a.localKey())); n > maxLocal {
		return Address{}, notice.Invalid("address", "the part before the @ is longer than %d octets", maxLocal)
	}
	if n := max(len(a.Wire()), len(a.Key())); n > maxPath {
		return Address{}, notice.Invalid("address", "is longer than %d octets", maxPath)
	}
	return a, nil
}

// Key is the same for all spellings of one mailbox. It has the local part in NFC and lower case, without needless
// quotes, then "@" and the domain. It is itself an address, with itself for its key; "" for the zero Address.
func (a Address) Key() string {
	if a == (Address{}) {
		return ""
	}
	return a.localKey() + "@" + a.Domain
}

// Wire is the address as an SMTP command carries it, without brackets: the local part as written and the domain
// as A-label. It is ASCII unless the local part is not.
func (a Address) Wire() string { return a.Local + "@" + a.Domain }

// localKey drops needless quotes because RFC 5321 §4.1.2 makes "john" with and without them one mailbox.
func (a Address) localKey() string {
	local := a.Local
	if strings.HasPrefix(local, `"`) {
		var inner strings.Builder
		for i := 1; i < len(local)-1; i++ {
			if local[i] == '\\' {
				i++
			}
			inner.WriteByte(local[i])
		}
		local = inner.String()
	}
	// NFC can make quotes needful: it turns a few letters into signs that an atom can't hold, U+037E into ";".
	if local = fold(local); !isDotAtom(local) {
		return quote(local)
	}
	return local
}

// fold lower-cases by the full rules of Unicode, no language's own, and composes.
func fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return norm.NFC.String(cases.Lower(language.Und).String(norm.NFC.String(s)))
}

// quote writes s in double quotes, escaping as both RFC 5321 and the filter language understand it.
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// plainText returns the fault in the characters of an address, "" for none.
func plainText(s string) string {
	if s == "" {
		return "is empty; write one like name@example.com"
	}
	if !utf8.ValidString(s) {
		return "is not UTF-8"
	}
	for _, r := range s {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return "holds a control character or a line break"
		case r == '\u200c', r == '\u200d': // joiners, which some scripts spell with
		case unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return "holds an invisible or broken character; type it afresh"
		case r != ' ' && unicode.IsSpace(r):
			return "holds a blank"
		}
	}
	return ""
}

// splitAddress cuts at the "@" and checks the local part; reason names its fault.
func splitAddress(s string) (local, domain, reason string) {
	if strings.HasPrefix(s, `"`) {
		end := quotedEnd(s)
		switch {
		case end < 0:
			return "", "", "holds a character that a quoted local part can't, or its quote is never closed"
		case end == 2:
			return "", "", "has nothing before the @"
		case end == len(s) || s[end] != '@':
			return "", "", "must be one address alone, with an @ right after the closing quote"
		case strings.ContainsAny(s[:end], "<>,"):
			return "", "", "holds <, > or a comma before the @, which relays take apart even in quotes"
		}
		return s[:end], s[end+1:], ""
	}
	at := strings.IndexByte(s, '@')
	switch {
	case strings.ContainsAny(s, "<>"):
		return "", "", "must be written alone, without a name and without angle brackets"
	case strings.ContainsAny(s, ",;"):
		return "", "", "must be one address alone, without a comma or a semicolon"
	case at < 0 && strings.ContainsAny(s, "＠﹫"):
		return "", "", "has a wide @; write the plain one"
	case at < 0:
		return "", "", "has no @; write one like name@example.com"
	case strings.Count(s, "@") > 1:
		return "", "", "has more than one @"
	case at == 0:
		return "", "", "has nothing before the @"
	case at == len(s)-1:
		return "", "", "has no domain after the @"
	}
	local, domain = s[:at], s[at+1:]
	switch {
	case strings.ContainsRune(local, ' '):
		return "", "", "holds a blank; a local part with blanks must stand in double quotes"
	case local[0] == '.' || local[len(local)-1] == '.' || strings.Contains(local, ".."):
		return "", "", "has a dot at an end of its local part, or two in a row"
	case !isDotAtom(local):
		return "", "", "holds a character before the @ that would need double quotes around the local part"
	}
	return local, domain, ""
}

// typesetSigns are signs that word processors and phones put in the place of those on a keyboard.
var typesetSigns = map[rune]string{
	'‘': "'", '’': "'", '‚': "'", '‛': "'", '′': "'", 'ʼ': "'", '´': "'", '＇': "'",
	'“': `"`, '”': `"`, '„': `"`, '‟': `"`, '″': `"`, '«': `"`, '»': `"`,
	'‐': "-", '‑': "-", '‒': "-", '–': "-", '—': "-", '―': "-", '−': "-", '﹣': "-", '－': "-", '…': "...",
}

// typeset returns the fault in signs of an address that no keyboard types, "" for none. Wide letters are none of a
// local part; in a domain IDNA maps them.
func typeset(local, domain string) string {
	const reason = "holds %c (%U), which word processors write in the place of %s: type %[3]s"
	for _, r := range local + "@" + domain {
		if plain, known := typesetSigns[r]; known {
			return fmt.Sprintf(reason, r, r, plain)
		}
	}
	for _, r := range local {
		if r >= 0xff01 && r <= 0xff5e {
			return fmt.Sprintf("holds the wide character %c (%U): type %c", r, r, r-0xfee0)
		}
	}
	return ""
}

// quotedEnd returns the index behind the quoted string that s starts with, -1 if there is no whole one.
func quotedEnd(s string) int {
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			// RFC 5321 lets only printable ASCII be escaped.
			if i++; i == len(s) || s[i] < ' ' || s[i] > '~' {
				return -1
			}
		}
	}
	return -1
}

func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, func(r rune) bool { return !isAtext(r) }) {
			return false
		}
	}
	return true
}

// isAtext is RFC 5322's atext, with all beyond ASCII as RFC 6531 adds it.
func isAtext(r rune) bool {
	return r >= utf8.RuneSelf || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
		strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
