package bounce

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// addresses returns the addresses in the text, each once, in their order.
func addresses(text string) []string {
	var found []string
	for at := 0; len(found) < maxRecipients; {
		begin, end := nextAddress(text, at)
		if end < 0 {
			break
		}
		if address := text[begin:end]; !contains(found, address) {
			found = append(found, address)
		}
		at = end
	}
	return found
}

// The longest parts of an address that are looked at, in bytes.
const (
	maxLocal  = 128 // more than RFC 5321 allows: forwarders wrap addresses
	maxDomain = 255
)

// nextAddress finds the first address that begins at from or later. Without one end is -1. RFC 6531 allows letters of
// all scripts; no expression does this, because it would be slow for the many words that are no address.
func nextAddress(text string, from int) (begin, end int) {
	for at := from; ; at++ {
		n := strings.IndexByte(text[at:], '@')
		if n < 0 {
			return 0, -1
		}
		at += n
		begin, end = beginLocal(text[from:at])+from, endDomain(text[at+1:])+at+1
		if begin < at && end > at+1 {
			return begin, end
		}
	}
}

// beginLocal returns where the local part begins that the text ends with.
func beginLocal(text string) int {
	if quoted, ok := strings.CutSuffix(text, `"`); ok {
		if open := strings.LastIndexByte(quoted, '"'); open >= 0 && len(text)-open <= maxLocal && !strings.ContainsAny(quoted[open:], " \t\n") {
			return open
		}
		return len(text)
	}
	begin, last := len(text), rune(-1)
	for begin > 0 && len(text)-begin < maxLocal {
		r, size := utf8.DecodeLastRuneInString(text[:begin])
		if !unicode.IsLetter(r) && !unicode.IsNumber(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~.", r) || ideographic(r) && last >= 0 && last < utf8.RuneSelf {
			break
		}
		begin, last = begin-size, r
	}
	return begin + len(text[begin:]) - len(strings.TrimLeft(text[begin:], "'`.=*"))
}

// endDomain returns where the domain ends that the text begins with: a name, or an address literal.
func endDomain(text string) int {
	text = cut(text, maxDomain)
	if strings.HasPrefix(text, "[") {
		return strings.IndexByte(text, ']') + 1
	}
	last := rune(-1)
	end := strings.IndexFunc(text, func(r rune) bool {
		over := !unicode.IsLetter(r) && !unicode.IsNumber(r) && (r != '.' && r != '-' || last < 0) || ideographic(r) && last >= 0 && last < utf8.RuneSelf && last != '.'
		last = r
		return over
	})
	if end < 0 {
		end = len(text)
	}
	return len(strings.TrimRight(text[:end], ".-"))
}

// ideographic reports whether r is of a script that is written without spaces: words may touch an address.
func ideographic(r rune) bool {
	return r >= 0x1100 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul)
}

// withoutAddresses returns the text with a blank for each address.
func withoutAddresses(text string) string {
	var out strings.Builder
	at := 0
	for {
		begin, end := nextAddress(text, at)
		if end < 0 {
			return out.String() + text[at:]
		}
		out.WriteString(text[at:begin])
		out.WriteByte(' ')
		at = end
	}
}

// envelopeFields name the recipients of a mail, those of its envelope first.
var envelopeFields = []string{
	"Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "X-Rcpt-To", "X-Apparently-To", "Apparently-To", "To", "Cc",
}

// sentTo returns the addresses that a mail came to, those of its envelope first.
func sentTo(h header) []string {
	var found []string
	for _, name := range envelopeFields {
		for _, value := range h.all(name) {
			found = add(found, addresses(value), nil)
		}
	}
	for _, value := range h.all("Received") {
		if _, to, ok := strings.Cut(value, " for <"); ok {
			to, _, _ = strings.Cut(to, ">")
			found = add(found, addresses(to), nil)
		}
	}
	return found
}

// add adds those of the addresses that are not there yet and are not to be left out.
func add(to, found, without []string) []string {
	for _, address := range found {
		if !contains(to, address) && !contains(without, address) && len(to) < maxRecipients {
			to = append(to, address)
		}
	}
	return to
}

// first returns the first address, "" if there is none.
func first(found []string) string {
	if len(found) == 0 {
		return ""
	}
	return found[0]
}

// common returns those of found that are also among the others.
func common(found, others []string) []string {
	var both []string
	for _, address := range found {
		if contains(others, address) {
			both = append(both, address)
		}
	}
	return both
}

func contains(names []string, name string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}
