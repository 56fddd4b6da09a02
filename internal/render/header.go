package render

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"tocsin/internal/notice"
)

// field is a place of a mail that its Stamp, its recipient or its subject fills.
type field int

const (
	fieldTo field = iota + 1
	fieldDate
	fieldSubject
	fieldMessageID
	fieldReplies // In-Reply-To and References
	fieldNotice
	fieldBoundary  // of multiparts, but for the number of each
	fieldTitle     // the subject in the HTML part
	fieldTextTitle // and in the text part
	fieldReader    // the token of the reader's page
	fieldCalendar  // the file of events
	fieldLast      = fieldCalendar
)

// field writes a field; that of a header with its name, as a line or as none.
func (w *writer) field(f field, to string, subject []byte, st *Stamp) {
	switch f {
	case fieldTo:
		// A local part that is not ASCII stands here as UTF-8 (RFC 6532), which such an address asks of the relay anyway.
		w.header("To: ", "<", to, ">")
	case fieldDate:
		w.buf = append(w.buf, "Date: "...)
		w.buf = st.Date.AppendFormat(w.buf, time.RFC1123Z)
		w.buf = append(w.buf, "\r\n"...)
	case fieldSubject:
		w.buf = appendHeader(w.buf, "Subject", encodeHeader(st.Mark+string(subject)))
	case fieldMessageID:
		w.header("Message-ID: ", st.MessageID)
	case fieldReplies:
		if len(st.Thread) == 0 {
			return
		}
		// All mails are answers to the first, so that they stay together where one of those between was lost (RFC 5322
		// §3.6.4).
		w.header("In-Reply-To: ", st.Thread[0])
		w.header("References: ", st.Thread[0])
		for _, id := range st.Thread[1:] {
			w.header(" ", id)
		}
	case fieldNotice:
		w.header("X-Notice: ", st.NoticeKey)
	case fieldTitle:
		w.value(result{s: string(subject)}, formHTML)
	case fieldTextTitle:
		w.string(string(subject))
	case fieldReader:
		w.string(cmp.Or(st.Reader, noReader))
	}
}

func (w *writer) header(parts ...string) {
	for _, p := range parts {
		w.buf = append(w.buf, p...)
	}
	w.buf = append(w.buf, "\r\n"...)
}

// appendHeader appends a header, folded at spaces (RFC 5322 §2.2.3) so that its lines fit 76 columns where they can.
func appendHeader(buf []byte, name, value string) []byte {
	buf = append(buf, name...)
	buf = append(buf, ':')
	col := len(name) + 1
	for word := range strings.SplitSeq(value, " ") {
		if col+1+len(word) > 76 && col > len(name)+1 {
			buf = append(buf, "\r\n"...)
			col = 0
		}
		buf = append(append(buf, ' '), word...)
		col += 1 + len(word)
	}
	return append(buf, "\r\n"...)
}

// encodeHeader returns a header value that survives folding: ASCII words that fit a line as they are, all else as
// encoded words (RFC 2047).
func encodeHeader(s string) string {
	plain := !strings.Contains(s, "=?")
	for word := range strings.SplitSeq(s, " ") {
		plain = plain && len(word) <= 60
	}
	for i := range len(s) {
		plain = plain && s[i] >= ' ' && s[i] <= '~'
	}
	if plain {
		return s
	}
	var words []byte
	for s != "" {
		n := 0
		for n < len(s) {
			_, size := utf8.DecodeRuneInString(s[n:])
			if n+size > 36 {
				break
			}
			n += size
		}
		if len(words) > 0 {
			words = append(words, ' ')
		}
		words = append(words, "=?UTF-8?B?"...)
		words = base64.StdEncoding.AppendEncode(words, []byte(s[:n]))
		words = append(words, "?="...)
		s = s[n:]
	}
	return string(words)
}

// nameAddr writes an address with its name so that it can be folded. A name with a word longer than a line should be is
// encoded as a whole: a line may have 998 bytes at most (RFC 5322 §2.1.1).
func nameAddr(a *mail.Address) string {
	if !slices.ContainsFunc(strings.Fields(a.Name), func(word string) bool { return len(word) > 60 }) {
		return a.String()
	}
	return encodeHeader(a.Name) + " " + (&mail.Address{Address: a.Address}).String()
}

// mailbox returns an address as it stands in a header, with the ASCII form of its domain.
func mailbox(s string) (string, error) {
	if usual(s) {
		return s, nil
	}
	a, err := parseMailbox(s)
	if err != nil {
		return "", err
	}
	return strings.Trim((&mail.Address{Address: a.Address}).String(), "<>"), nil
}

// usual reports whether an address is one like anna.smit@example.org, which is written as it is.
func usual(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	if !ok || len(local) > 64 || len(domain) > 253 || strings.Contains(domain, "--") {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	for atom := range strings.SplitSeq(local, ".") {
		if atom == "" || strings.Trim(atom, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+") != "" {
			return false
		}
	}
	return true
}

// lookup is idna.Lookup without its opinion on hyphens, which DNS does not share: "ab--cd.example" exists.
var lookup = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.CheckHyphens(false))

// parseMailbox parses an address, makes one line of its name and gives it the ASCII form of its domain.
func parseMailbox(s string) (*mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil {
		// The error of net/mail quotes the address.
		return nil, notice.Invalid("address", "cannot be parsed")
	}
	at := strings.LastIndexByte(a.Address, '@')
	local, domain := a.Address[:at], a.Address[at+1:]
	if !strings.HasPrefix(domain, "[") {
		if domain, err = lookup.ToASCII(domain); err != nil || strings.Contains("."+domain+".", ".-") || strings.Contains(domain+".", "-.") {
			return nil, notice.Invalid("address", "has a domain that is not one")
		}
	}
	return &mail.Address{Name: strings.Join(strings.Fields(clean(a.Name)), " "), Address: local + "@" + domain}, nil
}

// listID returns the list-id of all mails from a sender (RFC 2919), labels of atext with a dot between each two.
// Receivers filter by it, so it stays the same from notice to notice. A local part may hold dots where no label is.
func listID(from *mail.Address) string {
	foreign := func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
	}
	return strings.Join(strings.FieldsFunc(from.Address, foreign), ".")
}

// feedbackID returns the Feedback-ID by which Gmail counts complaints: incident, phase, kind and a name of the sender.
// The name has 15 characters, and stays the same from notice to notice
// (https://support.google.com/mail/answer/6254652). It tells nothing about the recipient.
func (p *Program) feedbackID() string {
	sum := sha256.Sum256([]byte(strings.ToLower(p.from.Address)))
	return fmt.Sprintf("%s:%s:%s:tocsin-%x", cmp.Or(p.incident, p.notice.Key), p.notice.Phase, p.notice.Kind, sum[:4])
}

// part is a part of a message, or parts of one (RFC 2045, RFC 2046).
type part struct {
	kind   string  // its content type
	header string  // its other headers, as lines
	body   []piece // encoded, as header says
	parts  []part  // of a multipart
}

// append appends a part to pieces; number tells its multiparts' boundaries apart.
func (p part) append(pieces []piece, number *byte) []piece {
	if len(p.parts) == 0 {
		return add(add(pieces, piece{Text: p.header + "Content-Type: " + p.kind + "\r\n\r\n"}), p.body...)
	}
	*number++
	// A boundary with "=_" in it occurs in nothing that is quoted-printable or base64.
	end := string('0'+*number) + "\""
	own := []piece{{Text: "--=_"}, {Field: fieldBoundary}, {Text: end[:1]}}
	pieces = add(pieces, piece{Text: p.header + "Content-Type: " + p.kind + ";\r\n boundary=\"=_"}, piece{Field: fieldBoundary}, piece{Text: end + "\r\n\r\n"})
	for i, child := range p.parts {
		if i > 0 {
			pieces = add(pieces, piece{Text: "\r\n"})
		}
		pieces = child.append(add(add(pieces, own...), piece{Text: "\r\n"}), number)
	}
	return add(add(add(pieces, piece{Text: "\r\n"}), own...), piece{Text: "--\r\n"})
}
