package render

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/mail"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"tocsin/internal/notice"
)

// Stamp is what makes a message the one of its delivery.
type Stamp struct {
	MessageID string    // with angle brackets; one per delivery, for ever
	InReplyTo string    // Message-ID of the incident's first mail to this mailbox, with angle brackets; empty = none
	NoticeKey string    // X-Notice
	ListID    string    // List-Id (RFC 2919), such as mail-2026-11-09.example.net; made valid and put in brackets; empty = none
	Date      time.Time // Date, in the zone that it is to be written in
}

// Message is a rendered notice.
type Message struct {
	Subject string
	Text    string // the text part, lines ended by \n
	HTML    string // the HTML part, lines ended by \n
	Raw     []byte // RFC 5322 with CRLF, not dot-stuffed; nil from Preview
}

// raw builds the message: multipart/alternative of both parts, quoted-printable. A local part that is not ASCII
// stands in To as UTF-8 (RFC 6532), which such an address asks of the relay anyway (RFC 6531).
func (p *Program) raw(r notice.Recipient, c content, st Stamp) ([]byte, error) {
	to, err := mailbox(r.Address)
	if err != nil {
		return nil, err
	}
	to.Name = ""
	m := gomail.NewMsg(gomail.WithNoDefaultUserAgent(), gomail.WithCharset(gomail.CharsetUTF8),
		gomail.WithEncoding(gomail.EncodingQP), gomail.WithBoundary(boundary(st.MessageID, c.message)))
	m.FromMailAddress(p.from)
	m.ToMailAddress(to)
	if p.replyTo != nil {
		m.ReplyToMailAddress(p.replyTo)
	}
	m.SetDateWithValue(st.Date)
	m.SetGenHeader(gomail.HeaderSubject, encodeHeader(c.message.Subject))
	m.SetGenHeader(gomail.HeaderMessageID, st.MessageID)
	if st.InReplyTo != "" {
		m.SetGenHeader(gomail.HeaderInReplyTo, st.InReplyTo)
		m.SetGenHeader(gomail.HeaderReferences, st.InReplyTo)
	}
	m.SetGenHeader(gomail.HeaderContentLang, strings.Join(c.languages, ", "))
	m.SetGenHeader("Auto-Submitted", "auto-generated")
	m.SetGenHeader("X-Notice", st.NoticeKey)
	if st.ListID != "" {
		m.SetGenHeader("List-Id", "<"+listID(st.ListID)+">")
	}
	m.SetBodyString(gomail.TypeTextPlain, c.message.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, c.message.HTML)
	var b bytes.Buffer
	b.Grow(2 * (len(c.message.Text) + len(c.message.HTML)))
	if _, err := m.WriteTo(&b); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// mailbox parses an address, makes one line of its name and gives it the ASCII form of its domain.
func mailbox(s string) (*mail.Address, error) {
	a, err := mail.ParseAddress(s)
	if err != nil {
		// The error of net/mail quotes the address.
		return nil, notice.Invalid("address", "cannot be parsed")
	}
	at := strings.LastIndexByte(a.Address, '@')
	local, domain := a.Address[:at], a.Address[at+1:]
	if !strings.HasPrefix(domain, "[") {
		if domain, err = idna.Lookup.ToASCII(domain); err != nil {
			return nil, notice.Invalid("address", "has a domain that is not one")
		}
	}
	return &mail.Address{Name: strings.Join(strings.Fields(clean(a.Name)), " "), Address: local + "@" + domain}, nil
}

// listID makes a list-id of s (RFC 2919): labels of atext with a dot between each two. A notice's key may hold dots
// where no label is.
func listID(s string) string {
	labels := strings.FieldsFunc(s, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
	})
	return strings.Join(labels, ".")
}

// boundary derives a boundary from the Message-ID that occurs in neither part. Its characters are the same in
// quoted-printable, so it does not occur in the encoded parts either.
func boundary(messageID string, m Message) string {
	for i := 0; ; i++ {
		sum := sha256.Sum256([]byte(messageID + strconv.Itoa(i)))
		b := "part" + hex.EncodeToString(sum[:20])
		if !strings.Contains(m.Text, b) && !strings.Contains(m.HTML, b) {
			return b
		}
	}
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
	var words []string
	for s != "" {
		n := 0
		for n < len(s) {
			_, size := utf8.DecodeRuneInString(s[n:])
			if n+size > 36 {
				break
			}
			n += size
		}
		words = append(words, fmt.Sprintf("=?UTF-8?B?%s?=", base64.StdEncoding.EncodeToString([]byte(s[:n]))))
		s = s[n:]
	}
	return strings.Join(words, " ")
}
